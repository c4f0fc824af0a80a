//! What users rely on, one behaviour a case: all cases share one cluster and one controller.

mod abort;
mod around;
mod bad_input;
mod basic;
mod blue_green;
mod canary;
mod clients;
mod commands;
mod istio;
mod judged;
mod kubectl;
mod left;
mod mesh;
mod nginx_prometheus;
mod preview;
mod scene;
mod takeover;
mod told;
mod traffic;
