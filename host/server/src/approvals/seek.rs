//! What was approved of a request: found by the keyed hash of all that a yes is bound to, and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use attorn_core::approval::{Count, Member, met};
use attorn_core::{
    ApprovalState, Approver, Asker, Decision, Digest, Duty, Met, OperatorId, Say, TimeMs, UserId, Vote,
    WantedCredential, WithinBounds,
};
use attorn_store::records::{
    AgentRecord, ApprovalRecord, ApprovalRequestRecord, IdentityOwnerRecord, KeyOwnerRecord, OperatorRecord,
    ProviderRecord, TargetRecord, UserBody,
};
use attorn_store::{Key, Require, Versioned};
use serde_json::{Map, Value};

use super::terms::KeptTerms;
use super::{content, is_over};
use crate::active::ActivePolicy;
use crate::app::App;
use crate::decisions::behalf::Chain;
use crate::decisions::{digests, veil};
use crate::http::failure::Failure;
use crate::providers::backchannel::sign_in::NAMES;
use crate::users;

/// What is asked for, as far as an approval is bound to it.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) within: &'a WithinBounds<'a>,
    pub(crate) chain: Option<&'a Chain>,
    /// None where that is a token.
    pub(crate) credential: Option<&'a WantedCredential>,
}

impl Scene<'_> {
    /// Who asks: the agent, and those through which it was delegated to it, by what they were registered with. None of it
    /// changes while they are as they are, and the commit of the decision names their versions.
    pub(super) async fn asker(&self, app: &App) -> Result<Asker, Failure> {
        let within = self.within;
        let hops = within.behalf().into_iter().flat_map(|behalf| &behalf.hops).map(|hop| &hop.agent);
        let agents: Vec<_> = hops.chain([within.agent()]).collect();
        let mut registrars: BTreeSet<OperatorId> = BTreeSet::new();
        for agent in &agents {
            let found = app.store.record::<AgentRecord>(&Key::agent(&agent.id)).await?;
            registrars.extend(found.and_then(|found| found.value.registrar().cloned()));
        }
        let holder = within.holder();
        let of_key = app.store.record::<KeyOwnerRecord>(&Key::key_owner(&holder.thumbprint)).await?;
        registrars.extend(of_key.and_then(|found| found.value.registrar));
        if let Some((subject, _)) = &holder.identity {
            let found = app.store.record::<IdentityOwnerRecord>(&IdentityOwnerRecord::key_of(subject)).await?;
            registrars.extend(found.and_then(|found| found.value.registrar));
        }
        Ok(Asker { owners: agents.iter().map(|agent| agent.owner.clone()).collect(), registrars })
    }
}

/// What was found.
pub(crate) struct Sought {
    pub(crate) bound_to: Digest,
    /// What is asked, whatever the request says of itself.
    pub(super) asked_of: Digest,
    /// What must still hold of the place where an approval of this request is found, if another is put there.
    pub(super) place: Require,
    /// The approval, if it waits, was given, or was refused a moment ago.
    pub(super) found: Option<Versioned<ApprovalRecord>>,
    /// The terms that were shown of it.
    pub(super) shown: Option<KeptTerms>,
    /// Those who have said yes, and count: as many as are asked for.
    pub(crate) met: Met,
    /// What the log calls those of them who are users, other than the one on whose behalf it is asked.
    pub(super) pseudonyms: BTreeMap<UserId, String>,
    /// What must still hold when the decision is committed.
    pub(crate) require: Vec<(Key, Require)>,
}

impl Sought {
    /// Whether those who said yes were shown less than what would be granted now: nobody has approved that.
    pub(crate) fn is_outgrown_by(&self, decision: &Decision) -> bool {
        let Decision::Allow(allowed) = decision else { return false };
        !self.met.is_nothing() && !self.shown.as_ref().is_some_and(|shown| shown.cover(allowed.terms()))
    }
}

/// Look for it.
pub(crate) async fn seek(app: &App, scene: Scene<'_>, policies: &[Arc<ActivePolicy>]) -> Result<Sought, Failure> {
    let Scene { within, credential, .. } = scene;
    let mut require = Vec::new();
    let target = target(app, credential, &mut require).await?;
    // Keyed hashes, because they may be about what is a user's.
    let whole = digests::approval(within, (credential, target.as_deref()), policies).to_string();
    let bound_to = app.names.hash("approval", "", &whole);
    let asked_of = app.names.hash("approval_asked", "", &digests::asked_of(within, credential).to_string());
    let (place, nothing, pseudonyms) = (Require::Absent, Met::nothing(), BTreeMap::new());
    let mut sought = Sought { bound_to, asked_of, place, found: None, shown: None, met: nothing, pseudonyms, require };
    let place = app.store.record::<ApprovalRequestRecord>(&Key::approval_request(&bound_to)).await?;
    let Some(place) = place else { return Ok(sought) };
    sought.place = Require::Version(place.version);
    let key = Key::approval(&place.value.approval);
    let Some(found) = app.store.record::<ApprovalRecord>(&key).await? else { return Ok(sought) };
    if is_over(app, &found, within.now()) {
        return Ok(sought);
    }
    sought.require.push((key, Require::Version(found.version)));
    sought.shown = content::terms(app, &found.value).await?;
    if found.value.state != ApprovalState::Refused {
        let operators = operators(app, &found.value.request.votes, &mut sought.require).await?;
        let voters = voters(app, &found.value, &mut sought.require).await?;
        let user = within.behalf().map(|behalf| (&behalf.user.id, &behalf.user.issuer));
        let (asker, operators, members, now) = (&scene.asker(app).await?, &operators, &voters.members, within.now());
        let request = &found.value.request;
        let all = met(request, Count { bound_to, asker, user, operators, members, now });
        sought.met = all.needed(&request.requirements);
        sought.pseudonyms = voters.pseudonyms;
    }
    sought.found = Some(found);
    Ok(sought)
}

