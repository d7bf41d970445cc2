//! Who may vote, and for how many there is room, without a server.

use std::collections::{BTreeMap, BTreeSet};

use attorn_core::{AgentNaming, ApprovalId, DecisionId, IssuerAlgorithm, JsonText, ProviderTokenType, UserId};
use attorn_store::records::{Kept, ProviderRecord, Sealed};

use super::*;
use crate::providers::backchannel::sign_in::Another;

const NOW: TimeMs = TimeMs(10_000_000);
const MINUTES_15: u64 = 15 * 60 * 1_000;

fn provider() -> ProviderRecord {
    ProviderRecord {
        id: "main".parse().unwrap(),
        issuer: "https://sso.example".parse().unwrap(),
        audience: "https://attorn.example".parse().unwrap(),
        algorithms: BTreeSet::from([IssuerAlgorithm::Es256]),
        token_type: ProviderTokenType::AtJwt,
        names_agent_by: AgentNaming::MayAct,
        clients: BTreeMap::new(),
        scopes: BTreeMap::new(),
        authorization_details: BTreeMap::new(),
        groups_claim: Some("groups".parse().unwrap()),
        session_claim: "sid".parse().unwrap(),
        claims: BTreeSet::new(),
        delegation_ms_max: 1,
        user_audience: None,
        user_clients: BTreeSet::new(),
        created_at: TimeMs(1),
        revoked_at: None,
    }
}

/// Somebody who was said to be in `finance` then.
fn bob(asserted_at: TimeMs) -> Another {
    Another {
        subject: "bob".into(),
        names: BTreeSet::new(),
        groups: BTreeSet::from(["finance".into()]),
        asserted_at,
        begun_at: asserted_at,
    }
}

fn user(number: usize) -> UserId {
    format!("usr_{number:032x}").parse().unwrap()
}

/// What is asked of `finance` for a user, with a yes of each of these.
fn asked(approvers: impl IntoIterator<Item = Approver>) -> ApprovalRecord {
    let vote = |approver| Vote { approver, says: Say::Approve, at: TimeMs(1) };
    ApprovalRecord {
        request: ApprovalRequest {
            id: ApprovalId::from_random([1; 16]),
            bound_to: Digest::from_bytes([1; 32]),
            requirements: Vec::new(),
            votes: approvers.into_iter().map(vote).collect(),
            expires_at: TimeMs(u64::MAX),
        },
        state: ApprovalState::Pending,
        asked_of: Digest::from_bytes([2; 32]),
        agent: "bot".parse().unwrap(),
        owners: Vec::new(),
        registrars: Vec::new(),
        delegation: None,
        code: "BCDF-GHJK".into(),
        decision: DecisionId::from_random([1; 16]),
        spent_by: None,
        open: true,
        prompted: false,
        groups_of: Some(provider().issuer),
        created_at: TimeMs(1),
        content: Kept::<JsonText>::Sealed { user: user(0), sealed: Sealed(vec![1]) },
    }
}

#[test]
fn a_group_counts_for_fifteen_minutes_after_its_provider_said_so() {
    let (provider, record, approver) = (provider(), asked([]), Approver::User(user(1)));
    let may = |asserted_at, says| {
        let somebody = bob(TimeMs(asserted_at));
        let ballot = Ballot {
            voter: Voter::Member(&somebody, &provider),
            channel: Channel::Page,
            says,
            saw: Digest::from_bytes([1; 32]),
            reason: None,
            evidence: None,
            rests_on: &[],
        };
        voter::may_vote(&record, (&ballot, &approver), NOW).map_err(|failure| failure.problem.code)
    };
    for says in [Say::Approve, Say::Refuse] {
        for (asserted_at, expect) in [
            (NOW.0, Ok(())),
            (NOW.0 - MINUTES_15 + 1, Ok(())),
            (NOW.0 - MINUTES_15, Err(ProblemCode::UserUnauthenticated)),
            (NOW.0 + 1, Err(ProblemCode::UserUnauthenticated)),
            (0, Err(ProblemCode::UserUnauthenticated)),
        ] {
            assert_eq!(may(asserted_at, says), expect, "{asserted_at} {says:?}");
        }
    }
}

#[test]
fn so_many_members_vote_and_no_more_and_take_no_place_from_others() {
    let (provider, somebody) = (provider(), bob(NOW));
    let members = |count: usize| (1..=count).map(|number| Approver::User(user(number)));
    let operator = |number: usize| Approver::Operator(format!("op-{number}").parse().unwrap());
    let (member, new) = (Voter::Member(&somebody, &provider), Approver::User(user(1_000)));
    let most = 48;
    assert!(has_room(&asked(members(most - 1)), (&member, &new)));
    let full = asked(members(most));
    assert!(!has_room(&full, (&member, &new)));
    // Whoever votes anew has a place already; so has the user, and operators have places of their own.
    assert!(has_room(&full, (&member, &Approver::User(user(most)))));
    assert!(has_room(&full, (&Voter::User(&user(0)), &Approver::User(user(0)))));
    let beside = asked(members(most - 1).chain((0..16).map(operator)).chain([Approver::User(user(0))]));
    assert!(has_room(&beside, (&member, &new)));
}
