//! The key with which this server says who it is at providers (`private_key_jwt`). It is made when the first provider
//! needs it, and signs nothing else: no token and no log.

use std::sync::Arc;

use attorn_core::LabelName;
use attorn_identity::{ClientSigner, generate_token_key, jwks};
use attorn_store::{Batch, Key, KeyPurpose};

use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::keys;

const PURPOSE: KeyPurpose = KeyPurpose::ProviderClient;

/// Have the key in this batch, unless there is one.
pub(super) async fn make(app: &App, batch: &mut Batch) -> Result<(), Failure> {
    if exists(app).await? {
        return Ok(());
    }
    let pkcs8 = generate_token_key().map_err(Failure::internal)?;
    keys::put_material(&app.root, batch, (PURPOSE, keys::VERSION), &pkcs8)?;
    keys::said(batch, PURPOSE, keys::VERSION)
}

/// What signs with it.
pub(super) async fn signer(app: &App) -> Result<Arc<ClientSigner>, Failure> {
    let pkcs8 = keys::read_version(&app.root, &app.store, PURPOSE, keys::VERSION).await?;
    ClientSigner::from_pkcs8(&pkcs8).map(Arc::new).map_err(Failure::internal)
}

/// `GET /.well-known/client-jwks.json`: what providers verify it with. It is empty before there is a key.
pub(crate) async fn published(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let signer = if exists(&app).await? { Some(signer(&app).await?) } else { None };
    let keys = jwks(signer.iter().map(|signer| signer.public_key()));
    Ok(Reply::json_text(keys))
}

async fn exists(app: &App) -> Result<bool, Failure> {
    let id: LabelName = keys::ID.parse()?;
    Ok(app.store.get(&Key::key_material(PURPOSE, &id, keys::VERSION)).await?.is_some())
}
