//! A Prometheus that says what it is told to.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::{Router, routing::any};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

/// A server that answers every query with one series of one value.
#[derive(Debug)]
pub struct Answers {
    url: String,
    value: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Answers {
    /// Starts it on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub async fn start(value: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let value = Arc::new(Mutex::new(value.to_owned()));
        let said = Arc::clone(&value);
        let page = any(move || {
            let value = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let body = json!({"status": "success", "data": {"resultType": "vector",
                "result": [{"metric": {}, "value": [1, value]}]}});
            async move { ([("content-type", "application/json")], body.to_string()) }
        });
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, Router::new().fallback(page)).await {
                eprintln!("the server of answers ended: {error}");
            }
        });
        Ok(Self { url, value, task })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it answers from now on.
    pub fn say(&self, value: &str) {
        value.clone_into(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.task.abort();
    }
}
