//! The read side: one card model for the command line and JSON.
