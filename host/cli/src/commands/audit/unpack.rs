//! An epoch that came as one file, written as a directory as it would be published.
//!
//! It is verified while that is done, entry by entry, and what does not verify is not all written. The checkpoints that
//! were signed before its last are not in such a file, so the history in the directory is empty.

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Write as _};
use std::path::Path;

use attorn_log::segments::{Span, segment_name};
use attorn_log::tiles::{TILE_WIDTH, add_to_bundle, hash_tile};
use attorn_log::{CheckpointVerifier, ExportReader, Gap, Hash, NodeId, Origin, Tile, TileKind, Verifier};

use super::directory::{LINES, new_file, write, write_lines};
use crate::failure::Failure;

/// Write this epoch in an export as a directory of its own; how many entries it has. Files for what is only signed are
/// made when the entries are there.
pub(super) fn unpack(export: impl BufRead, root: &Path, asked: &Origin) -> Result<u64, Failure> {
    let mut export = ExportReader::open(export).map_err(|error| Failure::verification(&error))?;
    let key: CheckpointVerifier = export.key().parse().map_err(|error| Failure::verification(&error))?;
    let signed = key.verify(export.note().as_bytes()).map_err(|error| Failure::verification(&error))?;
    let (size, found) = (signed.checkpoint().size, &signed.checkpoint().origin);
    if found != asked {
        let message = format!("the export is of `{found}`, and `{asked}` was asked for");
        return Err(Failure::unverified(message));
    }
    if let Some(gap) = export.gaps().first().map(Gap::entries) {
        let message = format!(
            "the entries {} to {} and perhaps others were bad when the epoch ended: a directory has no place for what is \
             not there",
            gap.start,
            gap.end - 1
        );
        return Err(
            Failure::new(message).with_help("`--out FILE` writes the epoch as one file, which says what it lacks")
        );
    }
    write(&root.join("key"), format!("{key}\n").as_bytes())?;
    write(&root.join("checkpoint"), signed.note().as_bytes())?;
    let lines_at = root.join(LINES);
    let mut unpacked = Unpacked { root, levels: Vec::new(), lines: BufWriter::new(new_file(&lines_at)?) };
    let (mut verifier, mut bytes, mut bundle) = (Verifier::new(&signed), Vec::new(), Vec::new());
    let mut tiles = Tile::of_kind(TileKind::Entries, size).peekable();
    let unread = |error: io::Error| Failure::new(format!("the export cannot be read: {error}"));
    while export.next_entry(&mut bytes).map_err(unread)? {
        verifier = verifier.push(&bytes).map_err(|error| Failure::verification(&error))?;
        unpacked.hashes(verifier.new_nodes())?;
        add_to_bundle(&mut bundle, &bytes);
        if let Some(tile) = tiles.next_if(|tile| tile.begin() + u64::from(tile.width()) == verifier.index()) {
            write(&root.join(tile.to_string()), &bundle)?;
            write_lines(&mut unpacked.lines, tile, &bundle)
                .map_err(|error| Failure::file("write", &lines_at, &error))?;
            bundle.clear();
        }
    }
    verifier.finish().map_err(|error| Failure::verification(&error))?;
    for segment in 0..=Span::USUAL.segment_of(size) {
        write(&root.join(segment_name(segment)), &[])?;
    }
    unpacked.end().map(|()| size)
}

/// A directory that is written from an export.
struct Unpacked<'a> {
    root: &'a Path,
    /// For each level of tiles, how many are written and the hashes of the next.
    levels: Vec<(u64, Vec<Hash>)>,
    lines: BufWriter<File>,
}

impl Unpacked<'_> {
    /// Take what became perfect in the tree.
    fn hashes(&mut self, new: &[(NodeId, Hash)]) -> Result<(), Failure> {
        for (id, hash) in new.iter().filter(|(id, _)| id.level % 8 == 0) {
            let level = usize::from(id.level / 8);
            if self.levels.len() <= level {
                self.levels.resize(level + 1, (0, Vec::new()));
            }
            let (written, hashes) = &mut self.levels[level];
            hashes.push(*hash);
            if hashes.len() == usize::from(TILE_WIDTH) {
                write(&self.root.join(format!("tile/{level}/{}", full(*written))), &hash_tile(hashes))?;
                *written += 1;
                hashes.clear();
            }
        }
        Ok(())
    }

    /// Write the tiles that are not full.
    fn end(mut self) -> Result<(), Failure> {
        for (level, (written, hashes)) in self.levels.iter().enumerate().filter(|(_, (_, hashes))| !hashes.is_empty()) {
            let name = format!("tile/{level}/{}.p/{}", full(*written), hashes.len());
            write(&self.root.join(name), &hash_tile(hashes))?;
        }
        let written = self.lines.flush().and_then(|()| self.lines.get_ref().sync_all());
        written.map_err(|error| Failure::file("write", &self.root.join(LINES), &error))
    }
}

