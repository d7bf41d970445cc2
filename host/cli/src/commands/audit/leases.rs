//! What became of a login that a decision allowed, told from the entries about its lease.

use attorn_api::audit::Entry;
use attorn_core::TimeMs;
use serde::Serialize;
use serde_json::Value;

use super::body;
use crate::failure::Failure;

/// With what the types of entries about leases begin.
const TYPE: &str = "lease_";

/// A lease, as the last entry about it leaves it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Lease {
    /// Its id.
    #[serde(rename = "lease")]
    pub(super) id: String,
    /// Where its login is, or was.
    pub(super) target: String,
    /// The login's name there.
    pub(super) name: String,
    /// `intended`, `issued`, `revoking`, `irrevocable` or `ended`.
    pub(super) state: &'static str,
    /// Since when.
    pub(super) since_ms: u64,
}

impl Lease {
    /// Whether nothing more comes of it.
    pub(super) fn has_ended(&self) -> bool {
        self.state == "ended"
    }
}

/// Whether an entry is about a lease.
pub(super) fn is_of_lease(entry: &Value) -> bool {
    entry["type"].as_str().is_some_and(|kind| kind.starts_with(TYPE))
}

/// The leases that these entries are about, in the order of the log.
pub(super) fn of(entries: &[Entry]) -> Result<Vec<Lease>, Failure> {
    let mut leases: Vec<Lease> = Vec::new();
    for entry in entries {
        let entry = body(entry)?;
        let Some(lease) = member(&entry, "lease").filter(|_| is_of_lease(&entry)) else { continue };
        let at = leases.iter().position(|known| known.id == lease).unwrap_or_else(|| {
            let text = |name| member(&entry, name).unwrap_or("?").to_owned();
            let (target, name) = (text("target"), text("name"));
            leases.push(Lease { id: lease.to_owned(), target, name, state: "intended", since_ms: 0 });
            leases.len() - 1
        });
        if let Some(known) = leases.get_mut(at)
            && let Some(state) = state(&entry)
        {
            (known.state, known.since_ms) = (state, entry["time_ms"].as_u64().unwrap_or_default());
        }
    }
    Ok(leases)
}

/// In which state an entry leaves its lease; none if it leaves it in the one that it is in.
fn state(entry: &Value) -> Option<&'static str> {
    Some(match entry["type"].as_str()? {
        "lease_intended" => "intended",
        "lease_issued" => "issued",
        "lease_revoking" => "revoking",
        "lease_irrevocable" => "irrevocable",
        "lease_ended" => "ended",
        _ => return None,
    })
}

/// What an entry about a lease tells; none if it is none, or of a type that this program does not know.
pub(super) fn told(entry: &Value) -> Option<String> {
    let lease = member(entry, "lease").unwrap_or("?");
    let of = |name| member(entry, name).map(|text| format!(": {text}")).unwrap_or_default();
    Some(match entry["type"].as_str()? {
        "lease_intended" => {
            format!("a login at {} is to be made, by {lease}", member(entry, "target").unwrap_or("?"))
        }
        "lease_issued" => format!("the login {} was made", member(entry, "name").unwrap_or("?")),
        "lease_renewed" => {
            let until = entry["expires_at_ms"].as_u64().map_or_else(|| "?".into(), |ms| TimeMs(ms).to_string());
            format!("{lease} was renewed, until {until}")
        }
        "lease_revoking" => match entry["operator"].as_str() {
            Some(operator) => format!("operator {operator} had {lease} ended"),
            None => format!("{lease} is to be ended{}", of("why")),
        },
        "lease_revocation_failed" => format!("{lease} could not be ended at once{}", of("error")),
        "lease_irrevocable" => format!("{lease} cannot be ended{}", of("error")),
        "lease_ended" => format!("{lease} has ended{}", of("why")),
        _ => return None,
    })
}

/// A member of an entry, or of what an operator's act is about.
fn member<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    entry[name].as_str().or_else(|| entry["about"][name].as_str())
}
