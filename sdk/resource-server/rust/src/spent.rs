//! Grants that were used here, each for as long as its token lives, within a limit. It is lost when the process ends.

use std::collections::HashMap;
use std::sync::Mutex;

use attorn_core::{GrantId, TimeMs};

/// Whether a grant is used for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    First,
    Again,
    /// It cannot be remembered, and so it is not known the next time.
    Full,
}

/// Each grant once.
pub(crate) struct Spent {
    grants_max: usize,
    until: Mutex<HashMap<GrantId, TimeMs>>,
}

impl Spent {
    pub(crate) fn new(grants_max: usize) -> Self {
        Self { grants_max, until: Mutex::new(HashMap::new()) }
    }

    /// Use a grant whose token is good until then.
    pub(crate) fn take(&self, grant: GrantId, expires_at: TimeMs, now: TimeMs) -> Take {
        // Whoever died with it in hand may have lost something.
        let Ok(mut until) = self.until.lock() else { return Take::Full };
        if until.contains_key(&grant) {
            return Take::Again;
        }
        if until.len() >= self.grants_max {
            until.retain(|_, expires_at| *expires_at > now);
        }
        if until.len() >= self.grants_max {
            return Take::Full;
        }
        until.insert(grant, expires_at);
        Take::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_when_it_matters_no_more() {
        let spent = Spent::new(2);
        let grant = |byte| GrantId::from_random([byte; 16]);
        let take = |byte, expires_at, now| spent.take(grant(byte), TimeMs(expires_at), TimeMs(now));
        assert_eq!(take(1, 10, 0), Take::First);
        assert_eq!(take(1, 10, 0), Take::Again);
        assert_eq!(take(2, 20, 0), Take::First);
        assert_eq!(take(3, 20, 9), Take::Full);
        // At that moment its token is refused already.
        assert_eq!(take(3, 20, 10), Take::First);
        assert_eq!(take(2, 20, 19), Take::Again);
    }
}
