//! All that a resource server has to do with a credential, offline and with public keys only:
//!
//! 1. the token is signed by the issuer, for this audience, and has not expired (RFC 9068);
//! 2. the proof is of this request and this token, fresh and never seen, by the key that the token is
//!    bound to (RFC 9449);
//! 3. the token is for this action, this resource and these arguments (RFC 9396);
//! 4. its grant has a use left; the grant's id is remembered until it expires.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use attorn_api::json;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use jsonwebtoken::jwk::{JwkSet, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
use crate::operator_client::OperatorClient;

/// How old a proof may be, in seconds, and how far into the future.
const PROOF_AGE_S_MAX: u64 = 60;

/// Grants and proofs that are remembered; with more, all are refused until some expire.
const REMEMBERED_MAX: usize = 100_000;

/// Checks credentials.
pub(super) struct Check {
    issuer: String,
    audience: String,
    keys: JwkSet,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    /// By grant: how often it was used, and until when that matters.
    uses: HashMap<String, (u32, u64)>,
    /// By proof: until when it matters.
    proofs: HashMap<String, u64>,
}

/// A request with what it shows.
pub(super) struct Shown<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) authorization: Option<&'a str>,
    pub(super) proof: Option<&'a str>,
    pub(super) body: &'a [u8],
    /// What it would do.
    pub(super) action: &'a str,
    pub(super) resource: &'a str,
    pub(super) arguments: &'a Value,
}

/// Why it is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) why: &'static str,
}

#[derive(Deserialize)]
struct Token {
    sub: String,
    act: Option<Actor>,
    exp: u64,
    jti: String,
    cnf: Confirmation,
    authorization_details: Vec<AuthorizationDetail>,
}

/// Who acts for `sub`, and through whom it came to them (RFC 8693, section 4.1).
#[derive(Deserialize)]
struct Actor {
    sub: String,
    act: Option<Box<Actor>>,
}

#[derive(Deserialize)]
struct Confirmation {
    jkt: String,
}

#[derive(Deserialize)]
struct AuthorizationDetail {
    #[serde(rename = "type")]
    detail_type: String,
    actions: Vec<String>,
    identifier: String,
    arguments_digest: String,
    uses_max: u32,
}

#[derive(Deserialize)]
struct Proof {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    ath: String,
    content_digest: String,
}

impl Check {
    /// Accept credentials that this issuer's published keys sign for this audience.
    pub(super) async fn with_keys_of(issuer: &str, audience: &str) -> Result<Self, Failure> {
        let keys = OperatorClient::new(issuer.parse()?, None)?.get("/.well-known/jwks.json").await?;
        Ok(Self { issuer: issuer.into(), audience: audience.into(), keys, remembered: Mutex::default() })
    }

    /// Who may do this now: an agent, or a user and the agents that act for them. The use is counted.
    pub(super) fn accept(&self, shown: &Shown<'_>) -> Result<String, Refusal> {
        let access_token = shown.authorization.and_then(|value| value.strip_prefix("DPoP "));
        let (Some(access_token), Some(proof)) = (access_token, shown.proof) else {
            return Err(Refusal { status: 401, why: "no_credential" });
        };
        let token = self.token(access_token).ok_or(Refusal { status: 401, why: "bad_token" })?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs());
        let url = format!("{}{}", self.audience, shown.path);
        let proof = verified_proof(proof, access_token, &token.cnf.jkt)
            .filter(|proof| proof.is_of(shown, &url, now))
            .ok_or(Refusal { status: 401, why: "bad_proof" })?;
        let [detail] = &token.authorization_details[..] else {
            return Err(Refusal { status: 403, why: "other_action" });
        };
        let for_this = detail.detail_type == "attorn_action" && detail.actions == [shown.action];
        if !for_this || detail.identifier != shown.resource {
            return Err(Refusal { status: 403, why: "other_action" });
        }
        if arguments_digest(shown.arguments).as_deref() != Some(detail.arguments_digest.as_str()) {
            return Err(Refusal { status: 403, why: "other_arguments" });
        }
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.proof(&proof, now)?;
        remembered.count(&token, detail.uses_max, now)?;
        Ok(token.who())
    }

    fn token(&self, text: &str) -> Option<Token> {
        let header = decode_header(text).ok()?;
        let key = self.keys.find(header.kid.as_deref()?)?;
        if header.typ.as_deref() != Some("at+jwt") {
            return None;
        }
        let mut validation = Validation::new(Algorithm::ES256);
        validation.leeway = 0;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        decode(text, &DecodingKey::from_jwk(key).ok()?, &validation).ok().map(|token| token.claims)
    }
}

