//! Where a store stands: its version, its log, and the epochs of that which have ended.

use attorn_log::{Epoch, Link, LogId};
use serde::{Deserialize, Serialize};

use crate::error::StorageError;
use crate::records::json;

const FORMAT: u8 = 1;

/// Where the store stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// How many batches there were.
    pub(crate) version: u64,
    /// How many entries there are.
    pub(crate) size: u64,
    /// The link that the next entry carries.
    pub(crate) last_link: Link,
}

/// Which log the store holds. It never changes while the store is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogName {
    pub(crate) id: LogId,
    pub(crate) epoch: Epoch,
    /// The epochs before it, in their order.
    pub(crate) earlier: Vec<EarlierEpoch>,
}

/// An epoch of the log that has ended. Its entries are kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierEpoch {
    /// Which.
    pub epoch: Epoch,
    /// The version of its last batch.
    pub version: u64,
    /// How many entries it had.
    pub size: u64,
}

impl LogName {
    /// The epoch that a batch was in, if that has ended.
    pub(crate) fn earlier_of(&self, version: u64) -> Option<&EarlierEpoch> {
        self.earlier.iter().find(|earlier| version <= earlier.version)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadWire {
    log_id: String,
    epoch: u64,
    version: u64,
    size: u64,
    last_link: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<EarlierWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EarlierWire {
    epoch: u64,
    version: u64,
    size: u64,
}

/// One format byte and JSON.
pub(crate) fn encode(log: &LogName, head: &Head) -> Vec<u8> {
    let earlier = |e: &EarlierEpoch| EarlierWire { epoch: e.epoch.0, version: e.version, size: e.size };
    let mut bytes = json(&HeadWire {
        log_id: log.id.to_string(),
        epoch: log.epoch.0,
        version: head.version,
        size: head.size,
        last_link: head.last_link.to_string(),
        earlier: log.earlier.iter().map(earlier).collect(),
    });
    bytes.insert(0, FORMAT);
    bytes
}

/// Read what [`encode`] wrote.
pub(crate) fn parse(bytes: &[u8]) -> Result<(LogName, Head), StorageError> {
    let wire: HeadWire = match bytes.split_first() {
        Some((&FORMAT, json)) => serde_json::from_slice(json).map_err(|error| StorageError::new(&error))?,
        _ => return Err(StorageError::new(&"the head has an unknown format")),
    };
    let id = wire.log_id.parse().map_err(|error| StorageError::new(&error))?;
    let last_link = wire.last_link.parse().map_err(|error| StorageError::new(&error))?;
    let earlier = |EarlierWire { epoch, version, size }| EarlierEpoch { epoch: Epoch(epoch), version, size };
    let earlier = wire.earlier.into_iter().map(earlier).collect();
    let name = LogName { id, epoch: Epoch(wire.epoch), earlier };
    Ok((name, Head { version: wire.version, size: wire.size, last_link }))
}
