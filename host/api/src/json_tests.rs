//! What strict JSON refuses, and what it makes of the rest.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn accepted(text: &str, canonical_form: &str) {
    assert_eq!(canonical(text).unwrap().as_str(), canonical_form);
}

#[track_caller]
fn refused(text: &str, message: &str) {
    let error = canonical(text).unwrap_err().to_string();
    assert!(error.contains(message), "{text}: {error}");
}

#[test]
fn ambiguous_texts_are_refused() {
    refused("", "EOF");
    refused("{", "EOF");
    refused("{} {}", "trailing");
    refused("{'a':1}", "key must be a string");
    refused(r#"{"a":1,"a":2}"#, r#"the key "a" stands twice"#);
    refused(r#"{"a":{"b":1,"\u0062":2}}"#, r#"the key "b" stands twice"#);
    refused(&"[".repeat(DEPTH_MAX + 1), "nests too deep");
    refused("\"\\ud800\"", "hex escape");
    assert_eq!(canonical_object("[1]"), Err(JsonError::NotAnObject));
    assert_eq!(canonical_object("\"{}\""), Err(JsonError::NotAnObject));
}

#[test]
fn numbers_that_do_not_round_trip_are_refused() {
    let tie = "579407540333383.3";
    for number in ["9007199254740993", "18446744073709551615", "0.10000000000000000001", "1e400", "-0", "1e-400", tie] {
        assert!(canonical(&format!("{{\"a\":[{number}]}}")).is_err(), "{number}");
    }
    refused("[1, 9007199254740993]", "the number `9007199254740993` does not survive");
    for (number, canonical_form) in [
        ("0", "0"),
        ("1.0", "1"),
        ("100", "100"),
        ("1e2", "100"),
        ("0.1", "0.1"),
        ("-12.50", "-12.5"),
        ("9007199254740992", "9007199254740992"),
        ("1e300", "1e+300"),
        ("1E-7", "1e-7"),
        ("579407540333383.2", "579407540333383.2"),
    ] {
        accepted(number, canonical_form);
    }
    accepted(r#"{"n":"9007199254740993 -0 1e400"}"#, r#"{"n":"9007199254740993 -0 1e400"}"#);
    accepted(r#""a\"1e400""#, r#""a\"1e400""#);
}

#[test]
fn the_canonical_form_is_that_of_rfc_8785() {
    accepted(" { \"b\" : [ true , null ] , \"a\" : \"\\u20ac\" } ", "{\"a\":\"\u{20ac}\",\"b\":[true,null]}");
    // Keys are sorted by UTF-16 code units.
    accepted("{\"\u{fb33}\":1,\"\u{1f600}\":2}", "{\"\u{1f600}\":2,\"\u{fb33}\":1}");
}

proptest! {
    #[test]
    fn canonical_is_a_fixed_point_and_means_the_same(text in json()) {
        let once = canonical(&text).unwrap();
        prop_assert_eq!(canonical(once.as_str()).unwrap(), once.clone());
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&text).unwrap(), serde_json::from_str(once.as_str()).unwrap());
        prop_assert_eq!(as_doubles(before), as_doubles(after));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let _ = canonical(&text);
    }

    #[test]
    fn every_double_survives(number in any::<f64>().prop_filter("finite and not -0", |n| n.is_finite() && n.to_string() != "-0")) {
        let text = serde_json_canonicalizer::to_string(&[number]).unwrap();
        let form = canonical(&text).unwrap();
        prop_assert_eq!(form.as_str(), text);
    }
}

/// `1` and `1.0` are the same number; `serde_json` keeps them apart.
fn as_doubles(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Number(number) => serde_json::json!(number.as_f64()),
        serde_json::Value::Array(items) => items.into_iter().map(as_doubles).collect(),
        serde_json::Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, as_doubles(value))).collect()
        }
        other => other,
    }
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(serde_json::json!(null)),
        any::<bool>().prop_map(|b| serde_json::json!(b)),
        (-1_000_000_i64..1_000_000).prop_map(|n| serde_json::json!(n)),
        "[a-z\"\\\\0-9]{0,8}".prop_map(|s| serde_json::json!(s)),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
    .prop_map(|value| value.to_string())
}

/// What the SDKs make of arguments, too: `tests/vectors/arguments.json`.
#[test]
fn arguments_have_the_form_and_the_digest_that_the_sdks_give_them() {
    let vectors = include_str!("../../../tests/vectors/arguments.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    for vector in vectors["arguments"].as_array().unwrap() {
        let canonical = canonical_object(vector["text"].as_str().unwrap()).unwrap();
        assert_eq!(canonical.as_str(), vector["canonical"]);
        assert_eq!(digest(&canonical).to_string(), vector["sha256"]);
    }
    for text in vectors["refused"].as_array().unwrap() {
        assert!(canonical_object(text.as_str().unwrap()).is_err(), "{text}");
    }
}