/// How the index of a tile is written.
fn full(index: u64) -> String {
    let tile = Tile::full_bundle(index).to_string();
    tile.strip_prefix("tile/entries/").unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use attorn_log::{
        CheckpointSigner, Checks, Entry, EntryBody, EntryRef, Link, TreeBuilder, export_header, verify_published,
    };
    use serde_json::json;

    use super::super::directory::{Directory, Form};
    use super::*;
    use crate::exit::Exit;

    fn asked() -> Origin {
        "attorn/main/1".parse().unwrap()
    }

    fn export(size: u64) -> Vec<u8> {
        let signer = CheckpointSigner::new("attorn/main/1".parse().unwrap(), &[7; 32]);
        let (mut entries, mut previous, mut tree) = (Vec::new(), Link::NONE, TreeBuilder::new());
        for index in 0..size {
            let at = format!("main/1/{index}").parse::<EntryRef>().unwrap();
            let entry = Entry { at, previous, body: EntryBody::of_value(&json!({ "n": index })).unwrap() };
            previous = entry.link();
            tree.push(entry.leaf_hash()).unwrap();
            entries.extend(entry.to_bytes());
        }
        [export_header(&signer.verifier(), &signer.sign(size, tree.root())).into_bytes(), entries].concat()
    }

    #[test]
    fn what_is_unpacked_verifies_alone() {
        for size in [0, 1, 255, 256, 257, 700, 65_536 + 300] {
            let home = tempfile::tempdir().unwrap();
            assert_eq!(unpack(export(size).as_slice(), home.path(), &asked()).unwrap(), size);
            let files = Directory::new(home.path().to_owned(), Form::Exported);
            let verified = verify_published(&files, &Checks::default(), NonZeroU64::MAX, |_| {}).unwrap();
            assert_eq!(verified.entries, size);
        }
    }

    #[test]
    fn what_is_signed_and_not_there_makes_no_files() {
        let signer = CheckpointSigner::new(asked(), &[7; 32]);
        let endless = signer.sign(1 << 50, Hash([1; 32]));
        let header = export_header(&signer.verifier(), &endless).into_bytes();
        let home = tempfile::tempdir().unwrap();
        let failure = unpack(header.as_slice(), home.path(), &asked()).unwrap_err();
        assert_eq!(failure.exit, Exit::VerificationFailed, "{failure}");
        assert!(!home.path().join("checkpoints").exists());
        assert!(std::fs::read_dir(home.path()).unwrap().count() <= 3);
    }

    #[test]
    fn another_epoch_or_log_than_was_asked_for_is_refused() {
        for other in ["attorn/main/2", "attorn/other/1"] {
            let home = tempfile::tempdir().unwrap();
            let failure = unpack(export(3).as_slice(), home.path(), &other.parse().unwrap()).unwrap_err();
            assert_eq!(failure.exit, Exit::VerificationFailed);
            assert_eq!(failure.message, format!("the export is of `attorn/main/1`, and `{other}` was asked for"));
            assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_does_not_verify_is_refused() {
        let whole = export(300);
        let at = whole.windows(8).position(|some| some == b"{\"n\":12}").unwrap();
        let mut altered = whole.clone();
        altered[at + 6] ^= 1;
        for (bytes, message) in [
            (&altered[..], "entry 12 was changed"),
            (&whole[..whole.len() - 1], "the export cannot be read: the export ends within an entry"),
            (&b"x"[..], "this is no export of an audit log"),
        ] {
            let home = tempfile::tempdir().unwrap();
            let failure = unpack(bytes, home.path(), &asked()).unwrap_err();
            assert!(failure.message.starts_with(message), "{failure}");
            let expect = if message.starts_with("the export cannot") { Exit::Error } else { Exit::VerificationFailed };
            assert_eq!(failure.exit, expect);
        }
    }
}
