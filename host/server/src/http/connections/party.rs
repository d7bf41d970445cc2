//! Whose a connection is, and how many of all connections such may have.
//!
//! Each kind has a share of all places, and each of a kind a part of that. The shares of all kinds leave a part of the
//! places to those of whom nobody knows yet who they are. So no kind keeps another one out, whatever it proves.

use attorn_core::{AgentId, AgentState, Digest, OperatorId, ResourceServerId};

use crate::http::call::Caller;

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Party {
    Agent(AgentId),
    ResourceServer(ResourceServerId),
    /// By what the provider calls them, as a keyed hash.
    User(Digest),
    /// None for the bootstrap token.
    Operator(Option<OperatorId>),
}

/// What kind of party somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Agent,
    ResourceServer,
    User,
    Operator,
}

/// How many connections one party may have, and how many all of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) of_one_max: usize,
    pub(super) of_all_max: usize,
}

impl Party {
    /// Whose a connection is after a call of this caller. It is nobody's if anybody could have called so, a user who has
    /// nothing here included, and if the agent may not act: who is suspended keeps no place.
    pub(crate) fn of(caller: &Caller) -> Option<Self> {
        match caller {
            Caller::Anonymous => None,
            Caller::Agent(caller) => {
                let agent = caller.agent.value.agent();
                (agent.state == AgentState::Active).then(|| Self::Agent(agent.id.clone()))
            }
            Caller::ResourceServer(id) => Some(Self::ResourceServer(id.clone())),
            Caller::User(user) => user.id.as_ref().map(|_| Self::User(user.name)),
            Caller::Operator(operator) => Some(Self::Operator(operator.id.clone())),
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Agent(_) => Kind::Agent,
            Self::ResourceServer(_) => Kind::ResourceServer,
            Self::User(_) => Kind::User,
            Self::Operator(_) => Kind::Operator,
        }
    }
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Agent, Self::ResourceServer, Self::User, Self::Operator];

    /// The share of so many places. Anybody can be a user of an open provider, and needs few connections.
    pub(super) fn share(self, places_max: usize) -> Share {
        let (of_one, of_all) = match self {
            Self::Agent => (16, 2),
            Self::ResourceServer => (8, 4),
            Self::User => (256, 8),
            Self::Operator => (64, 16),
        };
        let part = |of: usize| (places_max / of).max(1);
        Share { of_one_max: part(of_one), of_all_max: part(of_all) }
    }
}
