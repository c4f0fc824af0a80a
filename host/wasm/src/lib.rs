//! The component shell: loads, links, limits, grants and calls components.
//!
//! A component is a stranger, politely received. Every call runs in a fresh instance with its own
//! memory, a limit on time, computing, memory, requests and log lines, and no network but what
//! the host carries for it. Whatever it does, the outcome is a [`sluice_port::Fault`] with a
//! reason, and nobody else notices.
//!
//! [`ComponentHost`] is what the rest of the program calls, [`Network`] the way out for its
//! components, and [`Folder`] a folder whose components come and go while it runs.
//! Only this crate names types of the WebAssembly engine.

mod apart;
mod bindings;
mod breaker;
mod cache;
mod call;
mod clock;
mod components;
mod ctx;
mod dir;
mod egress;
mod engine;
mod gate;
mod grants;
mod host;
mod host_http;
mod host_kube;
mod host_log;
mod host_secrets;
mod limits;
mod load;
mod meter;
mod metric;
mod notify;
mod outgoing;
mod places;
mod prepared;
mod private;
mod recall;
mod slots;
mod stats;
mod step;
mod trace;
mod traffic;
mod turns;
mod wasi_http;
mod wasi_log;
mod watch;
mod way;

pub use apart::{Apart, ApartError, CompileBounds, compile_here};
pub use clock::Clock;
pub use dir::{Event, Folder, INTERVAL};
pub use egress::{Bounds, Network};
pub use engine::TICK;
pub use gate::Held;
pub use grants::{Grants, HttpGrant, KubernetesGrant, NoServer, Server};
pub use host::{ComponentHost, HostConfig, Origin, PluginInfo, Swap, Terms};
pub use limits::{Kind, Limits, MOST_COMPONENT, MOST_MEMORY};
pub use load::{LoadError, Outline};
pub use prepared::Prepared;
pub use private::{Credential, Private};
pub use recall::Earlier;
pub use slots::Withdrawn;
pub use stats::Stats;
pub use way::{Detour, Way};
