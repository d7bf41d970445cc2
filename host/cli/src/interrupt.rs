//! When somebody wants this program to end: `Ctrl-C` at the terminal, or whoever started it.

use tokio::signal::unix::{SignalKind, signal};

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

/// Do what starts tools, of which nothing is left behind if somebody wants this to end meanwhile.
pub(crate) async fn with_tools<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    let listening = tokio::spawn(async {
        if interrupted().await.is_ok() {
            attorn_toolchain::process::interrupt();
        }
    });
    let done = tokio::task::block_in_place(work);
    listening.abort();
    if attorn_toolchain::process::is_interrupted() {
        return Err(Failure::new("interrupted"));
    }
    Ok(done)
}
