//! How delegations are printed.

use attorn_api::agents::Permission;
use attorn_api::delegations::{Delegation, DelegationDetails, DelegationList, DelegationTree, Evidence};
use attorn_core::TimeMs;
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::page::note_next;

/// A table of a page of them.
pub(in crate::commands) fn list(output: &Output, list: &DelegationList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |delegation: &Delegation| {
        vec![
            delegation.id.clone(),
            delegation.standing.clone(),
            from(delegation).to_owned(),
            delegation.to_agent.clone(),
            delegation.purpose.clone(),
            TimeMs(delegation.expires_at_ms).to_string(),
        ]
    };
    let rows: Vec<_> = list.delegations.iter().map(row).collect();
    output.table(&["DELEGATION", "STANDING", "FROM", "TO", "PURPOSE", "EXPIRES"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

/// A table for the user whose delegations they are: what may be done, and what is over.
pub(in crate::commands) fn of_user(output: &Output, list: &DelegationList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |delegation: &Delegation| {
        let standing = match delegation.standing.as_str() {
            "active" => "active".to_owned(),
            "delegation_not_accepted" => "not accepted yet".to_owned(),
            why => format!("ended ({why})"),
        };
        let may = delegation.permissions.iter().map(pair).collect::<Vec<_>>().join(", ");
        vec![
            delegation.id.clone(),
            standing,
            delegation.from_agent.clone().unwrap_or_else(|| "you".into()),
            delegation.to_agent.clone(),
            delegation.purpose.clone(),
            TimeMs(delegation.expires_at_ms).to_string(),
            may,
        ]
    };
    let rows: Vec<_> = list.delegations.iter().map(row).collect();
    output.table(&["DELEGATION", "STANDING", "FROM", "TO", "PURPOSE", "EXPIRES", "MAY"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

/// One of them; `whole` is all that the API said, for programs.
pub(in crate::commands) fn one(
    output: &Output,
    delegation: &Delegation,
    whole: &impl Serialize,
) -> Result<Exit, Failure> {
    if output.json {
        return output.json(whole).map(|()| Exit::Done);
    }
    lines(output, delegation);
    Ok(Exit::Done)
}

pub(super) fn details(output: &Output, details: &DelegationDetails) -> Result<Exit, Failure> {
    one(output, &details.delegation, details)?;
    if let Some(why) = details.revoked_because.as_ref().filter(|_| !output.json) {
        output.line(format!("{:10}  {why}", "because"));
    }
    if let Some(evidence) = details.evidence.as_ref().filter(|_| !output.json) {
        consent(output, evidence);
    }
    Ok(Exit::Done)
}

/// Each below the one that it was offered out of, and indented more.
pub(super) fn tree(output: &Output, tree: &DelegationTree) -> Result<Exit, Failure> {
    if output.json {
        return output.json(tree).map(|()| Exit::Done);
    }
    let mut left = vec![(tree, 0)];
    let mut more = false;
    while let Some((node, depth)) = left.pop() {
        let delegation = &node.delegation;
        let may = delegation.permissions.iter().map(pair).collect::<Vec<_>>().join(", ");
        let (indent, id) = ("  ".repeat(depth), &delegation.id);
        output.line(format!(
            "{indent}{id}  {} → {}  {}  {may}",
            from(delegation),
            delegation.to_agent,
            delegation.standing
        ));
        more |= node.more;
        left.extend(node.children.iter().rev().map(|child| (child, depth + 1)));
    }
    if more {
        output.note("there are more below than are shown");
    }
    Ok(Exit::Done)
}

fn lines(output: &Output, delegation: &Delegation) {
    let time = |at: Option<u64>| at.map(|at| TimeMs(at).to_string());
    for (name, value) in [
        ("delegation", Some(format!("{}  {}", delegation.id, delegation.standing))),
        ("user", Some(delegation.user.clone())),
        ("from", Some(from(delegation).to_owned())),
        ("to", Some(delegation.to_agent.clone())),
        ("out of", delegation.parent.clone()),
        ("purpose", Some(delegation.purpose.clone())),
        ("session", Some(delegation.session.clone())),
        ("made", time(Some(delegation.created_at_ms))),
        ("expires", time(Some(delegation.expires_at_ms))),
        ("accepted", Some(time(delegation.accepted_at_ms).unwrap_or_else(|| "not yet".into()))),
        ("revoked", time(delegation.revoked_at_ms)),
    ] {
        if let Some(value) = value {
            output.line(format!("{name:10}  {value}"));
        }
    }
    delegation.permissions.iter().for_each(|may| output.line(format!("{:10}  {}", "may", pair(may))));
}

fn consent(output: &Output, evidence: &Evidence) {
    output.line("");
    let time = |at: Option<u64>| at.map_or_else(|| "not said".to_owned(), |at| TimeMs(at).to_string());
    for (name, value) in [
        ("consent at", evidence.provider.clone()),
        ("token", evidence.token_id.clone().unwrap_or_else(|| "without id".into())),
        ("digest", evidence.token_digest.clone()),
        ("issued", TimeMs(evidence.issued_at_ms).to_string()),
        ("signed in", time(evidence.auth_time_ms)),
        ("how", evidence.acr.clone().unwrap_or_else(|| "not said".into())),
    ] {
        output.line(format!("{name:10}  {value}"));
    }
    evidence.consented.iter().for_each(|may| output.line(format!("{:10}  {}", "consented", pair(may))));
}

/// Whom it is from.
fn from(delegation: &Delegation) -> &str {
    delegation.from_agent.as_deref().unwrap_or(&delegation.user)
}

fn pair(permission: &Permission) -> String {
    format!("{} {}", permission.action, permission.resource)
}
