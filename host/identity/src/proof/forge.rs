//! Proofs that are forged by hand, with nothing of the code under test but the nonces.

use attorn_core::TimeMs;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use sha2::{Digest as _, Sha256};

use super::{BodyDigest, ProofError, ProofExpectation, UnverifiedProof, VerifiedProof};
use crate::{Nonces, PublicKey};

pub(crate) const NOW: TimeMs = TimeMs(1_767_323_045_678);
pub(crate) const NOW_S: u64 = NOW.0 / 1000;
pub(super) const URL: &str = "https://attorn.example/v1/decisions";
pub(super) const BODY: &[u8] = br#"{"action":"faq.read"}"#;

pub(crate) enum Signer {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed_dsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().unwrap())
    }

    /// With this private key, of which the JWK is the public half.
    pub(crate) fn es256_of(jwk: &str, secret: &str) -> Self {
        let jwk: serde_json::Value = serde_json::from_str(jwk).unwrap();
        let bytes = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let point = [vec![4], bytes(jwk["x"].as_str().unwrap()), bytes(jwk["y"].as_str().unwrap())].concat();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        Self::Es256(EcdsaKeyPair::from_private_key_and_public_key(algorithm, &bytes(secret), &point).unwrap())
    }

    /// With this private key.
    pub(crate) fn ed_dsa_of(secret: &str) -> Self {
        let secret = BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap();
        Self::EdDsa(Ed25519KeyPair::from_seed_unchecked(&secret).unwrap())
    }

    pub(crate) fn jwk(&self) -> String {
        let text = |bytes| BASE64URL_NOPAD.encode(bytes);
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                format!(r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#, text(&point[1..33]), text(&point[33..]))
            }
            Self::EdDsa(pair) => {
                format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, text(pair.public_key().as_ref()))
            }
        }
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        self.jwk().parse().unwrap()
    }

    pub(crate) fn header(&self) -> String {
        let alg = match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        };
        format!(r#"{{"typ":"dpop+jwt","alg":"{alg}","jwk":{}}}"#, self.jwk())
    }

    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = match self {
            Self::Es256(pair) => pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap(),
            Self::EdDsa(pair) => pair.sign(message.as_bytes()),
        };
        format!("{message}.{}", encode(signature.as_ref()))
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

/// One key, one run of the server, and a good proof to spoil.
pub(super) struct Scene {
    pub(super) signer: Signer,
    pub(super) nonces: Nonces,
}

impl Scene {
    pub(super) fn new(signer: Signer) -> Self {
        Self { signer, nonces: Nonces::new().unwrap() }
    }

    pub(super) fn claims(&self) -> String {
        format!(
            r#"{{"jti":"j-1","htm":"POST","htu":"{URL}","iat":{NOW_S},"nonce":"{}","content_digest":"{}"}}"#,
            self.nonces.current(NOW),
            digest_of(BODY),
        )
    }

    pub(super) fn proof(&self) -> String {
        self.signer.sign(&self.signer.header(), &self.claims())
    }

    pub(super) fn verify(
        &self,
        compact: &str,
        expectation: &ProofExpectation<'_>,
    ) -> Result<VerifiedProof, ProofError> {
        UnverifiedProof::parse(compact)?.verify(&self.signer.public_key(), expectation, &self.nonces)
    }

    #[track_caller]
    pub(super) fn check(&self, compact: &str, expect: &str) {
        let code = self.verify(compact, &expectation()).map_or_else(ProofError::code, |_| "verified");
        assert_eq!(code, expect, "{compact}");
    }

    /// A proof with these claims in place of the good ones' part.
    #[track_caller]
    pub(super) fn check_claims(&self, from: &str, to: &str, expect: &str) {
        let claims = self.claims();
        assert!(claims.contains(from), "{from} is not in {claims}");
        self.check(&self.signer.sign(&self.signer.header(), &claims.replace(from, to)), expect);
    }

    #[track_caller]
    pub(super) fn check_header(&self, from: &str, to: &str, expect: &str) {
        let header = self.signer.header();
        assert!(header.contains(from), "{from} is not in {header}");
        self.check(&self.signer.sign(&header.replace(from, to), &self.claims()), expect);
    }
}

pub(super) fn digest_of(body: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64.encode(&Sha256::digest(body)))
}

pub(super) fn expectation() -> ProofExpectation<'static> {
    ProofExpectation {
        method: "POST",
        url: URL,
        body: BODY,
        body_digest: BodyDigest::Needed,
        now: NOW,
        access_token: None,
        passage: None,
    }
}

pub(super) fn scenes() -> [Scene; 2] {
    [Scene::new(Signer::es256()), Scene::new(Signer::ed_dsa())]
}
