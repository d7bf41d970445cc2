//! What compiling components leaves for compiling them again with other settings, in memory: for tools, which try one
//! component under many settings and end. A server has a cache on disk, which outlives it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use attorn_artifact::ArtifactName;

use super::Reuse;

/// Of how many components something is kept: one and another that it is compared with, each also with its
/// instructions counted.
const COMPONENTS_MAX: usize = 4;

/// What is left of the components that were compiled last. It changes no outcome, only how long loading takes.
#[derive(Default)]
pub struct Leftovers(Mutex<VecDeque<(ArtifactName, Arc<Reuse>)>>);

impl Leftovers {
    pub(super) fn get(&self, name: &ArtifactName) -> Option<Arc<Reuse>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(other, _)| other == name).map(|(_, reuse)| Arc::clone(reuse))
    }

    pub(super) fn put(&self, name: ArtifactName, reuse: Arc<Reuse>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, _)| *other != name);
        kept.truncate(COMPONENTS_MAX - 1);
        kept.push_front((name, reuse));
    }
}

impl fmt::Debug for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leftovers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_components_that_were_compiled_last_are_kept() {
        let name = |n: usize| ArtifactName::of("test", &[&n.to_le_bytes()]);
        let leftovers = Leftovers::default();
        for n in 0..=COMPONENTS_MAX {
            // The first one is compiled again and again, and so stays.
            for n in [0, n] {
                leftovers.put(name(n), Arc::new(Reuse { instrumented: None, plain: None, functions: vec![0; n] }));
            }
        }
        let kept = |n| leftovers.get(&name(n)).map(|reuse| reuse.functions.len());
        assert_eq!((0..=COMPONENTS_MAX).map(kept).collect::<Vec<_>>(), [Some(0), None, Some(2), Some(3), Some(4)]);
    }
}
