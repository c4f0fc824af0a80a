//! What users rely on, one behaviour a case: all cases share one cluster and one controller.

mod around;
mod canary;
mod clients;
mod kubectl;
mod mesh;
mod scene;
mod traffic;
