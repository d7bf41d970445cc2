//! An `OpenID` provider for tests: in this process, on loopback, with discovery and a JWK Set.
//!
//! It mints any token from any header and claims, also wrong ones, and nothing of the code under test is in it. Its
//! keys can be rotated, and its documents can come slowly, be huge, redirect, or be another's; see [`Mood`]. How often
//! it was asked is counted. It has no login and no consent: a token is what the test says.
//!
//! ```ignore
//! let provider = Provider::start(KeyKind::Es256).await;
//! let body = provider.configuration("main", json!({ "clients": { "bot-client": "support-bot" } }));
//! registrar.post("/v1/providers", &body).await.expect(201);
//! let token = provider.access_token(json!({ "client_id": "bot-client", "scope": "invoices" }));
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaPublicKeyComponents,
};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::device::Device;
use crate::machines::now_ms;

/// The `aud` of tokens that are exchanged for delegations.
pub const AUDIENCE: &str = "https://attorn.example";
/// The `aud` of tokens with which users see and revoke what they delegated.
pub const USER_AUDIENCE: &str = "https://attorn.example/users";
/// The client of the service that users see it in.
pub const USER_CLIENT: &str = "portal";

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA of 2048 bits, with RS256, or PS256 if the header says so.
    Rs256,
    /// P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// How the provider answers who asks for its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Good,
    /// After this time.
    Slow(Duration),
    /// With a JWK Set of more than 256 KiB.
    Huge,
    /// With more keys than anybody needs.
    ManyKeys,
    /// The configuration is elsewhere: on another path of this very server, where it is right.
    RedirectsConfiguration,
    /// The JWK Set is elsewhere: likewise.
    RedirectsJwks,
    /// The configuration names this issuer.
    SaysIssuer(String),
    /// The configuration says that the JWK Set is there.
    SaysJwksUri(String),
    /// With this text in place of the configuration.
    Configuration(String),
    /// With this text in place of the JWK Set.
    Jwks(String),
    /// With the status 503.
    Down,
}

/// A key of a provider.
pub struct ProviderKey {
    /// Its name in the JWK Set.
    pub kid: String,
    pair: Pair,
}

enum Pair {
    Rsa(&'static RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Making one takes long, and which one it is never matters: two providers never share an issuer.
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

impl ProviderKey {
    /// A new key.
    pub fn generate(kind: KeyKind, name: &str) -> Self {
        let pair = match kind {
            KeyKind::Rs256 => Pair::Rsa(&RSA),
            KeyKind::Es256 => Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            KeyKind::EdDsa => Pair::Ed25519(Ed25519KeyPair::generate().unwrap()),
        };
        Self { kid: name.into(), pair }
    }

    /// The name of its algorithm.
    pub const fn alg(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// The public key.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": encode(parts.n), "e": encode(parts.e) })
            }
            Pair::P256(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[..32]), "y": encode(&point[32..]) })
            }
            Pair::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key()) }),
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.alg());
        jwk
    }

    /// A compact JWS of these very texts.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let (message, random) = (signed.as_bytes(), SystemRandom::new());
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let pss = header.contains("PS256");
                if pss {
                    pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature).unwrap();
                } else {
                    pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                }
                signature
            }
            Pair::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        };
        format!("{signed}.{}", encode(signature))
    }
}

/// Base64url without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

struct Shared {
    issuer: String,
    mood: Mutex<Mood>,
    key: Arc<Mutex<Arc<ProviderKey>>>,
    device: Arc<Device>,
    published: Mutex<Vec<Value>>,
    configurations: AtomicUsize,
    jwks: AtomicUsize,
}

