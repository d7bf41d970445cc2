//! By what an agent says who it is: a key of its own, or a certificate that its trust domain signed.

use std::fmt;

use crate::certificate::AgentCertificate;
use crate::key::AgentKey;

/// By what an agent says who it is. Whatever takes one takes an [`AgentKey`] or an [`AgentCertificate`] as well.
pub enum Authentication {
    /// A proof by this key comes with every request.
    Key(AgentKey),
    /// The connection shows this certificate, and is the proof.
    Certificate(AgentCertificate),
}

impl From<AgentKey> for Authentication {
    fn from(key: AgentKey) -> Self {
        Self::Key(key)
    }
}

impl From<AgentCertificate> for Authentication {
    fn from(certificate: AgentCertificate) -> Self {
        Self::Certificate(certificate)
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Certificate(certificate) => certificate.fmt(f),
        }
    }
}
