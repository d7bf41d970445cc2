//! The user of a token: found, brought up to date with what the provider asserts now, or made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_core::{Issuer, JsonText, ProviderId, TimeMs, UserId};
use attorn_store::records::{LogoutRecord, UserBody, UserNameRecord, UserRecord};
use attorn_store::{Batch, Key, Require, Versioned};

use super::{KnownUser, known, names, record};
use crate::app::App;
use crate::http::failure::Failure;
use crate::providers::SubjectToken;
use crate::random;
use crate::registry::moved;

/// The user whom a token is of. What is new is put into the batch; what was found, the batch requires.
pub(crate) async fn of_token(app: &App, token: &SubjectToken, batch: &mut Batch) -> Result<KnownUser, Failure> {
    let provider = &token.provider.value;
    let bytes: usize = token.groups.iter().map(String::len).sum();
    if bytes > UserBody::GROUPS_BYTES_MAX {
        let max = UserBody::GROUPS_BYTES_MAX;
        let detail = format!("the names of the user's groups have {bytes} bytes together, and {max} is the most");
        return Err(Failure::of(ProblemCode::SubjectTokenRefused, detail)
            .with_help("have the provider put only those groups into the token that mean something here"));
    }
    let (groups, claims): (BTreeSet<String>, _) = (token.groups.iter().cloned().collect(), token.claims.clone());
    match names::find_user(app, &provider.issuer, &token.subject).await? {
        None => {
            let asserted = Asserted { at: token.issued_at, groups, claims };
            make(app, (&provider.id, &provider.issuer, &token.subject), asserted, batch).await
        }
        Some(found) => {
            let mut user = known(app, &found.value).await?.ok_or_else(moved)?;
            let id = user.record.value.id.clone();
            batch.require.push((Key::user(&id), Require::Version(user.record.version)));
            // An older token does not bring back what the provider has asserted no more since.
            if token.issued_at > user.body.asserted_at {
                user.body = UserBody { asserted_at: token.issued_at, groups, claims, ..user.body };
                user.record.value = user.with_body(&user.body, user.record.value.revocations)?;
                batch.put_record(&user.record.value);
            }
            Ok(user)
        }
    }
}

/// What a provider asserts of a user.
pub(crate) struct Asserted {
    pub(crate) at: TimeMs,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) claims: JsonText,
}

/// A new user, whose key is on disk before anything is sealed with it.
pub(crate) async fn make(
    app: &App,
    (provider, issuer, subject): (&ProviderId, &Issuer, &str),
    asserted: Asserted,
    batch: &mut Batch,
) -> Result<KnownUser, Failure> {
    let name = names::user_name(app, issuer, subject);
    let logout = app.store.record::<LogoutRecord>(&Key::logout(&name)).await?;
    let logged_out = logout.as_ref().map(|logout| logout.value.at);
    let require = logout.map_or(Require::Absent, |logout| Require::Version(logout.version));
    batch.require.push((Key::logout(&name), require));
    let id: UserId = random::user_id()?;
    let key = app.user_keys.make(&id).await?;
    let body = UserBody {
        provider: provider.clone(),
        issuer: issuer.clone(),
        subject: subject.to_owned(),
        asserted_at: asserted.at,
        groups: asserted.groups,
        claims: asserted.claims,
        login_after: logged_out,
        login_after_for: BTreeMap::new(),
        unnamed_login_after: None,
        agent_revocations: BTreeMap::new(),
        unnamed_revocations: 0,
    };
    let value: UserRecord = record(&key, id.clone(), batch.now, 0, &body)?;
    batch.require.extend([(Key::user_name(&name), Require::Absent), (Key::user(&id), Require::Absent)]);
    batch.put_record(&value);
    batch.put_record(&UserNameRecord { name, user: id });
    Ok(KnownUser { record: Versioned { value, version: 0, entries: 0..0 }, body, key: Arc::clone(&key) })
}

impl KnownUser {
    /// The commit that would have made this user did not happen: nothing is left of them.
    pub(crate) fn forget_if_new(&self, app: &App) {
        if self.record.version == 0 {
            app.user_keys.forget(&self.record.value.id);
        }
    }
}
