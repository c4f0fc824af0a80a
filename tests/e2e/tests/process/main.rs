//! Cases that need a controller of their own: to be killed, stopped, frozen, elected, or given
//! components.

mod election;
mod killed;
mod swap;
mod takeover;
