//! C: against nothing but the contract, by the compiler that comes with Zig.

use std::path::PathBuf;
use std::process::Command;

use crate::language::Language;
use crate::tools::{Ground, files, python_environment, read, run, write};
use crate::{bindings, policy};

/// A sandbox is made anew for each decision, and its memory with it.
const STACK: &str = "-Wl,-z,stack-size=65536";

pub(crate) fn build(ground: &Ground) -> Result<PathBuf, String> {
    let sources = policy::sources(ground, Language::C)?;
    let tools = python_environment(ground, "c", &sources.join("requirements.txt"))?;
    let home = ground.fresh_directory(&policy::home(Language::C))?;
    let generated = home.join("bindings");
    bindings::generate(&ground.wit(), wit_bindgen_c::Opts::default().build(), &generated)?;
    let schema = String::from_utf8_lossy(&read(&policy::schema(ground))?).into_owned();
    let schema = format!("static const char SCHEMA[] = {};\n", literal(&schema));
    write(&generated.join("schema.h"), schema.as_bytes())?;

    let module = home.join("module.wasm");
    let mut zig = Command::new(tools.join("python"));
    zig.args(["-m", "ziglang", "cc", "-target", "wasm32-wasi", "-mexec-model=reactor", "-std=c11", "-O2", "-s"]);
    zig.args(["-Wall", "-Wextra", "-Werror", STACK, "-I"]).arg(&generated).arg("-o").arg(&module);
    // What it compiles for the target is kept beside it, and nowhere in the home of whoever runs this.
    zig.env("ZIG_GLOBAL_CACHE_DIR", ground.directory("tools/zig-cache")?)
        .env("ZIG_LOCAL_CACHE_DIR", home.join("cache"));
    zig.args(files(&sources, "c")?).args(files(&generated, "c")?).args(files(&generated, "o")?);
    run(&mut zig, "the tool has been installed; see its message")?;
    let component = home.join(policy::FILE);
    bindings::component(&read(&module)?, &component)?;
    Ok(component)
}

/// A string of C, in pieces that every compiler takes.
fn literal(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start().replace('\\', "\\\\").replace('"', "\\\""));
    let pieces: Vec<_> = lines.map(|line| format!("\"{line}\"")).collect();
    format!("\n    {}", pieces.join("\n    "))
}
