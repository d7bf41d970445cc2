//! Who votes: an operator, the user on whose behalf it is asked, or another user as one of a group. What a vote of theirs
//! comes to is not known here.

use std::collections::BTreeSet;

use attorn_api::ProblemCode;
use attorn_core::approval::Member;
use attorn_core::{ApprovalId, Approver, ApproverRole, Asker, OperatorId, Say, TimeMs, UserId, group};
use attorn_store::records::{ApprovalRecord, ProviderRecord};
use attorn_store::{Batch, Key, Versioned};

use super::vote::{self, Ballot};
use super::{asks_user, groups, groups_of, seek};
use crate::app::App;
use crate::http::call::OperatorCaller;
use crate::http::failure::Failure;
use crate::providers::backchannel::sign_in::Another;
use crate::users::person::{self, Asserted, Voted};
use crate::users::{self, KnownUser};

/// Who votes, as their channel has identified them.
pub(crate) enum Voter<'a> {
    /// An operator with the duty `approver`, by their token.
    Operator(&'a OperatorCaller),
    /// The user on whose behalf it is asked, by their provider.
    User(&'a UserId),
    /// Another user, for a group that the same provider says them to be in.
    Member(&'a Another, &'a ProviderRecord),
}

/// Who votes, as they are known here.
pub(super) enum Known {
    Operator(OperatorId),
    User(UserId),
    /// Brought up to date, or made, by the batch of the vote.
    Member(Box<KnownUser>),
}

impl Known {
    pub(super) async fn of(
        app: &App,
        (approval, ballot): (&ApprovalId, &Ballot<'_>),
        batch: &mut Batch,
    ) -> Result<Self, Failure> {
        match &ballot.voter {
            Voter::Operator(operator) => {
                let id = operator.id.clone();
                id.map(Self::Operator).ok_or_else(|| Failure::internal("the bootstrap token reached a vote"))
            }
            Voter::User(user) => Ok(Self::User((*user).clone())),
            Voter::Member(somebody, provider) => {
                let asked = asked(app, approval).await?;
                let is_in: BTreeSet<String> = asked.intersection(&somebody.groups).cloned().collect();
                // A no needs nothing to be known of groups afterwards.
                let voted = (ballot.says == Say::Approve).then(|| Voted { asked, is_in: is_in.clone() });
                let asserted = Asserted { at: somebody.asserted_at, groups: None, voted, claims: None };
                let name = (&provider.id, &provider.issuer, somebody.subject.as_str());
                let user = person::of_name(app, name, asserted, batch).await?;
                // Whoever logged out everywhere, or was erased, since they signed in is not there any more.
                let after = user.body.login_after.map(|at| app.clock.remembered(at));
                if after.is_some_and(|after| somebody.begun_at <= after) {
                    let gone = "you logged out, or were erased, after you signed in";
                    return Err(Failure::of(ProblemCode::UserUnauthenticated, gone)
                        .with_help("open the link to the approval again"));
                }
                let has_left =
                    user.body.groups_asserted_at > somebody.asserted_at && user.body.groups.is_disjoint(&is_in);
                if has_left && !is_in.is_empty() {
                    let left = "your provider has said since that you are in no group that is asked";
                    return Err(Failure::of(ProblemCode::UserUnauthenticated, left)
                        .with_help("open the link to the approval again"));
                }
                Ok(Self::Member(Box::new(user)))
            }
        }
    }

    pub(super) fn approver(&self) -> Approver {
        match self {
            Self::Operator(id) => Approver::Operator(id.clone()),
            Self::User(id) => Approver::User(id.clone()),
            Self::Member(user) => Approver::User(user.record.value.id.clone()),
        }
    }

    /// What their vote is counted by, where nobody finds it in the store yet.
    pub(super) fn member(&self) -> Option<(UserId, Member)> {
        match self {
            Self::Member(user) => Some((user.record.value.id.clone(), seek::member(&user.body))),
            Self::Operator(_) | Self::User(_) => None,
        }
    }
}

/// The names of the groups that an approval asks; none of one that is not there.
async fn asked(app: &App, id: &ApprovalId) -> Result<BTreeSet<String>, Failure> {
    let found = app.store.record::<ApprovalRecord>(&Key::approval(id)).await?;
    Ok(found.iter().flat_map(|found| groups(&found.value)).map(|name| name.as_str().to_owned()).collect())
}

/// An approval that this voter is asked for. One that they are not asked for looks like none.
pub(super) async fn find(
    app: &App,
    id: &ApprovalId,
    voter: (&Voter<'_>, &Approver),
) -> Result<Versioned<ApprovalRecord>, Failure> {
    let (voter, approver) = voter;
    if let Voter::Operator(_) = voter {
        return vote::find_asking_operators(app, id).await;
    }
    let found = app.store.record::<ApprovalRecord>(&Key::approval(id)).await?;
    let asks = |record: &ApprovalRecord| {
        let is_user = matches!(approver, Approver::User(user) if record.user() == Some(user));
        match voter {
            Voter::Operator(_) => false,
            Voter::User(_) => is_user && asks_user(record),
            Voter::Member(somebody, provider) => {
                let theirs = record.groups_of.as_ref() == Some(&provider.issuer);
                !is_user && theirs && !groups_of(record, somebody).is_empty()
            }
        }
    };
    found.filter(|found| asks(&found.value)).ok_or_else(|| Failure::not_found("approval", id))
}

/// In which role somebody votes, as others read it.
pub(super) fn role(record: &ApprovalRecord, approver: &Approver) -> &'static str {
    match approver {
        Approver::Operator(_) => ApproverRole::Operator.kind(),
        Approver::User(user) if record.user() == Some(user) => ApproverRole::User.kind(),
        Approver::User(_) => "group",
    }
}

/// Nobody approves what they ask for themselves, or could: whoever registered an agent, or a key of it, may have that key.
/// And nobody votes for a group that they were in some time ago.
pub(super) fn may_vote(
    record: &ApprovalRecord,
    (ballot, approver): (&Ballot<'_>, &Approver),
    now: TimeMs,
) -> Result<(), Failure> {
    let (asker, id) = (record.asker(), &record.request.id);
    let own = match (&ballot.voter, approver) {
        (_, Approver::Operator(operator)) if asker.is_owner(operator.as_str()) => {
            Some(format!("operator `{operator}` owns an agent that asks for approval `{id}`"))
        }
        (_, Approver::Operator(operator)) if asker.is(operator) => {
            Some(format!("operator `{operator}` registered an agent that asks for approval `{id}`, or its key"))
        }
        (Voter::Member(somebody, _), _) if is_owner(&asker, somebody) => {
            Some("you own an agent that asks for this".to_owned())
        }
        _ => None,
    };
    if let (Some(detail), Say::Approve) = (own, ballot.says) {
        return Err(Failure::of(ProblemCode::OwnRequest, detail).with_help("another approver can"));
    }
    if let Voter::Member(somebody, _) = &ballot.voter
        && !group::counts(somebody.asserted_at, now)
    {
        let detail = "your provider said some time ago in which groups you are";
        return Err(
            Failure::of(ProblemCode::UserUnauthenticated, detail).with_help("open the link to the approval again")
        );
    }
    Ok(())
}

/// Whether somebody goes by a name of the user on whose behalf it is asked: a provider may call one person otherwise for
/// each client, and they would be two.
pub(super) async fn is_its_user(app: &App, record: &ApprovalRecord, somebody: &Another) -> Result<bool, Failure> {
    let Some(user) = record.user() else { return Ok(false) };
    let Some(user) = users::known(app, user).await? else { return Ok(true) };
    let theirs = seek::member(&user.body).names;
    let is_one = |name: &String| theirs.iter().any(|known| known.eq_ignore_ascii_case(name));
    Ok(somebody.names.iter().any(is_one))
}

/// Whether somebody goes by the name of an owner of what asks.
fn is_owner(asker: &Asker, somebody: &Another) -> bool {
    somebody.names.iter().chain([&somebody.subject]).any(|name| asker.is_owner(name))
}
