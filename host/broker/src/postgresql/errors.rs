//! What the database says, told apart: what may go better, what will not, and whose fault it is.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::kind::{KindError, SAYS};
use crate::tls;

/// The longest text of the database's that is repeated, in characters.
const TEXT_CHARS_MAX: usize = 200;

impl From<Error> for KindError {
    fn from(error: Error) -> Self {
        if let Some(said) = error.as_db_error() {
            return of_database(said);
        }
        if let Some(error) = of_tls(&error) {
            return error;
        }
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        Self::unreachable(cut(&format!("the database is not to be had: {error}{cause}")))
    }
}

/// What the library says before why TLS was not spoken: it tells its kinds of errors apart by nothing else.
const TLS: &str = "error performing TLS handshake";

fn of_tls(error: &Error) -> Option<KindError> {
    let cause = error.source().filter(|_| error.to_string().starts_with(TLS))?;
    Some(match cause.downcast_ref::<io::Error>() {
        Some(failed) => tls::not_spoken(failed),
        // It speaks none.
        None => tls::broken(cut(&cause.to_string())),
    })
}

/// Its message and code: what stands in details and hints may be others' data.
fn of_database(said: &DbError) -> KindError {
    let code = said.code();
    let text = cut(&format!("{SAYS}{}: {}", code.code(), said.message()));
    let target =
        [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION, SqlState::UNDEFINED_DATABASE];
    if target.contains(code) {
        return KindError::misconfigured(text);
    }
    // A login can bring it about that something is not permitted, so that is not the whole target's fault.
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return KindError::not_now(text);
    }
    match code.code().get(..2) {
        // Connections, resources, an operator's intervention, the system: the whole database.
        Some("08" | "53" | "57" | "58") if *code != SqlState::QUERY_CANCELED => KindError::unreachable(text),
        // Locks, serialisation, timeouts, and a row that was changed while we waited for it (`XX000`).
        Some("40" | "55" | "57" | "25" | "XX") => KindError::not_now(text),
        _ => KindError::refused(text),
    }
}

fn cut(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(TEXT_CHARS_MAX).collect()
}

/// Wait so long for an answer and no longer.
pub(super) async fn within<T>(
    limit: Duration,
    what: &str,
    act: impl Future<Output = Result<T, KindError>>,
) -> Result<T, KindError> {
    match tokio::time::timeout(limit, act).await {
        Ok(outcome) => outcome,
        Err(_) => Err(KindError::unreachable(format!("{what} took longer than {} s", limit.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_never_answers_ends_as_a_fault_of_the_target() {
        let never = std::future::pending::<Result<(), KindError>>();
        let error = within(Duration::from_millis(1), "connecting", never).await.unwrap_err();
        assert!(error.is_temporary() && error.is_of_target());
        assert_eq!(error.to_string(), "connecting took longer than 0 s");
    }

    #[test]
    fn what_is_repeated_is_cut_and_has_no_control_characters() {
        let long = format!("a\nb\u{1b}{}", "x".repeat(500));
        let cut = cut(&long);
        assert_eq!(cut.chars().count(), TEXT_CHARS_MAX);
        assert!(cut.starts_with("a b x"));
    }
}
