//! Whether an engine that is about to be replaced has more than what replaces it.
//!
//! What it lacks shows nowhere, so it is asked for nothing but how far it comes, and is believed where its imprint says that
//! the state is ours.

use crate::caught::caught;
use crate::imprint;
use crate::open::head_of;
use crate::ours::Ours;
use crate::places::Places;
use crate::trees::Trees;

/// The last batch that the engine has, if it is ours and that is after this one. One that cannot be read has none.
pub(super) fn engine_beyond(places: &Places, ours: &Ours, version: u64) -> Option<u64> {
    let look = || {
        if !places.engine.try_exists().ok()? {
            return None;
        }
        let trees = Trees::open(&places.engine).ok()?;
        let (name, head) = head_of(&trees).ok()?;
        let is_beyond = name.id == ours.log && head.version > version;
        // Only then is all of it read.
        (is_beyond && imprint::check(&ours.key, &trees, &name, &head).is_ok()).then_some(head.version)
    };
    // The engine panics where it finds its files corrupt.
    caught(look).unwrap_or_default()
}
