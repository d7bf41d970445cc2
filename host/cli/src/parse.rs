//! Arguments that are parsed where they come in.

use std::ffi::OsStr;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use attorn_agent::ServerUrl;
use attorn_api::agents::Permission;
use attorn_core::{ActionPattern, EntitlementPattern, LabelName, ParseError, ResourcePattern, SqlName};
use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// An id, or what is wrong with it and what would be right.
pub(crate) fn id<T: FromStr<Err = ParseError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: ParseError| format!("{error}; {}", error.help()))
}

/// One of what has names, for those who complete a line, too.
#[derive(Clone, Copy)]
pub(crate) struct OneOf<T> {
    pub(crate) parse: fn(&str) -> Result<T, String>,
    pub(crate) names: fn() -> Vec<&'static str>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for OneOf<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, of: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        self.parse.parse_ref(command, of, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.names)().into_iter().map(PossibleValue::new)))
    }
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) ms: u64,
}

impl Span {
    /// When it is over, if it begins now.
    pub(crate) fn ends_at_ms(self) -> u64 {
        now_ms().saturating_add(self.ms)
    }
}

/// The time now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HELP: &str = "a whole number and one of `ms`, `s`, `m`, `h`, `d`, `w`: `30s`, `90d`";
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return Err(format!("it is no span of time; {HELP}")),
        };
        let number: u64 = number.parse().map_err(|_| format!("it is no span of time; {HELP}"))?;
        match number.checked_mul(unit_ms) {
            Some(0) | None => Err(format!("it is no span of time that can be used; {HELP}")),
            Some(ms) => Ok(Self { ms }),
        }
    }
}

/// A time: how long ago it was, a day, which begins at midnight in UTC, or as RFC 3339 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) ms: u64,
}

impl Moment {
    const HELP: &str = "it is no time; how long ago, as `24h` or `1w`, a day, as `2026-01-02`, which begins at midnight in UTC, or a \
                        time, as `2026-01-02T03:04:05Z`";
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(span) = text.parse::<Span>() {
            return Ok(Self { ms: now_ms().saturating_sub(span.ms) });
        }
        let is_day = text.len() == "2026-01-02".len() && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let begin = if is_day { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let time: Option<jiff::Timestamp> = begin.parse().ok();
        let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        ms.map(|ms| Self { ms }).ok_or_else(|| Self::HELP.to_owned())
    }
}

/// The server's URL. Whoever leaves out how it is spoken to is told.
pub(crate) fn server_url(text: &str) -> Result<ServerUrl, String> {
    text.parse().map_err(|error: attorn_agent::Error| {
        let meant = ["http", "https"].map(|scheme| format!("{scheme}://{text}"));
        match meant.iter().find(|meant| meant.parse::<ServerUrl>().is_ok()) {
            Some(meant) if !text.contains("://") => format!("{error}; with how it is spoken to, it is `{meant}`"),
            _ => error.to_string(),
        }
    })
}

/// `with` or `without`: whether there is a user.
pub(crate) fn user(text: &str) -> Result<attorn_api::agents::UserPresence, String> {
    match text {
        "with" => Ok(attorn_api::agents::UserPresence::With),
        "without" => Ok(attorn_api::agents::UserPresence::Without),
        other => Err(format!("`{other}` is neither `with` nor `without`")),
    }
}

/// How a resource server counts uses.
pub(crate) fn use_counting(text: &str) -> Result<attorn_api::resource_servers::UseCounting, String> {
    match text {
        "reports" => Ok(attorn_api::resource_servers::UseCounting::Reports),
        "remembers" => Ok(attorn_api::resource_servers::UseCounting::Remembers),
        "no" => Ok(attorn_api::resource_servers::UseCounting::No),
        other => Err(format!("`{other}` is neither `reports`, `remembers` nor `no`")),
    }
}

/// `ID=VERSION`: a version of a policy.
pub(crate) fn policy_version(text: &str) -> Result<(attorn_core::PolicyId, u32), String> {
    let (id, version) = text.split_once('=').ok_or("it has no `=`; `read-only=3`")?;
    let version = version.parse().map_err(|_| format!("`{}` is no version", version.escape_default()))?;
    Ok((self::id(id)?, version))
}

/// `ACTION RESOURCE=ROLE,ROLE`: the roles of a login that is made for an action on a resource.
pub(crate) fn role_rule(text: &str) -> Result<attorn_api::targets::RoleRule, String> {
    let (permission, roles) = text.split_once('=').ok_or("it has no `=`; 'invoice.read invoice/*=reader'")?;
    let Permission { action, resource } = self::permission(permission)?;
    let roles = roles.split(',').map(|role| id::<SqlName>(role).map(|role| role.to_string()));
    Ok(attorn_api::targets::RoleRule { action, resource, roles: roles.collect::<Result<_, _>>()? })
}

/// `SCHEMA.TABLE`.
pub(crate) fn user_table(text: &str) -> Result<attorn_api::targets::UserTable, String> {
    let (schema, table) = text.split_once('.').ok_or("it has no `.`; `attorn.logins`")?;
    let name = |text: &str| id::<SqlName>(text).map(|name| name.to_string());
    Ok(attorn_api::targets::UserTable { schema: name(schema)?, table: name(table)? })
}

/// The id of a request, as the server takes it.
pub(crate) fn request_id(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('.') {
        return Ok(text.to_owned());
    }
    Err("it is no id of a load: up to 64 letters, digits, `-`, `_` and `.`".into())
}

/// `ACTION RESOURCE`: what may be done to what.
pub(crate) fn permission(text: &str) -> Result<Permission, String> {
    let (action, resource) = action_and_resource(text)?;
    let (action, resource) = (id::<ActionPattern>(action)?, id::<ResourcePattern>(resource)?);
    Ok(Permission { action: action.to_string(), resource: resource.to_string() })
}

