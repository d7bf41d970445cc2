//! Entries that are out of the engine: full bundles in plain files.
//!
//! ```text
//! <dir>/log/<epoch>/tile/entries/<index>   256 entries, as they are published (C2SP tlog-tiles)
//! <dir>/log/<epoch>/bundled                how many there were, about: for backups alone
//! <dir>/log/<epoch>/filed                  of how many of them the records were filed: for backups alone
//! ```
//!
//! Of the records of a bundle in a file the engine keeps the last, without its entry: the hashes in it are the tree from
//! the bundle's root up. By that root each file is known when it is read: one that is missing or has other bytes is
//! named, and nothing of it is given out. What the tree has below that root is computed from the file.
//!
//! Where an entry stands in the engine it is read there, whether or not it is in a file, too. So it does not matter
//! how far a bundling came: see [`crate::bundler`], which writes the files.
// Long because: a bundle's file, what is known of it, and how it is read entry by entry are one thing.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use attorn_log::tiles::{Bundle, TILE_WIDTH};
use attorn_log::tree::leaf_hash;
use attorn_log::{Epoch, Hash, NodeId, Tile, TreeBuilder, verify_bundle};

use crate::error::StorageError;
use crate::files::{create_beside, is_of_the_process, open_regular};
use crate::trees::Trees;

/// How many entries a bundle has.
pub(crate) const BUNDLE_ENTRIES: u64 = TILE_WIDTH as u64;
/// The level of a bundle's root.
pub(crate) const ROOT_LEVEL: u8 = 8;
/// The level of the nodes that an outline has beside its leaves. A node of a bundle's tree is computed from one of the
/// two, which takes 15 hashes at most and not 127.
const HALFWAY_LEVEL: u8 = ROOT_LEVEL / 2;
/// The notes of how many bundles, and of how many of them the records, are in files.
const BUNDLED: &str = "bundled";
const FILED: &str = "filed";
/// The longest note of how many bundles there are in files.
const NOTE_BYTES_MAX: u64 = 32;
/// How many outlines are kept in memory: for a million entries, in 42 MiB.
const OUTLINES_MAX: usize = 4_096;

/// What helps where a file is missing or altered.
const PUT_BACK: &str = "`attorn repair` makes it anew, while no server runs, if base copy or journal still have its \
                        entries; else put this file back from a backup or a copy, and look again with `attorn audit \
                        verify`";

/// Why a bundle could not be read. There is nothing else to read it from.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {problem}", path.display())]
pub(crate) struct BundledError {
    path: PathBuf,
    /// Its name within the data directory.
    name: String,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("is missing, and with it the entries {} to {} of epoch {epoch}: {PUT_BACK}", first_of(*bundle), last_of(*bundle))]
    Missing { epoch: String, bundle: u64 },
    #[error("is not what the log's tree says: in epoch {epoch}, {found}; {PUT_BACK}")]
    Altered { epoch: String, found: String },
    #[error("cannot be read: {0}; see that it is a file that the server may read, or {PUT_BACK}")]
    Io(io::Error),
}

impl BundledError {
    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is no file at all.
    pub(crate) const fn is_missing(&self) -> bool {
        matches!(self.problem, Problem::Missing { .. })
    }

    /// Whether it may be readable in a moment, and nothing is wrong with the file.
    pub(crate) fn is_of_the_process(&self) -> bool {
        matches!(&self.problem, Problem::Io(why) if is_of_the_process(why))
    }

    /// What is wrong, without what to do about it.
    pub(crate) fn short(&self) -> String {
        let path = self.path.display();
        match &self.problem {
            Problem::Missing { .. } => format!("`{path}` is missing"),
            Problem::Altered { epoch, found } => {
                format!("`{path}` is not what the log's tree says: in epoch {epoch}, {found}")
            }
            Problem::Io(why) => format!("`{path}` cannot be read: {why}"),
        }
    }
}

impl From<BundledError> for StorageError {
    fn from(error: BundledError) -> Self {
        match &error.problem {
            _ if error.is_of_the_process() => Self::new(&error),
            _ => Self::of_log(&error, format!("`{}` {}", error.name, error.problem)),
        }
    }
}

/// What is known of a bundle that was read and found right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    root: Hash,
    leaves: Vec<Hash>,
    /// The nodes of [`HALFWAY_LEVEL`].
    halfway: Vec<Hash>,
    /// Where each entry begins, after its length, and where it ends.
    places: Vec<(u32, u32)>,
}

