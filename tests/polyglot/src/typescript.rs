//! TypeScript: on its SDK, by the toolchain of `attorn policy build`.

use std::error::Error as _;
use std::path::PathBuf;

use attorn_toolchain::project;

use crate::language::Language;
use crate::policy;
use crate::tools::Ground;

/// The component stays with its sources, as in any project.
pub(crate) fn build(ground: &Ground) -> Result<PathBuf, String> {
    let sources = policy::sources(ground, Language::TypeScript)?;
    let made = project::build(&sources, &mut |line| eprintln!("{line}")).map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    })?;
    Ok(made.path)
}
