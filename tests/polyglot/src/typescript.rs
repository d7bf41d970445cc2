//! TypeScript, by the toolchain of `attorn policy build`.

use std::path::PathBuf;

use crate::language::{Language, project};
use crate::policy::Policy;
use crate::tools::Ground;

pub(crate) fn build(ground: &Ground, policy: &Policy) -> Result<PathBuf, String> {
    project(&policy.sources(ground, Language::TypeScript)?)
}
