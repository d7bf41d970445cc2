//! The OAuth endpoints: tokens for agents (RFC 6749, 8693, 9396), introspection (RFC 7662) for resource
//! servers, revocation (RFC 7009), and the metadata by which clients find them (RFC 8414, 9728).
//!
//! A token is asked for, decided, recorded and issued on the very way that `/v1/decisions` goes: here are
//! only forms, client authentication, and errors as OAuth has them. Keys that sign are in
//! [`crate::token_keys`]. Nobody signs in here, and nobody consents: that happens at providers.

pub(crate) mod certificate;
pub(crate) mod ciba;
pub(crate) mod client;
mod details;
pub(crate) mod error;
mod exchange;
pub(crate) mod form;
mod granted;
pub(crate) mod introspect;
pub(crate) mod metadata;
pub(crate) mod revoke;
mod svid;
pub(crate) mod token;
mod vouched;
mod workload;
