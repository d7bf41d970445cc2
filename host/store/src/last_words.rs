//! What a store leaves behind when it fails: that its engine is not to be relied on.
//!
//! Where a write or a sync failed, the kernel may call clean what never came to disk. The next start would sync the
//! engine's file, hear of no error, and take for durable what is lost with the next stop of the machine. So the store
//! says in `store.boot` that it failed, and its engine is made anew as after a stop of the machine.
//!
//! It is said by a thread of its own, for the disk may hang, and the store has failed whether this can be said or not.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use crate::boot::Boot;
use crate::places::{Lock, Places};

pub(crate) struct LastWords {
    boot: Boot,
    places: Places,
    /// A directory that somebody else may use is none of ours any more.
    lock: Weak<Lock>,
    saying: Mutex<Option<JoinHandle<()>>>,
}

impl LastWords {
    pub(crate) fn of(boot: Boot, places: Places, lock: &Arc<Lock>) -> Self {
        Self { boot, places, lock: Arc::downgrade(lock), saying: Mutex::default() }
    }

    /// Begin to say it.
    pub(crate) fn say(&self) {
        let Some(lock) = self.lock.upgrade() else { return };
        let (boot, places) = (self.boot.clone(), self.places.clone());
        let say = move || {
            boot.say_failed(&places);
            drop(lock);
        };
        let saying = thread::Builder::new().name("store-failed".to_owned()).spawn(say);
        *self.saying.lock().unwrap_or_else(PoisonError::into_inner) = saying.ok();
    }

    /// Wait until it is said, if it has to be.
    pub(crate) fn wait(&self) {
        let saying = self.saying.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(saying) = saying {
            // It has nothing that panics.
            let _ = saying.join();
        }
    }
}
