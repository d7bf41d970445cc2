#![doc = include_str!("../README.md")]

mod approval;
mod assertion;
mod authentication;
mod behalf;
pub mod certificate;
mod client;
mod decision;
mod error;
mod file;
pub mod key;
mod lease;
pub mod proof;
mod proxy;
mod request;
pub mod resource_server;
mod token;
mod transport;
mod url;

pub use authentication::Authentication;
pub use behalf::{Delegation, Exchange, Part};
pub use certificate::{AgentCertificate, CertificateError};
pub use client::Client;
pub use decision::{Decided, Decision};
pub use error::{ApprovalNeeded, Error};
pub use file::FileError;
pub use key::{AgentKey, Algorithm, KeyError};
pub use proxy::{ProxyAnswer, ProxyRequest};
pub use request::Request;
pub use resource_server::ResourceServerClient;
pub use url::ServerUrl;

#[cfg(test)]
mod fake_server;
