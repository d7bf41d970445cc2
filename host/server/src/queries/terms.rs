//! What an entry can be found by: its terms, read from its body. Who changes which these are raises the format of the
//! index (`attorn_store::EntryIndex`), so that it is made anew.
//!
//! Members are known by their names, wherever in the body the log puts them; so an entry of a type that this program
//! does not know is found by what it has. Nothing is looked into that somebody else chose the names in, such as labels.
//! Where a pseudonym stands, the pseudonym is the term.

use attorn_api::audit::EntryType;
use attorn_core::{Action, TimeMs};
use attorn_store::{Indexed, Term};
use serde_json::{Map, Value};

/// What a term is about. The name is the one that a query has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// An agent that acts, of a chain, or that something was done to.
    Agent,
    /// The agent that asked for a decision.
    Asker,
    Key,
    User,
    Owner,
    Operator,
    Delegation,
    Grant,
    Policy,
    /// A policy, `=`, and its version.
    PolicyVersion,
    Purpose,
    Session,
    /// The action, or a pattern that covers it.
    Action,
    /// The resource as it stands, or a pattern that covers that.
    Resource,
    /// What was decided; of decisions alone.
    Decision,
    DecisionId,
    Reason,
    Type,
}

impl Field {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Asker => "asker",
            Self::Key => "key",
            Self::User => "user",
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Delegation => "delegation",
            Self::Grant => "grant",
            Self::Policy => "policy",
            Self::PolicyVersion => "policy_version",
            Self::Purpose => "purpose",
            Self::Session => "session",
            Self::Action => "action",
            Self::Resource => "resource",
            Self::Decision => "decision",
            Self::DecisionId => "decision_id",
            Self::Reason => "reason",
            Self::Type => "type",
        }
    }

    /// The term of this text.
    pub(crate) fn term(self, text: &str) -> Term {
        Term::of(self.name(), text)
    }
}

/// Members whose members the log names.
const LOOKED_INTO: [&str; 11] =
    ["about", "agent", "approval", "approved_by", "by", "caller", "chain", "grant", "holder", "on_behalf", "policies"];
/// How what stands for a person begins.
const PSEUDONYM: &str = "psn_";
/// Deeper than any entry has them.
const DEPTH_MAX: usize = 6;

/// What an entry's bytes can be found by. What is no entry, which is never stored, has neither time nor terms.
pub(crate) fn of_bytes(bytes: &[u8]) -> Indexed {
    let body = bytes.splitn(2, |byte| *byte == b'\n').nth(1).and_then(|body| serde_json::from_slice(body).ok());
    of(&body.unwrap_or_default())
}

/// What a body can be found by.
pub(crate) fn of(body: &Value) -> Indexed {
    let mut found = Found(Vec::with_capacity(32));
    let kind = body["type"].as_str().unwrap_or_default();
    found.text(Field::Type, &body["type"]);
    if kind == EntryType::Decision.as_str() {
        found.text(Field::Decision, &body["decision"]);
        found.text(Field::Asker, &body["agent"]["id"]);
    }
    // What registrars did with one names it as `id`.
    match kind.split_once('_') {
        Some(("agent", _)) => found.text(Field::Agent, &body["about"]["id"]),
        Some(("operator", _)) => found.text(Field::Operator, &body["about"]["id"]),
        // Of an operator, and of a resource server.
        Some(("facts", _)) => [&body["about"], body].into_iter().for_each(|of| found.users_of_facts(of)),
        _ => {}
    }
    found.members(body, 0);
    found.0.sort_unstable();
    found.0.dedup();
    Indexed { time: TimeMs(body["time_ms"].as_u64().unwrap_or_default()), terms: found.0 }
}

struct Found(Vec<Term>);

impl Found {
    fn text(&mut self, field: Field, value: &Value) {
        if let Some(text) = value.as_str() {
            self.0.push(field.term(text));
        }
    }

    fn members(&mut self, value: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.members(value, depth + 1)),
            Value::Object(members) => {
                for (name, member) in members {
                    self.member(members, name, member);
                    if LOOKED_INTO.contains(&name.as_str()) {
                        self.members(member, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, of: &Map<String, Value>, name: &str, member: &Value) {
        // An agent or a grant stands as its id, or as an object that has it.
        let id = if member.is_object() { &member["id"] } else { member };
        match name {
            "agent" | "from_agent" | "to_agent" => self.text(Field::Agent, id),
            "grant" => self.text(Field::Grant, id),
            "key_thumbprint" | "thumbprint" => self.text(Field::Key, member),
            "keys" => self.each(Field::Key, member, "thumbprint"),
            "user" => self.text(Field::User, member),
            "owner" => self.text(Field::Owner, member),
            "operator" => self.text(Field::Operator, member),
            "delegation" | "parent" => self.text(Field::Delegation, member),
            "purpose" => self.text(Field::Purpose, member),
            "session" => self.text(Field::Session, member),
            "decision_id" => self.text(Field::DecisionId, member),
            "reasons" => self.each(Field::Reason, member, "code"),
            "policy" => {
                self.text(Field::Policy, member);
                if let (Some(policy), Some(version)) = (member.as_str(), of.get("version").and_then(Value::as_u64)) {
                    self.0.push(Field::PolicyVersion.term(&policy_version(policy, version)));
                }
            }
            "action" => self.action(member),
            "resource" => self.resource(member),
            _ => {}
        }
    }

    /// The users whom facts are about stand in their names: set ones are objects, and those that were forgotten texts.
    fn users_of_facts(&mut self, of: &Value) {
        let all = [&of["facts"], &of["names"]].into_iter().filter_map(Value::as_array).flatten();
        let names = all.filter_map(|fact| fact.as_str().or_else(|| fact["name"].as_str()));
        let users = names.flat_map(|name| name.split('/')).filter(|segment| segment.starts_with(PSEUDONYM));
        self.0.extend(users.map(|user| Field::User.term(user)));
    }

    fn each(&mut self, field: Field, values: &Value, member: &str) {
        values.as_array().into_iter().flatten().for_each(|value| self.text(field, &value[member]));
    }

    fn action(&mut self, value: &Value) {
        self.text(Field::Action, value);
        let action: Option<Action> = value.as_str().and_then(|text| text.parse().ok());
        let patterns = action.iter().flat_map(Action::covering).map(|pattern| pattern.to_string());
        // Every action is covered by `*`, which is no term then.
        self.0.extend(patterns.filter(|pattern| pattern != "*").map(|pattern| Field::Action.term(&pattern)));
    }

    fn resource(&mut self, value: &Value) {
        self.text(Field::Resource, value);
        let Some(text) = value.as_str() else { return };
        let under = text.match_indices('/').map(|(at, _)| format!("{}*", &text[..=at]));
        self.0.extend(under.map(|pattern| Field::Resource.term(&pattern)));
    }
}

/// A version of a policy, as a term has it.
pub(crate) fn policy_version(policy: &str, version: u64) -> String {
    format!("{policy}={version}")
}

#[cfg(test)]
#[path = "terms_tests.rs"]
mod tests;
