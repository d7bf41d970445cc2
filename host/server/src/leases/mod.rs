//! Leases: credentials that exist outside the server, and the queue that ends them.
//!
//! A lease is recorded in the batch of its decision, before anything exists outside (`place`). Then the credential is
//! made (`issue`), and what came of that is recorded before the holder is told. Whatever goes wrong from the first
//! write on, the lease is found by when it is due and ended (`queue`), also after a crash. A lease whose grant stands
//! no more is found within a moment (`sweep`), though revoking is one write that looks for nothing.

pub(crate) mod change;
pub(crate) mod issue;
pub(crate) mod place;
pub(crate) mod queue;
pub(crate) mod routes;
pub(crate) mod sweep;
pub(crate) mod token;

use attorn_broker::Outside;
use attorn_store::records::LeaseRecord;

/// How long after it was intended a lease is ended whose credential was not recorded as made: longer than making it can
/// take, so that nothing comes to exist after it was ended. A kind takes its time for asking first, and as much again
/// for what it asks.
pub(crate) const INTENDED_MS: u64 = 30_000;

/// A lease as it is called outside.
pub(crate) fn outside(lease: &LeaseRecord) -> Outside {
    Outside { lease: lease.id, name: lease.name.clone(), roles: lease.roles.clone() }
}
