//! Keys of approvals, of how people are asked for them, and of who is told.

use attorn_core::{AgentId, ApprovalId, Digest, ProviderId, TimeMs, UserId, WebhookId};

use super::{Key, KeyKind, SEPARATOR, hex_time};

impl Key {
    /// How users are asked at a provider.
    #[must_use]
    pub fn backchannel(provider: &ProviderId) -> Self {
        Self::of(KeyKind::Backchannel, &[provider.as_str()])
    }

    /// That a user is asked for an approval at their provider.
    #[must_use]
    pub fn prompt(approval: &ApprovalId) -> Self {
        Self::of(KeyKind::Prompt, &[&approval.to_string()])
    }

    /// When something is to be done about a prompt at a provider. Its value is empty; see [`Self::prompt_that_is_due`].
    #[must_use]
    pub fn prompt_due(provider: &ProviderId, at: TimeMs, approval: &ApprovalId) -> Self {
        Self::of(KeyKind::PromptDue, &[provider.as_str(), &hex_time(at), &approval.to_string()])
    }

    /// Which prompt is due, and when, if this is a key made by [`Self::prompt_due`].
    #[must_use]
    pub fn prompt_that_is_due(&self) -> Option<(TimeMs, ApprovalId)> {
        let mut segments = self.0.split(|&byte| byte == SEPARATOR);
        if segments.next() != Some(KeyKind::PromptDue.as_str().as_bytes()) {
            return None;
        }
        let at = u64::from_str_radix(std::str::from_utf8(segments.nth(1)?).ok()?, 16).ok()?;
        Some((TimeMs(at), self.last_segment()?.parse().ok()?))
    }

    /// An approval's record.
    #[must_use]
    pub fn approval(id: &ApprovalId) -> Self {
        Self::of(KeyKind::Approval, &[&id.to_string()])
    }

    /// Which approval was asked for last for a request, of which this is the keyed hash.
    #[must_use]
    pub fn approval_request(bound_to: &Digest) -> Self {
        Self::of(KeyKind::ApprovalRequest, &[&bound_to.to_string()])
    }

    /// That nobody is asked for this for a while; it is a keyed hash of what was asked.
    #[must_use]
    pub fn approval_hold(asked_of: &Digest) -> Self {
        Self::of(KeyKind::ApprovalHold, &[&asked_of.to_string()])
    }

    /// How many of this agent's prompts there are at a provider, whoever is asked: a counter.
    #[must_use]
    pub fn agent_prompts(provider: &ProviderId, agent: &AgentId) -> Self {
        Self::of(KeyKind::AgentPrompts, &[provider.as_str(), agent.as_str()])
    }

    /// How often this user was asked at their provider in the time that began then: a counter.
    #[must_use]
    pub fn user_prompts(user: &UserId, start: TimeMs) -> Self {
        Self::of(KeyKind::UserPrompts, &[user.as_str(), &hex_time(start)])
    }

    /// That an approval counts among those that this agent may have waiting at once for this user, or for none. Its
    /// value is empty.
    #[must_use]
    pub fn open_approval(agent: &AgentId, user: Option<&UserId>, id: &ApprovalId) -> Self {
        // No user's id is empty.
        let user = user.map_or("", UserId::as_str);
        Self::of(KeyKind::OpenApproval, &[agent.as_str(), user, &id.to_string()])
    }

    /// How many of them there are: a counter.
    #[must_use]
    pub fn open_approvals(agent: &AgentId, user: Option<&UserId>) -> Self {
        Self::of(KeyKind::OpenApprovals, &[agent.as_str(), user.map_or("", UserId::as_str)])
    }

    /// The approval that this key names: its own, or a row's in the index of those that count.
    #[must_use]
    pub fn named_approval(&self) -> Option<ApprovalId> {
        let names = matches!(self.kind()?, KeyKind::Approval | KeyKind::OpenApproval);
        names.then(|| self.last_segment()?.parse().ok()).flatten()
    }

    /// A webhook's record.
    #[must_use]
    pub fn webhook(id: &WebhookId) -> Self {
        Self::of(KeyKind::Webhook, &[id.as_str()])
    }
}
