//! Whoever does something for ever types once more what it is done to.

use std::fmt::Display;
use std::io::{BufRead as _, Read as _, Write as _};

use crate::failure::Failure;

/// More than an id has.
const LINE_BYTES_MAX: u64 = 256;

/// What is done for ever.
pub(crate) struct ForEver {
    /// What it does, and to what: `erases the user`.
    pub(crate) does: &'static str,
    /// That it was not done: `nothing was erased`.
    pub(crate) not_done: &'static str,
    /// What the id names: `user`.
    pub(crate) noun: &'static str,
}

impl ForEver {
    /// Nobody does it by a slip of the hand.
    pub(crate) fn confirm(&self, id: &impl Display) -> Result<(), Failure> {
        let Self { does, not_done, noun } = self;
        eprint!("this {does} for ever; type `{id}` to go on: ");
        let mut typed = String::new();
        let read = std::io::stderr().flush();
        let read = read.and_then(|()| std::io::stdin().lock().take(LINE_BYTES_MAX).read_line(&mut typed));
        read.map_err(|error| Failure::of(&error))?;
        if typed.trim() == id.to_string() {
            return Ok(());
        }
        if typed.is_empty() {
            return Err(Failure::usage(format!("{not_done}: nobody typed the id"))
                .with_help("where nobody can type it, give `--yes`"));
        }
        Err(Failure::usage(format!("{not_done}: what was typed is another id"))
            .with_help(format!("type the id of the {noun} that you named, or give `--yes`")))
    }
}
