//! What targets are, as people and programs read it.

use attorn_api::targets::{
    Postgresql, TargetCheck, TargetFault, TargetList, TargetRotated, {self as api},
};
use attorn_core::{TargetId, TimeMs};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::page::note_next;

pub(super) fn list(output: &Output, list: &TargetList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |target: &api::Target| {
        vec![
            target.id.clone(),
            target.state.clone(),
            place(target),
            target.resource_types.join(","),
            target.postgresql.as_ref().map_or("-".into(), |at| format!("{}/{}", target.open_leases, at.leases_max)),
            if target.asked { "yes" } else { "not for a while" }.into(),
        ]
    };
    let rows: Vec<_> = list.targets.iter().map(row).collect();
    output.table(&["TARGET", "STATE", "AT", "RESOURCE TYPES", "LEASES", "WOULD BE ASKED"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

/// Where it answers.
fn place(target: &api::Target) -> String {
    match (&target.postgresql, &target.proxy) {
        (Some(database), _) => format!("{}:{}", database.host, database.port),
        (None, Some(proxy)) => proxy.origin.clone(),
        (None, None) => "?".into(),
    }
}

pub(super) fn print(output: &Output, target: &api::Target) -> Result<Exit, Failure> {
    if output.json {
        return output.json(target).map(|()| Exit::Done);
    }
    output.line(format!("target          {}  {}", target.id, target.state));
    if let Some(settings) = &target.postgresql {
        print_database(output, target, settings);
    }
    if let Some(settings) = &target.proxy {
        print_proxy(output, target, settings);
    }
    // Whether it would be asked, and not whether it answers.
    let asked = if target.asked {
        "yes; whether it answers, `attorn target check` finds out"
    } else {
        "not for a while: it failed"
    };
    output.line(format!("would be asked  {asked}"));
    output.line(format!("registered      {}", TimeMs(target.created_at_ms)));
    output.line(format!("changed         {}", TimeMs(target.changed_at_ms)));
    Ok(Exit::Done)
}

fn print_proxy(output: &Output, target: &api::Target, settings: &api::Proxy) {
    output.line(format!("proxy           {}", settings.origin));
    let (header, prefix) = (&settings.secret_header, &settings.secret_prefix);
    output.line(format!("secret          {}, shown as `{header}: {prefix}...`", target.secret_version));
    output.line(format!("resource types  {}", target.resource_types.join(", ")));
    for route in &settings.routes {
        output.line(format!("calls           {} {}: {} {}", route.method, route.path, route.action, route.resource));
    }
    output.line(format!("at once         {}", settings.requests_max));
}

fn print_database(output: &Output, target: &api::Target, settings: &Postgresql) {
    output.line(format!("postgresql      {} at {}:{}", settings.database, settings.host, settings.port));
    output.line(format!("administrator   {}, password {}", settings.admin, target.secret_version));
    if !target.same_administrator.is_empty() {
        output.line(format!("                the same as of {}", target.same_administrator.join(", ")));
        output.note("`attorn target rotate` changes no password of an administrator that several targets have");
    }
    let tls = if settings.tls_roots_pem.is_some() { "verified" } else { "none: loopback only" };
    output.line(format!("TLS             {tls}"));
    output.line(format!("resource types  {}", target.resource_types.join(", ")));
    for rule in &settings.rules {
        output.line(format!("roles           {} {}: {}", rule.action, rule.resource, rule.roles.join(", ")));
    }
    if let Some(table) = &settings.user_table {
        output.line(format!("users           in {}.{}", table.schema, table.table));
    }
    output.line(format!("leases          {} of {}", target.open_leases, settings.leases_max));
    output.line(format!("of one agent    {} at most", settings.leases_per_agent_max));
    output.line(format!("lease lives     {} ms at most", settings.lease_ms_max));
}

/// Ends with an error where something is wrong, so that whoever watches by it is told.
pub(super) fn checked(output: &Output, id: &TargetId, check: &TargetCheck) -> Result<Exit, Failure> {
    if output.json {
        output.json(check)?;
    } else {
        output.line(format!("answers         {}", answers(check)));
        output.line(format!("logins          {}", check.logins));
        for problem in &check.problems {
            output.line(format!("problem         {problem}"));
        }
        for name in &check.unknown {
            output.line(format!("without lease   {name}"));
        }
        if check.unknown_ended > 0 {
            output.line(format!("of those ended  {}", check.unknown_ended));
        }
        for lease in &check.missing {
            output.line(format!("without login   {lease}"));
        }
    }
    let unknown_left = (check.unknown.len() as u64).saturating_sub(check.unknown_ended);
    let wrong = if let Some(fault) = check.fault {
        not_looked_at(fault, id)
    } else if !check.problems.is_empty() {
        Failure::new("something is wrong with the target")
    } else if unknown_left > 0 {
        Failure::new(format!("{unknown_left} logins of this server's have no lease"))
            .with_help("`--end-unknown` ends them")
    } else {
        return Ok(Exit::Done);
    };
    Err(wrong)
}

/// Who answers, in a word or some.
const fn answers(check: &TargetCheck) -> &'static str {
    match (check.reachable, check.fault) {
        (true, _) => "yes",
        (false, Some(TargetFault::Tls)) => "somebody who does not prove to be it",
        (false, Some(TargetFault::Roots | TargetFault::Settings)) => "it was not asked",
        (false, _) => "no",
    }
}

/// What is wrong with a target that could not be looked at, and where to mend it.
fn not_looked_at(fault: TargetFault, id: &TargetId) -> Failure {
    let failure = |what: &str, help: String| Failure::new(what).with_help(help);
    match fault {
        TargetFault::Unreachable => {
            failure("the target cannot be reached", format!("`attorn target show {id}` says where it is looked for"))
        }
        TargetFault::Tls => failure(
            "whoever answers does not prove to be the target that is registered",
            "its certificate has to be for the host that is registered, and signed by the roots that are".into(),
        ),
        TargetFault::Roots => failure(
            "the server cannot read the certificates that it is to trust: the target was not asked",
            "the problem above says why: where no roots are registered, they are those of the machine that the server runs \
             on; else retire the target, and register it anew with others"
                .into(),
        ),
        TargetFault::SignIn => failure(
            "the target answers, and does not let its administrator in: another password, or no such role",
            format!("`attorn target rotate-secret {id}` tells the password that the administrator has by now"),
        ),
        TargetFault::Rights => failure(
            "the target answers, and its administrator lacks a right",
            "the problem above says which: grant it in the database".into(),
        ),
        TargetFault::Database => failure(
            "the target answers, and has no database of that name",
            format!("`attorn target show {id}` says which is looked for"),
        ),
        TargetFault::Settings => failure(
            "the target may not be used as it is registered",
            format!(
                "the problem above says why; where that is the registration, `attorn target retire {id}`, and register it \
                 anew under another id"
            ),
        ),
        TargetFault::Other => failure("the target answers with an error", "the problem above says which".into()),
    }
}

pub(super) fn rotated(output: &Output, rotated: &TargetRotated) -> Result<Exit, Failure> {
    if output.json {
        output.json(rotated)?;
    } else {
        print(output, &rotated.target)?;
    }
    match &rotated.problem {
        None => Ok(Exit::Done),
        Some(problem) => Err(Failure::new(format!("whether the new password counts is not known: {problem}"))
            .with_help("both are tried until another `attorn target rotate` succeeds")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_fault_of_a_target_has_words_of_its_own_and_a_way_out() {
        let id = "shop".parse().unwrap();
        let faults = TargetFault::ALL;
        let said: BTreeSet<_> = faults.map(|fault| not_looked_at(fault, &id).message).into();
        assert_eq!(said.len(), faults.len());
        assert!(faults.iter().all(|fault| not_looked_at(*fault, &id).help.is_some()));
        // The address is blamed where nobody answers, and nowhere else.
        let reached = |fault: &&TargetFault| !not_looked_at(**fault, &id).message.contains("cannot be reached");
        assert_eq!(faults.iter().filter(reached).count(), faults.len() - 1);
        let help = not_looked_at(TargetFault::SignIn, &id).help.unwrap_or_default();
        assert!(help.contains("`attorn target rotate-secret shop`"), "{help}");
    }

    #[test]
    fn who_answers_is_said_once() {
        let check = |reachable, fault| TargetCheck {
            reachable,
            fault,
            problems: Vec::new(),
            logins: 0,
            unknown: Vec::new(),
            unknown_ended: 0,
            missing: Vec::new(),
        };
        let id = "shop".parse().unwrap();
        for fault in TargetFault::ALL {
            let is_answer = not_looked_at(fault, &id).message.starts_with("the target answers");
            assert_eq!(answers(&check(is_answer, Some(fault))) == "yes", is_answer, "{fault:?}");
            let denied = answers(&check(false, Some(fault))) == "no";
            assert!(!(denied && not_looked_at(fault, &id).message.contains("answers")) || is_answer, "{fault:?}");
        }
        assert_eq!((answers(&check(true, None)), answers(&check(false, None))), ("yes", "no"));
    }
}
