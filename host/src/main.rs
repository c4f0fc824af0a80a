//! `sluice`: the controller and its command line.
fn main() {}
