//! Scenarios, the swarm, and the checks that the repository makes of itself.