/// The target where the credential would be made, as it is registered now.
async fn target(
    app: &App,
    credential: Option<&WantedCredential>,
    require: &mut Vec<(Key, Require)>,
) -> Result<Option<Vec<u8>>, Failure> {
    let Some(id) = credential.and_then(|credential| credential.target.as_ref()) else { return Ok(None) };
    let key = Key::target(id);
    let found = app.store.record::<TargetRecord>(&key).await?;
    require.push((key, found.as_ref().map_or(Require::Absent, |found| Require::Version(found.version))));
    Ok(found.map(|found| found.value.settings_bytes()))
}

/// The operators who said yes and are active now, with their duties. Each is named in `require`: whoever is revoked
/// before the commit makes the decision anew.
async fn operators(
    app: &App,
    votes: &[Vote],
    require: &mut Vec<(Key, Require)>,
) -> Result<BTreeMap<OperatorId, BTreeSet<Duty>>, Failure> {
    let mut active = BTreeMap::new();
    for vote in votes.iter().filter(|vote| vote.says == Say::Approve) {
        let Approver::Operator(id) = &vote.approver else { continue };
        let key = Key::operator(id);
        let Some(stored) = app.store.record::<OperatorRecord>(&key).await? else { continue };
        require.push((key, Require::Version(stored.version)));
        if stored.value.revoked_at.is_none() {
            active.insert(id.clone(), stored.value.duties);
        }
    }
    Ok(active)
}

/// Users who said yes and are not the one on whose behalf it is asked.
#[derive(Default)]
struct Voters {
    members: BTreeMap<UserId, Member>,
    pseudonyms: BTreeMap<UserId, String>,
}

/// Those users, as they are known now. Each is named in `require`, and so is their provider. Whoever was erased since is
/// nobody, and does not come back; nor does the vote count of one whose logins have ended since.
async fn voters(app: &App, record: &ApprovalRecord, require: &mut Vec<(Key, Require)>) -> Result<Voters, Failure> {
    let (mut voters, mut providers) = (Voters::default(), BTreeMap::new());
    for vote in record.request.votes.iter().filter(|vote| vote.says == Say::Approve) {
        let Approver::User(id) = &vote.approver else { continue };
        if record.user() == Some(id) {
            continue;
        }
        let Some(user) = users::known(app, id).await? else { continue };
        require.push((Key::user(id), Require::Version(user.record.version)));
        // Who logged out everywhere since, or was made to, said it with a session that has ended.
        let ended = user.body.login_after.map(|at| app.clock.remembered(at));
        if ended.is_some_and(|ended| vote.at <= ended) {
            continue;
        }
        let provider = &user.body.provider;
        if !providers.contains_key(provider) {
            let Some(found) = app.store.record::<ProviderRecord>(&Key::provider(provider)).await? else { continue };
            require.push((Key::provider(provider), Require::Version(found.version)));
            providers.insert(provider.clone(), found.value);
        }
        let trusted = |provider: &ProviderRecord| provider.revoked_at.is_none() && provider.issuer == user.body.issuer;
        if providers.get(provider).is_some_and(trusted) {
            voters.pseudonyms.insert(id.clone(), veil::user(id, &user.key));
            voters.members.insert(id.clone(), member(&user.body));
        }
    }
    Ok(voters)
}

/// A user as somebody who may be in a group: those count that their provider said them to be in when they signed in to
/// vote, and did not leave out of what it said later, for whatever reason it did.
pub(super) fn member(body: &UserBody) -> Member {
    let claims: Map<String, Value> = serde_json::from_str(body.claims.as_str()).unwrap_or_default();
    let stays = |(name, at): &(&String, &TimeMs)| **at >= body.groups_asserted_at || body.groups.contains(*name);
    let names = NAMES.into_iter().filter_map(|name| claims.get(name).and_then(Value::as_str));
    Member {
        issuer: body.issuer.clone(),
        names: names.chain([body.subject.as_str()]).map(str::to_owned).collect(),
        groups: body.voted_for.iter().filter(stays).map(|(name, at)| (name.clone(), *at)).collect(),
    }
}

/// Count the votes on an approval by itself, outside of any decision; and of somebody whose vote is not recorded yet
/// what is known.
pub(super) async fn counted(
    app: &App,
    record: &ApprovalRecord,
    also: Option<(UserId, Member)>,
    now: TimeMs,
) -> Result<Met, Failure> {
    let operators = operators(app, &record.request.votes, &mut Vec::new()).await?;
    let mut members = voters(app, record, &mut Vec::new()).await?.members;
    members.extend(also);
    let (asker, bound_to, operators, members) = (&record.asker(), record.request.bound_to, &operators, &members);
    let issuer = match (record.user(), &record.groups_of) {
        (Some(_), Some(issuer)) => Some(issuer.clone()),
        (Some(user), None) => users::known(app, user).await?.map(|user| user.body.issuer),
        (None, _) => None,
    };
    let user = record.user().zip(issuer.as_ref());
    Ok(met(&record.request, Count { bound_to, asker, user, operators, members, now }))
}
