//! `attorn policy diff --on cases`.

use std::path::Path;

use attorn_toolchain::cases::{self, ComparedCase, Side, SideSaid};
use serde_json::{Value, json};

use crate::commands::policy::{local, read_component, test};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

pub(super) async fn run(output: &Output, paths: [&Path; 2], directory: &Path) -> Result<Exit, Failure> {
    let [a, b] = [read_component(paths[0])?, read_component(paths[1])?];
    let side = |component| Side { component, limits: local::limits(component) };
    let engine = local::engine()?;
    let compared = cases::compare(&engine, [side(&a), side(&b)], directory).await;
    let compared = compared.map_err(|error| test::not_run(&error))?;
    let (differ, not_asked) = (compared.differing().count(), compared.not_asked());
    if output.json {
        let cases: Vec<Value> = compared.cases.iter().map(wire).collect();
        return output.json(&json!({ "cases": cases, "differ": differ, "not_asked": not_asked })).map(|()| Exit::Done);
    }
    for case in compared.differing() {
        output.line(format!("{}: {}", case.file, case.name));
        for (path, said) in paths.iter().zip(&case.said) {
            output.line(format!("    {}: {}", path.display(), text(said)));
        }
    }
    let unknown = if not_asked == 0 { String::new() } else { format!(", {not_asked} cannot be asked") };
    output.line(format!("{} cases, {differ} differ{unknown}", compared.cases.len()));
    Ok(Exit::Done)
}

fn text(said: &SideSaid) -> String {
    match said {
        SideSaid::Said(said) => said.clone().unwrap_or_else(|| "takes the settings".to_owned()),
        SideSaid::NotAsked(why) => format!("cannot be asked: {why}"),
    }
}

fn wire(case: &ComparedCase) -> Value {
    let said = |said: &SideSaid| match said {
        SideSaid::Said(said) => {
            json!({ "said": said.as_deref().and_then(|said| serde_json::from_str::<Value>(said).ok()) })
        }
        SideSaid::NotAsked(why) => json!({ "not_asked": why }),
    };
    let of = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let differences = case.differences.iter();
    let differences = differences.map(|one| json!({ "member": one.member, "a": of(&one.expected), "b": of(&one.got) }));
    json!({
        "file": case.file, "name": case.name, "differs": case.differs(),
        "a": said(&case.said[0]), "b": said(&case.said[1]), "differences": differences.collect::<Vec<_>>(),
    })
}
