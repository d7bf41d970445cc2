//! How a store ends: its threads, then the engine, then the lock on the directory.
//!
//! Whoever drops a store waits for that, and no longer than for a thread that hangs: such a thread is left behind
//! with all that it uses, and the directory stays locked until the process ends.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::boot::Boot;
use crate::horizon::Watch;
use crate::last_words::LastWords;
use crate::places::{Lock, Places, sync_files};
use crate::steps::{Step, Steps as _};
use crate::trees::Trees;
use crate::watchdog::Watchdog;

/// The last part of a store: it ends the others when it is dropped, and they have to be told to before.
pub(crate) struct Ending {
    /// Of writer and follower, which end when nobody can commit any more.
    pub(crate) vital: Vec<JoinHandle<()>>,
    /// Of copier and bundler, which end then, too, and whose steps may take their time.
    pub(crate) others: Vec<JoinHandle<()>>,
    pub(crate) watchdog: Arc<Watchdog>,
    pub(crate) last: Option<Last>,
}

/// What goes when all threads have ended.
pub(crate) struct Last {
    /// The engine goes when the last of these has gone.
    pub(crate) trees: Trees,
    pub(crate) closing: Closing,
    /// Each thread has one, too.
    pub(crate) lock: Arc<Lock>,
}

/// Who says that the store is closed.
pub(crate) struct Closing {
    pub(crate) boot: Boot,
    pub(crate) places: Places,
    pub(crate) horizon: Watch,
    pub(crate) last_words: Arc<LastWords>,
}

impl Closing {
    /// Say so, if all went well. Else it was said that the store failed.
    fn say(&self) {
        if self.horizon.failure().is_some() {
            self.last_words.wait();
            return;
        }
        if let Err(error) = sync_files(&self.places.engine).and_then(|()| self.boot.say_closed(&self.places)) {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot say that the store is closed");
        }
    }
}

/// What has ended.
enum Ended {
    Vital,
    All,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let (vital, others) = (std::mem::take(&mut self.vital), std::mem::take(&mut self.others));
        let last = self.last.take();
        let (tell, ended) = mpsc::channel();
        // Closing the engine may hang as well.
        let end = move || {
            for thread in vital {
                // One that panicked has failed the store and said so.
                let _ = thread.join();
            }
            // Nobody listens who has given up.
            let _ = tell.send(Ended::Vital);
            for thread in others {
                let _ = thread.join();
            }
            if let Some(Last { trees, closing, lock }) = last {
                drop(trees);
                closing.say();
                drop(lock);
            }
            let _ = tell.send(Ended::All);
        };
        if thread::Builder::new().name("store-end".to_owned()).spawn(end).is_ok() {
            self.wait(&ended);
        }
        self.watchdog.end();
    }
}

impl Ending {
    /// The lock on the directory, for whoever keeps it beyond the end.
    pub(crate) fn lock(&self) -> Option<Arc<Lock>> {
        self.last.as_ref().map(|last| Arc::clone(&last.lock))
    }

    /// All threads that have to end.
    #[cfg(test)]
    pub(crate) fn threads(&self) -> impl Iterator<Item = &JoinHandle<()>> {
        self.vital.iter().chain(&self.others)
    }

    /// Wait until a store that failed has said so.
    #[cfg(test)]
    pub(crate) fn wait_for_last_words(&self) {
        if let Some(last) = &self.last {
            last.closing.last_words.wait();
        }
    }

    fn wait(&self, ended: &mpsc::Receiver<Ended>) {
        loop {
            match ended.recv_timeout(Duration::from_millis(10)) {
                Ok(_) => break,
                Err(RecvTimeoutError::Disconnected) => return,
                // The watchdog has said which step it is.
                Err(RecvTimeoutError::Timeout) if self.watchdog.is_stalled() => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(self.watchdog.limit(Step::Page)) {
            tracing::error!("the store does not end, and is left as it is until the process ends");
        }
    }
}
