//! The settings: as JSON, and as what `evaluate` looks things up in.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// Rules that there may be at most, and actions and resource types in each.
const LIST_MAX: usize = 64;
/// The host lets no grant live longer.
const GRANT_SECONDS_MAX: u64 = 60;

/// Settings that were found right.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(crate) struct OwnData {
    /// For each listed action, the types of resources it is listed for.
    pub(crate) resource_types_by_action: BTreeMap<String, BTreeSet<String>>,
    /// The longest that a grant may live, in seconds.
    pub(crate) grant_seconds_max: Option<u64>,
}

/// Settings as they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    allow: Vec<Rule>,
    grant_seconds_max: Option<u64>,
}

/// Every one of these actions is allowed on every one of these types of resources.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    actions: Vec<String>,
    resource_types: Vec<String>,
}

impl TryFrom<Settings> for OwnData {
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        if let Some(seconds) = settings.grant_seconds_max
            && !(1..=GRANT_SECONDS_MAX).contains(&seconds)
        {
            return Err(format!("at `grant_seconds_max`: {seconds} is not between 1 and {GRANT_SECONDS_MAX}"));
        }
        check_count("allow", settings.allow.len())?;
        let mut resource_types_by_action = BTreeMap::<String, BTreeSet<String>>::new();
        for (at, rule) in settings.allow.into_iter().enumerate() {
            check_count(&format!("allow[{at}].actions"), rule.actions.len())?;
            check_count(&format!("allow[{at}].resource_types"), rule.resource_types.len())?;
            if let Some(bad) = rule.resource_types.iter().find(|name| !is_resource_type(name)) {
                return Err(format!(
                    "at `allow[{at}].resource_types`: `{bad}` is no resource type; there are no patterns here"
                ));
            }
            for action in rule.actions {
                if !is_action(&action) {
                    return Err(format!(
                        "at `allow[{at}].actions`: `{action}` is no action; there are no patterns here"
                    ));
                }
                let resource_types = resource_types_by_action.entry(action.clone()).or_default();
                for resource_type in &rule.resource_types {
                    if !resource_types.insert(resource_type.clone()) {
                        return Err(format!("at `allow[{at}]`: `{action}` is listed twice for `{resource_type}`"));
                    }
                }
            }
        }
        Ok(Self { resource_types_by_action, grant_seconds_max: settings.grant_seconds_max })
    }
}

fn check_count(path: &str, count: usize) -> Result<(), String> {
    match count {
        0 => Err(format!("at `{path}`: it is empty")),
        1..=LIST_MAX => Ok(()),
        _ => Err(format!("at `{path}`: it has {count} elements, and {LIST_MAX} is the most")),
    }
}

/// What the host takes for an action: `name(.name)*`. What it never sends would never match, so a
/// typing error would go unseen.
fn is_action(text: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    text.len() <= 128 && text.split('.').all(is_name) && text.split('.').count() <= 8
}

fn is_resource_type(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}
