//! Who there is: operators, agents, resource servers, trust domains, workload issuers. Every change is one batch with
//! its entry, and is acknowledged when it is durable.

pub(crate) mod agents;
pub(crate) mod bootstrap;
pub(crate) mod keys;
pub(crate) mod operators;
pub(crate) mod resource_servers;
pub(crate) mod trust_domains;
pub(crate) mod workload_issuers;

use attorn_api::ProblemCode;
use attorn_api::delegations::Revoke;
use attorn_store::records::Record;
use attorn_store::{Batch, CommitError, Committed, Key, KeyKind, KeyPrefix, PAGE_ITEMS_MAX, Store};

use crate::app::App;
use crate::http::call::Call;
use crate::http::failure::Failure;

/// Commit a change of something that is registered. `taken` is what to say when it changed meanwhile
/// or its ids are taken.
pub(crate) async fn commit(app: &App, batch: Batch, taken: impl FnOnce() -> Failure) -> Result<Committed, Failure> {
    match app.store.commit(batch).await {
        Ok(committed) => Ok(committed),
        Err(CommitError::Conflict(_)) => Err(taken()),
        Err(other) => Err(other.into()),
    }
}

/// Why an operator revokes something; the entry says it as it is.
pub(crate) fn why(call: &Call) -> Result<Option<String>, Failure> {
    let Revoke { reason } = call.json()?;
    note("reason", reason.as_deref())?;
    Ok(reason)
}

/// A page of records of one kind, and whether there is more.
pub(crate) async fn page<R: Record>(
    app: &App,
    kind: KeyKind,
    after: Option<Key>,
    limit: usize,
) -> Result<(Vec<R>, bool), Failure> {
    let page = app.store.scan(&KeyPrefix::kind(kind), after.as_ref(), limit).await?;
    let records = page.items.iter().map(|(key, stored)| R::decode(key, &stored.value)).collect::<Result<_, _>>();
    Ok((records.map_err(Failure::internal)?, page.next.is_some()))
}

/// All records of one kind, however many there are.
pub(crate) async fn all<R: Record>(store: &Store, kind: KeyKind) -> Result<Vec<R>, Failure> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = store.scan(&KeyPrefix::kind(kind), after.as_ref(), PAGE_ITEMS_MAX).await?;
        for (key, stored) in &page.items {
            records.push(R::decode(key, &stored.value).map_err(Failure::internal)?);
        }
        after = page.next;
        if after.is_none() {
            return Ok(records);
        }
    }
}

/// What to say when something moved between reading and writing.
pub(crate) fn moved() -> Failure {
    Failure::of(ProblemCode::Contention, "it changed meanwhile; nothing was recorded").with_help("try again")
}

/// Check that a list has neither too little nor too much in it.
pub(crate) fn count(what: &str, have: usize, min: usize, max: usize) -> Result<(), Failure> {
    if (min..=max).contains(&have) {
        return Ok(());
    }
    Err(Failure::of(ProblemCode::InvalidField, format!("{have} {what}, and there may be {min} to {max}")))
}

/// Check a text that people wrote and people read.
pub(crate) fn note(what: &str, text: Option<&str>) -> Result<(), Failure> {
    match text {
        Some(text) if text.chars().count() > 256 || text.chars().any(char::is_control) => {
            let detail = format!("`{what}` has more than 256 characters, or control characters");
            Err(Failure::of(ProblemCode::InvalidField, detail))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use attorn_core::TimeMs;
    use attorn_store::records::WebhookRecord;

    use super::*;

    #[tokio::test]
    async fn all_are_read_however_many_there_are() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::create(dir.path(), crate::keys::ours_of_tests()).unwrap();
        let webhook = |n: usize| WebhookRecord {
            id: format!("hook-{n:05}").parse().unwrap(),
            url: "https://chat.example/hook".into(),
            loopback: false,
            wrapped: vec![1],
            created_at: TimeMs(1),
            revoked_at: None,
        };
        for first in (0..PAGE_ITEMS_MAX + 200).step_by(100) {
            let mut batch = Batch::new(TimeMs(1));
            (first..first + 100).for_each(|n| batch.put_record(&webhook(n)));
            store.commit(batch).await.unwrap();
        }
        let found = all::<WebhookRecord>(&store, KeyKind::Webhook).await.unwrap();
        assert_eq!(found, (0..PAGE_ITEMS_MAX + 200).map(webhook).collect::<Vec<_>>());
    }
}
