//! The one place where JSON texts become values, with errors that say where.

use serde::de::DeserializeOwned;

use crate::error::Error;

/// Read `text` as a `T`. The error begins with `what`, and names the path to what is wrong.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => Error::new(format!("{what}: {}", error.inner())),
            path => Error::new(format!("{what}: at `{path}`: {}", error.inner())),
        }
    })?;
    deserializer.end().map_err(|error| Error::new(format!("{what}: {error}")))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[track_caller]
    fn refused(text: &str, message: &str) {
        let error = parse::<BTreeMap<String, Vec<u8>>>("settings", text).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn errors_say_what_and_where() {
        refused("", "settings: EOF while parsing a value at line 1 column 0");
        refused("[]", "settings: invalid type: sequence, expected a map at line 1 column 0");
        refused("{} {}", "settings: trailing characters at line 1 column 4");
        refused(r#"{"a":[1,"x"]}"#, "settings: at `a[1]`: invalid type: string \"x\", expected u8 at line 1 column 11");
        refused(r#"{"a":[256]}"#, "settings: at `a[0]`: invalid value: integer `256`, expected u8 at line 1 column 9");
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        let error = parse::<serde_json::Value>("settings", &"[".repeat(100_000)).unwrap_err();
        assert!(error.to_string().contains("recursion limit exceeded"), "{error}");
    }
}
