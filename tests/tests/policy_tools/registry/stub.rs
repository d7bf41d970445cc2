//! A registry in memory, on loopback: honest where it is not told otherwise.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What a registry answers in place of what it should.
pub(super) type Twist = dyn Fn(&Parts) -> Option<Response> + Send + Sync;

/// A registry that runs until it is dropped.
pub(super) struct Registry {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    twist: Mutex<Option<Box<Twist>>>,
}

/// What is there, and what was asked.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) blobs: BTreeMap<String, Bytes>,
    /// By digest and by tag.
    pub(super) manifests: BTreeMap<String, (String, Bytes)>,
    /// Whether it knows referrers by itself.
    pub(super) lists_referrers: bool,
    /// `METHOD path`, and the `Authorization`.
    pub(super) asked: Vec<(String, Option<String>)>,
}

impl Registry {
    pub(super) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let shared = Arc::new(Shared::default());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, shared, _runtime: runtime }
    }

    /// A reference to something in it.
    pub(super) fn at(&self, rest: &str) -> String {
        format!("{}/acme/read-only{rest}", self.address)
    }

    pub(super) fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.shared.kept.lock().unwrap())
    }

    /// Answer otherwise from now on.
    pub(super) fn twist(&self, twist: impl Fn(&Parts) -> Option<Response> + Send + Sync + 'static) {
        *self.shared.twist.lock().unwrap() = Some(Box::new(twist));
    }

    pub(super) fn honest(&self) {
        *self.shared.twist.lock().unwrap() = None;
    }

    /// Put a manifest there under a name, and under its digest.
    pub(super) fn put(&self, name: &str, kind: &str, manifest: &Value) -> String {
        let bytes = Bytes::from(serde_json::to_vec(manifest).unwrap());
        let digest = digest(&bytes);
        self.kept(|kept| {
            for name in [name, &digest] {
                kept.manifests.insert(name.to_owned(), (kind.to_owned(), bytes.clone()));
            }
        });
        digest
    }

    /// Put bytes there, and say where they are.
    pub(super) fn put_blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        self.kept(|kept| kept.blobs.insert(digest.clone(), Bytes::copy_from_slice(bytes)));
        json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
    }

    /// The manifest of that name.
    pub(super) fn manifest(&self, name: &str) -> Option<Value> {
        self.kept(|kept| kept.manifests.get(name).map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()))
    }
}

pub(super) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// An answer with headers and a body.
pub(super) fn says(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let asked = format!("{} {}", parts.method, parts.uri);
    shared.kept.lock().unwrap().asked.push((asked, authorization));
    let twisted = shared.twist.lock().unwrap().as_ref().and_then(|twist| twist(&parts));
    let body = to_bytes(body, 64 << 20).await.unwrap();
    twisted.unwrap_or_else(|| honest(&mut shared.kept.lock().unwrap(), &parts, body))
}

fn honest(kept: &mut Kept, parts: &Parts, body: Bytes) -> Response {
    let unknown =
        |code: &str| says(404, &[], json!({ "errors": [{ "code": code, "message": "unknown" }] }).to_string());
    let (method, path) = (&parts.method, parts.uri.path());
    let query = parts.uri.query().unwrap_or_default();
    let Some(rest) = path.strip_prefix("/v2/acme/read-only/") else { return unknown("NAME_UNKNOWN") };
    if rest == "blobs/uploads/" && method == Method::POST {
        return says(202, &[("location", "/v2/acme/read-only/blobs/uploads/1?state=a%2Fb")], "");
    }
    if rest == "blobs/uploads/1" && method == Method::PUT {
        let found = query.strip_prefix("state=a%2Fb&digest=").map(|digest| digest.replace("%3A", ":"));
        return match found {
            Some(named) if named == digest(&body) => {
                kept.blobs.insert(named, body);
                says(201, &[], "")
            }
            _ => says(400, &[], json!({ "errors": [{ "code": "DIGEST_INVALID" }] }).to_string()),
        };
    }
    if let Some(digest) = rest.strip_prefix("blobs/") {
        return kept.blobs.get(digest).map_or_else(|| unknown("BLOB_UNKNOWN"), |blob| says(200, &[], blob.clone()));
    }
    if let Some(digest) = rest.strip_prefix("referrers/") {
        return if kept.lists_referrers { referrers(kept, digest) } else { unknown("UNSUPPORTED") };
    }
    let Some(name) = rest.strip_prefix("manifests/") else { return unknown("UNSUPPORTED") };
    if method == Method::PUT {
        let digest = digest(&body);
        let kind = parts.headers["content-type"].to_str().unwrap().to_owned();
        for name in [name, &digest] {
            kept.manifests.insert(name.to_owned(), (kind.clone(), body.clone()));
        }
        let mut headers = vec![("docker-content-digest", digest.as_str())];
        let value: Value = serde_json::from_slice(&body).unwrap();
        if kept.lists_referrers
            && let Some(subject) = value["subject"]["digest"].as_str()
        {
            headers.push(("oci-subject", subject));
        }
        return says(201, &headers, "");
    }
    match kept.manifests.get(name) {
        Some((kind, bytes)) => says(200, &[("content-type", kind)], bytes.clone()),
        None => unknown("MANIFEST_UNKNOWN"),
    }
}

/// As a registry lists them that knows by itself, and leaves the filter to whoever asks.
fn referrers(kept: &Kept, subject: &str) -> Response {
    let mut found = Vec::new();
    for (name, (kind, bytes)) in &kept.manifests {
        let manifest: Value = serde_json::from_slice(bytes).unwrap_or_default();
        if name.starts_with("sha256:") && manifest["subject"]["digest"] == subject {
            let kind_of = &manifest["artifactType"];
            found.push(json!({ "mediaType": kind, "digest": name, "size": bytes.len(), "artifactType": kind_of }));
        }
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": found });
    let status = StatusCode::OK.as_u16();
    says(status, &[("content-type", INDEX)], index.to_string())
}
