//! `/approve/{id}`: what a browser asks for.
//!
//! An approval that is not this user's and asks no group that they are in, one that asks operators alone, and one whose
//! user's provider has no page are all answered as what is not there.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::approvals::Asked;
use attorn_core::{ApprovalId, Approver, Digest, Say, UserId};
use attorn_store::records::ApprovalRecord;
use attorn_store::{Key, Require, Versioned};
use axum::http::StatusCode;

use super::ended;
use super::html::{self, Form, Reader, Sheet, Standing};
use super::reply::{Cookie, page, see, with_cookie, without_cookie};
use super::sign_ins::{self, SIGN_IN_MS, SignIn, over, unknown};
use super::visits::{VISIT_MS, Visit};
use crate::app::App;
use crate::approvals::vote::{self, Ballot, Channel};
use crate::approvals::voter::Voter;
use crate::approvals::{asks_user, content, denied, groups, groups_of, seek, state};
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::oauth::form::Form as Answered;
use crate::providers::backchannel::Problem;
use crate::providers::backchannel::sign_in::{self, Expected, Place, SignedIn};
use crate::users::names;

/// An approval that has a page.
struct Opened {
    id: ApprovalId,
    found: Versioned<ApprovalRecord>,
    user: UserId,
    place: Place,
}

impl Opened {
    async fn of(app: &App, id: ApprovalId) -> Result<Self, Failure> {
        let found = app.store.record::<ApprovalRecord>(&Key::approval(&id)).await?;
        let asks = |found: &Versioned<ApprovalRecord>| asks_user(&found.value) || !groups(&found.value).is_empty();
        let found = found.filter(asks).ok_or_else(nothing)?;
        let user = found.value.user().cloned().ok_or_else(nothing)?;
        let place = sign_in::place(app, &user).await?.ok_or_else(nothing)?;
        Ok(Self { id, found, user, place })
    }

    fn path(&self) -> String {
        format!("/approve/{}", self.id)
    }

    /// Who may come.
    const fn expected(&self) -> Expected {
        match self.found.value.groups_of {
            None => Expected::User,
            Some(_) => Expected::Groups,
        }
    }

    /// Who looks, if they have signed in for this and are still there, and what that rests on.
    async fn visit(&self, app: &App, call: &Call) -> Result<Option<(Visit, Vec<(Key, Require)>)>, Failure> {
        let Some(cookie) = Cookie::Visit.read(&self.id, &call.headers) else { return Ok(None) };
        let found = app.visits.of((self.id, &self.place.rests_on), cookie, app.clock.now());
        let Some(visit) = found else { return Ok(None) };
        let mut require = visit.arrival.rests_on.require().to_vec();
        let whose = (&self.place.provider().issuer, &self.user);
        let is_gone = ended::is_gone(app, whose, &visit.arrival, &mut require).await?;
        Ok((!is_gone).then_some((visit, require)))
    }

    /// Whether whoever signed in is asked.
    fn asks(&self, who: &SignedIn) -> bool {
        match who {
            SignedIn::User => asks_user(&self.found.value),
            SignedIn::Another(somebody) => !groups_of(&self.found.value, somebody).is_empty(),
        }
    }

    /// What whoever looks has said. What does not count any more of somebody in a group, they may say again.
    async fn said(&self, app: &App, who: &SignedIn) -> Result<Option<Say>, Failure> {
        let record = &self.found.value;
        let SignedIn::Another(somebody) = who else { return Ok(said(record, &self.user)) };
        let found = names::find_user(app, &self.place.provider().issuer, &somebody.subject).await?;
        let Some(user) = found.map(|found| found.value) else { return Ok(None) };
        let said = said(record, &user);
        let counted = seek::counted(app, record, None, app.clock.now()).await?;
        let counts = counted.approvals().iter().any(|one| one.approver.id() == user.as_str());
        Ok(said.filter(|said| *said == Say::Refuse || counts))
    }

    async fn standing(&self, app: &App, who: &SignedIn) -> Result<Standing, Failure> {
        let said = self.said(app, who).await?;
        Ok(Standing::of(state(app, &self.found, app.clock.now()).await?, said))
    }

    /// As those see it who are asked.
    async fn shown(&self, app: &App, visit: &Visit, in_vain: bool) -> Result<Reply, Failure> {
        let record = &self.found.value;
        let (asked, digest): (Asked, Digest) = content::open(app, record).await?.ok_or_else(nothing)?;
        let standing = self.standing(app, &visit.arrival.who).await?;
        let (asked, digest) = (content::shown(asked), digest.to_string());
        let sheet = Sheet {
            code: &record.code,
            agent: record.agent.as_str(),
            asked: &asked,
            reader: match visit.arrival.who {
                SignedIn::User => Reader::User,
                SignedIn::Another(_) => Reader::Member,
            },
            wanted: content::wanted(record),
            standing,
            expires_at: record.request.expires_at,
            in_vain,
        };
        let action = self.path();
        let form = Form { action: &action, token: &visit.token, digest: &digest };
        let status = if in_vain { StatusCode::CONFLICT } else { StatusCode::OK };
        Ok(page(status, html::sheet(&sheet, (standing == Standing::Asked).then_some(&form))))
    }
}

/// Show it to those who signed in for it; others sign in.
pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let opened = Opened::of(&app, id(&call)?).await?;
    match opened.visit(&app, &call).await? {
        Some((visit, _)) => opened.shown(&app, &visit, false).await,
        None => begin(&app, &opened).await,
    }
}

