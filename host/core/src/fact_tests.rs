//! Names that would be another fact's, templates that mean nothing; then what is right.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::bounds::tests::{agent, request};
use crate::context::{AuthenticationMethod, Caller, Delegation, Phase, User};
use crate::request::JsonText;
use crate::time::TimeMs;

const OWNER: &str = "resource/{request.resource_type}/{request.resource_id}/owner";

pub(crate) fn context(resource: &str) -> EvaluationContext {
    let agent = agent();
    EvaluationContext {
        phase: Phase::Decide,
        time: TimeMs(1_000),
        caller: Caller { method: AuthenticationMethod::Dpop, key_thumbprint: agent.keys[0].thumbprint.clone() },
        instance: agent.keys[0].instance.clone(),
        agent,
        user: None,
        delegations: Vec::new(),
        request: request("faq.read", resource, "answer-questions"),
        credential: None,
        approvals: Vec::new(),
    }
}

fn delegation(session: &str) -> Delegation {
    Delegation {
        id: "d-1".parse().unwrap(),
        to_agent: agent().id,
        permissions: Vec::new(),
        purpose: "answer-questions".parse().unwrap(),
        session: session.parse().unwrap(),
        created_at: TimeMs(0),
        expires_at: TimeMs(2_000),
    }
}

fn template(text: &str) -> FactTemplate {
    text.parse().unwrap()
}

fn name_of(text: &str, context: &EvaluationContext) -> Option<String> {
    template(text).fill_in(context).map(|name| name.to_string())
}

#[test]
fn templates_that_mean_nothing_are_refused_with_the_list_of_fields() {
    let long = "x".repeat(257);
    for (text, problem) in [
        ("", "it has 0 bytes, and 1 to 256 are right"),
        (long.as_str(), "it has 257 bytes, and 1 to 256 are right"),
        ("a b", "` ` is not allowed outside of fields"),
        ("a%2Fb", "`%` is not allowed outside of fields"),
        ("\u{430}", "`\\u{430}` is not allowed outside of fields"),
        ("/a", "a segment may not be ``"),
        ("a//b", "a segment may not be ``"),
        ("a/", "a segment may not be ``"),
        ("a/../{user.id}", "a segment may not be `..`"),
        ("{", "the segment `{` is neither text nor one field"),
        ("}", "the segment `}` is neither text nor one field"),
        ("a{user.id", "the segment `a{user.id` is neither text nor one field"),
        ("{user.id}}", "the segment `{user.id}}` is neither text nor one field"),
        ("{{user.id}}", "the segment `{{user.id}}` is neither text nor one field"),
        ("user.{user.id}", "the segment `user.{user.id}` is neither text nor one field"),
        ("x/{user.id}.risk/y", "the segment `{user.id}.risk` is neither text nor one field"),
        ("t/{agent.id}{user.id}", "the segment `{agent.id}{user.id}` is neither text nor one field"),
        ("t/{agent.id}-{user.id}", "the segment `{agent.id}-{user.id}` is neither text nor one field"),
        ("{agent.id/user.id}", "the segment `{agent.id` is neither text nor one field"),
        ("a/{}", "there is no field ``"),
        ("{user id}", "there is no field `user id`"),
        ("{request.resource}", "there is no field `request.resource`"),
        ("{request.arguments}", "there is no field `request.arguments`"),
        ("{agent.label.}", "there is no field `agent.label.`"),
        ("{agent.label.Team}", "there is no field `agent.label.Team`"),
        ("{user.claim.email}", "there is no field `user.claim.email`"),
    ] {
        let error = text.parse::<FactTemplate>().unwrap_err();
        assert!(error.to_string().ends_with(&format!("is no template of a fact: {problem}")), "{error}");
        assert!(error.help().contains("{request.resource_id}"), "{text}");
        assert!(error.help().contains("between two `/` stands one field or text"), "{text}");
    }
}

#[test]
fn names_with_another_spelling_are_refused() {
    let long = "n".repeat(901);
    for (text, problem) in [
        ("", "it has 0 bytes, and 1 to 900 are right"),
        (long.as_str(), "it has 901 bytes, and 1 to 900 are right"),
        ("/a", "a segment may not be ``"),
        ("a/", "a segment may not be ``"),
        ("a//b", "a segment may not be ``"),
        ("a/../b", "a segment may not be `..`"),
        ("./a", "a segment may not be `.`"),
        ("a b", "` b` at byte 1 is not how it is written"),
        ("a:b", "`:b` at byte 1 is not how it is written"),
        ("a%2fb", "`%2f` at byte 1 is not how it is written"),
        ("a%2", "`%2` at byte 1 is not how it is written"),
        ("a%", "`%` at byte 1 is not how it is written"),
        ("a%41", "`%41` at byte 1 is not how it is written"),
        ("a%+1", "`%+1` at byte 1 is not how it is written"),
        ("a\u{e9}", "`\\u{e9}` at byte 1 is not how it is written"),
        ("a\0", "`\\u{0}` at byte 1 is not how it is written"),
        ("{user.id}", "`{us` at byte 0 is not how it is written"),
    ] {
        let error = text.parse::<FactName>().unwrap_err();
        assert!(error.to_string().ends_with(&format!("is no name of a fact: {problem}")), "{error}");
    }
    for text in ["global", "resource/account/42/owner", "resource/file/a%2Fb/owner", "a/%FF", "a/..."] {
        assert_eq!(text.parse::<FactName>().unwrap().as_str(), text);
    }
}

