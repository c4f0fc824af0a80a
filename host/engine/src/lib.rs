//! The loop, without input or output: due keys, work in flight, wake-ups, barriers, leadership.