/// The same, where segments of the resource may be fields of the user.
pub(crate) fn entitlement(text: &str) -> Result<Permission, String> {
    let (action, resource) = action_and_resource(text)?;
    let pattern = EntitlementPattern::parse(action, resource).map_err(|error| format!("{error}; {}", error.help()))?;
    Ok(Permission { action: pattern.action.to_string(), resource: pattern.resource().to_owned() })
}

fn action_and_resource(text: &str) -> Result<(&str, &str), String> {
    text.split_once(' ')
        .ok_or_else(|| "it is an action and a resource in one argument: 'invoice.read invoice/*'".into())
}

/// `NAME=VALUE`.
pub(crate) fn label(text: &str) -> Result<(LabelName, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is `NAME=VALUE`")?;
    Ok((id(name)?, value.to_owned()))
}

/// A JSON text of a type, in which no key stands twice.
pub(crate) fn strict_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let canonical = attorn_api::json::canonical(text).map_err(|error| error.to_string())?;
    serde_json::from_str(canonical.as_str()).map_err(|error| error.to_string())
}

/// A JSON object as it was written, in which no key stands twice.
pub(crate) fn raw_json(text: &str) -> Result<Box<RawValue>, String> {
    let canonical = attorn_api::json::canonical(text).map_err(|error| error.to_string())?;
    if !canonical.as_str().starts_with('{') {
        return Err("it is no JSON object".into());
    }
    RawValue::from_string(text.trim().to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use attorn_core::{AgentId, Resource};

    use super::*;

    #[test]
    fn spans_that_are_none_are_refused() {
        for text in ["", "30", "s", "-1s", "+1s", "1.5h", "1 d", "30S", "0s", "1y", "30sd", "٣s", "99999999999999999d"]
        {
            assert!(text.parse::<Span>().unwrap_err().contains("`30s`, `90d`"), "{text}");
        }
    }

    #[test]
    fn spans_are_counted_in_milliseconds() {
        for (text, ms) in [
            ("5ms", 5),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("90d", 7_776_000_000),
            ("2w", 1_209_600_000),
        ] {
            assert_eq!(text.parse::<Span>(), Ok(Span { ms }));
        }
        assert_eq!(Span { ms: u64::MAX }.ends_at_ms(), u64::MAX);
    }

    #[test]
    fn moments_are_a_while_ago_or_a_time() {
        for text in [
            "",
            "24",
            "-24h",
            "yesterday",
            "2026-13-02",
            "2026-1-2",
            "1969-12-31",
            "20260102",
            "1969-12-31T23:59:59Z",
            "2026-01-02T03:04:05",
        ] {
            assert!(text.parse::<Moment>().unwrap_err().contains("as `24h`"), "{text}");
        }
        for (text, ms) in [
            ("1970-01-01T00:00:01.5Z", 1_500),
            ("1970-01-02", 86_400_000),
            ("2026-01-02T04:04:05+01:00", 1_767_323_045_000),
        ] {
            assert_eq!(text.parse::<Moment>(), Ok(Moment { ms }));
        }
        let before = now_ms();
        let Moment { ms } = "1h".parse().unwrap();
        assert!((before - 3_600_000..=now_ms() - 3_600_000).contains(&ms));
    }

    #[test]
    fn ids_are_parsed_with_help() {
        let error = id::<AgentId>("Bot").unwrap_err();
        assert!(error.starts_with("`Bot` is no agent id: it may not begin with `B`; lower-case letters"), "{error}");
        for resource in ["article", "/42", "article/", "article/../1", "article/*", "Article/1", "article/a b", ""] {
            assert!(id::<Resource>(resource).unwrap_err().contains("is no resource: "), "{resource}");
        }
        assert!(id::<Resource>("article/42").is_ok());
    }

    #[test]
    fn labels_have_a_name_and_a_value() {
        assert_eq!(label("team"), Err("a label is `NAME=VALUE`".into()));
        assert!(label("=x").unwrap_err().contains("it is empty"));
        let (name, value) = label("team=a=b").unwrap();
        assert_eq!((name.as_str(), value.as_str()), ("team", "a=b"));
    }

    #[test]
    fn permissions_are_an_action_and_a_resource() {
        for text in ["", "invoice.read", "invoice.read:invoice/*", "invoice.r* invoice/*", "a b c", "a  b/c", "a b"] {
            assert!(permission(text).is_err(), "{text}");
        }
        assert!(permission("a account/{user.id}").unwrap_err().contains("is no resource pattern"));
        for text in ["a account/{user.name}", "a {user.id}/*", "a account/x{user.id}"] {
            assert!(entitlement(text).unwrap_err().contains("`invoice/{user.id}/*`"), "{text}");
        }
        let expect = |resource: &str| Ok(Permission { action: "account.*".into(), resource: resource.into() });
        assert_eq!(permission("account.* account/*"), expect("account/*"));
        assert_eq!(entitlement("account.* account/{user.id}/*"), expect("account/{user.id}/*"));
    }

    #[test]
    fn arguments_are_one_object() {
        for text in ["", "[]", "1", "null", "{} {}", r#"{"a":1,"a":2}"#] {
            assert!(raw_json(text).is_err(), "{text}");
        }
        assert_eq!(raw_json(r#" {"b":1.50} "#).unwrap().get(), r#"{"b":1.50}"#);
    }

    #[test]
    fn json_with_a_key_twice_is_refused() {
        assert!(strict_json::<serde_json::Value>(r#"{"a":1,"a":2}"#).unwrap_err().contains("stands twice"));
        assert_eq!(strict_json::<Vec<u8>>("[1]"), Ok(vec![1]));
    }
}
