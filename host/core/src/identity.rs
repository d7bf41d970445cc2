//! Identities that others vouch for: who an agent is where it was not given a key of its own.
//!
//! Whether a certificate or token shows such an identity is not known here.

use std::collections::BTreeSet;
use std::fmt;

use crate::id::{InstanceName, Issuer, WorkloadSubject};
use crate::spiffe::SpiffeId;

/// An identity that an agent is registered under, beside its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who it is. No two agents share one.
    pub subject: IdentitySubject,
    /// Which of the agent's instances shows it.
    pub instance: InstanceName,
    /// How it may be shown; never empty.
    pub methods: BTreeSet<IdentityMethod>,
}

/// Who an identity says that somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentitySubject {
    /// A SPIFFE ID, for which its trust domain vouches.
    Spiffe(SpiffeId),
    /// A workload, for which the issuer of its tokens vouches: a Kubernetes cluster, a cloud.
    Workload {
        /// What its tokens say in `iss`, byte by byte.
        issuer: Issuer,
        /// What they say in `sub`, byte by byte. At another issuer it is somebody else.
        subject: WorkloadSubject,
    },
}

impl IdentitySubject {
    /// How such an identity may be shown at all.
    #[must_use]
    pub const fn methods(&self) -> &'static [IdentityMethod] {
        match self {
            Self::Spiffe(_) => &IdentityMethod::ALL,
            Self::Workload { .. } => &[IdentityMethod::Jwt],
        }
    }
}

impl fmt::Display for IdentitySubject {
    /// In none of these texts is a blank, so no two subjects look the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spiffe(id) => write!(f, "{id}"),
            Self::Workload { issuer, subject } => write!(f, "{issuer} {subject}"),
        }
    }
}

/// How an identity may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityMethod {
    /// By an X.509-SVID, as the client certificate of a connection.
    X509,
    /// By a JWT-SVID or a workload's token, beside a key of the agent's.
    Jwt,
}

impl IdentityMethod {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X509, Self::Jwt];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X509 => "x509",
            Self::Jwt => "jwt",
        }
    }
}
