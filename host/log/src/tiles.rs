//! The files that a log is published as (`c2sp.org/tlog-tiles`): hashes of the tree and the entries, 256 at
//! a time.
//!
//! ```text
//! tile/<level>/<index>[.p/<width>]      hashes: those of level 8·<level> of the tree
//! tile/entries/<index>[.p/<width>]      entries, each with its length before it (two bytes, big-endian)
//! ```
//!
//! An index is written in groups of three digits, all but the last with an `x` before them: 1234067 is
//! `x001/x234/067`. A tile without a width is full, and never changes.

use std::fmt;
use std::str::FromStr;

use crate::entry::Entry;
use crate::reference::decimal;
use crate::tree::{Hash, NodeId};

/// How many hashes or entries a full tile has.
pub const TILE_WIDTH: u16 = 256;

/// How many levels of the tree one level of tiles stands for: 2^8 is 256.
const LEVELS_PER_TILE: u8 = 8;

/// On how many levels there can be anything: a tree has fewer than 2^64 leaves.
const TILE_LEVELS: u8 = 8;

/// The highest level that the standard knows.
const LEVEL_MAX: u8 = 63;

/// What is in a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes of this level of tiles.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// One tile: its place, and how much is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    /// 1 to 256.
    width: u16,
}

/// Why a text is no path of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no path of a tile: `tile/<level or entries>/<index, in groups of three digits>[.p/<width, 1 to 255>]`")]
pub struct TilePathError;

/// Why bytes are no bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It ends within an entry or its length.
    #[error("it ends within an entry")]
    Cut,
    /// It goes on after its last entry.
    #[error("it goes on after its last entry")]
    Surplus,
}

impl Tile {
    /// The longest tile, in bytes: a full bundle of the longest entries.
    pub const BYTES_MAX: usize = TILE_WIDTH as usize * (2 + Entry::BYTES_MAX);

    /// What is in it.
    #[must_use]
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// How many hashes or entries it has: 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// The tile of this index, with this much in it.
    pub(crate) fn at(kind: TileKind, index: u64, width: u16) -> Self {
        Self { kind, index, width: width.clamp(1, TILE_WIDTH) }
    }

    /// A full bundle of entries.
    #[must_use]
    pub const fn full_bundle(index: u64) -> Self {
        Self { kind: TileKind::Entries, index, width: TILE_WIDTH }
    }

    /// Which of its kind it is, from 0.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Whether nothing will ever be added to it.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The first hash or entry of it, counted over the whole level.
    #[must_use]
    pub const fn begin(&self) -> u64 {
        // No tile is made whose last element would be beyond 2^64.
        self.index * TILE_WIDTH as u64
    }

    /// Whether all that is in it is in a tree of this size.
    #[must_use]
    pub fn is_in(&self, size: u64) -> bool {
        self.begin().checked_add(u64::from(self.width)).is_some_and(|end| end <= elements(self.kind, size))
    }

    /// The nodes of the tree whose hashes it has; none for entries.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        let level = match self.kind {
            TileKind::Hashes(level) => level.checked_mul(LEVELS_PER_TILE),
            TileKind::Entries => None,
        };
        let (begin, width) = (self.begin(), u64::from(self.width));
        level.into_iter().flat_map(move |level| (0..width).map(move |at| NodeId { level, index: begin + at }))
    }

    /// Read a path from after `tile/<level>/` or `tile/entries/` on.
    pub fn of(kind: TileKind, rest: &str) -> Result<Self, TilePathError> {
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, decimal(width).filter(|width| (1..256).contains(width))),
            None => (rest, Some(u64::from(TILE_WIDTH))),
        };
        let width = width.and_then(|width| u16::try_from(width).ok()).ok_or(TilePathError)?;
        let index = parse_index(index).filter(|index| *index < u64::MAX / u64::from(TILE_WIDTH));
        Ok(Self { kind, index: index.ok_or(TilePathError)?, width })
    }

    /// All tiles of a tree of this size: the entries first, then each level, in the order of their index.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        let levels = (0..TILE_LEVELS).map(TileKind::Hashes);
        std::iter::once(TileKind::Entries).chain(levels).flat_map(move |kind| Self::of_kind(kind, size))
    }

    /// All tiles of one kind of a tree of this size.
    pub fn of_kind(kind: TileKind, size: u64) -> impl Iterator<Item = Self> {
        let count = elements(kind, size);
        let (full, rest) = (count / u64::from(TILE_WIDTH), count % u64::from(TILE_WIDTH));
        let tiles = (0..full).map(move |index| Self { kind, index, width: TILE_WIDTH });
        // The rest is below 256.
        let last = u16::try_from(rest).ok().filter(|width| *width > 0);
        tiles.chain(last.map(|width| Self { kind, index: full, width }))
    }
}

