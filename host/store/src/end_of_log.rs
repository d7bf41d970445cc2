//! Whether the log in the engine ends where its head says.

use attorn_log::{Entry, Link, NodeId};

use crate::error::OpenError;
use crate::head::{Head, LogName};
use crate::trees::Trees;

/// Whether the last entry is the one that the head speaks of, and the tree has its leaf.
pub(crate) fn check(trees: &Trees, log: &LogName, head: &Head) -> Result<(), OpenError> {
    let inconsistent = |problem: String| Err(OpenError::Inconsistent(problem));
    let last = trees.last_entry()?;
    if last != head.size.checked_sub(1) {
        let found = last.map_or_else(|| "none".to_owned(), |last| last.to_string());
        return inconsistent(format!("there should be {} entries, and the last is {found}", head.size));
    }
    let Some(index) = last else {
        return if head.last_link == Link::NONE { Ok(()) } else { inconsistent("an empty log has a link".to_owned()) };
    };
    let bytes = trees.entry(index)?.unwrap_or_default();
    let entry = match Entry::parse(&bytes) {
        Ok(entry) => entry,
        Err(error) => return inconsistent(format!("entry {index} is invalid: {error}")),
    };
    if (&entry.at.log_id, entry.at.epoch, entry.at.index) != (&log.id, log.epoch, index) {
        return inconsistent(format!("entry {index} says that it is `{}`", entry.at));
    }
    if entry.link() != head.last_link {
        return inconsistent(format!("entry {index} does not have the link of the head"));
    }
    if trees.node(NodeId { level: 0, index })? != Some(entry.leaf_hash()) {
        return inconsistent(format!("the tree does not have entry {index} as its leaf"));
    }
    Ok(())
}
