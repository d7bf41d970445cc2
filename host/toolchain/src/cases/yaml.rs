//! Files that are written in YAML and read as the JSON that they mean.
//!
//! Only what JSON can say: a duplicate key, an alias that grows without end, `.nan` and a second document
//! are errors, and `yes` and `no` are words.

use std::path::Path;

use serde_json::Value;

/// Whether a file is YAML, by its name.
pub(crate) fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// The same as JSON.
pub(crate) fn to_json(text: &str) -> Result<String, String> {
    // Snippets are many lines long, and the place stands in the message without them.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn what_json_can_say_is_read() {
        let text = "a: [1, true, null, no]\nb:\n  c: \"1\" # why\n  d: 1.5\n";
        assert_eq!(to_json(text).unwrap(), r#"{"a":[1,true,null,"no"],"b":{"c":"1","d":1.5}}"#);
    }

    #[test]
    fn what_is_more_than_one_text_or_none_is_refused() {
        for text in ["a: 1\na: 2\n", "a: [", "a: .nan", "a: 1\n---\nb: 2\n", "a: *b", "\t: 1\n", "? [a]\n: 1\n"] {
            assert!(to_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn aliases_do_not_grow_without_end() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let before = format!("*a{}", n - 1);
            writeln!(text, "a{n}: &a{n} [{}]", vec![before; 10].join(", ")).unwrap();
        }
        assert!(to_json(&text).is_err());
    }
}
