//! Which bundles of entries base copy and journal still have, whether or not their files are right.
//!
//! What is bundled leaves the engine, and base copy and journal only later, as they are made anew. So a file that was
//! damaged or removed meanwhile is no loss: its entries are put together here, compared with the root that the engine
//! has over them, and written where they were. A file that was there is moved aside and not deleted.
//!
//! Nothing of the engine is changed, and what neither has is left as it is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use attorn_log::Hash;
use attorn_log::tiles::add_to_bundle;
use attorn_log::tree::leaf_hash;

use crate::backup::keep;
use crate::bundled::{BUNDLE_ENTRIES, Bundled, ROOT_LEVEL, Whole, last_of, root_of};
use crate::bundler::write;
use crate::commit::Store;
use crate::error::{ReadError, StorageError};
use crate::far;
use crate::integrity::BadBundle;
use crate::places::{Places, at};
use crate::redo::Write;
use crate::repair::{RepairError, causes, free_name, is_there};
use crate::salvage::salvage;
use crate::seek::{Seeker, seek};
use crate::trees::entry_in;

/// What base copy and journal have of each bundle whose end they have.
pub(crate) struct Held {
    bundles: BTreeMap<u64, Bundle>,
    /// Whether an entry says that a server ran.
    says_served: fn(&[u8]) -> bool,
    is_served: bool,
}

#[derive(Default)]
struct Bundle {
    root: Option<Hash>,
    /// Those that stand with its last entry.
    nodes: Vec<Hash>,
    /// A bit for each entry that is there with its bytes.
    entries: [u64; 4],
}

impl Bundle {
    fn is_whole(&self) -> bool {
        self.entries == [u64::MAX; 4]
    }
}

impl Held {
    pub(crate) const fn new(says_served: fn(&[u8]) -> bool) -> Self {
        Self { bundles: BTreeMap::new(), says_served, is_served: false }
    }

    pub(crate) fn take(&mut self, write: &Write) {
        let Some(entry) = entry_in(write) else { return };
        // A bare record is of a bundle that a server put into a file.
        self.is_served = self.is_served || entry.bytes.is_empty() || (self.says_served)(entry.bytes);
        let place = usize::try_from(entry.index % BUNDLE_ENTRIES).unwrap_or(0);
        let bundle = self.bundles.entry(entry.index / BUNDLE_ENTRIES).or_default();
        if let Some(root) = entry.root() {
            bundle.root = Some(root);
            bundle.nodes = entry.hashes.iter().copied().map(Hash).collect();
        }
        if !entry.bytes.is_empty() {
            bundle.entries[place / 64] |= 1 << (place % 64);
        }
    }

    /// What is said where a server ran and nothing is left of what it published. Before it says that it started it has a
    /// checkpoint on disk.
    pub(crate) fn unpublished(&self, source: &Bundled) -> Result<Option<String>, (PathBuf, io::Error)> {
        let path = source.checkpoint();
        if !self.is_served || there(&path)? {
            return Ok(None);
        }
        Ok(Some(format!("`{}` is missing, and what was published of the log with it: {SIGNED_ANEW}", path.display())))
    }

    /// What is wrong with each file of these bundles in a copy of `source`, and whether it matters; all others are shown, with the
    /// nodes that stand with the last entry. One that was never
    /// bundled has no file; that it was is seen by what was noted then, by a file of a later one, and by a log of which all
    /// that was published is gone; where nothing was noted, by its directory.
    pub(crate) fn bad_files(
        &self,
        bundled: &Bundled,
        source: &Bundled,
        show: &mut dyn FnMut(u64, &Whole, &[Hash]),
    ) -> Result<Vec<String>, (PathBuf, io::Error)> {
        let (mut bad, mut is_later_there, mut settled) = (Vec::new(), false, false);
        let noted = source.noted();
        for (looked_at, (number, bundle)) in self.bundles.iter().rev().enumerate() {
            far::say("files with entries compared", looked_at as u64, self.bundles.len() as u64);
            let Some(root) = bundle.root else { continue };
            let path = bundled.path(*number);
            if !there(&path)? && bundle.is_whole() {
                let was_bundled = match noted {
                    Some(noted) => *number < noted,
                    None => path.parent().map_or(Ok(false), there)?,
                };
                if !is_later_there && !was_bundled && there(&bundled.checkpoint())? {
                    continue;
                }
                // It may be written just now.
                if !settled && !there(&source.path(*number))? {
                    std::thread::sleep(SETTLED_AFTER);
                    settled = true;
                }
                if there(&source.path(*number))? {
                    continue;
                }
            }
            is_later_there |= there(&path)?;
            match bundled.read(*number, root) {
                Err(error) if bundle.is_whole() => bad.push(format!("{}; {ELSEWHERE}", error.short())),
                Err(error) => bad.push(error.to_string()),
                Ok(whole) => show(*number, &whole, &bundle.nodes),
            }
        }
        bad.reverse();
        Ok(bad)
    }
}

fn there(path: &Path) -> Result<bool, (PathBuf, io::Error)> {
    path.try_exists().map_err(|error| (path.to_owned(), error))
}

