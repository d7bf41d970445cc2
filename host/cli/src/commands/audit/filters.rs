//! Filters of entries, as `list` and `watch` take them. They must all hold.

use attorn_api::audit::{EntryType, NoEntryType};
use attorn_core::{
    ActionPattern, AgentId, DecisionId, DelegationId, GrantId, KeyThumbprint, OperatorId, Owner, PolicyId, Purpose,
    ReasonCode, ResourcePattern, SessionId, UserId,
};
use clap::{Args, ValueEnum};

use crate::parse::{self, Moment, OneOf};

/// Which entries.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Filters, which must all hold")]
pub(super) struct Filters {
    /// In which this agent acts, in a chain too, or is acted upon
    #[arg(long, value_name = "ID", value_parser = parse::id::<AgentId>)]
    agent: Option<AgentId>,
    /// With this key
    #[arg(long, value_name = "THUMBPRINT", value_parser = parse::id::<KeyThumbprint>)]
    key: Option<KeyThumbprint>,
    /// On behalf of this user, or about them; a pseudonym of the log's, too. What came of a decision, such as uses of its
    /// grant, names no user: `--about`
    #[arg(long, value_name = "ID", value_parser = parse::id::<UserId>)]
    user: Option<UserId>,
    /// Of agents for which this owner answers
    #[arg(long, value_parser = parse::id::<Owner>)]
    owner: Option<Owner>,
    /// What this operator did
    #[arg(long, value_name = "ID", value_parser = parse::id::<OperatorId>)]
    operator: Option<OperatorId>,
    /// By this delegation, or about it
    #[arg(long, value_name = "ID", value_parser = parse::id::<DelegationId>)]
    delegation: Option<DelegationId>,
    /// Of this grant
    #[arg(long, value_name = "ID", value_parser = parse::id::<GrantId>)]
    grant: Option<GrantId>,
    /// For which this policy was asked, or that are about it: all its versions, or one
    #[arg(long, value_name = "ID[=VERSION]", value_parser = policy)]
    policy: Option<(PolicyId, Option<u32>)>,
    /// For this purpose
    #[arg(long, value_parser = parse::id::<Purpose>)]
    purpose: Option<Purpose>,
    /// In this session
    #[arg(long, value_name = "ID", value_parser = parse::id::<SessionId>)]
    session: Option<SessionId>,
    /// About this action, or actions that the pattern covers: `faq.*`
    #[arg(long, value_name = "PATTERN", value_parser = parse::id::<ActionPattern>)]
    action: Option<ActionPattern>,
    /// About this resource, or resources that the pattern covers: `article/*`; a user's with `--user`
    #[arg(long, value_name = "PATTERN", value_parser = parse::id::<ResourcePattern>)]
    resource: Option<ResourcePattern>,
    /// Decisions that came to this
    #[arg(long, value_enum)]
    decision: Option<Decided>,
    /// About this decision: itself, its uses, its effects
    #[arg(long, value_name = "ID", value_parser = parse::id::<DecisionId>)]
    about: Option<DecisionId>,
    /// With this reason code
    #[arg(long, value_name = "CODE", value_parser = parse::id::<ReasonCode>)]
    reason: Option<ReasonCode>,
    /// Of this type: `grant_used`; a wrong one is answered with all that there are
    #[arg(long = "type", value_name = "TYPE", value_parser = TYPE, hide_possible_values = true)]
    kind: Option<EntryType>,
    /// Written since then: `24h` or `1w` ago, `2026-01-02` (midnight in UTC), or `2026-01-02T03:04:05Z`
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Written until then, said in the same way; a day stands for its first moment, so name the day after for all of it
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

const TYPE: OneOf<EntryType> = OneOf {
    parse: |text| text.parse().map_err(|error: NoEntryType| error.to_string()),
    names: || EntryType::ALL.iter().map(|one| one.as_str()).collect(),
};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Decided {
    Allow,
    Challenge,
    Deny,
}

impl Filters {
    /// Since when entries that are wanted were written, if that matters.
    pub(super) const fn since(&self) -> Option<Moment> {
        self.since
    }

    /// Until when entries that are wanted were written, if that matters.
    pub(super) const fn until(&self) -> Option<Moment> {
        self.until
    }

    /// The decision that entries are to be about.
    pub(super) const fn about(&self) -> Option<&DecisionId> {
        self.about.as_ref()
    }

    /// Whether not all entries are wanted.
    pub(super) fn is_narrowed(&self) -> bool {
        !self.query().is_empty()
    }

    /// Whether a resource is asked for as it stands, which those of users do not.
    pub(super) const fn is_by_resource_alone(&self) -> bool {
        self.resource.is_some() && self.user.is_none()
    }

    /// The part of a query that says it: `&name=value`, again and again.
    pub(super) fn query(&self) -> String {
        let decision = self.decision.map(|decided| match decided {
            Decided::Allow => "allow",
            Decided::Challenge => "challenge",
            Decided::Deny => "deny",
        });
        let (policy, version) = match &self.policy {
            Some((policy, version)) => (Some(policy), *version),
            None => (None, None),
        };
        // All of these are of alphabets that stand in a query as they are.
        let said = [
            ("agent", text(self.agent.as_ref())),
            ("key", text(self.key.as_ref())),
            ("user", text(self.user.as_ref())),
            ("owner", text(self.owner.as_ref())),
            ("operator", text(self.operator.as_ref())),
            ("delegation", text(self.delegation.as_ref())),
            ("grant", text(self.grant.as_ref())),
            ("policy", text(policy)),
            ("version", text(version.as_ref())),
            ("purpose", text(self.purpose.as_ref())),
            ("session", text(self.session.as_ref())),
            ("action", text(self.action.as_ref())),
            ("resource", text(self.resource.as_ref())),
            ("decision", text(decision.as_ref())),
            ("decision_id", text(self.about.as_ref())),
            ("reason", text(self.reason.as_ref())),
            ("type", text(self.kind.as_ref())),
            ("since_ms", text(self.since.map(|moment| moment.ms).as_ref())),
            ("until_ms", text(self.until.map(|moment| moment.ms).as_ref())),
        ];
        said.into_iter().filter_map(|(name, value)| value.map(|value| format!("&{name}={value}"))).collect()
    }
}

fn text<T: std::fmt::Display>(value: Option<&T>) -> Option<String> {
    value.map(ToString::to_string)
}

fn policy(text: &str) -> Result<(PolicyId, Option<u32>), String> {
    if text.contains('=') {
        return parse::policy_version(text).map(|(policy, version)| (policy, Some(version)));
    }
    parse::id(text).map(|policy| (policy, None))
}

#[cfg(test)]
impl Filters {
    /// For tests of what takes them.
    pub(super) fn written_until(ms: u64) -> Self {
        Self { until: Some(Moment { ms }), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_said_as_the_server_takes_them() {
        assert_eq!(Filters::default().query(), "");
        let filters = Filters {
            agent: Some("bot".parse().unwrap()),
            policy: Some(policy("p=3").unwrap()),
            action: Some("faq.*".parse().unwrap()),
            decision: Some(Decided::Deny),
            since: Some(Moment { ms: 7 }),
            ..Filters::default()
        };
        assert_eq!(filters.query(), "&agent=bot&policy=p&version=3&action=faq.*&decision=deny&since_ms=7");
        assert_eq!(policy("p"), Ok(("p".parse().unwrap(), None)));
        assert!(policy("p=x").unwrap_err().contains("`x` is no version"));
        let used = Filters { kind: "grant_used".parse().ok(), ..Filters::default() };
        assert_eq!(used.query(), "&type=grant_used");
    }
}
