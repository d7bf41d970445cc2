//! The index says what a linear scan says, and looks at little.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::bounds::tests::{agent as bot, request as asking};

/// Makes one of many selectors.
type Make<'a> = &'a dyn Fn(usize) -> Selector;

const ACTIONS: [&str; 8] = ["a", "a.b", "a.b.c", "a.c", "ab", "ab.c", "b", "a.b.c.d.e.f.g.h"];
const PATTERNS: [&str; 11] = ["*", "a", "a.*", "a.b", "a.b.*", "a.b.c", "a.b.c.d.*", "ab.*", "b", "b.*", "a.c"];
const TYPES: [&str; 4] = ["article", "invoice", "a", "account"];
const LABELS: [(&str, &str); 5] =
    [("team", "support"), ("team", "billing"), ("tier", "gold"), ("tier", ""), ("zone", "eu")];

fn linear_scan(selectors: &[Selector], agent: &Agent, request: &Request, user: UserPresence) -> Vec<usize> {
    let matches = |(_, selector): &(usize, &Selector)| selector.matches(agent, request, user);
    selectors.iter().enumerate().filter(matches).map(|(at, _)| at).collect()
}

fn with_labels(labels: impl IntoIterator<Item = (&'static str, &'static str)>) -> Agent {
    let labels = labels.into_iter().map(|(name, value)| (name.parse().unwrap(), value.to_owned()));
    Agent { labels: labels.collect::<BTreeMap<_, _>>(), ..bot() }
}

fn request(action: &str, resource_type: &str) -> Request {
    asking(action, &format!("{resource_type}/1"), "answer-questions")
}

fn presence() -> impl Strategy<Value = UserPresence> {
    select(&[UserPresence::WithUser, UserPresence::WithoutUser][..])
}

fn selector() -> impl Strategy<Value = Selector> {
    let actions = vec(select(&PATTERNS[..]), 0..4);
    let types = vec(select(&TYPES[..]), 0..3);
    let labels = vec(select(&LABELS[..]), 0..3);
    (actions, types, labels, proptest::option::of(presence())).prop_map(|(actions, types, labels, user)| Selector {
        actions: actions.into_iter().map(|pattern| pattern.parse().unwrap()).collect(),
        resource_types: types.into_iter().map(|name| name.parse().unwrap()).collect(),
        agent_labels: labels.into_iter().map(|(name, value)| (name.parse().unwrap(), value.to_owned())).collect(),
        user,
    })
}

proptest! {
    #[test]
    fn the_index_equals_a_linear_scan(
        selectors in vec(selector(), 0..40),
        labels in vec(select(&LABELS[..]), 0..4),
        asked in vec((select(&ACTIONS[..]), select(&TYPES[..]), presence()), 1..8),
    ) {
        let (index, agent) = (SelectorIndex::new(selectors.clone()), with_labels(labels));
        for (action, resource_type, user) in asked {
            let request = request(action, resource_type);
            let expect = linear_scan(&selectors, &agent, &request, user);
            prop_assert_eq!(index.matching(&agent, &request, user), expect);
        }
    }

    #[test]
    fn what_covers_an_action_is_listed_and_nothing_else(action in select(&ACTIONS[..]), pattern in select(&PATTERNS[..])) {
        let (action, pattern) = (request(action, "article").action, pattern.parse::<ActionPattern>().unwrap());
        prop_assert_eq!(action.covering().any(|covering| covering == pattern), pattern.covers(&action));
    }
}

/// Selectors that differ in one side only, whichever it is, and in two that each many share.
#[test]
fn few_of_a_thousand_are_looked_at() {
    let one = |actions: Vec<String>, types: Vec<String>, labels: Vec<String>| Selector {
        actions: actions.iter().map(|pattern| pattern.parse().unwrap()).collect(),
        resource_types: types.iter().map(|name| name.parse().unwrap()).collect(),
        agent_labels: labels.into_iter().map(|value| ("team".parse().unwrap(), value)).collect(),
        user: None,
    };
    let text = |text: &str| vec![text.to_owned()];
    let by_action = |n: usize| one(vec![format!("a{n}.*")], text("article"), text("support"));
    let by_type = |n: usize| one(text("a7.*"), vec![format!("t{n}")], text("support"));
    let by_label = |n: usize| one(text("a7.*"), text("t7"), vec![format!("v{n}")]);
    let grid = |n: usize| one(vec![format!("a{}.*", n % 32)], vec![format!("t{}", n / 32)], Vec::new());
    let cases: [(Make<'_>, &str, &str, usize); 4] = [
        (&by_action, "article", "support", 1),
        (&by_type, "t7", "support", 1),
        (&by_label, "t7", "v7", 1),
        (&grid, "t7", "support", 32),
    ];
    for (selector, resource_type, team, looked_at_max) in cases {
        let selectors: Vec<Selector> = (0..1_000).map(selector).collect();
        let agent = Agent { labels: BTreeMap::from([("team".parse().unwrap(), team.to_owned())]), ..bot() };
        let (index, request) = (SelectorIndex::new(selectors), request("a7.b", resource_type));
        let (looked_at, matching) =
            (index.candidates(&agent, &request), index.matching(&agent, &request, UserPresence::WithoutUser));
        assert!(looked_at.len() <= looked_at_max, "{} were looked at", looked_at.len());
        assert_eq!(matching.len(), 1);
    }
}

#[test]
fn an_empty_selector_is_about_everything_and_an_empty_index_about_nothing() {
    let (agent, request) = (with_labels([]), request("a.b", "article"));
    for user in [UserPresence::WithUser, UserPresence::WithoutUser] {
        assert_eq!(SelectorIndex::new(vec![Selector::default()]).matching(&agent, &request, user), [0]);
        assert_eq!(SelectorIndex::new(Vec::new()).matching(&agent, &request, user), [0; 0]);
        let only = Selector { user: Some(UserPresence::WithUser), ..Selector::default() };
        let matching = SelectorIndex::new(vec![only]).matching(&agent, &request, user);
        assert_eq!(matching.len(), usize::from(user == UserPresence::WithUser));
    }
}

#[test]
fn a_selector_names_the_sides_that_do_not_match() {
    use crate::policy::SelectorSide::{self, Actions, AgentLabels, ResourceTypes, User};
    let selector = |action: &str, resource_type: &str, team: &str, user| Selector {
        actions: vec![action.parse().unwrap()],
        resource_types: vec![resource_type.parse().unwrap()],
        agent_labels: vec![("team".parse().unwrap(), team.to_owned())],
        user: Some(user),
    };
    let (agent, request) = (with_labels([("team", "support")]), request("a.b", "article"));
    let (with, without) = (UserPresence::WithUser, UserPresence::WithoutUser);
    let rows: [(Selector, &[SelectorSide]); 6] = [
        (selector("a.*", "article", "support", without), &[]),
        (selector("b", "article", "support", without), &[Actions]),
        (selector("a.*", "invoice", "support", without), &[ResourceTypes]),
        (selector("a.*", "article", "billing", without), &[AgentLabels]),
        (selector("a.*", "article", "support", with), &[User]),
        (selector("b", "invoice", "billing", with), SelectorSide::ALL),
    ];
    for (selector, expect) in rows {
        let found: Vec<_> = selector.mismatches(&agent, &request, without).collect();
        assert_eq!(found, expect);
        assert_eq!(selector.matches(&agent, &request, without), expect.is_empty());
    }
}
