//! The user of a token: found, brought up to date with what the provider asserts now, or made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_core::{Issuer, JsonText, ProviderId, TimeMs, UserId};
use attorn_identity::UserKey;
use attorn_identity::proof::CLOCK_SKEW_MS_MAX;
use attorn_store::records::{LogoutRecord, UserBody, UserNameRecord, UserRecord};
use attorn_store::{Batch, Key, Require, Versioned};

use super::{KnownUser, erase, known, names, record};
use crate::app::App;
use crate::http::failure::Failure;
use crate::providers::SubjectToken;
use crate::random;

/// The user whom a token is of. What is new is put into the batch; what was found, the batch requires.
pub(crate) async fn of_token(app: &App, token: &SubjectToken, batch: &mut Batch) -> Result<KnownUser, Failure> {
    let provider = &token.said.provider.value;
    let bytes: usize = token.groups.iter().flatten().map(String::len).sum();
    if bytes > UserBody::GROUPS_BYTES_MAX {
        let max = UserBody::GROUPS_BYTES_MAX;
        let detail = format!("the names of the user's groups have {bytes} bytes together, and {max} is the most");
        return Err(Failure::of(ProblemCode::SubjectTokenRefused, detail)
            .with_help("have the provider put only those groups into the token that mean something here"));
    }
    let asserted = Asserted {
        at: token.said.issued_at,
        groups: token.groups.as_ref().map(|groups| groups.iter().cloned().collect()),
        claims: Some(token.claims.clone()),
    };
    of_name(app, (&provider.id, &provider.issuer, &token.said.subject), asserted, batch).await
}

/// The user whom a provider calls so, with what it asserts of them now. What is new is put into the batch; what was found,
/// the batch requires.
pub(crate) async fn of_name(
    app: &App,
    (provider, issuer, subject): (&ProviderId, &Issuer, &str),
    asserted: Asserted,
    batch: &mut Batch,
) -> Result<KnownUser, Failure> {
    let name = names::find_user(app, issuer, subject).await?;
    let user = match &name {
        Some(name) => known(app, &name.value).await?,
        None => None,
    };
    let Some(mut user) = user else {
        return make(app, (provider, issuer, subject), asserted, name.as_ref(), batch).await;
    };
    let id = user.record.value.id.clone();
    batch.require.push((Key::user(&id), Require::Version(user.record.version)));
    let mut body = user.body.clone();
    asserted.bring_up_to_date(&mut body, batch.now);
    if body != user.body {
        user.record.value = user.with_body(&body, user.record.value.revocations)?;
        user.body = body;
        batch.put_record(&user.record.value);
    }
    Ok(user)
}

/// What a provider asserts of a user.
pub(crate) struct Asserted {
    pub(crate) at: TimeMs,
    /// None if nothing is said of groups, as in tokens for clients that do not ask for them.
    pub(crate) groups: Option<BTreeSet<String>>,
    /// None if nothing is said of them, as where somebody signed in to vote.
    pub(crate) claims: Option<JsonText>,
}

impl Asserted {
    /// An older token does not bring back what the provider has asserted no more since; and one that says nothing of
    /// groups neither takes them away nor makes them count longer. What was asserted at a time that has not come yet
    /// is from before the server's time was set back.
    fn bring_up_to_date(self, body: &mut UserBody, now: TimeMs) {
        let news = |known: TimeMs| self.at > known || known > now.plus_ms(CLOCK_SKEW_MS_MAX);
        let (of_claims, of_groups) = (news(body.asserted_at), news(body.groups_asserted_at));
        if let Some(claims) = self.claims.filter(|_| of_claims) {
            (body.asserted_at, body.claims) = (self.at, claims);
        }
        if let Some(groups) = self.groups.filter(|_| of_groups) {
            (body.groups_asserted_at, body.groups) = (self.at, groups);
        }
    }
}

