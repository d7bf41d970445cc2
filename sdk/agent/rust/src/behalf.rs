//! Acting on a user's behalf: a user's consent becomes a delegation, a part of it is offered to another agent, and
//! what was offered is accepted or ended.
//!
//! Nothing here decides what a delegation is good for: the server looks at the whole chain at every decision, as it
//! stands then.

use std::fmt;
use std::time::Duration;

use attorn_api::agents::Permission;
use attorn_api::audit::EntryReference;
use attorn_api::delegations::{
    CreateDelegation, Delegation as Recorded, DelegationList, DelegationMade, OfferDelegation, Revoke,
};

use crate::client::Client;
use crate::error::Error;
use crate::request::to_text;

/// What ids of delegations are called.
const ID: &str = "delegation id";

/// How many delegations are asked for at once: so many of the longest fit into an answer.
const PAGE: usize = 25;

/// How many pages are asked for.
const PAGES_MAX: usize = 40;

/// What is exchanged for a delegation: an access token of the user's provider, which names this agent and says what
/// they consented to, and a purpose.
///
/// The token is sent to the server and nowhere else, and is not shown by `Debug`.
#[derive(Clone)]
pub struct Exchange {
    subject_token: String,
    purpose: String,
    permissions: Option<Vec<Permission>>,
    expires_in_ms: Option<u64>,
}

impl Exchange {
    /// All that the user consented to for this purpose, for as long as the server lets it last.
    #[must_use]
    pub fn new(subject_token: impl Into<String>, purpose: impl Into<String>) -> Self {
        Self { subject_token: subject_token.into(), purpose: purpose.into(), permissions: None, expires_in_ms: None }
    }

    /// No more of it than this: action patterns with resource patterns. An agent that takes less than it could has
    /// less to be tricked out of.
    #[must_use]
    pub fn narrowed_to<A: Into<String>, R: Into<String>>(
        mut self,
        permissions: impl IntoIterator<Item = (A, R)>,
    ) -> Self {
        self.permissions = Some(pairs(permissions));
        self
    }

    /// For no longer than this.
    #[must_use]
    pub fn for_at_most(mut self, time: Duration) -> Self {
        self.expires_in_ms = Some(ms(time));
        self
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

/// A part of a delegation, to be offered to another agent.
#[derive(Debug, Clone)]
pub struct Part {
    delegation: String,
    permissions: Vec<Permission>,
    expires_in_ms: Option<u64>,
}

impl Part {
    /// This much of the delegation with this id: `dlg_…`.
    #[must_use]
    pub fn of<A: Into<String>, R: Into<String>>(
        delegation: impl Into<String>,
        permissions: impl IntoIterator<Item = (A, R)>,
    ) -> Self {
        Self { delegation: delegation.into(), permissions: pairs(permissions), expires_in_ms: None }
    }

    /// For no longer than this. It never lasts longer than what it is a part of.
    #[must_use]
    pub fn for_at_most(mut self, time: Duration) -> Self {
        self.expires_in_ms = Some(ms(time));
        self
    }
}

/// A delegation: what one may do on a user's behalf, as it stood when the server was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    recorded: Recorded,
    entry: Option<EntryReference>,
}

impl Delegation {
    /// Its id, by which requests name it: `dlg_…`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.recorded.id
    }

    /// The user on whose behalf one acts: `usr_…`.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.recorded.user
    }

    /// What for. A request by it states the same purpose.
    #[must_use]
    pub fn purpose(&self) -> &str {
        &self.recorded.purpose
    }

    /// What may be done, at most.
    #[must_use]
    pub fn permissions(&self) -> &[Permission] {
        &self.recorded.permissions
    }

    /// Whether it stood. What has been accepted, has not expired and is revoked nowhere in its chain does.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.recorded.standing == "active"
    }

    /// All that the API says of it.
    #[must_use]
    pub const fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// The entry in the audit log that was written for it now; none where it was only looked at or ended.
    #[must_use]
    pub const fn entry(&self) -> Option<&EntryReference> {
        self.entry.as_ref()
    }

    /// A part of it, to be offered to another agent.
    #[must_use]
    pub fn narrowed_to<A: Into<String>, R: Into<String>>(&self, permissions: impl IntoIterator<Item = (A, R)>) -> Part {
        Part::of(self.id(), permissions)
    }
}

/// So that [`crate::Request::on_behalf_by`] takes a delegation as well as its id.
impl From<&Delegation> for String {
    fn from(delegation: &Delegation) -> Self {
        delegation.recorded.id.clone()
    }
}

/// Acting on a user's behalf.
impl Client {
    /// Bring a user's consent: all that they consented to for this purpose becomes a delegation to this agent. The
    /// same token for the same purpose gives the same delegation again.
    ///
    /// # Errors
    ///
    /// [`Error::Problem`] with `subject_token_refused` if the token is none of a provider's for this agent, with
    /// `consent_missing` if the user consented to nothing for this purpose, and with `login_needed` if they have
    /// to sign in again.
    pub async fn delegate(&self, subject_token: &str, purpose: &str) -> Result<Delegation, Error> {
        self.exchange(&Exchange::new(subject_token, purpose)).await
    }

