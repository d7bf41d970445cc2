//! JSON that policies write, read with suspicion.

use attorn_core::JsonText;
use serde_json::Value;

/// The largest whole number that every reader of JSON agrees on.
const NUMBER_MAX: f64 = 9_007_199_254_740_991.0;

/// One object in canonical form (RFC 8785), or what is wrong with it.
///
/// Of two members with one name the last is kept. What everybody else sees is the canonical form, so
/// nobody can read it another way.
pub(crate) fn canonical_object(text: &str) -> Result<JsonText, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    if !value.is_object() {
        return Err("it is no JSON object".into());
    }
    if !exact(&value) {
        return Err("it has a number beyond 2^53, which belongs into a string".into());
    }
    serde_json_canonicalizer::to_string(&value).map(JsonText::from_canonical).map_err(|error| error.to_string())
}

/// Whether no number is so large that it may have lost digits. The reader bounds the depth.
fn exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|number| number.abs() <= NUMBER_MAX),
        Value::Array(values) => values.iter().all(exact),
        Value::Object(members) => members.values().all(exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, &str>) {
        let canonical = canonical_object(text);
        let canonical = canonical.as_ref().map(JsonText::as_str).map_err(String::as_str);
        assert_eq!(canonical, expect);
    }

    #[test]
    fn only_exact_objects_pass() {
        check("", Err("it is no JSON: EOF while parsing a value at line 1 column 0"));
        check("{} {}", Err("it is no JSON: trailing characters at line 1 column 4"));
        check("[1]", Err("it is no JSON object"));
        check(r#"{"a":[9007199254740993]}"#, Err("it has a number beyond 2^53, which belongs into a string"));
        check(r#"{"a":-1e300}"#, Err("it has a number beyond 2^53, which belongs into a string"));
        check(r#"{ "b": 1.0, "a": {"d": null, "c": "x"} }"#, Ok(r#"{"a":{"c":"x","d":null},"b":1}"#));
        check(r#"{"a":1,"a":2}"#, Ok(r#"{"a":2}"#));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}{{}}{}", r#"{"a":"#.repeat(500), "}".repeat(500));
        assert!(canonical_object(&deep).unwrap_err().contains("recursion limit"));
    }
}
