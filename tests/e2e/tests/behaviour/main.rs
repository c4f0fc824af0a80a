//! What users rely on, one behaviour a case: all cases share one cluster and one controller.

mod around;
mod blue_green;
mod canary;
mod clients;
mod judged;
mod kubectl;
mod mesh;
mod scene;
mod traffic;
