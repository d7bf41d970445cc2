//! OAuth clients: an agent or a resource server that authenticates with an assertion and a proof as RFC 7523
//! and RFC 9449 have them. All is made here by hand, with a JWT library that is not the server's.

use std::time::{SystemTime, UNIX_EPOCH};

use attorn_api::oauth::{CLIENT_CREDENTIALS, OAuthError, TokenAnswer};
use attorn_api::{NONCE_HEADER, PROOF_HEADER, REQUEST_ID_HEADER};
use attorn_identity::client_assertion::JWT_BEARER;
use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::http::{Answer, Call, Reach};

/// A P-256 key.
pub struct ClientKey {
    pkcs8: Vec<u8>,
    /// Its public half.
    pub jwk: Value,
    /// Its thumbprint.
    pub thumbprint: String,
}

impl ClientKey {
    /// A new one.
    pub fn generate() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..]) });
        let parsed: attorn_identity::Jwk = jwk.to_string().parse().unwrap();
        Self { pkcs8: pkcs8.as_ref().to_vec(), jwk, thumbprint: parsed.thumbprint().to_string() }
    }

    /// All of it, as key files have it: for clients that are not ours.
    pub fn private_jwk(&self) -> Value {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8).unwrap();
        let secret: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
        let mut jwk = self.jwk.clone();
        jwk["d"] = BASE64URL_NOPAD.encode(secret.as_ref()).into();
        jwk
    }

    /// Its registration for a day.
    pub fn registration(&self, instance: &str) -> Value {
        let expires_at_ms = crate::machines::now_ms() + 86_400_000;
        json!({ "instance": instance, "jwk": self.jwk, "expires_at_ms": expires_at_ms })
    }

    /// A JWT of this key.
    pub fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_ec_der(&self.pkcs8)).unwrap()
    }

    /// A JWT of this key with a header that no library would write.
    pub fn sign_raw(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8).unwrap();
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

/// A client.
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its key.
    pub key: ClientKey,
    reach: Reach,
}

/// The parameters of a form.
pub type Parameters = Vec<(&'static str, String)>;

impl Client {
    /// A client with a new key, which nobody registered yet.
    pub fn new(reach: &Reach, id: &str) -> Self {
        Self { id: id.into(), key: ClientKey::generate(), reach: reach.clone() }
    }

    /// Its registration as a resource server that keeps one type of resource.
    pub fn server_registration(&self, audience: &str, resource_type: &str) -> Value {
        json!({ "id": self.id, "audience": audience, "resource_types": [resource_type], "jwk": self.key.jwk,
            "counts_uses": "reports" })
    }

    /// What a good assertion says, apart from a `jti`.
    pub fn claims(&self) -> Value {
        let now = now_s();
        let jti = unique();
        json!({ "iss": self.id, "sub": self.id, "aud": self.reach.url, "iat": now, "exp": now + 60, "jti": jti })
    }

    /// A good assertion.
    pub fn assertion(&self) -> String {
        self.assertion_of(&self.claims())
    }

    /// An assertion that says this.
    pub fn assertion_of(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key.thumbprint.clone());
        self.key.sign(&header, claims)
    }

    /// The parameters by which it authenticates.
    pub fn authentication(&self) -> Parameters {
        vec![("client_assertion_type", JWT_BEARER.into()), ("client_assertion", self.assertion())]
    }

    /// What a good proof says.
    pub fn proof_claims(&self, path: &str, nonce: &str) -> Value {
        let url = format!("{}{path}", self.reach.url);
        json!({ "jti": unique(), "htm": "POST", "htu": url, "iat": now_s(), "nonce": nonce })
    }

    /// A good proof of a POST to this path: RFC 9449, without body digest.
    pub fn proof(&self, path: &str, nonce: &str) -> String {
        self.proof_of(&self.proof_claims(path, nonce))
    }

    /// A proof that says this.
    pub fn proof_of(&self, claims: &Value) -> String {
        self.key.sign_raw(&json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.jwk }), claims)
    }

    /// A nonce of this run of the server.
    pub async fn nonce(&self) -> String {
        let answer = self.reach.send(form("/oauth/token", &Parameters::new())).await;
        answer.header(NONCE_HEADER).unwrap_or_else(|| panic!("no nonce in {answer:?}")).to_owned()
    }

    /// Send these parameters with assertion and proof.
    pub async fn post(&self, path: &str, parameters: &[(&'static str, String)]) -> Answer {
        let all: Parameters = [self.authentication(), parameters.to_vec()].concat();
        let proof = self.proof(path, &self.nonce().await);
        self.reach.send(form(path, &all).header(PROOF_HEADER, proof)).await
    }

    /// POST JSON to the API with a proof as it wants one: with the digest of the body.
    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        let call = Call::post(path, body);
        let mut claims = self.proof_claims(path, &self.nonce().await);
        let digest = Sha256::digest(&call.body);
        claims["content_digest"] = format!("sha-256=:{}:", data_encoding::BASE64.encode(&digest)).into();
        self.reach.send(call.header(PROOF_HEADER, self.proof_of(&claims))).await
    }

    /// GET from the API with a proof.
    pub async fn get(&self, path: impl Into<String>) -> Answer {
        let call = Call::get(path);
        let mut claims = self.proof_claims(&call.path, &self.nonce().await);
        claims["htm"] = "GET".into();
        let digest = Sha256::digest(&call.body);
        claims["content_digest"] = format!("sha-256=:{}:", data_encoding::BASE64.encode(&digest)).into();
        self.reach.send(call.header(PROOF_HEADER, self.proof_of(&claims))).await
    }

    /// Ask for a token by this one element of `authorization_details`.
    pub async fn token(&self, detail: &Value) -> Answer {
        self.post("/oauth/token", &token_request(detail)).await
    }

    /// Ask for a token, which has to be issued.
    pub async fn issued(&self, detail: &Value) -> TokenAnswer {
        self.token(detail).await.expect(200).json()
    }

    /// Ask about a token.
    pub async fn introspect(&self, token: &str) -> Value {
        self.post("/oauth/introspect", &[("token", token.into())]).await.expect(200).json()
    }

    /// Give up a token.
    pub async fn revoke(&self, token: &str) -> Answer {
        self.post("/oauth/revoke", &[("token", token.into())]).await
    }
}

/// The parameters that ask for a token.
pub fn token_request(detail: &Value) -> Parameters {
    let details = json!([detail]).to_string();
    vec![("grant_type", CLIENT_CREDENTIALS.into()), ("authorization_details", details)]
}

/// A POST of a form.
pub fn form(path: &str, parameters: &[(&'static str, String)]) -> Call {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    Call::new("POST", path).body("application/x-www-form-urlencoded", body)
}

/// The error, after all that every error of OAuth has was checked.
#[track_caller]
pub fn refused(answer: &Answer, status: u16, code: &str) -> OAuthError {
    let error = refused_without_nonce(answer, status, code);
    assert!(answer.header(NONCE_HEADER).is_some_and(|nonce| !nonce.is_empty()), "{error:?}");
    error
}

/// The same where nobody proves anything, so that no nonce is told.
#[track_caller]
pub fn refused_without_nonce(answer: &Answer, status: u16, code: &str) -> OAuthError {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{} {}", answer.status, answer.text());
    let error: OAuthError =
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()));
    assert_eq!((answer.status, error.error.as_str()), (status, code), "{error:?}");
    assert_eq!(error.request_id.as_deref(), answer.header(REQUEST_ID_HEADER), "{error:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{error:?}");
    assert!(!error.error_description.is_empty());
    error
}

/// The time now, in seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn unique() -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}
