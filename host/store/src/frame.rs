//! Frames: pieces of a file that carry their own checksums.
//!
//! ```text
//! file    magic (16) ‖ store (16) ‖ version (8) ‖ check (24), and then frames
//! frame   magic (4) ‖ length (4) ‖ from (8) ‖ to (8) ‖ check of the content (24) ‖ check of these (16),
//!         and then the content, filled up with zeros to a multiple of 64
//! ```
//!
//! Every check is keyed by the file's header and covers the place of its frame, so that a frame of another
//! file or from elsewhere in this one never passes. All bytes are covered by some check. The checks find
//! accidents; somebody who may write the file can make new ones.

use std::io::Read as _;
use std::path::Path;

use crate::files::open_regular;

/// Frames begin at multiples of this, so that one can be looked for where others are broken.
pub(crate) const ALIGN: usize = 64;
/// The bytes of a file's header and of a frame's.
pub(crate) const HEADER_BYTES: usize = 64;
/// The longest content of a frame. No group comes near it.
pub(crate) const CONTENT_BYTES_MAX: usize = 1 << 30;

const MAGIC: &[u8; 4] = b"atfr";
const FILE_CHECK: &str = "attorn store file header v1";
const FRAME_KEY: &str = "attorn store frame v1";

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A segment of the journal. Its version is the one that its first frame begins with.
    Journal,
    /// A base copy. Its version is the one that was reached when it was begun.
    Base,
}

impl FileKind {
    const fn magic(self) -> &'static [u8; 16] {
        match self {
            Self::Journal => b"attorn-journal-1",
            Self::Base => b"attorn-basecopy1",
        }
    }
}

/// Which store a file belongs to: drawn when the store is made. Files of two stores never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreId(pub(crate) [u8; 16]);

/// How a file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) kind: FileKind,
    pub(crate) store: StoreId,
    pub(crate) version: u64,
}

impl FileHeader {
    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..16].copy_from_slice(self.kind.magic());
        bytes[16..32].copy_from_slice(&self.store.0);
        bytes[32..40].copy_from_slice(&self.version.to_be_bytes());
        let check = blake3::derive_key(FILE_CHECK, &bytes[..40]);
        bytes[40..].copy_from_slice(&check[..24]);
        bytes
    }

    /// None if these bytes begin no file of this kind.
    pub(crate) fn parse(kind: FileKind, bytes: &[u8]) -> Option<Self> {
        let store = bytes.get(16..32)?.try_into().ok()?;
        let version = u64::from_be_bytes(bytes.get(32..40)?.try_into().ok()?);
        let header = Self { kind, store: StoreId(store), version };
        (bytes.get(..HEADER_BYTES)? == header.to_bytes()).then_some(header)
    }

    /// How a file of this kind says that it begins; none if it cannot be read, or is no such file.
    pub(crate) fn of_file(kind: FileKind, path: &Path) -> Option<Self> {
        let mut bytes = [0; HEADER_BYTES];
        open_regular(path).and_then(|mut file| file.read_exact(&mut bytes)).ok()?;
        Self::parse(kind, &bytes)
    }

    pub(crate) fn frame_key(self) -> FrameKey {
        FrameKey(blake3::derive_key(FRAME_KEY, &self.to_bytes()))
    }
}

/// How a frame begins, when its check is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) from: u64,
    pub(crate) to: u64,
    length: u32,
    content_check: [u8; 24],
}

impl FrameHeader {
    /// How many bytes of content there are.
    pub(crate) const fn content_bytes(&self) -> usize {
        self.length as usize
    }

    /// How many bytes follow the header.
    pub(crate) const fn body_bytes(&self) -> usize {
        self.content_bytes().next_multiple_of(ALIGN)
    }
}

/// How many bytes a frame takes with this much content.
pub(crate) const fn frame_bytes(content_bytes: usize) -> usize {
    HEADER_BYTES + content_bytes.next_multiple_of(ALIGN)
}

/// What the checks of one file's frames are keyed with.
#[derive(Clone)]
pub(crate) struct FrameKey([u8; 32]);

impl FrameKey {
    /// Write a frame that will stand at this place of its file. None if the content is too long.
    pub(crate) fn frame(&self, at: u64, from: u64, to: u64, content: &[u8]) -> Option<Vec<u8>> {
        let length = u32::try_from(content.len()).ok().filter(|_| content.len() <= CONTENT_BYTES_MAX)?;
        let mut frame = Vec::with_capacity(frame_bytes(content.len()));
        frame.extend_from_slice(MAGIC);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&from.to_be_bytes());
        frame.extend_from_slice(&to.to_be_bytes());
        frame.resize(HEADER_BYTES, 0);
        frame.extend_from_slice(content);
        frame.resize(frame_bytes(content.len()), 0);
        let content_check = self.check(at, &frame[HEADER_BYTES..]);
        frame[24..48].copy_from_slice(&content_check[..24]);
        let header_check = self.check(at, &frame[..48]);
        frame[48..HEADER_BYTES].copy_from_slice(&header_check[..16]);
        Some(frame)
    }

    /// Read the header of a frame at this place; none if there is no such header.
    pub(crate) fn header(&self, at: u64, bytes: &[u8]) -> Option<FrameHeader> {
        let bytes: &[u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES)?.try_into().ok()?;
        if !bytes.starts_with(MAGIC) || self.check(at, &bytes[..48])[..16] != bytes[48..] {
            return None;
        }
        let number = |range: std::ops::Range<usize>| bytes[range].try_into().map(u64::from_be_bytes).ok();
        let length = u32::from_be_bytes(bytes[4..8].try_into().ok()?);
        let content_check = bytes[24..48].try_into().ok()?;
        let header = FrameHeader { from: number(8..16)?, to: number(16..24)?, length, content_check };
        (header.content_bytes() <= CONTENT_BYTES_MAX).then_some(header)
    }

    /// The content of a frame out of the bytes behind its header; none if they are not what was written.
    pub(crate) fn content<'a>(&self, at: u64, header: &FrameHeader, body: &'a [u8]) -> Option<&'a [u8]> {
        let body = body.get(..header.body_bytes())?;
        let whole = self.check(at, body)[..24] == header.content_check;
        whole.then(|| &body[..header.content_bytes()])
    }

    fn check(&self, at: u64, bytes: &[u8]) -> [u8; 32] {
        *blake3::Hasher::new_keyed(&self.0).update(&at.to_be_bytes()).update(bytes).finalize().as_bytes()
    }
}
