//! Facts, and where under `data` they are.

use std::collections::BTreeMap;

use attorn_policy::{Context, Error};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::modules::Modules;

/// Where facts are that say nothing else: `data.facts`.
const ROOT: &str = "facts";

/// A fact as it is written: its template, or all about it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Written {
    Template(String),
    Full(Full),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Full {
    template: String,
    at: Option<String>,
    #[serde(default = "yes")]
    required: bool,
}

const fn yes() -> bool {
    true
}

/// All facts.
#[derive(Debug)]
pub(crate) struct Facts(Vec<Fact>);

#[derive(Debug)]
struct Fact {
    template: String,
    /// Below `data`.
    path: Vec<String>,
    is_required: bool,
}

/// What came of it.
pub(crate) enum Gathered<'a> {
    /// The facts, in the order of their paths; none where one is missing that may be.
    All(Vec<Option<Json>>),
    /// The fact of this template is missing.
    Missing(&'a str),
}

impl Facts {
    pub(crate) fn new(written: BTreeMap<String, Written>, modules: &Modules) -> Result<Self, String> {
        let mut facts: Vec<Fact> = Vec::new();
        for (name, written) in written {
            let at = |problem: String| format!("at `facts.{name}`: {problem}");
            let full = match written {
                Written::Template(template) => Full { template, at: None, required: true },
                Written::Full(full) => full,
            };
            let place = full.at.unwrap_or_else(|| format!("{ROOT}.{name}"));
            let path: Vec<String> = place.split('.').map(str::to_owned).collect();
            if let Some(odd) = path.iter().find(|part| !is_name(part)) {
                return Err(at(format!("`{odd}` is no name in Rego; say where under `data` it is by `at`")));
            }
            if modules.touches(&path) {
                return Err(at(format!("there is a rule at `data.{place}`, above it or below it; take another place")));
            }
            if let Some(other) = facts.iter().find(|fact| fact.path.starts_with(&path) || path.starts_with(&fact.path))
            {
                return Err(at(format!(
                    "`data.{}` is another fact, and one would hide the other",
                    other.path.join(".")
                )));
            }
            facts.push(Fact { template: full.template, path, is_required: full.required });
        }
        Ok(Self(facts))
    }

    /// Their templates.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|fact| fact.template.as_str())
    }

    /// Where under `data` they are.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.0.iter().map(|fact| fact.path.join(".")).collect()
    }

    /// Those of this request.
    pub(crate) fn gather(&self, ctx: &Context) -> Result<Gathered<'_>, Error> {
        let mut all = Vec::new();
        for fact in &self.0 {
            match ctx.fact::<Json>(&fact.template)? {
                None if fact.is_required => return Ok(Gathered::Missing(&fact.template)),
                value => all.push(value),
            }
        }
        Ok(Gathered::All(all))
    }
}

/// Whether Rego takes it for a name.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
