//! Agents and resource servers: whoever proves possession of a key.
//!
//! The SDK's client is not used, because it would not send what is wrong; its keys and proofs are.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attorn_agent::{AgentKey, Algorithm};
use attorn_api::decisions::DecisionAnswer;
use attorn_api::{FOR_HEADER, IDEMPOTENCY_HEADER, NONCE_HEADER, PROOF_HEADER};
use serde_json::{Value, json};

use crate::http::{Answer, Call, Reach};

/// A machine with a key.
pub struct Machine {
    /// Its id.
    pub id: String,
    /// Its key.
    pub key: AgentKey,
    reach: Reach,
    nonce: Mutex<Option<String>>,
    /// How far its clock is ahead of the machine's, in seconds.
    shift_s: AtomicI64,
}

impl Machine {
    /// A machine with a new key, which nobody registered yet.
    pub fn new(reach: &Reach, id: &str) -> Self {
        Self::with_algorithm(reach, id, Algorithm::Es256)
    }

    /// As [`Self::new`], with a key of this kind.
    pub fn with_algorithm(reach: &Reach, id: &str, algorithm: Algorithm) -> Self {
        let key = AgentKey::generate(algorithm).unwrap();
        Self { id: id.into(), key, reach: reach.clone(), nonce: Mutex::new(None), shift_s: AtomicI64::new(0) }
    }

    /// From now on, its clock is so many seconds ahead of the machine's.
    pub fn shift_clock(&self, by_s: i64) {
        self.shift_s.store(by_s, Ordering::SeqCst);
    }

    /// What time it is by its clock.
    pub fn now(&self) -> SystemTime {
        let (now, shift_s) = (SystemTime::now(), self.shift_s.load(Ordering::SeqCst));
        let by = Duration::from_secs(shift_s.unsigned_abs());
        if shift_s < 0 { now - by } else { now + by }
    }

    /// Its public key.
    pub fn jwk(&self) -> Value {
        serde_json::from_str(self.key.public_jwk()).unwrap()
    }

    /// Its key, to be registered for a day.
    pub fn key_registration(&self, instance: &str) -> Value {
        self.key_registration_until(instance, now_ms() + 86_400_000)
    }

    /// Its key, to be registered until then.
    pub fn key_registration_until(&self, instance: &str, expires_at_ms: u64) -> Value {
        json!({ "instance": instance, "jwk": self.jwk(), "expires_at_ms": expires_at_ms })
    }

    /// The proof of a request.
    pub fn prove(&self, call: &Call, nonce: Option<&str>, at: SystemTime) -> String {
        let url = format!("{}{}", self.reach.url, call.path);
        if call.path.starts_with("/proxy/") {
            let asked_for = call.headers.iter().find(|(name, _)| name == FOR_HEADER).map(|(_, value)| value.as_slice());
            let asked_for = asked_for.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
            return self.key.prove_onward(&call.method, &url, &call.body, asked_for, nonce, at).unwrap();
        }
        self.key.prove(&call.method, &url, &call.body, nonce, at).unwrap()
    }

    /// A nonce of this run of the server.
    pub async fn fresh_nonce(&self) -> String {
        let answer = self.reach.send(Call::post("/v1/decisions", &json!({}))).await;
        answer.header(NONCE_HEADER).unwrap_or_else(|| panic!("no nonce in {answer:?}")).to_owned()
    }

    /// The same request with a proof of it, made now, with a nonce of this run of the server.
    pub async fn signed(&self, call: Call) -> Call {
        let nonce = self.fresh_nonce().await;
        let proof = self.prove(&call, Some(&nonce), self.now());
        call.header(PROOF_HEADER, proof)
    }

    /// Send a request with a proof; once more if the server wants its nonce in the proof.
    pub async fn send(&self, call: Call) -> Answer {
        self.try_send(call).await.unwrap_or_else(|error| panic!("the server gave no answer: {error:?}"))
    }

    /// As [`Self::send`]; the connection may break.
    pub async fn try_send(&self, call: Call) -> Result<Answer, reqwest::Error> {
        let answer = self.send_once(call.clone()).await?;
        let wants_nonce = answer.status == 401 && answer.text().contains("use_dpop_nonce");
        if wants_nonce { self.send_once(call).await } else { Ok(answer) }
    }

    async fn send_once(&self, call: Call) -> Result<Answer, reqwest::Error> {
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let proof = self.prove(&call, nonce.as_deref(), self.now());
        let answer = self.reach.try_send(call.header(PROOF_HEADER, proof)).await?;
        if let Some(nonce) = answer.header(NONCE_HEADER) {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce.into());
        }
        Ok(answer)
    }

    /// A POST of JSON, with a proof.
    pub async fn post(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.send(Call::post(path, body)).await
    }

    /// Ask for a decision, which has to be made.
    pub async fn decide(&self, ask: &Value) -> DecisionAnswer {
        self.post("/v1/decisions", ask).await.expect(200).json()
    }

    /// Ask under an idempotency key.
    pub async fn ask_once(&self, key: &str, ask: &Value) -> Answer {
        self.send(Call::post("/v1/decisions", ask).header(IDEMPOTENCY_HEADER, key)).await
    }
}

/// The time now, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap()
}
