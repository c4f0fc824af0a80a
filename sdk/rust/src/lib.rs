//! Write a metric provider or a traffic router for Sluice in Rust.
