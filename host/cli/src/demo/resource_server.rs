//! A sample resource server: articles of an FAQ, for whoever shows a credential for them.
//!
//! It knows Attorn's public keys and nothing else of it: see `check.rs` for all that it does with a
//! credential.

mod check;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use attorn_agent::Client;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use self::check::{Check, Shown};
use crate::failure::Failure;

/// The service, while it runs.
pub(super) struct FaqServer {
    url: String,
    task: tokio::task::JoinHandle<()>,
}

/// What it answered.
pub(super) struct FaqAnswer {
    pub(super) status: u16,
    /// The article's text, or why there is none.
    pub(super) says: String,
}

impl FaqServer {
    /// Listen on a free port of loopback, and accept credentials of this issuer.
    pub(super) async fn start(issuer: &str) -> Result<Self, Failure> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|error| Failure::of(&error))?;
        let url = format!("http://{}", listener.local_addr().map_err(|error| Failure::of(&error))?);
        let check = Arc::new(Check::with_keys_of(issuer, &url).await?);
        let router = Router::new().route("/article/{id}", get(article)).with_state(check);
        let task = tokio::spawn(async move {
            // It ends when the demo does.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, task })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Read an article as an agent does, showing this credential with a new proof.
    pub(super) async fn read(&self, agent: &Client, path: &str, access_token: &str) -> Result<FaqAnswer, Failure> {
        let url = format!("{}{path}", self.url);
        let proof = agent.proof_for("GET", &url, b"", access_token)?;
        let http = reqwest::Client::builder().no_proxy().build().map_err(|error| Failure::of(&error))?;
        let request = http.get(url).header("Authorization", format!("DPoP {access_token}")).header("DPoP", proof);
        let response = request.send().await.map_err(|error| Failure::of(&error))?;
        let status = response.status().as_u16();
        let body: Value = response.json().await.map_err(|error| Failure::of(&error))?;
        let says = body["text"].as_str().or(body["error"].as_str()).unwrap_or_default().to_owned();
        Ok(FaqAnswer { status, says })
    }
}

impl Drop for FaqServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn article(
    State(check): State<Arc<Check>>,
    Path(id): Path<String>,
    Query(arguments): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let shown = Shown {
        method: "GET",
        path: &format!("/article/{id}"),
        authorization: header("authorization"),
        proof: header("dpop"),
        body: b"",
        action: "faq.read",
        resource: &format!("article/{id}"),
        arguments: &json!(arguments),
    };
    match check.accept(&shown) {
        Ok(agent) => (StatusCode::OK, Json(json!({ "text": format!("article {id}, for {agent}") }))),
        Err(refusal) => (
            StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::FORBIDDEN),
            Json(json!({ "error": refusal.why })),
        ),
    }
}
