//! The components that the story needs.

use std::path::{Path, PathBuf};

use crate::commands::demo::Demo;
use crate::commands::policy::read_component;
use crate::failure::Failure;

/// Their bytes.
pub(super) struct Components {
    pub(super) read_only: Vec<u8>,
    pub(super) looping: Vec<u8>,
    pub(super) own_data: Vec<u8>,
    pub(super) spend_limit: Vec<u8>,
}

impl Components {
    /// Read those that were named; look for the others where the build puts them.
    pub(super) fn find(demo: &Demo) -> Result<Self, Failure> {
        let read = |named: &Option<PathBuf>, name: &str| match named {
            Some(path) => read_component(path),
            None => read_component(&beside_executable(name)?),
        };
        Ok(Self {
            read_only: read(&demo.component, "read-only.wasm")?,
            looping: read(&demo.looping_component, "loop_in_evaluate.wasm")?,
            own_data: read(&demo.own_data_component, "own-data.wasm")?,
            spend_limit: read(&demo.spend_limit_component, "spend-limit.wasm")?,
        })
    }
}

/// `target/wasm/components/<name>`, seen from `target/<profile>/attorn`.
fn beside_executable(name: &str) -> Result<PathBuf, Failure> {
    let executable = std::env::current_exe().map_err(|error| Failure::of(&error))?;
    let target = executable.parent().and_then(Path::parent).unwrap_or_else(|| Path::new("."));
    let path = target.join("wasm").join("components").join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::new(format!("the demo needs the component `{}`, which is not there", path.display()))
        .with_help("`cargo xtask demo` builds it; or name them with `--component`, `--looping-component`, `--own-data-component` and \
                    `--spend-limit-component`"))
}