impl Outline {
    /// A node below the bundle's root, by its level and the place in the bundle where it begins.
    fn node(&self, level: u8, first: usize) -> Hash {
        let (from, nodes) = if level < HALFWAY_LEVEL { (0, &self.leaves) } else { (HALFWAY_LEVEL, &self.halfway) };
        root_of(&nodes[first >> from..][..1 << (level - from)])
    }
}

/// A bundle that was read and found right.
pub(crate) struct Whole {
    pub(crate) bytes: Vec<u8>,
    outline: Arc<Outline>,
}

impl Whole {
    /// The root over its entries.
    pub(crate) fn root(&self) -> Hash {
        self.outline.root
    }

    /// Whether the nodes that stand with one of its entries, its leaf first, are those that its tree has.
    pub(crate) fn has_nodes(&self, index: u64, hashes: &[Hash]) -> bool {
        let node = |level: u8| self.outline.node(level, place(index) >> level << level);
        (0..ROOT_LEVEL).zip(hashes).all(|(level, hash)| node(level) == *hash)
    }

    /// The bytes of one of its entries.
    pub(crate) fn entry(&self, index: u64) -> &[u8] {
        let (begin, end) = self.outline.places[place(index)];
        // Both are places within these bytes.
        &self.bytes[begin as usize..end as usize]
    }
}

/// The bundles of one epoch that are in files.
pub(crate) struct Bundled {
    dir: PathBuf,
    /// By the number of the bundle: each has one place, which a later one takes.
    outlines: Vec<Mutex<Option<Arc<Outline>>>>,
}

impl Bundled {
    /// Those of an epoch, within the directory of all that is published.
    pub(crate) fn of(log: &Path, epoch: Epoch) -> Self {
        let outlines = std::iter::repeat_with(Mutex::default).take(OUTLINES_MAX).collect();
        Self { dir: log.join(epoch.to_string()), outlines }
    }

    /// Where a bundle is.
    pub(crate) fn path(&self, bundle: u64) -> PathBuf {
        self.dir.join(Tile::full_bundle(bundle).to_string())
    }

    /// Where the newest checkpoint is.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    /// Note how many bundles are in files. Nothing that is decided rests on it, so nobody waits until it is on disk.
    pub(crate) fn note_bundled(&self, bundles: u64) -> io::Result<()> {
        self.note(BUNDLED, bundles)
    }

    /// How many bundles are in files, as far as that was noted.
    pub(crate) fn noted(&self) -> Option<u64> {
        self.noted_in(BUNDLED)
    }

    /// Note of how many bundles the records of the decisions are in files.
    pub(crate) fn note_filed(&self, bundles: u64) -> io::Result<()> {
        self.note(FILED, bundles)
    }

    /// The same, as far as it was noted.
    pub(crate) fn noted_filed(&self) -> Option<u64> {
        self.noted_in(FILED)
    }

    fn note(&self, name: &str, bundles: u64) -> io::Result<()> {
        let beside = self.dir.join(format!("{name}.tmp"));
        let mut file = create_beside(&beside)?;
        writeln!(file, "{bundles}").and_then(|()| fs::rename(&beside, self.dir.join(name)))
    }

    fn noted_in(&self, name: &str) -> Option<u64> {
        let mut text = String::new();
        open_regular(&self.dir.join(name)).ok()?.take(NOTE_BYTES_MAX).read_to_string(&mut text).ok()?;
        text.trim_ascii_end().parse().ok()
    }

    /// The bytes of an entry, wherever it is.
    pub(crate) fn entry(&self, trees: &Trees, index: u64) -> Result<Option<Vec<u8>>, StorageError> {
        if let Some(bytes) = trees.entry(index)? {
            return Ok(Some(bytes));
        }
        let Some((bundle, root)) = self.bundle_of(trees, index)? else { return Ok(None) };
        let Some(outline) = self.known(bundle, root) else {
            return Ok(Some(self.read(bundle, root)?.entry(index).to_vec()));
        };
        Ok(Some(self.one(bundle, &outline, place(index))?))
    }

    /// A bundle of which entries are not in the engine, if there is one.
    pub(crate) fn whole(&self, trees: &Trees, bundle: u64) -> Result<Option<Whole>, StorageError> {
        match self.bundle_of(trees, bundle * BUNDLE_ENTRIES)? {
            Some((bundle, root)) => Ok(Some(self.read(bundle, root)?)),
            None => Ok(None),
        }
    }

