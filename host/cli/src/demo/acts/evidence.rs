//! What the audit log says of an act, as an auditor reads it: by `attorn audit show`.

use std::time::{Duration, Instant};

use attorn_api::audit::EntryList;
use serde_json::Value;

use super::scene::Scene;
use crate::demo::host::said;
use crate::failure::Failure;

/// How long an entry may take that comes by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// An entry.
pub(super) struct Found {
    pub(super) index: u64,
    pub(super) body: Value,
}

/// Show an entry, which has to say all of this.
pub(super) async fn show(scene: &Scene<'_>, index: u64, what: &str, says: &[&str]) -> Result<(), Failure> {
    let arguments = ["audit", "show", &index.to_string()];
    let shown = scene.host.attorn(&arguments, Some(&scene.operators.auditor)).await?;
    if !shown.status.success() {
        return Err(said("`attorn audit show` failed", &shown));
    }
    let text = String::from_utf8_lossy(&shown.stdout);
    let missing = says.iter().find(|one| !text.contains(**one));
    let came = missing.map_or_else(|| what.to_owned(), |one| format!("it does not say `{one}`"));
    scene.narrator.step(format!("attorn audit show {index}"), came, missing.is_none())?;
    text.lines().for_each(|line| scene.narrator.say(format!("       {line}")));
    Ok(())
}

/// The first entry of which this is true, which may still have to come.
pub(super) async fn find(scene: &Scene<'_>, what: &str, is: impl Fn(&Value) -> bool) -> Result<Found, Failure> {
    let began = Instant::now();
    loop {
        if let Some(found) = all(scene).await?.into_iter().find(|entry| is(&entry.body)) {
            return Ok(found);
        }
        if began.elapsed() > PATIENCE {
            return Err(Failure::new(format!("the audit log has no entry about {what}")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Nothing of this stands anywhere in the log.
pub(super) async fn nowhere(scene: &Scene<'_>, what: &str, secret: &str) -> Result<(), Failure> {
    let entries = all(scene).await?;
    let found = entries.iter().filter(|entry| entry.body.to_string().contains(secret)).count();
    let asked = format!("somebody searches the {} entries of the audit log for {what}", entries.len());
    scene.narrator.step(asked, format!("found {found} times"), found == 0)
}

async fn all(scene: &Scene<'_>) -> Result<Vec<Found>, Failure> {
    let auditor = scene.auditor()?;
    let (mut entries, mut next) = (Vec::new(), Some(0));
    while let Some(from) = next {
        let page: EntryList = auditor.get(&format!("/v1/audit/entries?from={from}&limit=200")).await?;
        next = page.next;
        for entry in page.entries {
            let body = serde_json::from_str(entry.body.get()).map_err(|error| Failure::of(&error))?;
            entries.push(Found { index: entry.reference.index, body });
        }
    }
    Ok(entries)
}
