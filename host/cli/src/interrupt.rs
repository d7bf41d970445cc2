//! When somebody wants this program to end: `Ctrl-C` at the terminal, or whoever started it.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::failure::Failure;

/// Wait until somebody wants this to end, and give the name of the signal.
pub(crate) async fn interrupted() -> Result<&'static str, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::of(&error));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    })
}

/// Listens from when it is made until it goes, so that nothing that is wanted meanwhile is missed. All tools that were
/// started here end at once then, with whatever they have started.
pub(crate) struct Interruption {
    wanted: watch::Receiver<bool>,
    listening: JoinHandle<()>,
}

impl Interruption {
    pub(crate) fn listen() -> Self {
        let (say, wanted) = watch::channel(false);
        let listening = tokio::spawn(async move {
            if interrupted().await.is_ok() {
                // Whoever sees a tool end finds out why.
                say.send_replace(true);
                attorn_toolchain::process::interrupt();
            }
        });
        Self { wanted, listening }
    }

    /// Wait for it.
    pub(crate) async fn wanted(&mut self) {
        if self.wanted.wait_for(|wanted| *wanted).await.is_err() {
            // Nobody can say it any more.
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Do what starts tools.
    pub(crate) fn with_tools<T>(&self, work: impl FnOnce() -> T) -> Result<T, Failure> {
        let done = tokio::task::block_in_place(work);
        if self.is_wanted() { Err(Failure::new("interrupted")) } else { Ok(done) }
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
