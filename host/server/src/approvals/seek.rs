//! What was approved of a request: found by the keyed hash of all that a yes is bound to, and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use attorn_core::approval::{Count, met};
use attorn_core::{
    ApprovalState, Approver, Asker, Decision, Digest, Duty, Met, OperatorId, Say, TimeMs, Vote, WantedCredential,
    WithinBounds,
};
use attorn_store::records::{ApprovalRecord, ApprovalRequestRecord, OperatorRecord, TargetRecord};
use attorn_store::{Key, Require, Versioned};

use super::terms::KeptTerms;
use super::{content, is_over};
use crate::active::ActivePolicy;
use crate::app::App;
use crate::decisions::behalf::Chain;
use crate::decisions::digests;
use crate::http::failure::Failure;

/// What is asked for, as far as an approval is bound to it.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) within: &'a WithinBounds<'a>,
    pub(crate) chain: Option<&'a Chain>,
    /// None where that is a token.
    pub(crate) credential: Option<&'a WantedCredential>,
}

impl Scene<'_> {
    /// Who asks: the agent, and those through which it was delegated to it.
    pub(super) fn asker(&self) -> Asker {
        let hops = self.within.behalf().into_iter().flat_map(|behalf| &behalf.hops);
        let owners = hops.map(|hop| hop.agent.owner.clone()).chain([self.within.agent().owner.clone()]);
        Asker { owners: owners.collect(), operator: None }
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
    /// Those who have said yes, and count.
    pub(crate) met: Met,
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
    let (place, nothing) = (Require::Absent, Met::nothing());
    let mut sought = Sought { bound_to, asked_of, place, found: None, shown: None, met: nothing, require };
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
        let user = within.behalf().map(|behalf| &behalf.user.id);
        let asker = &scene.asker();
        sought.met =
            met(&found.value.request, Count { bound_to, asker, user, operators: &operators, now: within.now() });
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

/// Count the votes on an approval by itself, outside of any decision.
pub(super) async fn counted(app: &App, record: &ApprovalRecord, now: TimeMs) -> Result<Met, Failure> {
    let operators = operators(app, &record.request.votes, &mut Vec::new()).await?;
    let (asker, bound_to) = (&record.asker(), record.request.bound_to);
    Ok(met(&record.request, Count { bound_to, asker, user: record.user(), operators: &operators, now }))
}
