//! An entry in a line of a list.

use serde_json::Value;

/// The longest summary, in characters, unless somebody wants all of it.
pub(super) const CHARS_MAX: usize = 100;

/// What is wanted first of an act that has more than fits: what it is about.
const NAMES: [&str; 5] = ["id", "policy", "version", "agent", "user"];

/// A line about an entry. A decision in words, what an operator did with their name; anything else as
/// it stands, shortened to so many characters.
pub(super) fn summary(mut body: Value, chars_max: usize) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let whole = if body["type"] == "decision" {
        let [decision, agent, action, resource] =
            [&body["decision"], &body["agent"]["id"], &body["action"], &body["resource"]].map(text);
        let codes: Vec<String> = body["reasons"]
            .as_array()
            .map(|reasons| reasons.iter().map(|reason| text(&reason["code"])).collect())
            .unwrap_or_default();
        format!("{decision}: {agent} {action} {resource} ({})", codes.join(", "))
    } else if let (Some(operator), Some(about)) = (body["operator"].as_str(), body.get("about")) {
        let before = format!("{operator}: ");
        let left = chars_max.saturating_sub(before.chars().count());
        format!("{before}{}", names_first(about, left))
    } else {
        if let Some(members) = body.as_object_mut() {
            members.remove("type");
            members.remove("time_ms");
        }
        names_first(&body, chars_max)
    };
    if whole.chars().count() <= chars_max {
        return whole;
    }
    let cut: String = whole.chars().take(chars_max).collect();
    format!("{cut}…")
}

/// A value that may not fit: then names come first, and then what is short, so that digests and settings are what is cut.
fn names_first(value: &Value, chars_max: usize) -> String {
    let whole = value.to_string();
    let Some(members) = value.as_object().filter(|_| whole.chars().count() > chars_max) else { return whole };
    let mut members: Vec<(&String, String)> =
        members.iter().map(|(name, value)| (name, format!("{}:{value}", Value::from(name.as_str())))).collect();
    let place = |name: &str| NAMES.iter().position(|one| *one == name).unwrap_or(NAMES.len());
    members.sort_by_key(|(name, text)| (place(name), text.len()));
    let texts: Vec<_> = members.into_iter().map(|(_, text)| text).collect();
    format!("{{{}}}", texts.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn summary(body: Value) -> String {
        super::summary(body, CHARS_MAX)
    }

    #[test]
    fn summaries_are_short() {
        let decision = json!({ "type": "decision", "time_ms": 1, "decision": "deny", "agent": { "id": "bot" },
            "action": "faq.write", "resource": "article/1", "reasons": [{ "code": "not_listed" }] });
        assert_eq!(summary(decision), "deny: bot faq.write article/1 (not_listed)");
        let act = json!({ "type": "agent_retired", "time_ms": 1, "operator": "alice" });
        assert_eq!(summary(act), r#"{"operator":"alice"}"#);
        let act = json!({ "type": "agent_retired", "time_ms": 1, "operator": "alice", "about": { "id": "bot" } });
        assert_eq!(summary(act), r#"alice: {"id":"bot"}"#);
        let long = json!({ "type": "x", "about": "y".repeat(500) });
        assert_eq!(summary(long.clone()).chars().count(), CHARS_MAX + 1);
        assert_eq!(super::summary(long, usize::MAX), format!(r#"{{"about":"{}"}}"#, "y".repeat(500)));
        assert_eq!(summary(json!({ "type": "decision" })), "?: ? ? ? ()");
    }

    #[test]
    fn what_an_act_is_about_is_readable_however_much_it_says() {
        let digest = "0".repeat(64);
        let about = json!({ "active_set_digest": digest, "component": digest, "mode": "enforce", "policy": "faq-reading",
            "settings_digest": digest, "version": 3 });
        let act = json!({ "type": "policy_activated", "time_ms": 1, "operator": "alice", "about": about });
        let said = summary(act);
        assert!(said.starts_with(r#"alice: {"policy":"faq-reading","version":3,"mode":"enforce","#), "{said}");
        assert!(said.ends_with('…'), "{said}");
        // What nobody did by hand as well.
        let lease = json!({ "type": "x", "time_ms": 1, "digest": digest, "also": digest, "policy": "p" });
        assert!(summary(lease).starts_with(r#"{"policy":"p","also":"0"#));
    }
}