    /// A perfect node of the log's tree, wherever it is.
    pub(crate) fn node(&self, trees: &Trees, id: NodeId) -> Result<Option<Hash>, StorageError> {
        if let Some(hash) = trees.node(id)? {
            return Ok(Some(hash));
        }
        if id.level >= ROOT_LEVEL {
            return Ok(None);
        }
        let first = id.index.checked_shl(id.level.into()).unwrap_or(u64::MAX);
        let Some((bundle, root)) = self.bundle_of(trees, first)? else { return Ok(None) };
        let outline = match self.known(bundle, root) {
            Some(outline) => outline,
            None => self.read(bundle, root)?.outline,
        };
        Ok(Some(outline.node(id.level, place(first))))
    }

    /// Read a bundle, and compare it with the root that the tree has over it.
    pub(crate) fn read(&self, bundle: u64, root: Hash) -> Result<Whole, BundledError> {
        let bytes = match read_bounded(&self.path(bundle)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.missing(bundle)),
            Err(error) => return Err(self.error(bundle, Problem::Io(error))),
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(self.altered(bundle, "it is longer than any bundle".to_owned())),
        };
        let Some(outline) = outline(&bytes).filter(|outline| outline.root == root) else {
            let found = verify_bundle(bundle, root, &bytes).err().map(|error| error.to_string());
            return Err(self.altered(bundle, found.unwrap_or_else(|| "nothing in it tells which entry".to_owned())));
        };
        let outline = Arc::new(outline);
        *self.slot(bundle).lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&outline));
        Ok(Whole { bytes, outline })
    }

    /// Read one entry of a bundle that was read before, and compare it with what it was then.
    fn one(&self, bundle: u64, outline: &Outline, place: usize) -> Result<Vec<u8>, BundledError> {
        let (begin, end) = outline.places[place];
        let mut bytes = vec![0; (end - begin) as usize];
        let read = open_regular(&self.path(bundle)).and_then(|file| file.read_exact_at(&mut bytes, begin.into()));
        match read {
            Ok(()) if leaf_hash(&bytes) == outline.leaves[place] => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(self.missing(bundle)),
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(self.error(bundle, Problem::Io(error))),
            // It was right before, so all of it is looked at once more, which names the first entry that is not.
            _ => match self.read(bundle, outline.root) {
                Ok(whole) => Ok(whole.entry(first_of(bundle) + place as u64).to_vec()),
                Err(error) => Err(error),
            },
        }
    }

    fn missing(&self, bundle: u64) -> BundledError {
        self.error(bundle, Problem::Missing { epoch: self.epoch(), bundle })
    }

    fn altered(&self, bundle: u64, found: String) -> BundledError {
        self.error(bundle, Problem::Altered { epoch: self.epoch(), found })
    }

    fn error(&self, bundle: u64, problem: Problem) -> BundledError {
        let name = format!("log/{}/{}", self.epoch(), Tile::full_bundle(bundle));
        BundledError { path: self.path(bundle), name, problem }
    }

    /// The epoch, whose directory this is.
    fn epoch(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The bundle in which an entry is that is not in the engine, and its root; none if it is in no file either.
    fn bundle_of(&self, trees: &Trees, index: u64) -> Result<Option<(u64, Hash)>, StorageError> {
        let bundle = index / BUNDLE_ENTRIES;
        let Some(last) = trees.record(last_of(bundle))? else { return Ok(None) };
        let Some(&root) = last.hashes.get(usize::from(ROOT_LEVEL)) else { return Ok(None) };
        // A bundle that was never put into a file has none. What is missing in it is missing in the engine.
        let is_bundled = last.bytes.is_empty() || self.path(bundle).try_exists()?;
        Ok(is_bundled.then_some((bundle, root)))
    }

    /// Whether a bundle was given away to a file that is not there.
    pub(crate) fn is_lost(&self, trees: &Trees, bundle: u64) -> Result<bool, StorageError> {
        let is_bare = trees.record(last_of(bundle))?.is_some_and(|last| last.bytes.is_empty());
        Ok(is_bare && !self.path(bundle).try_exists()?)
    }

    fn known(&self, bundle: u64, root: Hash) -> Option<Arc<Outline>> {
        let slot = self.slot(bundle).lock().unwrap_or_else(PoisonError::into_inner);
        // No two bundles have one root.
        slot.as_ref().filter(|outline| outline.root == root).cloned()
    }

    fn slot(&self, bundle: u64) -> &Mutex<Option<Arc<Outline>>> {
        // The rest of a division by their number is one of them.
        &self.outlines[usize::try_from(bundle % OUTLINES_MAX as u64).unwrap_or(0)]
    }
}

