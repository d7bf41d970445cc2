//! Parts of bytes that come from ourselves: between a worker and its parent, or out of the cache.

use crate::artifact::Artifact;

/// Parts of bytes. What they mean is their reader's; that they come from us is known.
#[derive(Debug)]
pub struct Parts(Vec<Vec<u8>>);

impl Parts {
    /// Whoever calls this vouches for where they come from: see [`Artifact`].
    pub(crate) const fn trusted(parts: Vec<Vec<u8>>) -> Self {
        Self(parts)
    }

    /// One of them.
    #[must_use]
    pub fn part(&self, at: usize) -> Option<&[u8]> {
        self.0.get(at).map(Vec::as_slice)
    }

    /// One of them that is machine code.
    #[must_use]
    pub fn artifact(&self, at: usize) -> Option<Artifact> {
        self.0.get(at).cloned().map(Artifact::trusted)
    }
}
