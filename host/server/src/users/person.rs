//! The user of a token: found, brought up to date with what the provider asserts now, or made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_core::{Issuer, JsonText, ProviderId, TimeMs, UserId, group};
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
        voted: None,
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
    /// What is said of groups where somebody signed in to vote, if they vote for some.
    pub(crate) voted: Option<Voted>,
    /// None if nothing is said of them, as where somebody signed in to vote.
    pub(crate) claims: Option<JsonText>,
}

/// The groups that somebody votes for. They are kept apart from those that what they delegate rests on: by a vote nobody
/// can do more than before, and for no longer.
pub(crate) struct Voted {
    /// Those that are asked.
    pub(crate) asked: BTreeSet<String>,
    /// Those of them that they are in.
    pub(crate) is_in: BTreeSet<String>,
}

impl Voted {
    fn bring_up_to_date(self, at: TimeMs, body: &mut UserBody, now: TimeMs) {
        let all = &mut body.voted_for;
        all.retain(|_, known| !is_future(*known, now) && group::counts(*known, now.max(*known)));
        for name in self.asked {
            if all.get(&name).is_none_or(|known| at >= *known) {
                if self.is_in.contains(&name) {
                    all.insert(name, at);
                } else {
                    all.remove(&name);
                }
            }
        }
        let has_room = |all: &BTreeMap<String, TimeMs>| {
            all.len() <= UserBody::VOTED_FOR_MAX
                && all.keys().map(String::len).sum::<usize>() <= UserBody::VOTED_FOR_BYTES_MAX
        };
        while !has_room(all) {
            let oldest = all.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
            oldest.and_then(|oldest| all.remove(&oldest));
        }
    }
}

/// What was asserted at a time that has not come yet is from before the server's time was set back.
fn is_future(asserted: TimeMs, now: TimeMs) -> bool {
    asserted > now.plus_ms(CLOCK_SKEW_MS_MAX)
}

impl Asserted {
    /// An older token does not bring back what the provider has asserted no more since; and one that says nothing of
    /// groups neither takes them away nor makes them count longer. What was asserted at a time that has not come yet
    /// is from before the server's time was set back.
    fn bring_up_to_date(self, body: &mut UserBody, now: TimeMs) {
        let news = |known: TimeMs| self.at > known || is_future(known, now);
        let (of_claims, of_groups) = (news(body.asserted_at), news(body.groups_asserted_at));
        if let Some(claims) = self.claims.filter(|_| of_claims) {
            (body.asserted_at, body.claims) = (self.at, claims);
        }
        if let Some(groups) = self.groups.filter(|_| of_groups) {
            (body.groups_asserted_at, body.groups) = (self.at, groups);
        }
        if let Some(voted) = self.voted {
            voted.bring_up_to_date(self.at, body, now);
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
    let mut body = UserBody {
        provider: provider.clone(),
        issuer: issuer.clone(),
        subject: subject.to_owned(),
        asserted_at: if asserted.claims.is_some() { asserted.at } else { TimeMs(0) },
        groups_asserted_at: if asserted.groups.is_some() { asserted.at } else { TimeMs(0) },
        groups: asserted.groups.unwrap_or_default(),
        voted_for: BTreeMap::new(),
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
    if let Some(voted) = asserted.voted {
        voted.bring_up_to_date(asserted.at, &mut body, batch.now);
    }
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
        Asserted { at: TimeMs(at), groups, voted: None, claims }
    }

    fn votes(at: u64, asked: &[&str], is_in: &[&str]) -> Asserted {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let voted = Some(Voted { asked: set(asked), is_in: set(is_in) });
        Asserted { at: TimeMs(at), groups: None, voted, claims: None }
    }

    #[test]
    fn groups_that_somebody_votes_for_are_kept_apart_within_bounds_and_for_a_time() {
        let mut body = body();
        asserted(10, Some(&["a"]), "{}").bring_up_to_date(&mut body, TimeMs(100));
        let mut seen = |asserted: Asserted, now: u64| {
            asserted.bring_up_to_date(&mut body, TimeMs(now));
            assert_eq!((body.groups.len(), body.groups_asserted_at), (1, TimeMs(10)), "{:?}", body.groups);
            body.voted_for.iter().map(|(name, at)| format!("{name} {}", at.0)).collect::<Vec<_>>()
        };
        assert_eq!(seen(votes(20, &["b", "c"], &["b"]), 100), ["b 20"]);
        // What was not asked is as it was, and an older word takes nothing away.
        assert_eq!(seen(votes(30, &["c"], &["c"]), 100), ["b 20", "c 30"]);
        assert_eq!(seen(votes(10, &["b"], &[]), 100), ["b 20", "c 30"]);
        assert_eq!(seen(votes(31, &["b"], &[]), 100), ["c 30"]);
        let later = 30 + group::ASSERTED_MS_MAX;
        assert_eq!(seen(votes(later, &["b"], &["b"]), later), [format!("b {later}")]);
        // From before time was set back.
        assert_eq!(seen(votes(40, &["c"], &["c"]), 100), ["c 40"]);
        for n in 0..=UserBody::VOTED_FOR_MAX as u64 {
            let name = format!("{n:02}");
            assert!(seen(votes(41 + n, &[&name], &[&name]), 200).contains(&format!("{name} {}", 41 + n)));
        }
        let all = seen(votes(199, &[], &[]), 200);
        assert_eq!((all.len(), all.first().map(String::as_str)), (UserBody::VOTED_FOR_MAX, Some("01 42")));
        let long: Vec<String> = (0..9).map(|n| format!("{n}{}", "x".repeat(255))).collect();
        for name in &long {
            assert!(seen(votes(200, &[name.as_str()], &[name.as_str()]), 200).contains(&format!("{name} 200")));
        }
        assert!(body.voted_for.keys().map(String::len).sum::<usize>() <= UserBody::VOTED_FOR_BYTES_MAX);
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
