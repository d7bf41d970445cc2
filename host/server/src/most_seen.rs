//! How long the log was at least, by what stands beside the store: the high-water file, and the checkpoints in `log/`.
//!
//! It is for what may only be refused because of it. A copy that reaches less far is named as one that lacks something, and
//! what base copy and journal come to takes no place if it is shorter. Whoever can write all of these is not found out by it.

use std::io;

use attorn_log::{CheckpointSigner, Origin};
use attorn_store::{KnownLog, Seen, Store};

use crate::config::Config;
use crate::high_water::HighWaterError;
use crate::http::failure::Failure;
use crate::published::{damage, epochs_in, newest_epoch, published_in, said_in};
use crate::run::{ServeError, root_key};
use crate::{high_water, keys};

/// How long the log was, and which file says so.
pub(crate) struct SeenBy {
    pub(crate) seen: Seen,
    pub(crate) by: String,
}

/// In how many epochs the newest checkpoint is looked for that a key of the log signed.
const EPOCHS_LOOKED_AT: usize = 4_096;

/// The most that any of them says, of a store that nobody has open.
pub(crate) fn look(config: &Config) -> Result<Option<Seen>, ServeError> {
    let found = beside(config, Store::known_log(&config.data_dir).as_ref()).map_err(|error| unread(&error))?;
    Ok(found.map(|found| found.seen))
}

fn unread(error: &io::Error) -> ServeError {
    ServeError::Start(format!("nobody can see how long the log was: {error}"))
}

/// The same, and who says so, where it is known what base copy and journal know of the log.
pub(crate) fn beside(config: &Config, known: Option<&KnownLog>) -> io::Result<Option<SeenBy>> {
    let outside = high_water::seen(&config.high_water).map_err(io::Error::other)?;
    let outside = outside.map(|seen| SeenBy { seen, by: config.high_water.display().to_string() });
    let published = known.map(|known| published(config, known)).transpose()?.flatten();
    Ok(outside.into_iter().chain(published).max_by_key(|found| found.seen))
}

/// See that the store reaches as far as the high-water file has seen, and that `log/` has no checkpoint of a later epoch: then
/// all of it would be of before that began.
pub(crate) async fn check(config: &Config, store: &Store, signer: &CheckpointSigner) -> Result<(), ServeError> {
    high_water::check(&config.high_water, store, signer).await?;
    let head = store.log_head().map_err(Failure::from)?;
    let newest = newest_epoch(&config.data_dir).map_err(|error| unread(&error))?;
    let Some(epoch) = newest.filter(|epoch| *epoch > head.epoch) else { return Ok(()) };
    let (found, seen) = (Origin::of(&head.log_id, head.epoch), Origin::of(&head.log_id, epoch));
    Err(HighWaterError::LaterEpoch { path: published_in(&config.data_dir, epoch), found, seen }.into())
}

/// The newest checkpoint in `log/` that a key of the log signed. Of a later epoch than base copy and journal have nobody can
/// tell who signed it: they are of before it began, or somebody made it up, and either is refused.
fn published(config: &Config, known: &KnownLog) -> io::Result<Option<SeenBy>> {
    let Ok(root) = root_key(config) else { return Ok(None) };
    let mut epochs = epochs_in(&config.data_dir)?.take(EPOCHS_LOOKED_AT);
    Ok(epochs.find_map(|epoch| {
        let (dir, origin) = (published_in(&config.data_dir, epoch), Origin::of(&config.log_id, epoch));
        let signed = || {
            known.keys.iter().rev().find_map(|record| {
                let verifier = keys::log_verifier(&root, record, origin.clone()).ok()?;
                Some(damage::look(&dir, &verifier, None).head()?.checkpoint().size)
            })
        };
        let size = if epoch > known.epoch { said_in(&config.data_dir, epoch) } else { signed() }?;
        Some(SeenBy { seen: Seen { epoch, size }, by: dir.display().to_string() })
    }))
}