/// How many hashes of a level of tiles, or entries, a tree of this size has.
const fn elements(kind: TileKind, size: u64) -> u64 {
    match kind {
        TileKind::Entries => size,
        TileKind::Hashes(level) if level < TILE_LEVELS => size >> (level * LEVELS_PER_TILE),
        TileKind::Hashes(_) => 0,
    }
}

fn parse_index(text: &str) -> Option<u64> {
    let mut index: u64 = 0;
    let mut groups = text.split('/').peekable();
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
    }
    // One spelling only: no group of zeros in front.
    (index_text(index) == text).then_some(index)
}

fn index_text(index: u64) -> String {
    let mut text = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1_000);
        rest /= 1_000;
    }
    text
}

impl fmt::Display for Tile {
    /// The path that it is published under.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        f.write_str(&index_text(self.index))?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(text: &str) -> Result<Self, TilePathError> {
        let (kind, rest) = text.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(TilePathError)?;
        Self::of(kind.parse()?, rest)
    }
}

impl FromStr for TileKind {
    type Err = TilePathError;

    /// A level, or `entries`.
    fn from_str(text: &str) -> Result<Self, TilePathError> {
        if text == "entries" {
            return Ok(Self::Entries);
        }
        let level = decimal(text).and_then(|level| u8::try_from(level).ok()).filter(|level| *level <= LEVEL_MAX);
        level.map(Self::Hashes).ok_or(TilePathError)
    }
}

/// The bytes of a tile of hashes.
#[must_use]
pub fn hash_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Add an entry to a bundle.
pub fn add_to_bundle(bundle: &mut Vec<u8>, entry: &[u8]) {
    // An entry has at most 65,535 bytes: see `Entry::BYTES_MAX`.
    let len = u16::try_from(entry.len()).unwrap_or(u16::MAX);
    bundle.extend(len.to_be_bytes());
    bundle.extend(&entry[..usize::from(len)]);
}

/// A bundle being taken apart.
#[derive(Debug, Clone, Copy)]
pub struct Bundle<'a>(&'a [u8]);

