//! A decision as a story: who asked, for whom, why, what, what each bound and policy said, what came of it, and where
//! the proof is. It is told from the entry; what only the record knows is added where that can be read.

use attorn_api::audit::Entry;
use attorn_core::TimeMs;
use serde_json::Value;

use super::body;
use super::leases::{self, Lease};
use super::show::Told;
use crate::failure::Failure;

/// The lines of the story.
pub(super) fn tell(told: &Told) -> Result<Vec<String>, Failure> {
    let entry = body(&told.entry)?;
    let none = Value::Null;
    let record = told.record.as_ref().unwrap_or(&none);
    let mut lines = vec![format!("{}  {} at {}", text(&entry["decision_id"]), text(&entry["decision"]), time(&entry))];
    let mut say = |name: &str, what: String| lines.push(format!("{name:9} {what}"));
    who(&entry, record, &mut say);
    asked(&entry, record, &mut say);
    said(&entry, record, &mut say);
    approval(&entry["approval"], &mut say);
    granted(&entry, &mut say);
    for lease in &told.leases {
        let Lease { id, target, state, since_ms, .. } = lease;
        say("lease", format!("{id} at {target} is {state}, since {}", TimeMs(*since_ms)));
    }
    for later in &told.came_of_it {
        if let Some(what) = came_of_it(&body(later)?) {
            say("then", format!("{what} (entry {}/{})", later.reference.epoch, later.reference.index));
        }
    }
    if let Some(why) = &told.record_gone {
        say("record", format!("it cannot be read any more, and this is what the entry tells: {why}"));
    }
    proof(&told.entry, &mut say);
    Ok(lines)
}

fn who(entry: &Value, record: &Value, say: &mut impl FnMut(&str, String)) {
    let agent = &entry["agent"];
    say("who", format!("agent {}, for which {} answers", text(&agent["id"]), text(&agent["owner"])));
    let instance = agent["instance"].as_str().map(|instance| format!(" of {instance}")).unwrap_or_default();
    let method = record["caller"]["method"].as_str().map(|method| format!(", by {method}")).unwrap_or_default();
    say("", format!("key {}{instance}{method}", text(&agent["key_thumbprint"])));
    let behalf = &entry["on_behalf"];
    if behalf.is_object() {
        let known = record["user"]["id"].as_str().map(|id| format!(" ({id})")).unwrap_or_default();
        say("for", format!("user {}{known}", text(&behalf["user"])));
        for hop in behalf["chain"].as_array().into_iter().flatten() {
            say("", format!("who gave it to agent {} by {}", text(&hop["agent"]), text(&hop["delegation"])));
        }
    } else if let Some(delegation) = entry["delegation"].as_str() {
        say("for", format!("nobody knows: the delegation {delegation} could not be read"));
    } else {
        say("for", "nobody: on its own authority".into());
    }
    let session = entry["session"].as_str().map(|session| format!(", in the session {session}")).unwrap_or_default();
    say("why", format!("purpose {}{session}", text(&entry["purpose"])));
}

fn asked(entry: &Value, record: &Value, say: &mut impl FnMut(&str, String)) {
    let wanted = &record["request"];
    let resource = text(&entry["resource"]);
    let known = wanted["resource"].as_str().filter(|known| *known != resource);
    let known = known.map(|known| format!(" ({known})")).unwrap_or_default();
    say("asked", format!("{} on {resource}{known}", text(&entry["action"])));
    if let Some(kind) = entry["credential"]["kind"].as_str() {
        let target = entry["credential"]["target"].as_str().unwrap_or("no target");
        let what = if kind == "proxy" { "to be sent on to" } else { "a login at" };
        say("", format!("{what} {target} ({kind})"));
    }
    for (name, member) in [("arguments", &wanted["arguments"]), ("claims", &wanted["claims"])] {
        if member.as_object().is_some_and(|member| !member.is_empty()) {
            say("", format!("{name} {member}"));
        }
    }
}

/// What each bound and each policy said.
fn said(entry: &Value, record: &Value, say: &mut impl FnMut(&str, String)) {
    let reasons: Vec<&Value> = entry["reasons"].as_array().into_iter().flatten().collect();
    let policies: Vec<&Value> = entry["policies"].as_array().into_iter().flatten().collect();
    let codes = |of: Option<&str>| {
        let of_it = reasons.iter().filter(|reason| reason["policy"].as_str() == of);
        of_it.map(|reason| text(&reason["code"])).collect::<Vec<_>>().join(", ")
    };
    let by_host = codes(None);
    let reached = record["policies_asked"].as_bool().unwrap_or(!policies.is_empty());
    let bounds = match (reached, by_host.is_empty()) {
        (true, true) => "all hold".to_owned(),
        (true, false) => format!("all hold; the host adds {by_host}"),
        (false, true) => "no policy was asked".to_owned(),
        (false, false) => format!("not all hold: {by_host}; no policy was asked"),
    };
    say("bounds", bounds);
    let mut name = "policies";
    for policy in policies {
        let id = text(&policy["policy"]);
        let codes = codes(Some(&id));
        let codes = if codes.is_empty() { codes } else { format!(" ({codes})") };
        say(name, format!("{id}/{} {}{codes}", policy["version"], text(&policy["outcome"])));
        name = "";
    }
    let set = &entry["active_set"];
    if set.is_object() {
        say("", format!("in force was revision {} ({})", set["revision"], text(&set["digest"])));
    }
}

