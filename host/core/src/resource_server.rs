//! Services that accept credentials.

use std::collections::BTreeSet;

use crate::id::{Audience, KeyThumbprint, ResourceServerId};
use crate::permission::ResourceType;

/// A registered service. A credential's audience comes from here, never from the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceServer {
    /// Its id.
    pub id: ResourceServerId,
    /// What it answers to in a token's `aud`.
    pub audience: Audience,
    /// The resource types that are its own. No two share one.
    pub resource_types: BTreeSet<ResourceType>,
    /// The thumbprint of the key by which it proves who it is when it reports uses and effects.
    pub key_thumbprint: KeyThumbprint,
    /// How it sees to it that no grant is used more often than it may be.
    pub counts_uses: UseCounting,
}

/// How a resource server sees to it that no grant is used more often than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseCounting {
    /// It reports each use before it acts, and acts only on what was counted.
    Reports,
    /// It remembers each grant that was used until that expires. So all that it accepts are grants of one use.
    Remembers,
    /// It does not. Nothing is granted for it.
    No,
}
