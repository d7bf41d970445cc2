//! Prompts in the store: what one rests on, and what came of it. Each change is one batch that names the version that it
//! changes, with an entry wherever it goes a step further.

use std::sync::Arc;

use attorn_api::audit::EntryType;
use attorn_core::{ApprovalId, Say};
use attorn_identity::UserKey;
use attorn_identity::issuer_token::is_text;
use attorn_store::records::{BackchannelRecord, LoginHint, PromptRecord, ProviderRecord, Record as _, UserBody};
use attorn_store::{Batch, CommitError, Key, Require, Versioned};
use serde_json::{Value, json};

use super::client::{Client, Credential};
use super::problem::Problem;
use super::steps::{End, Step};
use super::{configuration, own_key};
use crate::app::App;
use crate::approvals::hold;
use crate::entry;
use crate::http::failure::Failure;
use crate::metrics::PromptEvent;
use crate::users;

/// The longest hint, in bytes.
const HINT_BYTES_MAX: usize = 256;

/// The user and their provider.
pub(super) struct Side {
    pub(super) provider: ProviderRecord,
    pub(super) backchannel: BackchannelRecord,
    pub(super) key: Arc<UserKey>,
    pub(super) subject: String,
    pub(super) login_hint: String,
    /// The provider and how it is asked, as they were read: what comes of asking counts only as long as they are so.
    pub(super) rests_on: [(Key, Require); 2],
}

impl Side {
    /// Who is asked and where, as it stands now.
    pub(super) async fn of(app: &App, prompt: &PromptRecord) -> Result<Result<Self, Problem>, Failure> {
        let provider = app.store.record::<ProviderRecord>(&Key::provider(&prompt.provider)).await?;
        let provider = provider.filter(|found| found.value.revoked_at.is_none());
        let backchannel = app.store.record::<BackchannelRecord>(&Key::backchannel(&prompt.provider)).await?;
        let (Some(provider), Some(backchannel)) = (provider, backchannel) else {
            return Ok(Err(Problem::ProviderGone));
        };
        let rests_on = [
            (provider.value.key(), Require::Version(provider.version)),
            (backchannel.value.key(), Require::Version(backchannel.version)),
        ];
        let provider = provider.value;
        let Some(user) = users::known(app, &prompt.user).await? else { return Ok(Err(Problem::UserGone)) };
        if user.body.issuer != provider.issuer {
            return Ok(Err(Problem::ProviderGone));
        }
        let Some(login_hint) = login_hint(&backchannel.value.login_hint, &user.body) else {
            return Ok(Err(Problem::NoHint));
        };
        let (subject, key) = (user.body.subject, user.key);
        Ok(Ok(Self { provider, backchannel: backchannel.value, key, subject, login_hint, rests_on }))
    }

    /// Whether all of it is still as it was read.
    pub(super) async fn stands(&self, app: &App) -> Result<bool, Failure> {
        for (key, as_read) in &self.rests_on {
            let now = app.store.get(key).await?.map(|found| Require::Version(found.version));
            if now != Some(*as_read) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// This server as a client there.
    pub(super) async fn client<'a>(&'a self, app: &'a App) -> Result<Client<'a>, Failure> {
        client(app, &self.provider, &self.backchannel).await
    }
}

/// This server as a client at a provider.
pub(super) async fn client<'a>(
    app: &'a App,
    provider: &'a ProviderRecord,
    backchannel: &'a BackchannelRecord,
) -> Result<Client<'a>, Failure> {
    let credential = match configuration::secret(&app.root, backchannel)? {
        Some(secret) => Credential::Secret(secret),
        None => Credential::Key(own_key::signer(app).await?),
    };
    let (issuer, id) = (&provider.issuer, &backchannel.client);
    Ok(Client { network: &app.backchannels.network, issuer, id, credential })
}

/// By what the provider knows the user; none if nothing is known of it.
fn login_hint(hint: &LoginHint, body: &UserBody) -> Option<String> {
    match hint {
        LoginHint::Subject => Some(body.subject.clone()),
        LoginHint::Claim(name) => {
            let claims: Value = serde_json::from_str(body.claims.as_str()).ok()?;
            let text = claims.get(name.as_str())?.as_str()?;
            is_text(text, HINT_BYTES_MAX).then(|| text.to_owned())
        }
    }
}

/// The prompt as it goes on, if nothing else changed it meanwhile.
pub(super) async fn on(
    app: &App,
    found: &Versioned<PromptRecord>,
    next: PromptRecord,
    (said, rests_on): (Option<EntryType>, &[(Key, Require)]),
) -> Result<Option<Versioned<PromptRecord>>, Failure> {
    let mut batch = changing(app, found);
    batch.require.extend(rests_on.iter().cloned());
    if let Some(kind) = said {
        batch.entries.push(entry::body(batch.now, kind, about(&next.approval, &found.value))?);
    }
    found.value.becomes(&next, &mut batch);
    let committed = commit(app, batch).await?;
    Ok(committed.map(|version| Versioned { value: next, version, ..found.clone() }))
}

/// Record what came of it.
pub(super) async fn came(app: &App, found: &Versioned<PromptRecord>, step: Step) -> Result<(), Failure> {
    match step {
        Step::On(next) => {
            let starts = found.value.started.is_none() && next.started.is_some();
            let said = starts.then_some(EntryType::PromptStarted);
            if on(app, found, next, (said, &[])).await?.is_some() && starts {
                app.metrics.prompt(PromptEvent::Started);
                hold::prompted(app, &found.value.approval).await?;
            }
        }
        Step::Ends(end) => ends(app, found, end, None).await?,
    }
    Ok(())
}

/// It ends without a vote. If the user answered, that is said, and by what it is known.
pub(super) async fn ends(
    app: &App,
    found: &Versioned<PromptRecord>,
    end: End,
    answer: Option<(Say, Value)>,
) -> Result<(), Failure> {
    let mut batch = changing(app, found);
    let mut members = about(&found.value.approval, &found.value);
    members["why"] = end.code().into();
    if let Some((says, evidence)) = answer {
        members["says"] = says.as_str().into();
        members["evidence"] = evidence;
    }
    batch.entries.push(entry::body(batch.now, EntryType::PromptEnded, members)?);
    found.value.close(&mut batch);
    if commit(app, batch).await?.is_some() {
        let expired = end == End::Expired;
        app.metrics.prompt(if expired { PromptEvent::Expired } else { PromptEvent::Failed });
    }
    Ok(())
}

/// Nobody waits for it any more: whatever became of its approval says so itself.
pub(super) async fn close(app: &App, found: &Versioned<PromptRecord>) -> Result<(), Failure> {
    let mut batch = changing(app, found);
    found.value.close(&mut batch);
    commit(app, batch).await.map(drop)
}

pub(super) fn changing(app: &App, found: &Versioned<PromptRecord>) -> Batch {
    let mut batch = Batch::new(app.clock.now());
    batch.require.push((found.value.key(), Require::Version(found.version)));
    batch
}

fn about(approval: &ApprovalId, prompt: &PromptRecord) -> Value {
    json!({ "approval": approval.to_string(), "provider": prompt.provider.as_str(), "starts": prompt.starts })
}

/// The version of what was committed; none if something changed meanwhile, and then the next round sees what.
pub(super) async fn commit(app: &App, batch: Batch) -> Result<Option<u64>, Failure> {
    match app.store.commit(batch).await {
        Ok(committed) => Ok(Some(committed.version)),
        Err(CommitError::Conflict(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}
