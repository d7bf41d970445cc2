//! What a proxy calls for an agent: which method and path is which action on which resource, and what else of a request
//! goes on. A request has exactly one meaning here, and what is sent is written anew from it.
//!
//! Nothing is connected to here, nothing is decided, and no secret is here.

mod origin;
mod path;
mod query;
mod route;
mod segments;
mod settings;

pub use origin::ProxyOrigin;
pub use path::ProxyPath;
pub use query::ProxyQuery;
pub use route::{PathTemplate, ProxyBody, ProxyMethod, ProxyRoute, ResourceTemplate};
pub use settings::{Matched, ProxySettings};
