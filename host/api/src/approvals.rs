//! `/v1/approvals`: somebody says yes or no to what a challenge asks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decisions::Reason;

/// What an approver is asked. All texts in it that an agent or a policy wrote are shown with everything escaped that is
/// not plainly visible: control characters, marks that turn the direction of writing, blanks that are none, and the
/// characters of which markup is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Its id: `apr_…`.
    pub id: String,
    /// The short code that the agent shows, too: whoever is asked by both compares it.
    pub code: String,
    /// `pending`, `approved`, `refused`, `lapsed` or `spent`.
    pub state: String,
    /// What a vote names: the digest of all that is shown here of the request. What was shown is what is approved.
    pub digest: String,
    /// The agent that asks.
    pub agent: String,
    /// What it asks for.
    pub asks: Asked,
    /// Who has to approve: all of these.
    pub approvers: Vec<Wanted>,
    /// What was said so far.
    pub votes: Vec<CastVote>,
    /// The challenge that asked for it first: `dec_…`.
    pub decision_id: String,
    /// The allow that was made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_by: Option<String>,
    /// Other policies are in force than when it was asked, while it was not spent. Where those that apply to it changed,
    /// a yes comes to nothing: the agent's next try asks for another approval.
    #[serde(default, skip_serializing_if = "is_false")]
    pub policies_changed: bool,
    /// When it was asked for.
    pub created_at_ms: u64,
    /// From when on it does not count.
    pub expires_at_ms: u64,
}

/// Who has to approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// In which role: `operator`, `user` or `group`.
    pub role: String,
    /// Members of which group; of the role `group` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// How many distinct people.
    pub count: u32,
}

/// A group at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The provider's issuer. A group of the same name at another is another.
    pub issuer: String,
    /// What the provider calls it.
    pub name: String,
}

/// What an agent asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Who answers for the agent.
    pub owner: String,
    /// The agents through which it was delegated to this one, from the user on.
    pub through: Vec<String>,
    /// On whose behalf; none for what it does on its own authority.
    pub user: Option<AskedUser>,
    /// What for.
    pub purpose: String,
    /// The action.
    pub action: String,
    /// To what.
    pub resource: String,
    /// The session.
    pub session: Option<String>,
    /// The arguments of the action, one JSON object. Every name and every number is there; texts that are too long to be
    /// read are cut. Where there is no room for that, the request is denied (`approval_unreadable`).
    pub arguments: String,
    /// How many characters of them were cut; 0 if all is shown.
    pub arguments_cut_chars: u64,
    /// SHA-256 of the whole arguments in canonical form.
    pub arguments_digest: String,
    /// What the agent says about its request, one JSON object, cut as the arguments are. Nobody has checked it, and
    /// policies see it.
    pub claims: String,
    /// How many characters of that were cut; 0 if all is shown.
    pub claims_cut_chars: u64,
    /// What it is to be given.
    pub credential: AskedCredential,
    /// The target where that would be made, or where its request would go; none of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Who would accept that.
    pub accepted_by: String,
    /// Why the policies ask.
    pub reasons: Vec<Reason>,
    /// What follows from a yes.
    pub follows: Follows,
    /// Words in it that may be taken for others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub look_alikes: Vec<LookAlike>,
    /// How many more of them there are than are told of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub look_alikes_more: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(is: &bool) -> bool {
    !*is
}

/// A word with letters of several scripts, or with foreign letters that look like Latin ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookAlike {
    /// The word, as it is shown.
    pub word: String,
    /// The same with each letter that is not ASCII as its number: `p{U+0430}ypal`.
    pub letters: String,
}

/// What an agent is to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskedCredential {
    /// A signed token, for the resource server.
    Token,
    /// A login in a database.
    Postgresql,
    /// Nothing: its request goes on to a service, once, with what is in the arguments.
    Proxy,
}

/// The user on whose behalf an agent asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedUser {
    /// The id that they have here.
    pub id: String,
    /// Their provider's issuer.
    pub issuer: String,
    /// What their provider calls them.
    pub subject: String,
}

