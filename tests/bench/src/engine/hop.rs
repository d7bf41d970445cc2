//! Bare wasmtime on a thread of its own, and the way there and back: what no evaluation can do without
//! that may not hold up the thread that asks. Waking a thread takes the host longer than most policies
//! run.

use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::floor::Floor;
use crate::policy;

/// A thread, and who may ask it.
pub(super) struct Hop(mpsc::Sender<oneshot::Sender<()>>);

impl Hop {
    /// On the other thread, it evaluates.
    pub(super) fn to(floor: Floor) -> Self {
        let context = policy::context();
        Self::doing(move || floor.evaluate(&context))
    }

    /// On the other thread, nothing is done.
    pub(super) fn empty() -> Self {
        Self::doing(|| ())
    }

    fn doing(work: impl Fn() + Send + 'static) -> Self {
        let (asks, asked) = mpsc::channel::<oneshot::Sender<()>>();
        // It ends when nobody can ask it any more.
        thread::spawn(move || {
            for answer in asked {
                work();
                answer.send(()).unwrap();
            }
        });
        Self(asks)
    }

    pub(super) async fn there_and_back(&self) {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).unwrap();
        answered.await.unwrap();
    }
}
