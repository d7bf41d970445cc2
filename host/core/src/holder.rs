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
    /// The identity that the holder showed, by the certificate itself or beside the key, and how; none where a key is all
    /// that was shown.
    pub identity: Option<(IdentitySubject, IdentityMethod)>,
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

    /// The holder of a registered key that signed beside something that shows an identity, if the agent has both and may
    /// show it so. What came so counts no longer than either.
    #[must_use]
    pub fn of_key_beside(
        agent: &Agent,
        (subject, method): (&IdentitySubject, IdentityMethod),
        thumbprint: &KeyThumbprint,
    ) -> Option<Self> {
        agent.identity(subject, method)?;
        Self::of_key(agent, thumbprint).map(|holder| Self { identity: Some((subject.clone(), method)), ..holder })
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
            identity: Some((subject.clone(), IdentityMethod::X509)),
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
    fn a_key_beside_an_identity_needs_both_and_how_it_was_shown() {
        let id = |text: &str| IdentitySubject::Spiffe(text.parse().unwrap());
        let (own, other) = (id("spiffe://example.org/bot"), id("spiffe://example.org/other"));
        let mut agent = agent();
        let beside = |agent: &Agent, subject, method| Holder::of_key_beside(agent, (subject, method), &thumbprint());
        assert_eq!(beside(&agent, &own, IdentityMethod::Jwt), None);
        agent.identities.push(Identity {
            subject: own.clone(),
            instance: "mesh-1".parse().unwrap(),
            methods: BTreeSet::from([IdentityMethod::Jwt]),
        });
        let holder = beside(&agent, &own, IdentityMethod::Jwt).unwrap();
        let key = Holder::of_key(&agent, &thumbprint()).unwrap();
        assert_eq!(holder, Holder { identity: Some((own.clone(), IdentityMethod::Jwt)), ..key });
        assert_eq!(beside(&agent, &other, IdentityMethod::Jwt), None);
        // It may not be shown by certificate any more.
        assert_eq!(beside(&agent, &own, IdentityMethod::X509), None);
        agent.keys.clear();
        assert_eq!(beside(&agent, &own, IdentityMethod::Jwt), None);
    }
}