/// Send whoever it is to the provider.
async fn begin(app: &App, opened: &Opened) -> Result<Reply, Failure> {
    let _asks = app.visits.enter(&opened.found.value.agent)?;
    let state = sign_ins::new_state(&opened.id)?;
    let begun = sign_in::begin(app, &opened.place, (&state, opened.expected())).await?;
    let (url, begun) = begun.map_err(failed)?;
    let cookie = app.visits.sign_ins.seal(&opened.id, &state, &begun)?;
    with_cookie(see(url.as_str())?, (Cookie::SignIn, &opened.id), &cookie, SIGN_IN_MS)
}

/// Whoever comes back from the provider: let in, if they are asked.
pub(crate) async fn signed_in(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let answered = Answered::parse(call.uri.query().unwrap_or_default().as_bytes())?;
    let state = answered.get("state").unwrap_or_default();
    let id = sign_ins::approval(state).ok_or_else(over)?;
    let cookie = Cookie::SignIn.read(&id, &call.headers).ok_or_else(over)?;
    let sign_in = app.visits.sign_ins.open(&id, (state, cookie), app.clock.now());
    let SignIn { state, begun } = sign_in.filter(|one| !app.visits.has_come(&one.state)).ok_or_else(over)?;
    let opened = Opened::of(&app, id).await?;
    if !begun.is_at(&opened.place) {
        return Err(unknown("your provider was registered otherwise, or set up otherwise, while you signed in"));
    }
    let _asks = app.visits.enter(&opened.found.value.agent)?;
    let signed_in = sign_in::end(&app, &opened.place, &begun, &answered).await?;
    let arrival = signed_in.map_err(failed)?;
    if !opened.asks(&arrival.who) {
        return Err(nothing());
    }
    let cookie = app.visits.let_in((id, state), arrival, app.clock.now())?;
    let reply = with_cookie(see(&opened.path())?, (Cookie::Visit, &id), &cookie, VISIT_MS)?;
    without_cookie(reply, (Cookie::SignIn, &id))
}

/// Somebody who is asked says yes or no.
pub(crate) async fn vote(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let opened = Opened::of(&app, id(&call)?).await?;
    let (visit, mut rests_on) = opened.visit(&app, &call).await?.ok_or_else(|| {
        unknown(
            "you have not signed in, or some time ago, or at a provider that was registered otherwise since, or you have \
             logged out",
        )
    })?;
    let who = &visit.arrival.who;
    let form = call.form()?;
    if is_from_elsewhere(&call) || !visit.made(form.needed("token")?) {
        return Err(unknown("this form is not one that you were shown here"));
    }
    if opened.standing(&app, who).await? != Standing::Asked {
        return opened.shown(&app, &visit, true).await;
    }
    let (says, saw) = (say(form.needed("say")?)?, form.needed("digest")?.parse()?);
    if denied(&app, &opened.found.value, &mut rests_on).await?.is_some() {
        return opened.shown(&app, &visit, true).await;
    }
    let ballot = Ballot {
        voter: match who {
            SignedIn::User => Voter::User(&opened.user),
            SignedIn::Another(somebody) => Voter::Member(somebody, opened.place.provider()),
        },
        channel: Channel::Page,
        says,
        saw,
        reason: None,
        evidence: Some(&visit.arrival.evidence),
        rests_on: &rests_on,
    };
    match vote::cast(&app, &opened.id, &ballot).await {
        Ok(_) => see(&opened.path()),
        // It was answered, or lapsed, or something that it rests on changed, in this very moment.
        Err(failure) if matches!(failure.problem.code, ProblemCode::InvalidState | ProblemCode::Contention) => {
            Opened::of(&app, opened.id).await?.shown(&app, &visit, true).await
        }
        Err(failure) => Err(failure),
    }
}

/// What a user has said to it.
fn said(record: &ApprovalRecord, user: &UserId) -> Option<Say> {
    let ours = |approver: &Approver| matches!(approver, Approver::User(by) if by == user);
    record.request.votes.iter().find(|vote| ours(&vote.approver)).map(|vote| vote.says)
}

/// What is no id looks like one of nothing.
fn id(call: &Call) -> Result<ApprovalId, Failure> {
    call.path("id").map_err(|_| nothing())
}

fn say(text: &str) -> Result<Say, Failure> {
    let all = [Say::Approve, Say::Refuse];
    let said = all.into_iter().find(|say| say.as_str() == text);
    said.ok_or_else(|| Failure::of(ProblemCode::InvalidField, "`say` is `approve` or `refuse`"))
}

/// Whether the browser says that another site sent the form. `Origin` says nothing here: no page of ours names itself.
fn is_from_elsewhere(call: &Call) -> bool {
    call.headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin")
}

fn nothing() -> Failure {
    Failure::of(ProblemCode::NotFound, "there is no such approval")
}

/// Why nobody could sign in. Nothing of it was written by the provider.
fn failed(problem: Problem) -> Failure {
    tracing::debug!(why = problem.code(), "nobody signed in for an approval");
    if problem.is_temporary() {
        let detail = format!("nobody can sign in now: {problem} ({})", problem.code());
        return Failure::of(ProblemCode::Busy, detail);
    }
    unknown(&format!("the sign-in did not work: {problem} ({})", problem.code()))
}