/// A new user. Their name is nobody's, or was that of a user whose key is gone, who is nobody any more: as it was
/// found. Their key is on disk once this was committed ([`KnownUser::commit`]).
pub(crate) async fn make(
    app: &App,
    (provider, issuer, subject): (&ProviderId, &Issuer, &str),
    asserted: Asserted,
    name: Option<&Versioned<UserId>>,
    batch: &mut Batch,
) -> Result<KnownUser, Failure> {
    let found = name.map_or(Require::Absent, |name| Require::Version(name.version));
    let lost = name;
    let name = names::user_name(app, issuer, subject);
    if let Some(lost) = lost {
        erase::remember_lost(app, name, &lost.value).await?;
    }
    let logout = app.store.record::<LogoutRecord>(&Key::logout(&name)).await?;
    let logged_out = logout.as_ref().map(|logout| logout.value.at);
    let require = logout.map_or(Require::Absent, |logout| Require::Version(logout.version));
    batch.require.push((Key::logout(&name), require));
    let id: UserId = random::user_id()?;
    let key = Arc::new(UserKey::generate().map_err(Failure::internal)?);
    let body = UserBody {
        provider: provider.clone(),
        issuer: issuer.clone(),
        subject: subject.to_owned(),
        asserted_at: if asserted.claims.is_some() { asserted.at } else { TimeMs(0) },
        groups_asserted_at: if asserted.groups.is_some() { asserted.at } else { TimeMs(0) },
        groups: asserted.groups.unwrap_or_default(),
        claims: asserted.claims.unwrap_or_else(|| JsonText::from_canonical("{}")),
        login_after: logged_out,
        login_after_for: BTreeMap::new(),
        unnamed_login_after: None,
        logged_out_at: logged_out,
        unnamed_logged_out_at: None,
        agent_revocations: BTreeMap::new(),
        unnamed_revocations: 0,
        revoked_because: None,
    };
    let value: UserRecord = record(&key, id.clone(), batch.now, 0, &body)?;
    batch.require.extend([(Key::user_name(&name), found), (Key::user(&id), Require::Absent)]);
    batch.put_record(&value);
    batch.put_record(&UserNameRecord { name, user: id });
    Ok(KnownUser { record: Versioned { value, version: 0, entries: 0..0 }, body, key, is_new: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixtures::body;

    fn asserted(at: u64, groups: Option<&[&str]>, claims: &str) -> Asserted {
        let groups = groups.map(|groups| groups.iter().map(|&group| group.to_owned()).collect());
        let claims = (!claims.is_empty()).then(|| JsonText::from_canonical(claims));
        Asserted { at: TimeMs(at), groups, claims }
    }

    #[test]
    fn groups_stay_where_a_token_says_nothing_of_them_and_an_older_one_brings_nothing_back() {
        let mut body = body();
        let mut seen = |token: Asserted| {
            token.bring_up_to_date(&mut body, TimeMs(100));
            let groups: Vec<String> = body.groups.iter().cloned().collect();
            (groups.join(" "), body.groups_asserted_at.0, body.claims.as_str().to_owned(), body.asserted_at.0)
        };
        assert_eq!(seen(asserted(10, Some(&["a"]), "{1}")), ("a".into(), 10, "{1}".into(), 10));
        // Nothing is said: they stay, and are no younger for it.
        assert_eq!(seen(asserted(20, None, "{2}")), ("a".into(), 10, "{2}".into(), 20));
        // From between the two: news of the groups, old news of the claims.
        assert_eq!(seen(asserted(15, Some(&["b"]), "{3}")), ("b".into(), 15, "{2}".into(), 20));
        assert_eq!(seen(asserted(14, Some(&["a"]), "{1}")), ("b".into(), 15, "{2}".into(), 20));
        assert_eq!(seen(asserted(15, Some(&["a"]), "{1}")), ("b".into(), 15, "{2}".into(), 20));
        // That there are none is said, too.
        assert_eq!(seen(asserted(30, Some(&[]), "{}")), (String::new(), 30, "{}".into(), 30));
        assert_eq!(seen(asserted(29, Some(&["b"]), "{2}")), (String::new(), 30, "{}".into(), 30));
        // Nothing is said of claims: they stay, and are no younger for it.
        assert_eq!(seen(asserted(31, Some(&["c"]), "")), ("c".into(), 31, "{}".into(), 30));
        // One from a time that time was set back from stands in nobody's way.
        let wrong = 100 + CLOCK_SKEW_MS_MAX + 1;
        assert_eq!(seen(asserted(wrong, Some(&["b"]), "{2}")), ("b".into(), wrong, "{2}".into(), wrong));
        assert_eq!(seen(asserted(32, Some(&["a"]), "{1}")), ("a".into(), 32, "{1}".into(), 32));
    }
}