#[test]
fn no_value_makes_another_fact_s_name() {
    for (resource, name) in [
        ("article/42", "resource/article/42/owner"),
        ("article/42/owner", "resource/article/42%2Fowner/owner"),
        ("article/a:b@c+d=e", "resource/article/a%3Ab%40c%2Bd%3De/owner"),
    ] {
        assert_eq!(name_of(OWNER, &context(resource)).unwrap(), name);
    }
    let mut odd = context("article/42");
    for (value, name) in
        [("a/b", Some("t/a%2Fb")), ("%2F", Some("t/%252F")), ("\u{e9} ", Some("t/%C3%A9%20")), ("..", None), ("", None)]
    {
        odd.agent.labels = BTreeMap::from([("team".parse().unwrap(), value.to_owned())]);
        assert_eq!(name_of("t/{agent.label.team}", &odd).as_deref(), name, "{value:?}");
    }
}

#[test]
fn a_missing_field_makes_the_name_missing() {
    let mut ctx = context("article/42");
    for text in ["{user.id}", "{user.issuer}", "{request.session}", "{agent.label.nope}", "a/{user.id}/b"] {
        assert_eq!(name_of(text, &ctx), None, "{text}");
    }
    ctx.user = Some(User {
        id: "alice".parse().unwrap(),
        issuer: "https://id.example".parse().unwrap(),
        authenticated_at: TimeMs(0),
        acr: None,
        groups: Vec::new(),
        claims: JsonText::from_canonical("{}"),
    });
    ctx.delegations = vec![delegation("s-1")];
    let (id, owner) = (ctx.agent.id.to_string(), ctx.agent.owner.to_string().replace('@', "%40"));
    for (text, name) in [
        ("user/{user.id}/risk", "user/alice/risk"),
        ("{user.issuer}", "https%3A%2F%2Fid.example"),
        ("{agent.id}", id.as_str()),
        ("{agent.instance}", ctx.instance.as_str()),
        ("{agent.owner}", owner.as_str()),
        ("{request.action}/{request.purpose}", "faq.read/answer-questions"),
        ("{request.session}", "s-1"),
        ("global", "global"),
    ] {
        assert_eq!(name_of(text, &ctx).as_deref(), Some(name), "{text}");
    }
}

/// A session is the delegation's. An agent that could choose one by stating it would choose the fact.
#[test]
fn the_session_that_the_agent_states_names_no_fact() {
    let mut ctx = context("article/42");
    ctx.request.session = Some("s-1".parse().unwrap());
    assert_eq!(name_of("session/{request.session}/risk", &ctx), None);
    ctx.delegations = vec![delegation("s-2"), delegation("s-3")];
    assert_eq!(name_of("session/{request.session}/risk", &ctx).as_deref(), Some("session/s-2/risk"));
}

#[test]
fn the_longest_resource_has_an_owner() {
    let resource = format!("article/{}", "+".repeat(256 - 8));
    let name = template(OWNER).fill_in(&context(&resource)).unwrap();
    assert!(name.as_str().len() > 700);
    assert_eq!(name.resource_type().unwrap().as_str(), "article");
}

#[test]
fn a_resource_s_type_is_a_whole_segment() {
    for (name, expect) in [
        ("resource/account/42/owner", Some("account")),
        ("resource/account", None),
        ("resource/Account/42", None),
        ("resource/a%2Fb/42", None),
        ("resources/account/42", None),
        ("user/resource/account/42", None),
    ] {
        let found = name.parse::<FactName>().unwrap().resource_type();
        assert_eq!(found.as_ref().map(ResourceType::as_str), expect, "{name}");
    }
}

/// A template of text and of the labels `x`, `y` and `z`, with the labels that it names.
fn any_template() -> impl Strategy<Value = (String, Vec<&'static str>)> {
    let segment = prop_oneof![
        "[a%.~-]{1,3}".prop_map(|text| (text, None)),
        prop::sample::select(vec!["x", "y", "z"]).prop_map(|label| (format!("{{agent.label.{label}}}"), Some(label))),
        // What would let two fields meet, were it taken.
        Just(("{agent.label.x}{agent.label.y}".to_owned(), None)),
        Just(("{agent.label.x}.{agent.label.y}".to_owned(), None)),
        Just(("a{agent.label.z}".to_owned(), None)),
    ];
    prop::collection::vec(segment, 1..5).prop_map(|segments| {
        let text: Vec<_> = segments.iter().map(|(text, _)| text.as_str()).collect();
        (text.join("/"), segments.iter().filter_map(|(_, label)| *label).collect())
    })
}

fn any_labels() -> impl Strategy<Value = BTreeMap<&'static str, String>> {
    let value = || "[a/%.{}~-]{1,4}";
    (value(), value(), value()).prop_map(|(x, y, z)| BTreeMap::from([("x", x), ("y", y), ("z", z)]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Two fillings of one template come to one name only if they are the same.
    #[test]
    fn names_are_told_apart_by_what_is_filled_in((text, named) in any_template(), a in any_labels(), b in any_labels()) {
        let name = |labels: &BTreeMap<&str, String>| {
            let mut ctx = context("article/42");
            ctx.agent.labels = labels.iter().map(|(name, value)| (name.parse().unwrap(), value.clone())).collect();
            text.parse::<FactTemplate>().ok()?.fill_in(&ctx)
        };
        let used = |labels: &BTreeMap<&str, String>| named.iter().map(|name| labels[name].clone()).collect::<Vec<_>>();
        if let (Some(first), Some(second)) = (name(&a), name(&b)) {
            prop_assert_eq!(first == second, used(&a) == used(&b), "{}", text);
        }
    }

    #[test]
    fn what_is_filled_in_is_spelt_as_names_are(value in any::<String>()) {
        let mut name = String::from("x");
        encode(&value, &mut name);
        prop_assert_eq!(misspelt(&name), None);
    }
}
