//! What users rely on, one behaviour a case: all cases share one cluster and one controller.

mod around;
mod blue_green;
mod canary;
mod clients;
mod judged;
mod kubectl;
mod left;
mod mesh;
mod scene;
mod takeover;
mod traffic;
