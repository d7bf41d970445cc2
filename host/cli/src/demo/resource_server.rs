//! A sample resource server: articles of an FAQ, or invoices, for whoever shows a credential for them.
//!
//! It knows Attorn's URL and nothing else of it, and checks what it is shown with the SDK for services. It runs in one
//! process, and remembers which grants were used.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use attorn_agent::Client;
use attorn_resource_server::{Accepted, Refused, ResourceServer, ServiceRequest, Uses};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::failure::Failure;

/// The service, while it runs.
pub(super) struct Service {
    url: String,
    task: tokio::task::JoinHandle<()>,
}

/// What it keeps, and how reading it is called.
struct Kept {
    checks: ResourceServer,
    resource_type: &'static str,
    action: &'static str,
}

/// What it answered.
pub(super) struct Answered {
    pub(super) status: u16,
    /// What it keeps under this name, or why that is not said.
    pub(super) says: String,
}

impl Service {
    /// Listen on a free port of loopback, keep things of one type, and accept this issuer's credentials to read them.
    pub(super) async fn start(
        issuer: &str,
        resource_type: &'static str,
        action: &'static str,
    ) -> Result<Self, Failure> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|error| Failure::of(&error))?;
        let url = format!("http://{}", listener.local_addr().map_err(|error| Failure::of(&error))?);
        let checks =
            ResourceServer::new(issuer, &url, Uses::Remembered).map_err(|error| Failure::new(error.to_string()))?;
        let kept = Kept { checks, resource_type, action };
        let router = Router::new().route(&format!("/{resource_type}/{{id}}"), get(read)).with_state(Arc::new(kept));
        let task = tokio::spawn(async move {
            // It ends when the demo does.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, task })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Read something as an agent does, showing this credential with a new proof.
    pub(super) async fn read(&self, agent: &Client, path: &str, access_token: &str) -> Result<Answered, Failure> {
        let url = format!("{}{path}", self.url);
        let proof = agent.proof_for("GET", &url, b"", access_token)?;
        let http = reqwest::Client::builder().no_proxy().build().map_err(|error| Failure::of(&error))?;
        let request = http.get(url).header("Authorization", format!("DPoP {access_token}")).header("DPoP", proof);
        let response = request.send().await.map_err(|error| Failure::of(&error))?;
        let status = response.status().as_u16();
        let body: Value = response.json().await.map_err(|error| Failure::of(&error))?;
        let says = body["text"].as_str().or(body["error"].as_str()).unwrap_or_default().to_owned();
        Ok(Answered { status, says })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(
    State(kept): State<Arc<Kept>>,
    Path(id): Path<String>,
    Query(arguments): Query<BTreeMap<String, String>>,
    uri: Uri,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    let resource_type = kept.resource_type;
    let arguments = arguments.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    let request = ServiceRequest {
        method: "GET",
        path: uri.path(),
        headers: &headers,
        body: b"",
        action: kept.action,
        resource: &format!("{resource_type}/{id}"),
        arguments: &arguments,
    };
    match kept.checks.accept(&request).await {
        Ok(accepted) => {
            (StatusCode::OK, Json(json!({ "text": format!("{resource_type} {id}, for {}", who(&accepted)) })))
        }
        Err(Refused { code, .. }) => (code.status(), Json(json!({ "error": code.as_str() }))),
    }
}

/// Nobody drops out.
fn who(accepted: &Accepted) -> String {
    let agents = accepted.agents.join(" through ");
    match &accepted.user {
        Some(user) => format!("{user} by {agents}"),
        None => agents,
    }
}
