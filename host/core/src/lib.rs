//! The decision: a pure function from what was observed to what is to be done.
