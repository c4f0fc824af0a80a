//! Tests of what authors of components do, with the real tools of every language; see the folder
//! `tests`. They need Go, Node.js with npm, Python and Rust, and the first time their registries.
