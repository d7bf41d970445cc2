//! `attorn policy diff`.

use attorn_api::policies::{Policy, PolicyVersion};
use attorn_core::PolicyId;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Its id
    #[arg(value_parser = parse::id::<PolicyId>)]
    id: PolicyId,
    /// From which version
    from: u32,
    /// To which version
    to: u32,
}

impl Diff {
    pub(super) async fn run(self, client: &OperatorClient, output: &Output) -> Result<Exit, Failure> {
        let policy: Policy = client.get(&format!("/v1/policies/{}", self.id)).await?;
        let version = |number: u32| {
            let found = policy.versions.iter().find(|version| version.version == number);
            found.ok_or_else(|| Failure::new(format!("version {number} is not among the newest of `{}`", self.id)))
        };
        let rows = differences(version(self.from)?, version(self.to)?);
        if output.json {
            let member = |[what, from, to]: &[String; 3]| json!({ "what": what, "from": from, "to": to });
            return output.json(&rows.iter().map(member).collect::<Vec<_>>()).map(|()| Exit::Done);
        }
        if rows.is_empty() {
            output.line("nothing differs");
        } else {
            let (from, to) = (format!("VERSION {}", self.from), format!("VERSION {}", self.to));
            output.table(&["WHAT", &from, &to], &rows.into_iter().map(Vec::from).collect::<Vec<_>>());
        }
        Ok(Exit::Done)
    }
}

/// What bears on a decision and differs, with both values.
fn differences(from: &PolicyVersion, to: &PolicyVersion) -> Vec<[String; 3]> {
    let flat = |version: &PolicyVersion| {
        let mut flat = Map::new();
        let whole = json!({
            "component": version.component,
            "settings": version.settings,
            "selector": version.selector,
            "mode": version.mode,
            "required": version.required,
            "class": version.class,
            "limits": version.limits,
        });
        flatten(String::new(), &whole, &mut flat);
        flat
    };
    let (from, to) = (flat(from), flat(to));
    let mut names: Vec<&String> = from.keys().chain(to.keys()).collect();
    names.sort();
    names.dedup();
    let text = |value: Option<&Value>| value.map_or_else(|| "-".into(), ToString::to_string);
    let differs = names.into_iter().filter(|name| from.get(*name) != to.get(*name));
    differs.map(|name| [name.clone(), text(from.get(name)), text(to.get(name))]).collect()
}

/// Objects member by member; lists and all else are one value.
fn flatten(name: String, value: &Value, into: &mut Map<String, Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (member, value) in members {
                let name = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                flatten(name, value, into);
            }
        }
        _ => {
            into.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(changes: Value) -> PolicyVersion {
        let mut version = json!({
            "policy": "p", "version": 1, "digest": "d", "component": "c", "settings": { "a": { "b": 1 }, "c": [1] },
            "selector": {}, "mode": "enforce", "required": true, "class": "native",
            "limits": { "cpu_us_max": 1, "wall_us_max": 2, "memory_bytes_max": 3 },
            "created_at_ms": 0, "created_by": "alice", "active": false, "shadow": null, "paused": [],
        });
        if let (Some(version), Value::Object(changes)) = (version.as_object_mut(), changes) {
            version.extend(changes);
        }
        serde_json::from_value(version).unwrap()
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let same = version(json!({ "version": 2, "digest": "other", "created_by": "bob", "active": true }));
        assert!(differences(&version(json!({})), &same).is_empty());
        let other = version(json!({
            "settings": { "a": { "b": 2 }, "d": {} }, "mode": "shadow", "selector": { "user": "with" },
        }));
        let expect = [
            ["mode", "\"enforce\"", "\"shadow\""],
            ["selector.user", "null", "\"with\""],
            ["settings.a.b", "1", "2"],
            ["settings.c", "[1]", "-"],
            ["settings.d", "-", "{}"],
        ];
        assert_eq!(differences(&version(json!({})), &other), expect);
    }
}
