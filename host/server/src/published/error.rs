//! Why what was published of the log cannot be gone on with.

use std::path::PathBuf;

/// Why it cannot.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// A file with checkpoints is not as it was written.
    #[error("the checkpoints in `{}`: {why}", dir.display())]
    Damaged {
        /// Where it is.
        dir: PathBuf,
        /// Which file, and what is wrong with it.
        why: String,
    },
    /// A checkpoint says that the log was longer, or another.
    #[error("the checkpoints in `{}`: {why}", dir.display())]
    Contradicts {
        /// Where it is.
        dir: PathBuf,
        /// What it says.
        why: String,
    },
    /// It cannot be told whether something is gone.
    #[error("the checkpoints in `{}`: {why}", dir.display())]
    Unseen {
        /// Where they are.
        dir: PathBuf,
        /// Why not.
        why: String,
    },
    /// What was published is gone, and nobody can look for entries that were in its files alone.
    #[error(
        "what was published is gone, and base copy and journal cannot be looked at for entries that were in its files \
         alone: {0}; `attorn repair` says what is wrong with them"
    )]
    NotBroughtBack(String),
}

/// What to do where a checkpoint says that the log was longer, or another.
pub(super) const CONTRADICTS_HELP: &str = "put the right data directory back; if there is none, `attorn backup` this one, move \
                                           it away, and `attorn restore` the backup: a repair signs no log that is shorter \
                                           than one that was signed";

impl PublishedError {
    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => {
                "`attorn repair` moves what is damaged aside, and makes anew what can be, where nothing says that the log was \
                 longer; `attorn audit verify --config` names all that is wrong"
            }
            Self::Contradicts { .. } => CONTRADICTS_HELP,
            Self::Unseen { .. } | Self::NotBroughtBack(_) => {
                "`attorn repair` looks at all of it, and says what is wrong"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_may_have_been_cut_is_not_sent_to_a_repair_that_would_sign_it() {
        let (dir, why) = (PathBuf::from("log/1"), "one counts 9 entries, and the log has 7".to_owned());
        let damaged = PublishedError::Damaged { dir: dir.clone(), why: "`checkpoint`: it is cut".to_owned() };
        assert!(damaged.help().starts_with("`attorn repair` moves"), "{}", damaged.help());
        let contradicts = PublishedError::Contradicts { dir, why };
        assert!(contradicts.help().contains("`attorn restore`"), "{}", contradicts.help());
        assert!(!contradicts.help().contains("`attorn repair`"), "{}", contradicts.help());
    }
}
