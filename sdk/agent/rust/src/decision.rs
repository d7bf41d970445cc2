//! What came of asking.

use attorn_api::audit::EntryReference;
use attorn_api::decisions::{
    ActiveSetReference, ApprovalReference, ApprovalRequirement, Credential, DecisionAnswer, DecisionKind, Grant,
    PostgresqlLogin, Reason,
};

use crate::error::Error;

/// A decision. It is recorded in the audit log, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow {
        /// The right that this yields.
        grant: Grant,
        /// What to show the resource server.
        credential: Credential,
        /// What every decision has.
        decided: Decided,
    },
    /// Yes, and what was asked for is a login in a database.
    AllowLogin {
        /// The right that this yields.
        grant: Grant,
        /// What to sign in with. Its password is shown once: there is none where the same was asked before under one
        /// idempotency key. That is no error, and who lost it asks under another key.
        login: PostgresqlLogin,
        /// What every decision has.
        decided: Decided,
    },
    /// Only with an approval.
    Challenge {
        /// Who has to approve.
        approvers: Vec<ApprovalRequirement>,
        /// What they are asked. Show its code, so that they can compare it.
        approval: Option<ApprovalReference>,
        /// What every decision has.
        decided: Decided,
    },
    /// No.
    Deny {
        /// What every decision has.
        decided: Decided,
    },
}

/// What every decision has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Names the decision: `dec_…`.
    pub decision_id: String,
    /// Why; at least one when it is no allow.
    pub reasons: Vec<Reason>,
    /// The decision's entry in the audit log.
    pub entry: EntryReference,
    /// Under which policies it was decided.
    pub active_set: ActiveSetReference,
}

impl Decision {
    /// What every decision has.
    #[must_use]
    pub const fn decided(&self) -> &Decided {
        match self {
            Self::Allow { decided, .. }
            | Self::AllowLogin { decided, .. }
            | Self::Challenge { decided, .. }
            | Self::Deny { decided } => decided,
        }
    }

    /// Whether one of its reasons has this code.
    #[must_use]
    pub fn has_reason(&self, code: &str) -> bool {
        self.decided().reasons.iter().any(|reason| reason.code == code)
    }
}

/// What an allow carries.
enum Given {
    Token(Credential),
    Login(PostgresqlLogin),
}

impl TryFrom<DecisionAnswer> for Decision {
    type Error = Error;

    /// An answer that says one thing and carries another permits nothing.
    fn try_from(answer: DecisionAnswer) -> Result<Self, Error> {
        let contradiction = |problem: &str| Err(Error::Answer { status: 200, problem: problem.into() });
        let decided = Decided {
            decision_id: answer.decision_id,
            reasons: answer.reasons,
            entry: answer.entry,
            active_set: answer.active_set,
        };
        let credential = match (answer.credential, answer.login) {
            (Some(credential), None) => Some(Given::Token(credential)),
            (None, Some(login)) => Some(Given::Login(login)),
            (None, None) => None,
            (Some(_), Some(_)) => return contradiction("it carries two credentials"),
        };
        match (answer.decision, answer.grant, credential) {
            (DecisionKind::Allow, Some(grant), Some(Given::Token(credential))) => {
                Ok(Self::Allow { grant, credential, decided })
            }
            (DecisionKind::Allow, Some(grant), Some(Given::Login(login))) => {
                Ok(Self::AllowLogin { grant, login, decided })
            }
            (DecisionKind::Allow, ..) => contradiction("it allows, and carries no grant or no credential"),
            (_, None, None) if decided.reasons.is_empty() => contradiction("it does not allow, and says not why"),
            (DecisionKind::Challenge, None, None) => {
                Ok(Self::Challenge { approvers: answer.approvers, approval: answer.approval, decided })
            }
            (DecisionKind::Deny, None, None) if answer.approval.is_some() => {
                contradiction("it denies, and carries an approval")
            }
            (DecisionKind::Deny, None, None) => Ok(Self::Deny { decided }),
            _ => contradiction("it does not allow, and carries a grant or a credential"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_server::answer;

    #[test]
    fn answers_that_contradict_themselves_permit_nothing() {
        let allow = answer(DecisionKind::Allow);
        let deny = answer(DecisionKind::Deny);
        for (contradiction, problem) in [
            (DecisionAnswer { grant: None, ..allow.clone() }, "it allows, and carries no grant or no credential"),
            (DecisionAnswer { credential: None, ..allow.clone() }, "it allows, and carries no grant or no credential"),
            (DecisionAnswer { grant: allow.grant.clone(), ..deny.clone() }, "carries a grant or a credential"),
            (DecisionAnswer { decision: DecisionKind::Challenge, ..allow.clone() }, "carries a grant or a credential"),
            (DecisionAnswer { reasons: vec![], ..deny.clone() }, "says not why"),
            (DecisionAnswer { login: Some(login()), ..allow.clone() }, "it carries two credentials"),
            (DecisionAnswer { login: Some(login()), ..deny.clone() }, "carries a grant or a credential"),
        ] {
            let error = Decision::try_from(contradiction).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    fn login() -> PostgresqlLogin {
        PostgresqlLogin {
            lease: "lse_1".into(),
            host: "db.example".into(),
            port: 5432,
            database: "shop".into(),
            user: "attorn_1".into(),
            password: Some("secret".into()),
            expires_at_ms: 1,
        }
    }

    #[test]
    fn a_login_is_an_allow_of_its_own_and_shows_no_password() {
        let answer = DecisionAnswer { credential: None, login: Some(login()), ..answer(DecisionKind::Allow) };
        let decision = Decision::try_from(answer).unwrap();
        assert!(matches!(&decision, Decision::AllowLogin { login, .. } if login.password.as_deref() == Some("secret")));
        assert!(!format!("{decision:?}").contains("secret"));
    }

    #[test]
    fn a_login_whose_password_was_shown_before_is_an_allow_all_the_same() {
        let login = PostgresqlLogin { password: None, ..login() };
        let answer = DecisionAnswer { credential: None, login: Some(login), ..answer(DecisionKind::Allow) };
        let decision = Decision::try_from(answer).unwrap();
        assert!(matches!(&decision, Decision::AllowLogin { login, .. } if login.password.is_none()));
    }

    #[test]
    fn each_kind_becomes_its_own_variant() {
        let decision = |kind| Decision::try_from(answer(kind)).unwrap();
        assert!(matches!(decision(DecisionKind::Allow), Decision::Allow { .. }));
        assert!(matches!(decision(DecisionKind::Challenge), Decision::Challenge { .. }));
        let deny = decision(DecisionKind::Deny);
        assert!(matches!(deny, Decision::Deny { .. }));
        assert!(deny.has_reason("outside_ceiling") && !deny.has_reason("not_allowed"));
    }
}