/// How long a file may take that somebody writes: the directory is made first, and the file put there when it is on disk.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// What is said of a file whose entries are not lost.
const ELSEWHERE: &str = "base copy and journal have its entries, and so has this backup: `attorn repair` makes the file \
                         anew while the server does not run";

/// What comes of a directory of what was published that is gone.
const SIGNED_ANEW: &str = "the next start of the server signs a new checkpoint and says so in the log; nothing but an \
                           earlier backup has the earlier checkpoints, and what witnesses cosigned";

/// Write the files of bundles anew whose entries base copies and journal have. Which ones comes back.
pub(crate) fn bring_back(places: &Places, bad: &[BadBundle]) -> Result<Vec<u64>, RepairError> {
    let mut wanted = Wanted::of(places, bad.iter());
    let sought = match seek(places, &mut wanted) {
        // Then it is damaged, or not there.
        Err(error @ RepairError::Parts(_)) => Err(error),
        sought => Ok(sought?),
    };
    let (mut brought, rest) = (wanted.brought, wanted.bad.into_values().collect::<Vec<_>>());
    for some in rest.chunks(SALVAGED_MAX) {
        let mut wanted = Wanted::of(places, some.iter().copied());
        salvage(places, &mut wanted)?;
        brought.extend(wanted.brought);
    }
    if brought.is_empty() {
        sought?;
    }
    Ok(brought)
}

/// How many bundles are looked for at a time where frames are missing: each of them may be in memory in part.
const SALVAGED_MAX: usize = 128;

/// The bundles that are looked for. Entries come in their order, so that few of them are begun at a time.
struct Wanted<'a> {
    places: &'a Places,
    bad: BTreeMap<u64, &'a BadBundle>,
    found: BTreeMap<u64, BTreeMap<u64, Vec<u8>>>,
    brought: Vec<u64>,
}

impl<'a> Wanted<'a> {
    fn of(places: &'a Places, bad: impl Iterator<Item = &'a BadBundle>) -> Self {
        let bad = bad.map(|bad| (bad.number(), bad)).collect();
        Self { places, bad, found: BTreeMap::new(), brought: Vec::new() }
    }
}

impl Seeker for Wanted<'_> {
    fn is_done(&self) -> bool {
        self.bad.is_empty()
    }

    fn has_found(&self) -> bool {
        !self.brought.is_empty()
    }

    fn begin(&mut self) {
        // What another copy has only a part of is no part of what this one has.
        self.found.clear();
    }

    fn take(&mut self, write: &Write) -> Result<(), RepairError> {
        let Some(entry) = entry_in(write).filter(|entry| !entry.bytes.is_empty()) else { return Ok(()) };
        let number = entry.index / BUNDLE_ENTRIES;
        let Some(bad) = self.bad.get(&number) else { return Ok(()) };
        let found = self.found.entry(number).or_default();
        found.insert(entry.index, entry.bytes.to_vec());
        if found.len() as u64 == BUNDLE_ENTRIES {
            let leaves: Vec<_> = found.values().map(|bytes| leaf_hash(bytes)).collect();
            if root_of(&leaves) == bad.root {
                put_back(self.places, bad, found.values()).map_err(at(&bad.path))?;
                self.brought.push(number);
                self.bad.remove(&number);
            }
            self.found.remove(&number);
        }
        Ok(())
    }
}

fn put_back<'a>(places: &Places, bad: &BadBundle, entries: impl Iterator<Item = &'a Vec<u8>>) -> io::Result<()> {
    let mut bytes = Vec::new();
    entries.for_each(|entry| add_to_bundle(&mut bytes, entry));
    if is_there(&bad.path)? {
        fs::rename(&bad.path, free_name(&bad.path)?)?;
    }
    write(&places.dir, &mut None, &bad.path, &bytes)
}

impl Store {
    /// Write the files anew that are missing, of entries that base copy and journal still have. How many entries that
    /// are comes back.
    ///
    /// # Errors
    ///
    /// As [`Self::get`], and when base copy and journal cannot be read or a file not be written.
    pub fn bring_back(&self) -> Result<u64, ReadError> {
        let (size, trees, bundled) = (self.log_head()?.size, &self.shared.trees, &self.shared.bundled);
        let mut bad = Vec::new();
        for number in 0..size / BUNDLE_ENTRIES {
            if !bundled.is_lost(trees, number)? {
                continue;
            }
            let last = trees.record(last_of(number))?;
            let root = last.and_then(|last| last.hashes.get(usize::from(ROOT_LEVEL)).copied());
            bad.extend(root.and_then(|root| {
                let error = bundled.read(number, root).err()?;
                Some(BadBundle::of(number, root, &error))
            }));
        }
        if bad.is_empty() {
            return Ok(0);
        }
        let brought = keep(&self.places)
            .map_err(|error| causes(&error))
            .and_then(|_kept| bring_back(&self.places, &bad).map_err(|error| causes(&error)));
        let brought = brought.map_err(|why| StorageError::new(&why))?;
        Ok(brought.len() as u64 * BUNDLE_ENTRIES)
    }
}
