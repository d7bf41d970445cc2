//! SPIFFE Verifiable Identity Documents: certificates and tokens by which a trust domain says who a
//! workload is.
//!
//! The way of each is that of a proof: parsing checks the form and says whom it names, the caller looks up
//! whether that identity and its trust domain are registered, and `verify` checks the rest with what that
//! trust domain has registered, and with nothing else. What comes out was vouched for by the identity's
//! *own* trust domain; no domain can vouch for another's.
//!
//! That whoever shows a certificate holds its key is shown by the TLS handshake, not here. Nothing here
//! reads a clock or knows which agent has which identity. Revocation lists are not read: SVIDs live for
//! hours, and a registrar revokes the identity.

mod bundle;
mod error;
mod jwt;
mod jwt_key;
mod x509;

#[cfg(test)]
mod forge;

pub use bundle::{BUNDLE_BYTES_MAX, BundleError, TrustBundle};
pub use error::SvidError;
pub use jwt::{JWT_BYTES_MAX, JWT_LIFE_MS_MAX, JwtSvid, UnverifiedJwtSvid};
pub use jwt_key::{JwtSvidKey, JwtSvidKeyError};
pub use x509::{CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX, UnverifiedX509Svid, X509Svid};