/// What an approval had to do with it.
fn approval(approval: &Value, say: &mut impl FnMut(&str, String)) {
    let id = text(&approval["id"]);
    let each = |members: &Value, what: &dyn Fn(&Value) -> String| {
        members.as_array().into_iter().flatten().map(what).collect::<Vec<_>>().join(", ")
    };
    let what = match approval["is"].as_str() {
        None => return,
        Some("requested") => {
            let of = each(&approval["approvers"], &|one| match one["group"].as_str() {
                Some(group) => format!("{} of group `{group}`", one["count"]),
                None => format!("{} {}", one["count"], text(&one["role"])),
            });
            format!("{id} asks for {of}")
        }
        Some("spent") => {
            let by = each(&approval["approved_by"], &|one| match one["operator"].as_str() {
                Some(operator) => format!("operator {operator}"),
                None => match one["group"].as_str() {
                    Some(group) => format!("user {} of group `{group}`", text(&one["user"])),
                    None => format!("user {}", text(&one["user"])),
                },
            });
            format!("{id} approved by {by}")
        }
        Some(other) => format!("{id} is {other}"),
    };
    say("approval", what);
}

fn granted(entry: &Value, say: &mut impl FnMut(&str, String)) {
    let grant = &entry["grant"];
    if !grant.is_object() {
        say("result", format!("{}, and no grant", text(&entry["decision"])));
        return;
    }
    let until = grant["expires_at_ms"].as_u64().map_or_else(|| "?".into(), |ms| TimeMs(ms).to_string());
    let uses = match grant["uses_max"].as_u64() {
        Some(1) => "one use".to_owned(),
        uses => format!("{} uses", uses.unwrap_or_default()),
    };
    let (id, server) = (text(&grant["id"]), text(&grant["resource_server"]));
    say("result", format!("grant {id} for {server}, {uses}, until {until}"));
}

/// What a later entry tells; none if it tells nothing of this.
fn came_of_it(entry: &Value) -> Option<String> {
    let what = match entry["type"].as_str()? {
        "grant_used" => format!("{} used it, use {}", text(&entry["resource_server"]), entry["use_number"]),
        "grant_effect" => {
            let note = entry["note"].as_str().map(|note| format!(": {note}")).unwrap_or_default();
            let cut = entry["cut"].as_str();
            let cut = cut.map(|cut| format!(", and its answer was cut off: {}", cut_off(cut))).unwrap_or_default();
            let header = if entry["secret_in_header"] == true {
                ", with its secret in a header, which was left out"
            } else {
                ""
            };
            format!("use {} came to {}{cut}{header}{note}", entry["use_number"], text(&entry["effect"]))
        }
        "grant_revoked" => match (entry["operator"].as_str(), entry["agent"].as_str()) {
            (Some(operator), _) => format!("operator {operator} revoked the grant"),
            (None, Some(agent)) => format!("agent {agent} gave the grant back"),
            (None, None) => "the grant was revoked".to_owned(),
        },
        "shadow_evaluated" => {
            let each = entry["policies"].as_array().into_iter().flatten();
            let each = each.map(|policy| {
                format!("{}/{} {}", text(&policy["policy"]), policy["version"], text(&policy["outcome"]))
            });
            format!("shadow policies said: {}", each.collect::<Vec<_>>().join(", "))
        }
        "approval_voted" => {
            let about = &entry["about"];
            let who = match entry["operator"].as_str() {
                Some(operator) => format!("operator {operator}"),
                None => format!("user {}", text(&about["by"]["user"])),
            };
            let by = about["channel"].as_str().map_or_else(String::new, |channel| format!(" ({channel})"));
            format!(
                "{who} says {}{by}: {} is {}",
                text(&about["says"]),
                text(&about["approval"]),
                text(&about["state"])
            )
        }
        "replay" => {
            let comparison = text(&entry["about"]["comparison"]);
            format!("operator {} had it decided again: {comparison}", text(&entry["operator"]))
        }
        other => leases::told(entry).unwrap_or_else(|| other.to_owned()),
    };
    Some(format!("{} {what}", time(entry)))
}

/// Why an answer was cut off, in words.
fn cut_off(cut: &str) -> &str {
    match cut {
        "idle" => "the service paused too long",
        "late" => "it took too long",
        "too_long" => "it was too long",
        "secret" => "it held the service's secret",
        "broken" => "the service broke off",
        "hung_up" => "the agent hung up",
        "unread" => "the agent did not read on",
        "revoked" => "its grant stood no more",
        other => other,
    }
}

/// Where the proof of an entry is.
pub(super) fn proof(entry: &Entry, say: &mut impl FnMut(&str, String)) {
    let at = &entry.reference;
    say("proof", format!("entry {}/{}/{}", at.log_id, at.epoch, at.index));
    say("", format!("attorn audit receipt {}/{} > receipt.txt", at.epoch, at.index));
    say("", "attorn audit verify --receipt receipt.txt --key log.key".into());
    // Each epoch has a key of its own, and what a server says of it is no more than that.
    say(
        "",
        format!(
            "log.key is the key of epoch {}, as you keep it, or else as `attorn audit key --epoch {0}` prints it",
            at.epoch
        ),
    );
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("?").to_owned()
}

fn time(entry: &Value) -> String {
    entry["time_ms"].as_u64().map_or_else(|| "?".into(), |ms| TimeMs(ms).to_string())
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
