//! The keys that the issuer publishes: asked for when they are needed, believed for a while, and not asked for again and
//! again because somebody names keys that do not exist.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use attorn_agent::{Error, ServerUrl};
use attorn_core::KeyThumbprint;
use attorn_identity::{Algorithm, PublicKey};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

/// Where the issuer publishes them (RFC 8414, `jwks_uri`).
const JWKS_PATH: &str = "/.well-known/jwks.json";

/// How long published keys are believed.
const BELIEVED: Duration = Duration::from_mins(5);

/// How long nobody is asked for a key that is not among them, or for keys that could not be had.
const ASKED_AGAIN: Duration = Duration::from_secs(5);

const TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 64 << 10;
const KEYS_MAX: usize = 64;

/// The issuer's keys.
pub(crate) struct Keys {
    http: reqwest::Client,
    issuer: ServerUrl,
    known: Mutex<Known>,
}

/// The keys cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoKeys;

#[derive(Default)]
struct Known {
    keys: HashMap<KeyThumbprint, PublicKey>,
    read_at: Option<Instant>,
    asked_at: Option<Instant>,
}

#[derive(Deserialize)]
struct KeySet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl Keys {
    pub(crate) fn new(issuer: ServerUrl) -> Result<Self, Error> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("attorn-resource-server/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT);
        if issuer.is_loopback() {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|source| Error::Connection { server: issuer.to_string(), source })?;
        Ok(Self { http, issuer, known: Mutex::default() })
    }

    /// These keys, which are believed from now on.
    #[cfg(test)]
    pub(crate) fn known(issuer: &str, published: &str) -> Self {
        let known = Known {
            keys: read(published.as_bytes()).unwrap(),
            read_at: Some(Instant::now()),
            asked_at: Some(Instant::now()),
        };
        Self { known: Mutex::new(known), ..Self::new(issuer.parse().unwrap()).unwrap() }
    }

    /// Who signs the tokens: the server's URL.
    pub(crate) fn issuer(&self) -> String {
        self.issuer.to_string()
    }

    /// The key of this name; none if the issuer has none. One asks at a time, and the others wait for what it learns.
    pub(crate) async fn get(&self, name: &KeyThumbprint, now: Instant) -> Result<Option<PublicKey>, NoKeys> {
        let mut known = self.known.lock().await;
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        let believed = since(known.read_at).is_some_and(|age| age < BELIEVED);
        let asked_lately = since(known.asked_at).is_some_and(|age| age < ASKED_AGAIN);
        match (believed, known.keys.get(name)) {
            (true, Some(key)) => return Ok(Some(key.clone())),
            (true, None) if asked_lately => return Ok(None),
            (false, _) if asked_lately => return Err(NoKeys),
            _ => {}
        }
        let published = self.published().await;
        // After the answer: a caller that goes away meanwhile leaves nobody without keys.
        known.asked_at = Some(now);
        known.keys = published?;
        known.read_at = Some(now);
        Ok(known.keys.get(name).cloned())
    }

    async fn published(&self) -> Result<HashMap<KeyThumbprint, PublicKey>, NoKeys> {
        let mut response = self.http.get(self.issuer.join(JWKS_PATH)).send().await.map_err(|_| NoKeys)?;
        if !response.status().is_success() {
            return Err(NoKeys);
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| NoKeys)? {
            if answer.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(NoKeys);
            }
            answer.extend_from_slice(&chunk);
        }
        read(&answer)
    }
}

/// All of a key set, or nothing: one that cannot be read may be the one that matters.
fn read(answer: &[u8]) -> Result<HashMap<KeyThumbprint, PublicKey>, NoKeys> {
    let set: KeySet<'_> = serde_json::from_slice(answer).map_err(|_| NoKeys)?;
    if set.keys.len() > KEYS_MAX {
        return Err(NoKeys);
    }
    let mut keys = HashMap::new();
    for jwk in set.keys {
        let key: PublicKey = jwk.get().parse().map_err(|_| NoKeys)?;
        if key.algorithm() == Algorithm::Es256 {
            keys.insert(key.thumbprint().clone(), key);
        }
    }
    Ok(keys)
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
