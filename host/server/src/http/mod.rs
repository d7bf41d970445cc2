//! HTTP itself: the table of routes, what happens around each handler, and the listening.
//!
//! What is decided, registered or recorded is not known here.

pub(crate) mod access;
pub(crate) mod call;
pub(crate) mod certificate;
pub(crate) mod connections;
pub(crate) mod dispatch;
mod errors;
pub(crate) mod failure;
pub(crate) mod listen;
pub(crate) mod openapi;
pub(crate) mod outbound;
pub(crate) mod rates;
pub(crate) mod route;
pub(crate) mod strangers;
pub(crate) mod tls;