impl Shared {
    fn mood(&self) -> Mood {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A provider that runs until it is dropped.
pub struct Provider {
    /// Its issuer: a URL without a final slash.
    pub issuer: String,
    shared: Arc<Shared>,
    running: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Provider {
    /// Start one whose issuer is a URL with a path, and which publishes one key, `key-1`.
    pub async fn start(kind: KeyKind) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/realms/main", listener.local_addr().unwrap());
        let key = Arc::new(ProviderKey::generate(kind, "key-1"));
        let published = Mutex::new(vec![key.jwk()]);
        let key = Arc::new(Mutex::new(key));
        let device = Device::new(&issuer, Arc::clone(&key));
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            mood: Mutex::new(Mood::Good),
            published,
            key,
            device: Arc::clone(&device),
            configurations: AtomicUsize::new(0),
            jwks: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/realms/main/.well-known/openid-configuration", get(configuration))
            .route("/realms/main/jwks", get(jwks))
            .route("/elsewhere/configuration", get(good_configuration))
            .route("/elsewhere/jwks", get(good_jwks))
            .with_state(Arc::clone(&shared))
            .merge(device.routes());
        let running = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, shared, running }
    }

    /// Where its users are asked.
    pub fn device(&self) -> &Device {
        &self.shared.device
    }

    /// Answer so from now on.
    pub fn be(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// The key that signs now.
    pub fn key(&self) -> Arc<ProviderKey> {
        Arc::clone(&self.shared.key.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sign with a new key of this name, and publish only that.
    pub fn rotate(&self, kind: KeyKind, name: &str) {
        let key = Arc::new(ProviderKey::generate(kind, name));
        self.publish(vec![key.jwk()]);
        *self.shared.key.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// Publish these keys, whichever signs.
    pub fn publish(&self, keys: Vec<Value>) {
        *self.shared.published.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// How often the configuration and the JWK Set were asked for.
    pub fn asked(&self) -> (usize, usize) {
        (self.shared.configurations.load(Ordering::SeqCst), self.shared.jwks.load(Ordering::SeqCst))
    }

    /// The header of an access token by the key that signs now.
    pub fn header(&self) -> Value {
        let key = self.key();
        json!({ "alg": key.alg(), "kid": key.kid, "typ": "at+jwt" })
    }

    /// The claims of an access token of Alice's, which names no agent yet.
    pub fn claims(&self) -> Value {
        let now_s = now_ms() / 1_000;
        json!({
            "iss": self.issuer, "aud": AUDIENCE, "sub": "alice", "jti": format!("t-{}", now_ms()), "iat": now_s,
            "exp": now_s + 300, "auth_time": now_s - 10, "sid": "session-1",
        })
    }

    /// The claims of a logout token about Alice's session.
    pub fn logout_claims(&self) -> Value {
        let now_s = now_ms() / 1_000;
        json!({
            "iss": self.issuer, "aud": AUDIENCE, "sub": "alice", "sid": "session-1", "jti": "l-1", "iat": now_s,
            "exp": now_s + 120, "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        })
    }

    /// A token of this header and these claims, whatever they are, signed by the key that signs now.
    pub fn mint(&self, header: &Value, claims: &Value) -> String {
        self.key().sign(&header.to_string(), &claims.to_string())
    }

    /// An access token of Alice's with these claims added or replaced; `null` removes one.
    pub fn access_token(&self, claims: Value) -> String {
        self.mint(&self.header(), &with(self.claims(), claims))
    }

    /// An access token with which Alice sees and revokes what she delegated, with these changes.
    pub fn user_token(&self, claims: Value) -> String {
        let own = with(self.claims(), json!({ "aud": USER_AUDIENCE, "client_id": USER_CLIENT }));
        self.mint(&self.header(), &with(own, claims))
    }

    /// A logout token about Alice's session, with these changes.
    pub fn logout_token(&self, claims: Value) -> String {
        let header = with(self.header(), json!({ "typ": "logout+jwt" }));
        self.mint(&header, &with(self.logout_claims(), claims))
    }

    /// What a registrar records about it, with these members added or replaced. Agents are named by `client_id`.
    pub fn configuration(&self, id: &str, changes: Value) -> Value {
        let configuration = json!({
            "id": id,
            "issuer": self.issuer,
            "audience": AUDIENCE,
            "algorithms": ["RS256", "ES256", "EdDSA"],
            "token_type": "at+jwt",
            "names_agent_by": "client_id",
            "user_audience": USER_AUDIENCE,
            "user_clients": [USER_CLIENT],
        });
        with(configuration, changes)
    }
}

/// An object with members added or replaced; `null` removes one.
pub fn with(object: Value, changes: Value) -> Value {
    let (Value::Object(mut object), Value::Object(changes)) = (object, changes) else { panic!("both are objects") };
    for (name, value) in changes {
        if value.is_null() {
            object.remove(&name);
        } else {
            object.insert(name, value);
        }
    }
    object.into()
}

async fn configuration(State(shared): State<Arc<Shared>>) -> Response {
    shared.configurations.fetch_add(1, Ordering::SeqCst);
    match shared.mood() {
        Mood::Down => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mood::Slow(time) => {
            tokio::time::sleep(time).await;
            good_configuration(State(shared)).await
        }
        Mood::RedirectsConfiguration => redirect("/elsewhere/configuration"),
        Mood::SaysIssuer(issuer) => json_response(with(right(&shared), json!({ "issuer": issuer })).to_string()),
        Mood::SaysJwksUri(uri) => json_response(with(right(&shared), json!({ "jwks_uri": uri })).to_string()),
        Mood::Configuration(text) => json_response(text),
        _ => good_configuration(State(shared)).await,
    }
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Response {
    shared.jwks.fetch_add(1, Ordering::SeqCst);
    match shared.mood() {
        Mood::Huge => {
            let keys = shared.published.lock().unwrap_or_else(PoisonError::into_inner).clone();
            json_response(json!({ "keys": keys, "padding": "x".repeat(256 << 10) }).to_string())
        }
        Mood::ManyKeys => {
            let key = shared.key.lock().unwrap_or_else(PoisonError::into_inner).jwk();
            json_response(json!({ "keys": vec![key; 65] }).to_string())
        }
        Mood::RedirectsJwks => redirect("/elsewhere/jwks"),
        Mood::Jwks(text) => json_response(text),
        _ => good_jwks(State(shared)).await,
    }
}

fn right(shared: &Shared) -> Value {
    let own = json!({ "issuer": shared.issuer, "jwks_uri": format!("{}/jwks", shared.issuer), "more": "is not read" });
    with(own, shared.device.metadata())
}

async fn good_configuration(State(shared): State<Arc<Shared>>) -> Response {
    json_response(right(&shared).to_string())
}

async fn good_jwks(State(shared): State<Arc<Shared>>) -> Response {
    let keys = shared.published.lock().unwrap_or_else(PoisonError::into_inner).clone();
    json_response(json!({ "keys": keys }).to_string())
}

fn redirect(to: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to.to_owned())]).into_response()
}

fn json_response(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