/// What follows from a yes, if nothing else speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Follows {
    /// How long the grant lives at most, in milliseconds.
    pub grant_ms_max: u64,
    /// How often it may be used.
    pub uses_max: u32,
    /// What is charged.
    pub debits: Vec<AskedDebit>,
    /// How many more debits there are than are shown.
    pub debits_more: u32,
}

/// A charge to a counter. Numbers are texts, for they may have 64 bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedDebit {
    /// Whose counter.
    pub policy: String,
    /// The counter's name.
    pub counter: String,
    /// Over what time it counts.
    pub window: String,
    /// How much.
    pub amount: String,
    /// What the counter must not pass.
    pub at_most: String,
}

/// All of the arguments that an approval is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalArguments {
    /// The approval.
    pub id: String,
    /// What a vote on it names.
    pub digest: String,
    /// The arguments, one JSON object, whole; escaped as all that approvers are shown.
    pub arguments: String,
    /// SHA-256 of the arguments in canonical form.
    pub arguments_digest: String,
}

/// A vote that was cast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CastVote {
    /// In which role: `operator`, `user` or `group`.
    pub role: String,
    /// By whom: an operator, or a user by the id that they have here.
    pub approver: String,
    /// `approve` or `refuse`.
    pub says: String,
    /// When.
    pub at_ms: u64,
}

/// Approvals by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalList {
    /// A page of them. It may have fewer than were asked for, and there may be more all the same.
    pub approvals: Vec<Approval>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}

/// Say yes or no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CastBallot {
    /// The digest of what was shown: a vote on anything else is none.
    pub digest: String,
    /// Why, at most 256 characters; kept in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the form of the approval page says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageBallot {
    /// What the page had in its form, and no other page has.
    pub token: String,
    /// The digest of what was shown.
    pub digest: String,
    /// `approve` or `refuse`.
    pub say: String,
}

/// How far an approval has come, as the agent that waits for it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalStanding {
    /// Its id.
    pub id: String,
    /// `pending`; `approved`, then ask for the decision again; or `refused`, `lapsed` or `spent`.
    pub state: String,
    /// From when on it does not count.
    pub expires_at_ms: u64,
    /// How long to wait before looking again.
    pub poll_ms: u64,
}

/// Register who is told of what is to be approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterWebhook {
    /// Its id, never used again for another.
    pub id: String,
    /// Where messages are posted: `https`, without user, password or fragment.
    pub url: String,
    /// Whether that may be this machine, over `http`, too.
    #[serde(default)]
    pub loopback: bool,
}

/// Who is told of what is to be approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where messages are posted.
    pub url: String,
    /// Whether that may be this machine.
    pub loopback: bool,
    /// When it was registered.
    pub created_at_ms: u64,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
}

/// A webhook that was registered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisteredWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// By what it verifies messages: `whsec_…`. It is shown once.
    pub secret: String,
}

impl std::fmt::Debug for RegisteredWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisteredWebhook").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

/// Webhooks by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookList {
    /// A page of them.
    pub webhooks: Vec<Webhook>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}

/// What is posted to a webhook. Of a person it has no more than the id that they have here: an operator who wants to know
/// more asks for the approval, and the user opens the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookMessage {
    /// `approval.requested`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was asked for.
    pub requested_at_ms: u64,
    /// The approval: `apr_…`.
    pub approval: String,
    /// Its short code.
    pub code: String,
    /// The agent that asks.
    pub agent: String,
    /// The roles that are asked: `operator`, `user` and `group`, as many of them as are.
    pub asks: Vec<String>,
    /// The groups whose members are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// The user who is asked, by the id that they have here; none where only others are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The challenge that asked for it.
    pub decision_id: String,
    /// From when on it does not count.
    pub expires_at_ms: u64,
    /// Where its user and the members of groups answer, if they are asked, and there is a page for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}
