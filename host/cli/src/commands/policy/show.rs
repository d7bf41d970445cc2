//! How policies, versions and what came of them in shadow mode are printed.

use attorn_api::policies::{
    ActiveVersion, LoadReport, Mode, Policy, PolicyList, PolicySummary, PolicyVersion, Selector, VersionSigner,
};
use attorn_core::TimeMs;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::page::note_next;

/// How much is shown of a version's settings.
const SETTINGS_CHARS_MAX: usize = 1_000;

pub(super) fn list(output: &Output, list: &PolicyList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let set = &list.active_set;
    output.line(format!("in force: revision {}, {} policies, digest {}", set.revision, set.policies, set.digest));
    let row = |policy: &PolicySummary| {
        let active = policy.active.as_ref();
        let text = |text: fn(&ActiveVersion) -> String| active.map_or_else(|| "-".into(), text);
        vec![
            policy.id.clone(),
            number(active.map(|active| active.version)),
            number(policy.before),
            policy.latest_version.to_string(),
            text(|active| match active.not_loaded {
                Some(_) => "NOT LOADED, denies".to_owned(),
                None => mode(active.mode, active.required),
            }),
            text(|active| signer(active.signer.as_ref())),
            text(|active| selector(&active.selector)),
        ]
    };
    let heads = ["POLICY", "IN FORCE", "BEFORE", "NEWEST", "MODE", "SIGNED BY", "ASKED ABOUT"];
    output.table(&heads, &list.policies.iter().map(row).collect::<Vec<_>>());
    for policy in &list.policies {
        let active = policy.active.as_ref();
        let why = active.and_then(|active| Some((active.version, active.mode, active.not_loaded.as_deref()?)));
        for line in why.iter().flat_map(|(version, mode, why)| not_loaded((&policy.id, *version), *mode, why)) {
            output.note(line);
        }
    }
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

pub(super) fn show(output: &Output, policy: &Policy) -> Result<Exit, Failure> {
    if output.json {
        return output.json(policy).map(|()| Exit::Done);
    }
    output.line(format!("policy {}", policy.id));
    output.line(format!("in force: {}", policy.active_version.map_or("no version".into(), |v| format!("version {v}"))));
    for version in &policy.versions {
        let why = version.not_loaded.as_deref();
        for line in why.iter().flat_map(|why| not_loaded((&policy.id, version.version), version.mode, why)) {
            output.line(line);
        }
    }
    if let Some(before) = policy.before.first() {
        output.line(format!("before: version {before}, where `attorn policy rollback {}` leads", policy.id));
    }
    let row = |version: &PolicyVersion| {
        vec![
            version.version.to_string(),
            match (version.active, &version.not_loaded) {
                (true, Some(_)) => "NOT LOADED",
                (true, None) => "in force",
                (false, _) => "-",
            }
            .into(),
            mode(version.mode, version.required),
            selector(&version.selector),
            signer(version.signer.as_ref()),
            version.created_by.clone(),
            TimeMs(version.created_at_ms).to_string(),
            version.digest.clone(),
        ]
    };
    let heads = ["VERSION", "STATE", "MODE", "ASKED ABOUT", "SIGNED BY", "PUSHED BY", "AT", "DIGEST"];
    output.table(&heads, &policy.versions.iter().map(row).collect::<Vec<_>>());
    for version in &policy.versions {
        if let Some(load) = &version.load {
            output.line(format!("version {}: {}", version.version, load_line(load)));
        }
    }
    let newest = policy.versions.first().map(|version| version.version);
    for version in policy.versions.iter().filter(|version| version.active || Some(version.version) == newest) {
        for line in made_of(version) {
            output.line(line);
        }
    }
    for version in &policy.versions {
        for pause in &version.paused {
            let (number, agent, until) = (version.version, &pause.agent, TimeMs(pause.until_ms));
            output.line(format!(
                "version {number}: not asked for agent {agent} until {until}, which denies: it ran out of CPU time again and again"
            ));
        }
    }
    let row = |version: &PolicyVersion| {
        version.shadow.map(|report| {
            let counts = [
                report.evaluations,
                report.would_change,
                report.stricter,
                report.laxer,
                report.failures,
                report.dropped,
            ];
            let head = [version.version.to_string(), TimeMs(report.since_ms).to_string()];
            head.into_iter().chain(counts.map(|count| count.to_string())).collect()
        })
    };
    let rows: Vec<Vec<String>> = policy.versions.iter().filter_map(row).collect();
    if !rows.is_empty() {
        output.line("in shadow mode:");
        let heads = ["VERSION", "SINCE", "ASKED", "WOULD CHANGE", "STRICTER", "LAXER", "FAILED", "DROPPED"];
        output.table(&heads, &rows);
    }
    Ok(Exit::Done)
}

/// That a version in force does not run, and the ways out.
fn not_loaded((id, version): (&str, u32), mode: Mode, why: &str) -> [String; 2] {
    let comes_of_it = match mode {
        Mode::Enforce => "what it is asked about is denied",
        Mode::Shadow => "it is asked about nothing",
    };
    [
        format!("policy {id}: version {version} is in force and NOT LOADED, so {comes_of_it}: {why}"),
        format!(
            "push the same component and settings again, and then say `attorn policy activate {id} {version}` or start the \
             server anew; or put another version in force (`attorn policy show {id}` lists them)"
        ),
    ]
}

/// What a version is made of: component and settings.
fn made_of(version: &PolicyVersion) -> [String; 2] {
    let (number, settings) = (version.version, version.settings.to_string());
    let shown: String = settings.chars().take(SETTINGS_CHARS_MAX).collect();
    let rest = if shown.len() < settings.len() { " … (`--json` shows all)" } else { "" };
    [format!("version {number}: component {}", version.component), format!("version {number}: settings {shown}{rest}")]
}

/// How a version was made ready, in a line.
fn load_line(load: &LoadReport) -> String {
    let start = match &load.no_snapshot {
        None => "each evaluation starts from a snapshot taken after `init`".to_owned(),
        Some(why) => format!("`init` runs before each evaluation, because no snapshot could be taken: {why}"),
    };
    let pool = if load.pool.is_none() { "; it fits no pool and maps memories of its own each time" } else { "" };
    format!("{start}{pool}; {} bytes of machine code", load.machine_code_bytes)
}

pub(super) fn number(version: Option<u32>) -> String {
    version.map_or_else(|| "-".into(), |version| version.to_string())
}

fn mode(mode: Mode, required: bool) -> String {
    match (mode, required) {
        (Mode::Shadow, _) => "shadow",
        (Mode::Enforce, true) => "enforce, required",
        (Mode::Enforce, false) => "enforce",
    }
    .into()
}

/// Who signed a version's component, and whether that still counts.
fn signer(signer: Option<&VersionSigner>) -> String {
    match signer {
        None => "-".into(),
        Some(VersionSigner { id, revoked_at_ms: None, .. }) => id.clone(),
        Some(VersionSigner { id, revoked_at_ms: Some(_), .. }) => format!("{id} (revoked)"),
    }
}

fn selector(selector: &Selector) -> String {
    let labels = selector.agent_labels.iter().map(|(name, value)| format!("{name}={value}"));
    let user = selector.user.map(|user| format!("{user:?} user").to_lowercase());
    let sides: Vec<String> =
        selector.actions.iter().chain(&selector.resource_types).cloned().chain(labels).chain(user).collect();
    if sides.is_empty() { "everything".into() } else { sides.join(" ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_version_that_does_not_run_comes_with_a_way_out() {
        let [what, help] = not_loaded(("p", 3), Mode::Enforce, "there is no file `c0ffee`");
        let expect = "policy p: version 3 is in force and NOT LOADED, so what it is asked about is denied: there is no file `c0ffee`";
        assert_eq!(what, expect);
        assert!(help.contains("`attorn policy activate p 3`") && help.contains("`attorn policy show p`"), "{help}");
        assert!(not_loaded(("p", 3), Mode::Shadow, "w")[0].contains("it is asked about nothing"));
    }

    #[test]
    fn what_a_version_is_made_of_is_shown_up_to_a_length() {
        let version = |settings| -> PolicyVersion {
            serde_json::from_value(json!({
                "policy": "p", "version": 3, "digest": "d", "component": "c0ffee", "settings": settings, "selector": {},
                "mode": "enforce", "required": true, "class": "native",
                "limits": { "cpu_us_max": 1, "wall_us_max": 2, "memory_bytes_max": 3 },
                "created_at_ms": 0, "created_by": "alice", "active": true, "shadow": null, "paused": [],
            }))
            .unwrap()
        };
        let expect = ["version 3: component c0ffee", r#"version 3: settings {"from":8}"#];
        assert_eq!(made_of(&version(json!({ "from": 8 }))), expect);
        let [_, long] = made_of(&version(json!("\u{e9}".repeat(SETTINGS_CHARS_MAX))));
        assert!(long.ends_with("\u{e9} … (`--json` shows all)"), "{long}");
        let exact = "x".repeat(SETTINGS_CHARS_MAX - 2);
        assert_eq!(made_of(&version(json!(exact)))[1], format!("version 3: settings \"{exact}\""));
    }
}
