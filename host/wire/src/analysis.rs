//! Analysis at the door: templates become runs, runs become observations, answers of metric
//! providers become judgements, and decisions become status.
//!
//! ```text
//!   rollout + templates ─► run ─► observe ─► core::analysis::decide ─► project ─► status
//!                                   ▲                   │
//!                  condition ◄─ outcome ◄─ provider ◄─ measure
//! ```
//!
//! Arguments that come from Secrets stay references until a measurement is about to be made, and
//! their values are blacked out of everything that is recorded as a message.

pub mod arguments;
pub mod condition;
pub mod measure;
pub mod metric;
pub mod observe;
pub mod project;
pub mod run;
pub mod template;
pub mod turn;