impl Token {
    /// Nobody drops out.
    fn who(&self) -> String {
        let Some(act) = &self.act else { return self.sub.clone() };
        let mut who = format!("{} by {}", self.sub, act.sub);
        let mut through = act.act.as_deref();
        while let Some(actor) = through {
            who.extend([" through ", &actor.sub]);
            through = actor.act.as_deref();
        }
        who
    }
}

/// What a proof claims, if it is signed by the key with this thumbprint, for this token.
fn verified_proof(text: &str, access_token: &str, thumbprint: &str) -> Option<Proof> {
    let header = decode_header(text).ok()?;
    let jwk = header.jwk?;
    let known = matches!(header.alg, Algorithm::ES256 | Algorithm::EdDSA);
    if !known || header.typ.as_deref() != Some("dpop+jwt") || jwk.thumbprint(ThumbprintHash::SHA256).ok()? != thumbprint
    {
        return None;
    }
    let mut validation = Validation::new(header.alg);
    // A proof has an age instead of an expiry, and is for whoever its URL says.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let proof: Proof = decode(text, &DecodingKey::from_jwk(&jwk).ok()?, &validation).ok()?.claims;
    (proof.ath == BASE64URL_NOPAD.encode(&Sha256::digest(access_token))).then_some(proof)
}

impl Proof {
    /// Whether it is of this request, now.
    fn is_of(&self, shown: &Shown<'_>, url: &str, now: u64) -> bool {
        let content_digest = format!("sha-256=:{}:", BASE64.encode(&Sha256::digest(shown.body)));
        self.htm == shown.method
            && self.htu == url
            && self.iat.abs_diff(now) <= PROOF_AGE_S_MAX
            && self.content_digest == content_digest
    }
}

impl Remembered {
    /// Take a proof, once.
    fn proof(&mut self, proof: &Proof, now: u64) -> Result<(), Refusal> {
        self.proofs.retain(|_, until| *until >= now);
        if self.proofs.contains_key(&proof.jti) || self.proofs.len() >= REMEMBERED_MAX {
            return Err(Refusal { status: 401, why: "bad_proof" });
        }
        self.proofs.insert(proof.jti.clone(), proof.iat.saturating_add(PROOF_AGE_S_MAX));
        Ok(())
    }

    /// Count a use of a grant, if one is left.
    fn count(&mut self, token: &Token, uses_max: u32, now: u64) -> Result<(), Refusal> {
        self.uses.retain(|_, (_, until)| *until >= now);
        if self.uses.len() >= REMEMBERED_MAX {
            return Err(Refusal { status: 503, why: "busy" });
        }
        let (uses, _) = self.uses.entry(token.jti.clone()).or_insert((0, token.exp));
        if *uses >= uses_max {
            return Err(Refusal { status: 403, why: "used_already" });
        }
        *uses += 1;
        Ok(())
    }
}

/// SHA-256 of the canonical arguments: what a grant names them by.
fn arguments_digest(arguments: &Value) -> Option<String> {
    let canonical = json::canonical_object(&arguments.to_string()).ok()?;
    Some(json::digest(&canonical).to_string())
}
