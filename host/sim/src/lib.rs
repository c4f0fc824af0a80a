//! A simulated cluster in virtual time: faults, checkers, scenarios.
