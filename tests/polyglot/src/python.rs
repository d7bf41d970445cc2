//! Python: against nothing but the contract, with its interpreter.

use std::path::PathBuf;
use std::process::Command;

use crate::language::Language;
use crate::policy;
use crate::tools::{Ground, copy_files, python_environment, read, run, write};

pub(crate) fn build(ground: &Ground) -> Result<PathBuf, String> {
    let sources = policy::sources(ground, Language::Python)?;
    let tools = python_environment(ground, "python", &sources.join("requirements.txt"))?;
    let home = ground.fresh_directory(&policy::home(Language::Python))?;
    let modules = home.join("build");
    copy_files(&sources, &modules, &["py"])?;
    // There are no files in a sandbox: what is to be read has to be a module.
    let schema = String::from_utf8_lossy(&read(&policy::schema(ground))?).into_owned();
    write(&modules.join("schema.py"), format!("SCHEMA = {schema:?}\n").as_bytes())?;
    let component = home.join(policy::FILE);
    let mut componentize = Command::new(tools.join("componentize-py"));
    componentize.arg("-d").arg(ground.wit()).args(["-w", "policy-component", "componentize", "--stub-wasi", "-p"]);
    run(
        componentize.arg(&modules).args(["app", "-o"]).arg(&component),
        "the tool has been installed; see its message",
    )?;
    Ok(component)
}