impl<'a> Bundle<'a> {
    /// Begin with its first entry.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next entry's bytes.
    pub fn next_entry(&mut self) -> Result<&'a [u8], BundleError> {
        let (len, rest) = self.0.split_first_chunk().ok_or(BundleError::Cut)?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or(BundleError::Cut)?;
        self.0 = rest;
        Ok(entry)
    }

    /// Nothing may follow.
    pub const fn end(self) -> Result<(), BundleError> {
        if self.0.is_empty() { Ok(()) } else { Err(BundleError::Surplus) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_the_standard_writes_them() {
        for (path, kind, begin, width) in [
            ("tile/0/000", TileKind::Hashes(0), 0, 256),
            ("tile/0/000.p/1", TileKind::Hashes(0), 0, 1),
            ("tile/1/x001/234.p/255", TileKind::Hashes(1), 1_234 * 256, 255),
            ("tile/63/x001/x234/067", TileKind::Hashes(63), 1_234_067 * 256, 256),
            ("tile/entries/999", TileKind::Entries, 999 * 256, 256),
            ("tile/entries/x001/000.p/20", TileKind::Entries, 256_000, 20),
        ] {
            let tile: Tile = path.parse().unwrap();
            assert_eq!((tile.kind(), tile.begin(), tile.width()), (kind, begin, width), "{path}");
            assert_eq!(tile.to_string(), path);
        }
    }

    #[test]
    fn every_other_path_is_refused() {
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile//000",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/1000",
            "tile/0/x000/001",
            "tile/0/x000",
            "tile/0/000/001",
            "tile/0/001/000",
            "tile/0/x01/000",
            "tile/0/X001/000",
            "tile/0/x001/00a",
            "tile/0/+01",
            "tile/0/-01",
            "tile/0/\u{661}\u{661}\u{661}",
            "tile/00/000",
            "tile/+1/000",
            "tile/64/000",
            "tile/256/000",
            "tile/-1/000",
            "tile/data/000",
            "tile/Entries/000",
            "tile/0/000.p",
            "tile/0/000.p/",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/+1",
            "tile/0/000.p/1/",
            "tile/0/000.p/1.p/1",
            "/tile/0/000",
            "tile/0/000 ",
            "tile/0/../000",
            "tile/0/x018/x446/x744/x073/x709/x551/615",
            "tile/0/x072/x057/x594/x037/x927/935",
            "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
        ] {
            assert_eq!(path.parse::<Tile>(), Err(TilePathError), "{path}");
        }
        assert!("tile/0/x072/x057/x594/x037/x927/934".parse::<Tile>().is_ok());
    }

    #[test]
    fn a_tree_has_the_tiles_that_its_size_gives() {
        let all = |size| Tile::all(size).map(|tile| tile.to_string()).collect::<Vec<_>>();
        assert_eq!(all(0), [""; 0]);
        assert_eq!(all(1), ["tile/entries/000.p/1", "tile/0/000.p/1"]);
        assert_eq!(all(256), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        // The example of the standard.
        let tiles = all(70_000);
        for path in ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"] {
            assert!(tiles.iter().any(|tile| tile == path), "{path}");
        }
        assert_eq!(tiles.len(), 274 + 274 + 2 + 1);
        for size in [1, 255, 256, 257, 65_536, 70_000] {
            assert!(Tile::all(size).all(|tile| tile.is_in(size)), "{size}");
            assert!(Tile::all(size).any(|tile| !tile.is_in(size - 1)), "{size}");
        }
        for level in [8, 31, 63] {
            assert!(!Tile::of(TileKind::Hashes(level), "000.p/1").unwrap().is_in(u64::MAX), "{level}");
        }
        assert_eq!("tile/0/x072/x057/x594/x037/x927/934".parse::<Tile>().unwrap().nodes().count(), 256);
        assert_eq!("tile/63/000".parse::<Tile>().unwrap().nodes().count(), 0);
    }

    #[test]
    fn a_bundle_is_taken_apart_as_it_was_put_together() {
        let mut bytes = Vec::new();
        let longest = vec![b'x'; 65_535];
        let entries: [&[u8]; 3] = [b"", b"a", &longest];
        for entry in entries {
            add_to_bundle(&mut bytes, entry);
        }
        assert_eq!(bytes[..5], [0, 0, 0, 1, b'a']);
        let mut bundle = Bundle::new(&bytes);
        for entry in entries {
            assert_eq!(bundle.end(), Err(BundleError::Surplus));
            assert_eq!(bundle.next_entry(), Ok(entry));
        }
        assert_eq!((bundle.next_entry(), bundle.end()), (Err(BundleError::Cut), Ok(())));
        for cut in [1, 3, 4, 6, bytes.len() - 1] {
            let mut bundle = Bundle::new(&bytes[..cut]);
            assert!((0..3).any(|_| bundle.next_entry() == Err(BundleError::Cut)), "{cut}");
        }
    }
}
