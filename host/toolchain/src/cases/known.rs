//! Facts and counters of a case. Which of them a policy sees, and in what order, its requirements say,
//! which are known once it is loaded with the settings of the case.

use std::collections::BTreeMap;

use attorn_api::json::canonical;
use attorn_core::context::{Counter, Fact};
use attorn_core::{EvaluationContext, JsonText, Known, TimeMs};
use attorn_engine::{CounterDeclaration, CounterWindow, Requirements};
use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::number::Number;

/// A fact's value, or `null` for one that is missing.
pub(super) type FactWire = Option<Box<RawValue>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CounterWire {
    used: Number,
}

/// What the host knows in a case, whoever asks for it.
#[derive(Debug)]
pub(super) struct Given {
    facts: BTreeMap<String, Option<JsonText>>,
    used: BTreeMap<String, u64>,
}

impl Given {
    pub(super) fn parse(
        facts: BTreeMap<String, FactWire>,
        counters: BTreeMap<String, CounterWire>,
    ) -> Result<Self, String> {
        let value = |(template, raw): (String, FactWire)| {
            let value = raw.as_deref().map(|raw| canonical(raw.get())).transpose();
            let value = value.map_err(|error| format!("the fact `{template}`: {error}"))?;
            Ok::<_, String>((template, value))
        };
        Ok(Self {
            facts: facts.into_iter().map(value).collect::<Result<_, _>>()?,
            used: counters.into_iter().map(|(name, counter)| (name, counter.used.0)).collect(),
        })
    }

    /// What was looked up for a policy with these requirements; or what the case gives and nobody asks for.
    pub(super) fn known(&self, requirements: &Requirements, context: &EvaluationContext) -> Result<Known, String> {
        if let Some(template) = self.facts.keys().find(|given| !requirements.facts.contains(given)) {
            return Err(format!("it gives the fact `{template}`, which the policy does not ask for"));
        }
        if let Some(name) = self.used.keys().find(|given| requirements.counter(given).is_none()) {
            return Err(format!("it gives the counter `{name}`, which the policy does not declare"));
        }
        let facts = requirements.facts.iter().map(|template| self.fact(template, context));
        let counters = requirements.counters.iter().map(|declared| self.counter(declared, context.time));
        Ok(Known { facts: facts.collect::<Result<_, _>>()?, counters: counters.collect::<Result<_, _>>()? })
    }

    fn fact(&self, template: &str, context: &EvaluationContext) -> Result<Fact, String> {
        let name = fill(template, context);
        let value = self.facts.get(template).cloned().flatten();
        if name.is_none() && value.is_some() {
            return Err(format!("it gives the fact `{template}`, and the context has not all of its fields"));
        }
        Ok(Fact { template: template.to_owned(), name, value })
    }

    fn counter(&self, declared: &CounterDeclaration, now: TimeMs) -> Result<Counter, String> {
        let used = self.used.get(declared.name.as_str()).copied().unwrap_or(0);
        let (window_start, window_end) = window(declared.window, now)
            .ok_or_else(|| format!("no window of the counter `{}` is around {now}", declared.name))?;
        Ok(Counter { name: declared.name.clone(), used, window_start, window_end })
    }
}

/// The name of a fact: its template with the fields filled in. None if one is missing.
fn fill(template: &str, context: &EvaluationContext) -> Option<String> {
    let mut name = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (field, after) = after.split_once('}')?;
        name.push_str(before);
        escape(&field_of(field, context)?, &mut name);
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

fn field_of(field: &str, context: &EvaluationContext) -> Option<String> {
    let EvaluationContext { agent, user, request, .. } = context;
    let value = match field {
        "user.id" => user.as_ref()?.id.to_string(),
        "user.issuer" => user.as_ref()?.issuer.to_string(),
        "agent.id" => agent.id.to_string(),
        "agent.instance" => context.instance.to_string(),
        "agent.owner" => agent.owner.to_string(),
        "request.action" => request.action.to_string(),
        "request.resource_type" => request.resource.resource_type().to_string(),
        "request.resource_id" => request.resource.id().to_owned(),
        "request.purpose" => request.purpose.to_string(),
        "request.session" => request.session.as_ref()?.to_string(),
        _ => agent.labels.get(&field.strip_prefix("agent.label.")?.parse().ok()?)?.clone(),
    };
    Some(value).filter(|value| !value.is_empty())
}

/// Percent-encoding of all but RFC 3986's unreserved characters.
fn escape(value: &str, into: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => into.push(char::from(byte)),
            _ => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// The window of UTC time that `now` falls into.
fn window(window: CounterWindow, now: TimeMs) -> Option<(TimeMs, Option<TimeMs>)> {
    let of_length = |ms: u64| {
        let start = now.0 - now.0 % ms;
        Some((TimeMs(start), Some(TimeMs(start.checked_add(ms)?))))
    };
    match window {
        CounterWindow::Minute => of_length(60_000),
        CounterWindow::Hour => of_length(3_600_000),
        CounterWindow::Day => of_length(86_400_000),
        CounterWindow::Month => {
            let now = Timestamp::from_millisecond(i64::try_from(now.0).ok()?).ok()?;
            let first = Offset::UTC.to_datetime(now).date().first_of_month();
            let at = |date: Date| {
                let start = Offset::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok()?.as_millisecond();
                Some(TimeMs(u64::try_from(start).ok()?))
            };
            Some((at(first)?, Some(at(first.checked_add(1.month()).ok()?)?)))
        }
        CounterWindow::Total => Some((TimeMs(0), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_of_utc() {
        let of = |kind, now: &str| {
            let now = now.parse::<Timestamp>().unwrap().as_millisecond();
            let (start, end) = window(kind, TimeMs(now.unsigned_abs())).unwrap();
            (start.to_string(), end.map(|end| end.to_string()))
        };
        let now = "2024-02-29T23:59:59.999Z";
        for (kind, start, end) in [
            (CounterWindow::Minute, "2024-02-29T23:59:00.000Z", Some("2024-03-01T00:00:00.000Z")),
            (CounterWindow::Hour, "2024-02-29T23:00:00.000Z", Some("2024-03-01T00:00:00.000Z")),
            (CounterWindow::Day, "2024-02-29T00:00:00.000Z", Some("2024-03-01T00:00:00.000Z")),
            (CounterWindow::Month, "2024-02-01T00:00:00.000Z", Some("2024-03-01T00:00:00.000Z")),
            (CounterWindow::Total, "1970-01-01T00:00:00.000Z", None),
        ] {
            assert_eq!(of(kind, now), (start.to_owned(), end.map(str::to_owned)));
        }
        let month = of(CounterWindow::Month, "2023-12-01T00:00:00Z");
        assert_eq!(month, ("2023-12-01T00:00:00.000Z".into(), Some("2024-01-01T00:00:00.000Z".into())));
    }
}
