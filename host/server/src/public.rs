//! What anybody may read: public keys, the API's description, and whether the server is well.

use std::sync::{Arc, LazyLock};

use attorn_api::ProblemCode;
use axum::body::Bytes;
use serde_json::json;

use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

pub(crate) async fn jwks(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    Ok(Reply::json_text(app.token_keys.jwks(app.clock.now())))
}

pub(crate) async fn log_key(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    Ok(Reply::text(format!("{}\n", app.log_signer.verifier())))
}

pub(crate) async fn openapi(_: Arc<App>, _: Call) -> Result<Reply, Failure> {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| crate::openapi_document().to_string().into());
    Ok(Reply::json_text(DOCUMENT.clone()))
}

pub(crate) async fn healthz(_: Arc<App>, _: Call) -> Result<Reply, Failure> {
    Ok(Reply::text("ok\n"))
}

pub(crate) async fn readyz(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    match app.not_ready() {
        None => Reply::ok(&json!({ "ready": true })),
        Some(why) => Err(Failure::of(ProblemCode::NotReady, why)),
    }
}
