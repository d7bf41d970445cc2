//! Patterns: what is refused, what is covered, and agreement with a naive reference.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn refused<T: FromStr<Err = ParseError> + fmt::Debug>(input: &str, message: &str) {
    assert_eq!(input.parse::<T>().unwrap_err().to_string(), message);
}

#[test]
fn hostile_paths_are_refused_with_what_is_wrong() {
    refused::<Action>("", "`` is no action: a segment is empty");
    refused::<Action>("a..b", "`a..b` is no action: a segment is empty");
    refused::<Action>("a.*", "`a.*` is no action: `*` is not allowed");
    refused::<Action>("a b", "`a b` is no action: ` ` is not allowed");
    refused::<Action>("a.b.c.d.e.f.g.h.i", "`a.b.c.d.e.f.g.h.i` is no action: it has 9 segments, and 8 is the most");
    refused::<Resource>("account", "`account` is no resource: it has no `/`");
    refused::<Resource>("account/", "`account/` is no resource: a segment is empty");
    refused::<Resource>("account/..", "`account/..` is no resource: a segment may not be `..`");
    refused::<Resource>("account/../x", "`account/../x` is no resource: a segment may not be `..`");
    refused::<Resource>("account/a\0", "`account/a\\u{0}` is no resource: `\\u{0}` is not allowed");
    refused::<Resource>("account/%2e", "`account/%2e` is no resource: `%` is not allowed");
    refused::<Resource>("Account/1", "`Account/1` is no resource: `A` is not allowed");
    refused::<Resource>("account/\u{ff11}", "`account/\\u{ff11}` is no resource: `\\u{ff11}` is not allowed");
    refused::<ResourcePattern>("acc*", "`acc*` is no resource pattern: `*` must follow a whole segment and `/`");
    refused::<ResourcePattern>("*/1", "`*/1` is no resource pattern: `*` is not allowed");
    refused::<ResourcePattern>("account/*/x", "`account/*/x` is no resource pattern: `*` is not allowed");
    refused::<ActionPattern>("a.**", "`a.**` is no action pattern: `*` must follow a whole segment and `.`");
}

#[test]
fn a_wildcard_starts_after_a_whole_segment() {
    let covers =
        |pattern: &str, resource: &str| pattern.parse::<ResourcePattern>().unwrap().covers(&resource.parse().unwrap());
    assert!(covers("account/*", "account/42"));
    assert!(covers("account/*", "account/42/orders"));
    assert!(!covers("account/*", "accounts/42"));
    assert!(covers("account/42/*", "account/42/orders"));
    assert!(!covers("account/42/*", "account/42"));
    assert!(!covers("account/42/*", "account/421/orders"));
    assert!(covers("*", "account/42"));
    assert!(!covers("account/42", "account/4"));
}

/// A small alphabet, so that paths and patterns often meet.
fn path() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("ab")], 2..5)
}

/// Segments of a pattern, and whether a wildcard follows them.
fn pattern() -> impl Strategy<Value = (Vec<&'static str>, bool)> {
    (path(), 0..4_usize, any::<bool>()).prop_map(|(segments, keep, wild)| {
        if wild { (segments.into_iter().take(keep).collect(), true) } else { (segments, false) }
    })
}

fn text((segments, wild): &(Vec<&'static str>, bool), separator: &str) -> String {
    let mut all = segments.clone();
    if *wild {
        all.push("*");
    }
    all.join(separator)
}

/// The reference: segment by segment, without looking at bytes.
fn naive_covers((segments, wild): &(Vec<&'static str>, bool), path: &[&str]) -> bool {
    if *wild { path.len() > segments.len() && path.starts_with(segments) } else { path == &segments[..] }
}

/// All paths of two to five segments over the small alphabet: enough to tell any two patterns apart
/// that have at most four.
fn all_paths() -> Vec<Vec<&'static str>> {
    let mut level: Vec<Vec<&'static str>> = vec![vec![]];
    let mut all = Vec::new();
    for _ in 0..5 {
        level =
            level.iter().flat_map(|path| ["a", "b", "ab"].map(|segment| [&path[..], &[segment]].concat())).collect();
        all.extend(level.iter().filter(|path| path.len() >= 2).cloned());
    }
    all
}

proptest! {
    #[test]
    fn covers_agrees_with_the_naive_reference(pattern in pattern(), path in path()) {
        let action: ActionPattern = text(&pattern, ".").parse().unwrap();
        let resource: ResourcePattern = text(&pattern, "/").parse().unwrap();
        prop_assert_eq!(action.covers(&path.join(".").parse().unwrap()), naive_covers(&pattern, &path));
        prop_assert_eq!(resource.covers(&path.join("/").parse().unwrap()), naive_covers(&pattern, &path));
    }

    #[test]
    fn within_means_that_all_that_is_covered_is_covered(inner in pattern(), outer in pattern()) {
        let within = text(&inner, "/").parse::<ResourcePattern>().unwrap()
            .within(&text(&outer, "/").parse().unwrap());
        let covered = all_paths().iter().all(|path| !naive_covers(&inner, path) || naive_covers(&outer, path));
        prop_assert_eq!(within, covered);
    }

    #[test]
    fn what_was_parsed_prints_the_same(pattern in pattern()) {
        let written = text(&pattern, "/");
        prop_assert_eq!(written.parse::<ResourcePattern>().unwrap().to_string(), written);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,300}") {
        let _ = text.parse::<ActionPattern>();
        let _ = text.parse::<ResourcePattern>();
        if let Ok(resource) = text.parse::<Resource>() {
            prop_assert!(!resource.id().is_empty());
        }
    }
}

/// The SDKs for policies read the same patterns.
#[test]
fn the_vectors_hold() {
    fn kind<P: FromStr<Err = ParseError>, T: FromStr<Err = ParseError>>(
        vectors: &serde_json::Value,
        covers: fn(&P, &T) -> bool,
    ) {
        for text in vectors["refused"].as_array().unwrap() {
            assert!(text.as_str().unwrap().parse::<P>().is_err(), "{text}");
        }
        for row in vectors["covers"].as_array().unwrap() {
            let Ok(pattern) = row["pattern"].as_str().unwrap().parse::<P>() else { panic!("{row}") };
            for (name, expected) in [("yes", true), ("no", false)] {
                for path in row[name].as_array().unwrap() {
                    let Ok(parsed) = path.as_str().unwrap().parse::<T>() else { panic!("{path}") };
                    assert_eq!(covers(&pattern, &parsed), expected, "{row} {path}");
                }
            }
        }
    }
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/vectors/patterns.json")).unwrap();
    kind(&vectors["actions"], ActionPattern::covers);
    kind(&vectors["resources"], ResourcePattern::covers);
}
