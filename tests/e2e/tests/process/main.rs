//! Cases that need a controller of their own: to be killed, stopped, frozen, elected, or given
//! components.

mod election;
mod killed;
#[path = "../other_nginx/mod.rs"]
mod other_nginx;
mod swap;
mod takeover;
