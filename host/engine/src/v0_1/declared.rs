//! What a policy declares about itself, checked: its description and its requirements.
//!
//! What is wrong is said in a sentence for the policy's author.

use std::collections::BTreeSet;

use attorn_core::{CounterScope, CounterWindow, FactTemplate, ReasonCode};

use super::raw;
use crate::policy::{CounterDeclaration, Description, ReasonDeclaration, Requirements};

const NAME_CHARS_MAX: usize = 64;
const SCHEMA_BYTES_MAX: usize = 64 << 10;
const FACTS_MAX: usize = 32;
const REASONS_MAX: usize = 64;
const REASON_CHARS_MAX: usize = 256;
const COUNTERS_MAX: usize = 16;
const UNIT_CHARS_MAX: usize = 64;

/// A description that its author may show to people.
pub(crate) fn description(raw: raw::Description) -> Result<Description, String> {
    chars("the name", &raw.name, 1, NAME_CHARS_MAX)?;
    chars("the version", &raw.version, 1, NAME_CHARS_MAX)?;
    let schema = &raw.settings_schema;
    if schema.len() > SCHEMA_BYTES_MAX {
        return Err(format!("the settings' schema has {} bytes, and {SCHEMA_BYTES_MAX} is the most", schema.len()));
    }
    match serde_json::from_str(schema) {
        Ok(serde_json::Value::Object(_) | serde_json::Value::Bool(_)) => {}
        Ok(_) => return Err("the settings' schema is neither a JSON object nor a boolean".into()),
        Err(error) => return Err(format!("the settings' schema is no JSON: {error}")),
    }
    Ok(Description { name: raw.name, version: raw.version, settings_schema: raw.settings_schema })
}

/// Requirements that the host can keep to.
pub(crate) fn requirements(raw: raw::Requirements) -> Result<Requirements, String> {
    at_most("facts", raw.facts.len(), FACTS_MAX)?;
    at_most("reasons", raw.reasons.len(), REASONS_MAX)?;
    at_most("counters", raw.counters.len(), COUNTERS_MAX)?;
    let facts = raw.facts.iter().map(|text| template(text)).collect::<Result<Vec<_>, _>>()?;
    let mut templates = BTreeSet::new();
    if let Some(twice) = facts.iter().find(|template| !templates.insert(*template)) {
        return Err(format!("the fact `{twice}` is declared twice"));
    }
    let mut reasons = raw.reasons.into_iter().map(reason).collect::<Result<Vec<_>, _>>()?;
    reasons.sort_by(|a, b| a.code.cmp(&b.code));
    if let Some(twice) = reasons.windows(2).find(|pair| pair[0].code == pair[1].code) {
        return Err(format!("the reason `{}` is declared twice", twice[0].code));
    }
    let counters = raw.counters.into_iter().map(counter).collect::<Result<Vec<_>, _>>()?;
    let mut names = BTreeSet::new();
    if let Some(twice) = counters.iter().find(|counter| !names.insert(&counter.name)) {
        return Err(format!("the counter `{}` is declared twice", twice.name));
    }
    Ok(Requirements { facts, reasons, counters })
}

fn reason(raw: raw::ReasonDeclaration) -> Result<ReasonDeclaration, String> {
    let code: ReasonCode = raw.code.parse().map_err(|error| format!("{error}"))?;
    chars(&format!("the text of the reason `{code}`"), &raw.text, 1, REASON_CHARS_MAX)?;
    Ok(ReasonDeclaration { code, text: raw.text, public: raw.public })
}

fn counter(raw: raw::CounterDeclaration) -> Result<CounterDeclaration, String> {
    // The alphabet of counters is that of codes.
    let name = raw.name.parse().map_err(|error| format!("the name of a counter: {error}"))?;
    chars(&format!("the unit of the counter `{name}`"), &raw.unit, 1, UNIT_CHARS_MAX)?;
    Ok(CounterDeclaration { name, unit: raw.unit, scope: raw.scope.into(), window: raw.window.into() })
}

fn template(text: &str) -> Result<FactTemplate, String> {
    text.parse().map_err(|error: attorn_core::ParseError| format!("{error}; {}", error.help()))
}

fn at_most(what: &str, count: usize, max: usize) -> Result<(), String> {
    if count > max {
        return Err(format!("{count} {what} are declared, and {max} is the most"));
    }
    Ok(())
}

fn chars(what: &str, text: &str, min: usize, max: usize) -> Result<(), String> {
    let count = text.chars().count();
    if !(min..=max).contains(&count) {
        return Err(format!("{what} has {count} characters, and {min} to {max} are right"));
    }
    Ok(())
}

impl From<raw::Scope> for CounterScope {
    fn from(scope: raw::Scope) -> Self {
        match scope {
            raw::Scope::Agent => Self::Agent,
            raw::Scope::User => Self::User,
            raw::Scope::UserAgent => Self::UserAgent,
            raw::Scope::RootDelegation => Self::RootDelegation,
            raw::Scope::Session => Self::Session,
        }
    }
}

impl From<raw::Window> for CounterWindow {
    fn from(window: raw::Window) -> Self {
        match window {
            raw::Window::Minute => Self::Minute,
            raw::Window::Hour => Self::Hour,
            raw::Window::Day => Self::Day,
            raw::Window::Month => Self::Month,
            raw::Window::Total => Self::Total,
        }
    }
}

#[cfg(test)]
#[path = "declared_tests.rs"]
mod tests;
