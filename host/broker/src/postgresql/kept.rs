//! Two connections that are kept for ending logins and for nothing else, once there was one to end: those who hold the
//! logins may take all others that the database has room for, and all its locks.
//!
//! They belong to a database and not to how it is registered: a target that is suspended or retired, or has another
//! password, goes on with those that there are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use super::connect::{Connection, Connector};
use super::errors::within;
use super::guard::Guard;
use crate::kind::KindError;

/// How long one that is kept may take to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// What tells the connection from others, and has it live as long as it may take.
const LIVES: &str = "SET application_name = 'attorn ending'; SET idle_session_timeout = 0";

/// What is kept.
#[derive(Default)]
pub(super) struct Kept {
    /// Whether there was a login to end.
    wanted: AtomicBool,
    ending: Mutex<Option<Connection>>,
    pub(super) guard: Guard,
}

impl Kept {
    /// See that both are there, from now on.
    pub(super) async fn see_to(&self, connector: &Connector) -> Result<(), KindError> {
        self.wanted.store(true, Ordering::Relaxed);
        see_to(&mut *self.ending.lock().await, connector).await?;
        self.guard.see_to(connector).await
    }

    /// See that both still answer, if there was anything to keep them for, and make anew what does not.
    pub(super) async fn look_after(&self, connector: &Connector) -> Result<(), KindError> {
        if !self.wanted.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Whoever uses it now sees whether it answers.
        if let Ok(mut ending) = self.ending.try_lock() {
            if let Some(kept) = ending.as_ref()
                && !answers(kept).await
            {
                *ending = None;
            }
            see_to(&mut ending, connector).await?;
        }
        self.guard.look_after(connector).await
    }

    /// The connection for ending logins, if there is one. One login is ended by it after the other.
    pub(super) async fn ending(&self) -> Option<MappedMutexGuard<'_, Connection>> {
        let guard = self.ending.lock().await;
        let kept = MutexGuard::try_map(guard, |kept| kept.as_mut().filter(|kept| !kept.client.is_closed())).ok()?;
        answers(&kept).await.then_some(kept)
    }
}

async fn see_to(ending: &mut Option<Connection>, connector: &Connector) -> Result<(), KindError> {
    if ending.as_ref().is_none_or(|kept| kept.client.is_closed()) {
        let made = connector.to(&connector.settings.database).await?;
        made.client.batch_execute(LIVES).await?;
        *ending = Some(made);
    }
    Ok(())
}

/// Whether it answers. Whoever used it before may have been stopped in the middle.
async fn answers(kept: &Connection) -> bool {
    kept.allow();
    let asked = async { Ok(kept.client.batch_execute("ROLLBACK").await?) };
    within(ANSWER, "looking after a connection", asked).await.is_ok()
}
