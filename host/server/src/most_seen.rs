//! How long the log was at least, by what stands beside the store: the high-water file, and the checkpoints in `log/`.
//!
//! It is for what may only be refused because of it. A copy that reaches less far is named as one that lacks something, and
//! what base copy and journal come to takes no place if it is shorter. Whoever can write all of these is not found out by it.

use std::fs;
use std::io::{self, ErrorKind};

use attorn_log::{CheckpointSigner, Epoch, Origin};
use attorn_store::{KnownLog, Seen, Store};

use crate::config::Config;
use crate::epochs::EPOCHS;
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
/// How many names are read of what is kept of epochs that ended.
const NAMES_LOOKED_AT: usize = 1 << 17;

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
    let found = [outside, published(config, known)?, ended(config)?];
    Ok(found.into_iter().flatten().max_by_key(|found| found.seen))
}

/// What is kept of an epoch that ended says that the next one began.
fn ended(config: &Config) -> io::Result<Option<SeenBy>> {
    let dir = config.data_dir.join(EPOCHS);
    let names = match fs::read_dir(&dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        names => names?,
    };
    let mut last = None;
    for name in names.take(NAMES_LOOKED_AT) {
        let name = name?.file_name();
        let of = name.to_str().and_then(|name| name.strip_suffix(".export")?.parse::<Epoch>().ok());
        last = last.max(of);
    }
    Ok(last.and_then(|Epoch(of)| {
        let epoch = Epoch(of.checked_add(1)?);
        Some(SeenBy { seen: Seen { epoch, size: 0 }, by: dir.join(format!("{of}.export")).display().to_string() })
    }))
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
/// tell who signed it: they are of before it began, or somebody made it up, and either is refused. The same goes for all of
/// them where nothing of base copy and journal is known.
fn published(config: &Config, known: Option<&KnownLog>) -> io::Result<Option<SeenBy>> {
    let root = root_key(config).ok();
    let mut epochs = epochs_in(&config.data_dir)?.take(EPOCHS_LOOKED_AT);
    Ok(epochs.find_map(|epoch| {
        let (dir, origin) = (published_in(&config.data_dir, epoch), Origin::of(&config.log_id, epoch));
        let signed = |known: &KnownLog| {
            known.keys.iter().rev().find_map(|record| {
                let verifier = keys::log_verifier(root.as_ref()?, record, origin.clone()).ok()?;
                Some(damage::look(&dir, &verifier, None).head()?.checkpoint().size)
            })
        };
        let size = match known {
            Some(known) if epoch <= known.epoch => signed(known),
            _ => said_in(&config.data_dir, epoch),
        }?;
        Some(SeenBy { seen: Seen { epoch, size }, by: dir.display().to_string() })
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(dir: &Path) -> Config {
        let text = "listen = \"127.0.0.1:7400\"\npublic_url = \"http://127.0.0.1:7400\"\ndata_dir = \"data\"\n\
                    root_key = \"root.key\"\nlog_id = \"log-1\"\ntls = \"none\"\n";
        Config::parse(text, &dir.join("attorn.toml")).unwrap()
    }

    /// Nobody can tell who signed what is in `log/`, and nothing shorter takes the place of anything all the same.
    #[test]
    fn where_nothing_is_known_of_the_log_what_its_files_say_counts() {
        let dir = tempfile::TempDir::new().unwrap();
        let (config, data) = (config(dir.path()), dir.path().join("data"));
        assert!(beside(&config, None).unwrap().is_none());
        for part in ["log/1", "log/2", "epochs"] {
            fs::create_dir_all(data.join(part)).unwrap();
        }
        fs::write(data.join("log/1/checkpoint"), "attorn/log-1/1\n300\nroot\n").unwrap();
        let found = beside(&config, None).unwrap().unwrap();
        assert_eq!(
            (found.seen, found.by),
            (Seen { epoch: Epoch(1), size: 300 }, data.join("log/1").display().to_string())
        );
    }

    #[test]
    fn what_is_kept_of_an_epoch_says_that_the_next_one_began() {
        let dir = tempfile::TempDir::new().unwrap();
        let (config, epochs) = (config(dir.path()), dir.path().join("data/epochs"));
        fs::create_dir_all(&epochs).unwrap();
        for name in ["x.export", "1.index", "7.export.broken-1", "junk"] {
            fs::write(epochs.join(name), "").unwrap();
        }
        assert!(beside(&config, None).unwrap().is_none());
        for name in ["1.export", "3.export", "2.export"] {
            fs::write(epochs.join(name), "").unwrap();
        }
        let found = beside(&config, None).unwrap().unwrap();
        assert_eq!(
            (found.seen, found.by),
            (Seen { epoch: Epoch(4), size: 0 }, epochs.join("3.export").display().to_string())
        );
    }
}