/// Reads entry after entry, wherever they are, and each file once.
pub(crate) struct InOrder<'a> {
    trees: &'a Trees,
    bundled: &'a Bundled,
    whole: Option<(u64, Whole)>,
}

impl<'a> InOrder<'a> {
    /// Whether the bundle of this entry was read from a file, and is what the tree says.
    pub(crate) fn has_read(&self, index: u64) -> bool {
        self.whole.as_ref().is_some_and(|(open, _)| *open == index / BUNDLE_ENTRIES)
    }

    pub(crate) const fn of(trees: &'a Trees, bundled: &'a Bundled) -> Self {
        Self { trees, bundled, whole: None }
    }

    /// Begin with a bundle. If entries of it are in its file alone and that is not right, it is said what is wrong, and
    /// which root the tree has over it.
    pub(crate) fn begin(&mut self, bundle: u64) -> Result<Option<(BundledError, Hash)>, StorageError> {
        let first = bundle * BUNDLE_ENTRIES;
        let Some((_, root)) = self.bundled.bundle_of(self.trees, first)? else { return Ok(None) };
        let mut all = true;
        for index in first..=last_of(bundle) {
            all = all && self.trees.entry(index)?.is_some();
        }
        if all {
            return Ok(None);
        }
        match self.bundled.read(bundle, root) {
            Ok(whole) => self.whole = Some((bundle, whole)),
            Err(error) => return Ok(Some((error, root))),
        }
        Ok(None)
    }

    /// The bytes of an entry.
    pub(crate) fn entry(&mut self, index: u64) -> Result<Option<Vec<u8>>, StorageError> {
        if let Some(bytes) = self.trees.entry(index)? {
            return Ok(Some(bytes));
        }
        let bundle = index / BUNDLE_ENTRIES;
        if let Some((open, whole)) = &self.whole
            && *open == bundle
        {
            return Ok(Some(whole.entry(index).to_vec()));
        }
        let Some(whole) = self.bundled.whole(self.trees, bundle)? else { return Ok(None) };
        let bytes = whole.entry(index).to_vec();
        self.whole = Some((bundle, whole));
        Ok(Some(bytes))
    }
}

/// The index of a bundle's first entry.
const fn first_of(bundle: u64) -> u64 {
    bundle * BUNDLE_ENTRIES
}

/// The index of a bundle's last entry.
pub(crate) const fn last_of(bundle: u64) -> u64 {
    bundle * BUNDLE_ENTRIES + (BUNDLE_ENTRIES - 1)
}

/// Where in its bundle an entry is.
fn place(index: u64) -> usize {
    // It is below 256.
    usize::try_from(index % BUNDLE_ENTRIES).unwrap_or(0)
}

/// The root over leaves, of which there are a power of two.
pub(crate) fn root_of(leaves: &[Hash]) -> Hash {
    let mut tree = TreeBuilder::new();
    for leaf in leaves {
        // A tree of at most 256 leaves is not full.
        let _ = tree.push(*leaf);
    }
    tree.root()
}

/// A file's bytes; none if it has more than any bundle.
fn read_bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(Tile::BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= Tile::BYTES_MAX).then_some(bytes))
}

/// Take a bundle apart; none if it is no full one.
fn outline(bytes: &[u8]) -> Option<Outline> {
    let (mut bundle, mut end) = (Bundle::new(bytes), 0);
    let (mut leaves, mut places) = (Vec::new(), Vec::new());
    for _ in 0..BUNDLE_ENTRIES {
        let entry = bundle.next_entry().ok()?;
        // A bundle has less than 2^32 bytes, see `Tile::BYTES_MAX`.
        let begin = end + 2;
        end = begin + u32::try_from(entry.len()).ok()?;
        leaves.push(leaf_hash(entry));
        places.push((begin, end));
    }
    bundle.end().ok()?;
    let halfway: Vec<Hash> = leaves.chunks(1 << HALFWAY_LEVEL).map(root_of).collect();
    Some(Outline { root: root_of(&halfway), leaves, halfway, places })
}

#[cfg(test)]
#[path = "bundled_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "held_tests.rs"]
mod held_tests;
