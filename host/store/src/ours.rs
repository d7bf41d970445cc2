//! What makes a store ours.

use attorn_log::LogId;

use crate::imprint::ImprintKey;

/// Which log a store holds, and the key that tells its state from one that somebody else wrote.
#[derive(Debug, Clone)]
pub struct Ours {
    /// The log.
    pub log: LogId,
    /// The key.
    pub key: ImprintKey,
}
