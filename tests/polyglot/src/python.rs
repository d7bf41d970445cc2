//! Python, with its interpreter: on its SDK by the toolchain of `attorn policy build`, and by hand, against nothing but the
//! contract.

use std::path::PathBuf;
use std::process::Command;

use crate::language::{Language, project};
use crate::policy::{self, Policy};
use crate::tools::{Ground, copy_files, python_environment, read, run, write};

pub(crate) fn build(ground: &Ground, policy: &Policy) -> Result<PathBuf, String> {
    let sources = policy.sources(ground, Language::Python)?;
    if policy.name == policy::TRIED.name {
        return project(&sources);
    }
    let tools = python_environment(ground, "python", &sources.join("requirements.txt"))?;
    let home = ground.fresh_directory(&policy.home(Language::Python))?;
    let modules = home.join("build");
    copy_files(&sources, &modules, &["py"])?;
    // There are no files in a sandbox: what is to be read has to be a module.
    let schema = String::from_utf8_lossy(&read(&policy.schema(ground))?).into_owned();
    write(&modules.join("schema.py"), format!("SCHEMA = {schema:?}\n").as_bytes())?;
    let component = home.join(policy.file());
    let mut componentize = Command::new(tools.join("componentize-py"));
    componentize.arg("-d").arg(ground.wit()).args(["-w", "policy-component", "componentize", "--stub-wasi", "-p"]);
    run(
        componentize.arg(&modules).args(["app", "-o"]).arg(&component),
        "the tool has been installed; see its message",
    )?;
    Ok(component)
}
