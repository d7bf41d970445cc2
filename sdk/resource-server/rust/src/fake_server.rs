//! A server for tests that answers what it is told to, and keeps what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use serde_json::Value;

type Script = Arc<Mutex<(VecDeque<Response>, Vec<(String, Value)>)>>;

pub(crate) struct FakeServer {
    pub(crate) url: String,
    script: Script,
}

impl FakeServer {
    /// Give these answers, one after another, and then 500 for ever.
    pub(crate) async fn with(answers: impl IntoIterator<Item = Response>) -> Self {
        let script: Script = Arc::new(Mutex::new((answers.into_iter().collect(), Vec::new())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&script);
        let play = async move |uri: Uri, body: String| {
            let mut script = shared.lock().unwrap();
            script.1.push((uri.path().to_owned(), serde_json::from_str(&body).unwrap_or_default()));
            script.0.pop_front().unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
        };
        let router = axum::Router::new().fallback(play);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, script }
    }

    /// The paths that were asked for, and what was sent there.
    pub(crate) fn seen(&self) -> Vec<(String, Value)> {
        self.script.lock().unwrap().1.clone()
    }
}

/// 200 with a JSON body.
pub(crate) fn ok(body: &Value) -> Response {
    body.to_string().into_response()
}
