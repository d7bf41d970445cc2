//! What comes to nothing, and what comes to exactly what was recorded.

use super::*;

fn id<T: FromStr<Err = ParseError>>(text: &str) -> T {
    text.parse().unwrap()
}

fn mapping() -> DetailMapping {
    DetailMapping {
        purposes: BTreeSet::from([id("support")]),
        actions: BTreeMap::from([(id("read"), id("invoice.read")), (id("any"), id("invoice.*"))]),
        resource_prefix: id("invoice/"),
    }
}

#[track_caller]
fn nothing(action: &str, identifier: Option<&str>, why: &str) {
    let said = mapping().permission(action, identifier).unwrap_err();
    assert!(said.starts_with(why), "{said}");
}

#[test]
fn what_is_not_mapped_gives_nothing_and_says_why() {
    nothing("write", Some("42"), "the action `write` is not mapped");
    nothing("", Some("42"), "the action `` is not mapped");
    nothing("*", Some("42"), "the action `*` is not mapped");
    nothing("Read", Some("42"), "the action `Read` is not mapped");
    nothing("invoice.read", Some("42"), "the action `invoice.read` is not mapped");
    let bad = "its `identifier` names no resource: ";
    for identifier in ["", "*", "4*", "/42", "42/", "../account/1", "a/../b", "a b", "a\nb", "\u{430}", "42/*"] {
        nothing("read", Some(identifier), bad);
    }
    nothing("read", Some(&"x".repeat(300)), bad);
}

#[test]
fn an_identifier_is_one_resource_and_none_is_all_below_the_prefix() {
    let permission = |identifier| mapping().permission("read", identifier).unwrap().resource.to_string();
    assert_eq!(permission(Some("42")), "invoice/42");
    assert_eq!(permission(Some("2026/42")), "invoice/2026/42");
    assert_eq!(permission(None), "invoice/*");
    assert_eq!(mapping().permission("any", None).unwrap().action, id("invoice.*"));
}

#[test]
fn a_prefix_is_whole_segments_and_a_slash() {
    for text in ["", "/", "invoice", "*", "invoice/*", "Invoice/", "invoice//", "../", "invoice/../"] {
        assert!(text.parse::<ResourcePrefix>().is_err(), "{text}");
    }
    assert_eq!(id::<ResourcePrefix>("file/team-a/").as_str(), "file/team-a/");
}

#[test]
fn consents_are_put_together_by_purpose_and_bounded() {
    let permission = |n: usize| Permission { action: id("a.read"), resource: id(&format!("a/{n}")) };
    let purposes = BTreeSet::from([id("p"), id("q")]);
    let mut consents = Consents::default();
    consents.add(&purposes, &[permission(2), permission(1), permission(2)]);
    consents.add(&BTreeSet::from([id("p")]), &[permission(3)]);
    (0..Consents::UNMAPPED_MAX + 3).for_each(|n| consents.nothing(format!("`{n}`")));
    assert!(!consents.too_many());
    let (consented, unmapped) = consents.clone().into_parts();
    let sizes: Vec<_> = consented.iter().map(|one| (one.purpose.as_str(), one.permissions.len())).collect();
    assert_eq!(sizes, [("p", 3), ("q", 2)]);
    assert_eq!((unmapped.len(), unmapped.last().map(String::as_str)), (Consents::UNMAPPED_MAX + 1, Some("and 3 more")));
    let many: Vec<_> = (0..=Consents::PERMISSIONS_MAX).map(permission).collect();
    consents.add(&purposes, &many);
    assert!(consents.too_many());
}

#[test]
fn consent_has_so_many_bytes_for_each_purpose() {
    let purposes = |name: &str| BTreeSet::from([name.parse().unwrap()]);
    // 129 bytes each, and one more for the action.
    let permission = |n: usize| Permission {
        action: "*".parse().unwrap(),
        resource: format!("t/{n:03}{}", "x".repeat(122)).parse().unwrap(),
    };
    let fit = Consents::BYTES_MAX / 128;
    let mut consents = Consents::default();
    for purpose in ["p", "q"] {
        consents.add(&purposes(purpose), &(0..fit).map(permission).collect::<Vec<_>>());
    }
    assert!(!consents.too_many());
    consents.add(&purposes("q"), &[Permission { action: "*".parse().unwrap(), resource: "t/1".parse().unwrap() }]);
    assert!(consents.too_many());
}

#[test]
fn names_come_back_from_their_texts_and_no_others_do() {
    for &algorithm in IssuerAlgorithm::ALL {
        assert_eq!(algorithm.as_str().parse::<IssuerAlgorithm>().unwrap(), algorithm);
    }
    for text in ["none", "HS256", "rs256", "ES512", "", "RS256 "] {
        assert!(text.parse::<IssuerAlgorithm>().is_err(), "{text}");
    }
    assert_eq!(AgentNaming::from_name("azp"), Some(AgentNaming::Azp));
    assert_eq!(AgentNaming::from_name("sub"), None);
    assert_eq!(ProviderTokenType::from_name("at+jwt"), Some(ProviderTokenType::AtJwt));
}

#[test]
fn what_others_wrote_is_shown_short_and_harmless() {
    assert_eq!(shown("a\u{1b}b"), "a\\u{1b}b");
    assert_eq!(shown(&"x".repeat(65)), format!("{}...", "x".repeat(64)));
}
