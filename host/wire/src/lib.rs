//! The door, pure: objects in, observations out; decisions in, status and writes out.
