//! Who holds a credential: the key that a caller proved possession of, and how credentials are bound to it.

use crate::agent::Agent;
use crate::id::{InstanceName, KeyThumbprint};
use crate::identity::{IdentityMethod, IdentitySubject};
use crate::time::TimeMs;

/// How a credential names the key of its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyBinding {
    /// By the RFC 7638 thumbprint of a public key (`cnf.jkt`, RFC 9449 section 6.1).
    Jkt,
    /// By the SHA-256 of a certificate (`cnf.x5t#S256`, RFC 8705 section 3.1).
    X5tS256,
}

impl KeyBinding {
    /// The `token_type` of a credential that is bound so. One that is bound to a certificate is shown as a bearer's
    /// (RFC 8705, section 3): the connection is the proof, and no header names it.
    #[must_use]
    pub const fn token_type(self) -> &'static str {
        match self {
            Self::Jkt => "DPoP",
            Self::X5tS256 => "Bearer",
        }
    }
}

/// The key that a caller proved possession of, as it stands for its agent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What names the key.
    pub thumbprint: KeyThumbprint,
    /// What kind of name that is.
    pub binding: KeyBinding,
    /// The identity that a certificate shows; none for a key that is registered itself.
    pub identity: Option<IdentitySubject>,
    /// Which of the agent's instances has it.
    pub instance: InstanceName,
    /// From when on it is not accepted any more.
    pub expires_at: TimeMs,
}

impl Holder {
    /// The holder of the agent's registered key with this thumbprint, if it has that key.
    #[must_use]
    pub fn of_key(agent: &Agent, thumbprint: &KeyThumbprint) -> Option<Self> {
        agent.key(thumbprint).map(|key| Self {
            thumbprint: key.thumbprint.clone(),
            binding: KeyBinding::Jkt,
            identity: None,
            instance: key.instance.clone(),
            expires_at: key.expires_at,
        })
    }

    /// The holder of a registered key that signed beside something that shows an identity, if the agent has both. What
    /// came so counts no longer than either.
    #[must_use]
    pub fn of_key_beside(agent: &Agent, subject: &IdentitySubject, thumbprint: &KeyThumbprint) -> Option<Self> {
        let has_identity = agent.identities.iter().any(|identity| identity.subject == *subject);
        if has_identity { Self::of_key(agent, thumbprint) } else { None }
    }

    /// The holder of a certificate that shows an identity of the agent's, if it has that identity and may show
    /// it so.
    #[must_use]
    pub fn of_certificate(
        agent: &Agent,
        subject: &IdentitySubject,
        thumbprint: &KeyThumbprint,
        expires_at: TimeMs,
    ) -> Option<Self> {
        agent.identity(subject, IdentityMethod::X509).map(|identity| Self {
            thumbprint: thumbprint.clone(),
            binding: KeyBinding::X5tS256,
            identity: Some(subject.clone()),
            instance: identity.instance.clone(),
            expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bounds::tests::{agent, thumbprint};
    use crate::identity::Identity;

    #[test]
    fn a_key_beside_an_identity_needs_both() {
        let id = |text: &str| IdentitySubject::Spiffe(text.parse().unwrap());
        let (own, other) = (id("spiffe://example.org/bot"), id("spiffe://example.org/other"));
        let mut agent = agent();
        assert_eq!(Holder::of_key_beside(&agent, &own, &thumbprint()), None);
        agent.identities.push(Identity {
            subject: own.clone(),
            instance: "mesh-1".parse().unwrap(),
            methods: BTreeSet::from([IdentityMethod::Jwt]),
        });
        assert_eq!(Holder::of_key_beside(&agent, &own, &thumbprint()), Holder::of_key(&agent, &thumbprint()));
        assert_eq!(Holder::of_key_beside(&agent, &other, &thumbprint()), None);
        agent.keys.clear();
        assert_eq!(Holder::of_key_beside(&agent, &own, &thumbprint()), None);
    }
}
