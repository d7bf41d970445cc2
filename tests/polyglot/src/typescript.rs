//! TypeScript, in `QuickJS`.

use std::path::PathBuf;
use std::process::Command;

use crate::language::Language;
use crate::policy::{Policy, pinned};
use crate::tools::{Ground, copy_files, read, run, write};

const HELP: &str = "Node 20 or later with `npm` is needed (https://nodejs.org), and its registry once";

pub(crate) fn build(ground: &Ground, policy: &Policy) -> Result<PathBuf, String> {
    let sources = policy.sources(ground, Language::TypeScript)?;
    let home = ground.directory(&policy.home(Language::TypeScript))?;
    // The sources are compiled where the tools are: nothing is installed among them.
    let build = home.join("build");
    copy_files(&sources, &build, &["ts"])?;
    copy_files(&pinned(ground, Language::TypeScript)?, &build, &["json"])?;
    write(&home.join("settings.schema.json"), &read(&policy.schema(ground))?)?;
    let mut npm = Command::new("npm");
    npm.current_dir(&build).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    run(&mut npm, HELP)?;
    let tool = |name: &str| {
        let mut tool = Command::new(build.join("node_modules/.bin").join(name));
        tool.current_dir(&build);
        tool
    };
    run(tool("tsc").args(["-p", "."]), HELP)?;
    let bundle = home.join("policy.js");
    let options = ["--bundle", "--format=esm", "--target=es2022", "--log-level=warning"];
    run(tool("esbuild").arg("policy.ts").args(options).arg(format!("--outfile={}", bundle.display())), HELP)?;
    let component = home.join(policy.file());
    let mut componentize = tool("componentize-qjs");
    componentize.arg("-w").arg(ground.wit()).args(["-n", "policy-component", "--stub-wasi", "--sync"]);
    run(componentize.arg("-j").arg(&bundle).arg("-o").arg(&component), HELP)?;
    Ok(component)
}
