//! Accepting that records of decisions are lost, where no server runs and a repair has looked everywhere: from then on they
//! are no damage any more, and the audit log says which they are.

use std::collections::BTreeSet;

use attorn_api::audit::EntryType;
use attorn_core::DecisionId;
use attorn_store::records::{LostRecordsRecord, Record as _};
use attorn_store::{Batch, LostFile, Require, Store};
use data_encoding::HEXLOWER;
use serde_json::json;

use crate::http::failure::Failure;
use crate::{entry, keys};

/// What to do with records of decisions that nobody has any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostRecords {
    /// Name them, each time.
    Refused,
    /// Say in the log which they are, and go on without.
    Accepted,
}

/// Accept it of all that are lost and were not accepted before. How many those are comes back.
pub(crate) async fn accept(store: &Store) -> Result<u64, Failure> {
    let mut count = 0;
    for LostFile { epoch, bundle, file, mut records } in store.lost_records().await? {
        let now = keys::wall_now();
        let mut record = LostRecordsRecord { epoch, bundle, digests: Vec::new(), at: now };
        let before = store.record::<LostRecordsRecord>(&record.key()).await?;
        let require = before.as_ref().map_or(Require::Absent, |before| Require::Version(before.version));
        let mut digests: BTreeSet<_> = before.into_iter().flat_map(|before| before.value.digests).collect();
        records.retain(|(_, digest)| digests.insert(*digest));
        if records.is_empty() {
            continue;
        }
        record.digests = digests.into_iter().collect();
        let one = |(decision, digest): &(DecisionId, [u8; 32])| json!({ "decision": decision.to_string(), "digest": HEXLOWER.encode(digest) });
        let records: Vec<_> = records.iter().map(one).collect();
        let members = json!({ "file": file, "count": records.len(), "records": records });
        let mut batch = Batch::new(now);
        batch.require.push((record.key(), require));
        batch.put_record(&record);
        batch.entries.push(entry::body(now, EntryType::RecordsLost, members)?);
        store.commit(batch).await?;
        count += records.len() as u64;
    }
    Ok(count)
}