    /// As [`Self::delegate`], for a part of what the user consented to or a shorter time.
    ///
    /// # Errors
    ///
    /// As [`Self::delegate`].
    pub async fn exchange(&self, exchange: &Exchange) -> Result<Delegation, Error> {
        let body = CreateDelegation {
            subject_token: exchange.subject_token.clone(),
            purpose: exchange.purpose.clone(),
            permissions: exchange.permissions.clone(),
            expires_in_ms: exchange.expires_in_ms,
        };
        let body = to_text("exchange", &body)?.into_bytes();
        let made: DelegationMade = self.transport().post("/v1/delegations", body, None).await?;
        let narrow = exchange.permissions.as_ref().is_none_or(|asked| *asked == made.delegation.permissions);
        let as_asked = narrow && made.delegation.purpose == exchange.purpose;
        recorded(made, as_asked)
    }

    /// Offer a part of a delegation to another agent, for as long as it lasts itself. It counts when that agent has
    /// accepted it; what tells it the id is not this library's business, and the id is no secret.
    ///
    /// # Errors
    ///
    /// [`Error::Problem`] with `invalid_field` if the part is not within the delegation, or the other agent is not
    /// registered for its purpose.
    pub async fn offer<A: Into<String>, R: Into<String>>(
        &self,
        delegation: &Delegation,
        agent: &str,
        permissions: impl IntoIterator<Item = (A, R)>,
    ) -> Result<Delegation, Error> {
        self.offer_part(&delegation.narrowed_to(permissions), agent).await
    }

    /// As [`Self::offer`], of a part that may last for a shorter time.
    ///
    /// # Errors
    ///
    /// As [`Self::offer`].
    pub async fn offer_part(&self, part: &Part, agent: &str) -> Result<Delegation, Error> {
        let path = path("/v1/delegations", &part.delegation, "offer")?;
        let body = OfferDelegation {
            to_agent: agent.to_owned(),
            permissions: part.permissions.clone(),
            expires_in_ms: part.expires_in_ms,
        };
        let made: DelegationMade = self.transport().post(&path, to_text("part", &body)?.into_bytes(), None).await?;
        let as_asked = made.delegation.to_agent == agent
            && made.delegation.parent.as_deref() == Some(&part.delegation)
            && made.delegation.permissions == part.permissions;
        recorded(made, as_asked)
    }

    /// Accept what another agent offered: from now on it can be acted by.
    ///
    /// # Errors
    ///
    /// [`Error::Problem`] with `not_found` if it was offered to somebody else, with `invalid_state` if it is
    /// accepted already, and with `delegation_inactive` if it has ended.
    pub async fn accept(&self, delegation: &str) -> Result<Delegation, Error> {
        let path = path("/v1/delegations", delegation, "accept")?;
        let made: DelegationMade = self.transport().post(&path, Vec::new(), None).await?;
        let as_asked = made.delegation.id == delegation;
        recorded(made, as_asked)
    }

    /// What was delegated to this agent and is still kept, offers among it: the first 1,000.
    ///
    /// # Errors
    ///
    /// Whatever keeps the server from answering.
    pub async fn own_delegations(&self) -> Result<Vec<Delegation>, Error> {
        const PATH: &str = "/v1/own-delegations";
        let (mut all, mut next) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let page: DelegationList = self.transport().get(&format!("{PATH}?limit={PAGE}{next}")).await?;
            all.extend(page.delegations.into_iter().map(|recorded| Delegation { recorded, entry: None }));
            match page.next {
                Some(after) => next = format!("&after={}", checked(ID, &after)?),
                None => break,
            }
        }
        Ok(all)
    }

    /// End a delegation with all that was offered out of it: give back what this agent received, or take back what it
    /// offered.
    ///
    /// # Errors
    ///
    /// [`Error::Problem`] with `not_found` if this agent neither offered nor received it, and with `invalid_state` if
    /// it is revoked already.
    pub async fn give_back(&self, delegation: &str, reason: Option<&str>) -> Result<Delegation, Error> {
        let path = path("/v1/own-delegations", delegation, "revoke")?;
        let body = to_text("reason", &Revoke { reason: reason.map(str::to_owned) })?.into_bytes();
        let recorded: Recorded = self.transport().post(&path, body, None).await?;
        if recorded.id == delegation { Ok(Delegation { recorded, entry: None }) } else { Err(other()) }
    }
}

fn recorded(made: DelegationMade, as_asked: bool) -> Result<Delegation, Error> {
    // What is other than was asked for is not acted by.
    if as_asked { Ok(Delegation { recorded: made.delegation, entry: Some(made.entry) }) } else { Err(other()) }
}

fn other() -> Error {
    Error::Answer { status: 200, problem: "it is about another delegation than was asked for".into() }
}

/// Ids come from elsewhere, and go into a path.
fn path(before: &str, delegation: &str, after: &str) -> Result<String, Error> {
    Ok(format!("{before}/{}/{after}", checked(ID, delegation)?))
}

pub(crate) fn checked<'a>(what: &'static str, id: &'a str) -> Result<&'a str, Error> {
    if !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(id);
    }
    Err(Error::Unsendable { what, value: id.escape_debug().take(64).collect() })
}

fn pairs<A: Into<String>, R: Into<String>>(permissions: impl IntoIterator<Item = (A, R)>) -> Vec<Permission> {
    let permission = |(action, resource): (A, R)| Permission { action: action.into(), resource: resource.into() };
    permissions.into_iter().map(permission).collect()
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "behalf_tests.rs"]
mod tests;
