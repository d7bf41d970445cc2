//! An agent's ceiling, from arguments or a file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use attorn_api::agents::{Permission, PurposeCeiling, UserPresence};
use attorn_core::{ActionPattern, Purpose, ResourcePattern};
use clap::Args;

use crate::failure::Failure;
use crate::parse;

/// The longest ceiling file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The most that the agent may ever do.
#[derive(Debug, Args)]
#[group(id = "ceiling_source", required = true, multiple = false)]
pub(crate) struct CeilingArgs {
    /// One permission: for this purpose, with or without a user, this action on this resource.
    /// Actions may end in `.*`, resources in `/*`. Repeat it for more
    #[arg(long, value_name = "PURPOSE:with-user|without-user:ACTION:RESOURCE")]
    allow: Vec<Allow>,
    /// All of it: JSON of the form {"PURPOSE":{"user":"without","permissions":[{"action":"…","resource":"…"}]}}
    #[arg(long, value_name = "FILE.json")]
    ceiling: Option<PathBuf>,
}

impl CeilingArgs {
    pub(crate) fn read(&self) -> Result<BTreeMap<String, PurposeCeiling>, Failure> {
        match &self.ceiling {
            None => collect(&self.allow),
            Some(path) => {
                let text = crate::key_source::read_text(path, FILE_BYTES_MAX)?;
                let wrong = |problem| Failure::usage(format!("`{}` is no ceiling: {problem}", path.display()));
                parse::strict_json(&text).map_err(wrong)
            }
        }
    }
}

/// One `--allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Allow {
    purpose: Purpose,
    user: UserPresence,
    action: ActionPattern,
    resource: ResourcePattern,
}

impl FromStr for Allow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A resource may itself have a `:`.
        let parts: Vec<&str> = text.splitn(4, ':').collect();
        let [purpose, user, action, resource] = parts[..] else {
            return Err("it has fewer than four parts; `answer-questions:without-user:faq.read:article/*`".into());
        };
        let user = match user {
            "with-user" => UserPresence::With,
            "without-user" => UserPresence::Without,
            other => return Err(format!("`{other}` is neither `with-user` nor `without-user`")),
        };
        Ok(Self { purpose: parse::id(purpose)?, user, action: parse::id(action)?, resource: parse::id(resource)? })
    }
}

fn collect(allowed: &[Allow]) -> Result<BTreeMap<String, PurposeCeiling>, Failure> {
    let mut ceiling: BTreeMap<String, PurposeCeiling> = BTreeMap::new();
    for allow in allowed {
        let nothing = PurposeCeiling { user: allow.user, permissions: Vec::new() };
        let purpose = ceiling.entry(allow.purpose.to_string()).or_insert(nothing);
        if purpose.user != allow.user {
            let message = format!("the purpose `{}` is said to be both with and without a user", allow.purpose);
            return Err(Failure::usage(message).with_help("give each its own purpose"));
        }
        purpose.permissions.push(Permission { action: allow.action.to_string(), resource: allow.resource.to_string() });
    }
    Ok(ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_that_are_none_are_refused() {
        for (text, problem) in [
            ("", "fewer than four parts"),
            ("a:without-user:faq.read", "fewer than four parts"),
            ("a:nobody:faq.read:article/*", "`nobody` is neither `with-user` nor `without-user`"),
            ("a:without:faq.read:article/*", "`without` is neither"),
            ("A b:without-user:faq.read:article/*", "is no purpose"),
            (":without-user:faq.read:article/*", "is no purpose: it is empty"),
            ("a:without-user:faq.r*:article/*", "is no action pattern"),
            ("a:without-user::article/*", "is no action pattern"),
            ("a:without-user:faq.read:", "is no resource pattern"),
            ("a:without-user:faq.read:article/../x", "is no resource pattern"),
            ("a:without-user:faq.read:*/42", "is no resource pattern"),
        ] {
            let error = text.parse::<Allow>().unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn one_purpose_is_with_or_without_a_user() {
        let allowed = ["a:without-user:faq.read:article/*", "a:with-user:faq.read:article/*"];
        let failure = collect(&allowed.map(|text| text.parse().unwrap())).unwrap_err();
        assert_eq!(failure.message, "the purpose `a` is said to be both with and without a user");
        assert_eq!(failure.exit, crate::exit::Exit::Usage);
    }

    #[test]
    fn permissions_are_gathered_by_purpose() {
        let allowed = ["b:with-user:*:*", "a:without-user:faq.read:article/x:y", "a:without-user:faq.*:article/*"];
        let ceiling = collect(&allowed.map(|text| text.parse().unwrap())).unwrap();
        let expect = r#"{"a":{"user":"without","permissions":[{"action":"faq.read","resource":"article/x:y"},{"action":"faq.*","resource":"article/*"}]},"b":{"user":"with","permissions":[{"action":"*","resource":"*"}]}}"#;
        assert_eq!(serde_json::to_string(&ceiling).unwrap(), expect);
    }
}
