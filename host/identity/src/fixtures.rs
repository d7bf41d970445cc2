//! What tests of tokens begin with.

use attorn_core::{DecisionId, Digest, Grant, GrantId, KeyBinding, KeyThumbprint, TimeMs};

/// Who issues tokens.
pub(crate) const ISSUER: &str = "https://attorn.example";

/// A grant for nobody's sake, whose token this key signed.
pub(crate) fn grant(signed_by: KeyThumbprint, issued_at: TimeMs, expires_at: TimeMs) -> Grant {
    Grant {
        id: GrantId::from_random([0xa5; 16]),
        decision: DecisionId::from_random([1; 16]),
        agent: "support-bot".parse().unwrap(),
        instance: "pod-1".parse().unwrap(),
        key_thumbprint: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".parse().unwrap(),
        key_binding: KeyBinding::Jkt,
        identity: None,
        revocations: 0,
        behalf: None,
        policies: Vec::new(),
        resource_server: "faq".parse().unwrap(),
        audience: "https://faq.example".parse().unwrap(),
        action: "faq.read".parse().unwrap(),
        resource: "article/42".parse().unwrap(),
        arguments_digest: Digest::from_bytes([0xab; 32]),
        purpose: "answer-questions".parse().unwrap(),
        session: None,
        issued_at,
        expires_at,
        uses_max: 1,
        signed_by,
    }
}
