//! Witnesses of the audit log for tests: in this process, on loopback (`c2sp.org/tlog-witness`).
//!
//! One remembers the size and root that it has cosigned, as real ones do, and checks signature and proof with
//! `attorn_log`; it can also lie, hang, and answer nonsense: see [`Mood`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attorn_log::tree::verify_consistency;
use attorn_log::{CheckpointVerifier, Hash};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

/// How a witness answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Good,
    /// Never.
    Hangs,
    /// With this status and text.
    Says(u16, String),
    /// With a cosignature of another checkpoint.
    SignsAnother,
    /// With a cosignature by another key of its name.
    SignsWithAnotherKey,
    /// With more bytes than anybody needs.
    Huge,
    /// Each time that it has seen another number of entries.
    Unsteady,
    /// With a redirect to where it is right.
    Redirects,
}

/// A witness.
pub struct Witness {
    /// Its verifier key.
    pub vkey: String,
    /// Where it is.
    pub url: String,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

struct Inner {
    name: String,
    key: Ed25519KeyPair,
    state: Mutex<Seen>,
}

struct Seen {
    mood: Mood,
    size: u64,
    root: Hash,
    asked: usize,
    log: Option<CheckpointVerifier>,
}

impl Witness {
    /// Start one that cosigns any log, the first that it sees.
    pub async fn start(name: &str, seed: u8, mood: Mood) -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let state = Seen { mood, size: 0, root: Hash::EMPTY_ROOT, asked: 0, log: None };
        let inner = Arc::new(Inner { name: name.to_owned(), key, state: Mutex::new(state) });
        let public = [&[4], inner.key.public_key().as_ref()].concat();
        let id = data_encoding::HEXLOWER.encode(&key_id(name, &public));
        let router = Router::new()
            .route("/add-checkpoint", post(answer))
            .route("/right/add-checkpoint", post(right))
            .with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { vkey: format!("{name}+{id}+{}", BASE64.encode(&public)), url, inner, serving }
    }

    /// From now on it answers so.
    pub fn mood(&self, mood: Mood) {
        self.inner.seen().mood = mood;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.inner.seen().asked
    }

    /// How many entries it has seen.
    pub fn size(&self) -> u64 {
        self.inner.seen().size
    }

    /// It has seen another log than it did.
    pub fn has_seen(&self, size: u64, root: Hash) {
        let mut seen = self.inner.seen();
        (seen.size, seen.root) = (size, root);
    }

    /// The lines that make it a witness of a server in `attorn.toml`.
    pub fn toml(&self) -> String {
        format!("[[witness]]\nkey = \"{}\"\nurl = \"{}\"\n", self.vkey, self.url)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Inner {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, text: &str, key: &Ed25519KeyPair) -> String {
        let at_s: u64 = 1_700_000_000;
        let signature = key.sign(format!("cosignature/v1\ntime {at_s}\n{text}").as_bytes());
        let public = [&[4], self.key.public_key().as_ref()].concat();
        let bytes = [&key_id(&self.name, &public)[..], &at_s.to_be_bytes(), signature.as_ref()].concat();
        format!("\u{2014} {} {}\n", self.name, BASE64.encode(&bytes))
    }

    /// What an honest witness answers.
    fn right(&self, body: &str) -> (u16, String) {
        let mut seen = self.seen();
        let (head, note) = body.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        let proof: Vec<Hash> =
            lines.map(|line| Hash(BASE64.decode(line.as_bytes()).unwrap().try_into().unwrap())).collect();
        if let Some(log) = &seen.log
            && log.verify(note.as_bytes()).is_err()
        {
            return (403, String::new());
        }
        let (text, _) = note.split_once("\n\n").unwrap();
        let fields: Vec<&str> = text.lines().collect();
        let (size, root) = (fields[1].parse().unwrap(), BASE64.decode(fields[2].as_bytes()).unwrap());
        let root = Hash(root.try_into().unwrap());
        if old > size {
            return (400, String::new());
        }
        if old != seen.size || (old == size && root != seen.root) {
            return (409, format!("{}\n", seen.size));
        }
        if verify_consistency(seen.size, seen.root, size, root, &proof).is_err() {
            return (422, String::new());
        }
        (seen.size, seen.root) = (size, root);
        drop(seen);
        (200, self.line(&format!("{text}\n"), &self.key))
    }
}

fn key_id(name: &str, public: &[u8]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update(b"\n").chain_update(public).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

async fn right(State(inner): State<Arc<Inner>>, body: String) -> Response {
    let (status, text) = inner.right(&body);
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

async fn answer(State(inner): State<Arc<Inner>>, body: String) -> Response {
    let mood = {
        let mut seen = inner.seen();
        seen.asked += 1;
        seen.mood.clone()
    };
    let text = body.split_once("\n\n").and_then(|(_, note)| note.split_once("\n\n")).map(|(text, _)| text);
    let text = format!("{}\n", text.unwrap());
    let (status, answer) = match mood {
        Mood::Good => inner.right(&body),
        Mood::Hangs => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            (200, String::new())
        }
        Mood::Says(status, answer) => (status, answer),
        Mood::SignsAnother => (200, inner.line(&format!("{text}another\n"), &inner.key)),
        Mood::SignsWithAnotherKey => (200, inner.line(&text, &Ed25519KeyPair::from_seed_unchecked(&[99; 32]).unwrap())),
        Mood::Huge => (200, inner.line(&text, &inner.key).repeat(10_000)),
        Mood::Unsteady => (409, format!("{}\n", inner.seen().asked % 7 + 1)),
        Mood::Redirects => {
            return (StatusCode::TEMPORARY_REDIRECT, [("location", "/right/add-checkpoint")], "").into_response();
        }
    };
    (StatusCode::from_u16(status).unwrap(), answer).into_response()
}
