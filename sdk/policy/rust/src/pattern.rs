//! Patterns of actions and of resources, as permissions have them: for settings that list what a rule is about.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::Error;

/// How a path is written.
struct Grammar {
    what: &'static str,
    separator: char,
    /// Of a path without a wildcard.
    segments_min: usize,
    segments_max: usize,
    bytes_max: usize,
    first: fn(u8) -> bool,
    rest: fn(u8) -> bool,
}

const ACTION: Grammar = Grammar {
    what: "action pattern",
    separator: '.',
    segments_min: 1,
    segments_max: 8,
    bytes_max: 128,
    first: |b| b.is_ascii_alphanumeric() || b"-_".contains(&b),
    rest: |b| b.is_ascii_alphanumeric() || b"-_".contains(&b),
};

const RESOURCE: Grammar = Grammar {
    what: "resource pattern",
    separator: '/',
    segments_min: 2,
    segments_max: 16,
    bytes_max: 256,
    first: |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b),
    rest: |b| b.is_ascii_alphanumeric() || b"-_.~:@+=".contains(&b),
};

impl Grammar {
    /// Whether `text` is a pattern; if not, what is wrong.
    fn check(&self, text: &str) -> Result<(), String> {
        if text == "*" {
            return Ok(());
        }
        let (path, segments_min) = match text.strip_suffix('*') {
            None => (text, self.segments_min),
            Some(prefix) => (
                prefix
                    .strip_suffix(self.separator)
                    .ok_or_else(|| format!("`*` comes after a whole segment and `{}`", self.separator))?,
                1,
            ),
        };
        if path.len() > self.bytes_max {
            return Err(format!("it has {} bytes, and {} is the most", path.len(), self.bytes_max));
        }
        let count = path.split(self.separator).count();
        if !(segments_min..=self.segments_max).contains(&count) {
            let (separator, least, most) = (self.separator, segments_min, self.segments_max);
            return Err(format!("it has {count} segments joined by `{separator}`, and {least} to {most} are right"));
        }
        for (at, segment) in path.split(self.separator).enumerate() {
            let allowed = if at == 0 { self.first } else { self.rest };
            if segment.is_empty() || matches!(segment, "." | "..") || !segment.bytes().all(allowed) {
                return Err(format!("`{}` is no segment of one", segment.escape_default()));
            }
        }
        Ok(())
    }
}

fn covers(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        // The separator stays: `account/` is no prefix of `accounts/1`. The host sends no path that ends in one.
        Some(prefix) => path.starts_with(prefix) && path.len() > prefix.len(),
        None => pattern == path,
    }
}

macro_rules! patterns {
    ($($(#[$doc:meta])* $name:ident, $grammar:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Whether it matches what stands in a request.
            #[must_use]
            pub fn covers(&self, path: &str) -> bool {
                covers(&self.0, path)
            }

            /// It as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                match $grammar.check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(problem) => {
                        Err(Error::new(format!("`{}` is no {}: {problem}", text.escape_default(), $grammar.what)))
                    }
                }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.to_owned().try_into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

patterns! {
    /// Actions: one (`account.read`), all below a name (`account.*`), or all (`*`). A permission has the same.
    ActionPattern, ACTION;

    /// Resources: one (`account/42`), all below a type or an id (`account/*`, `account/42/*`), or all (`*`). A permission
    /// has the same.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Settings {
    ///     readable: Vec<attorn_policy::ResourcePattern>,
    /// }
    ///
    /// let settings: Settings = serde_json::from_str(r#"{"readable": ["article/*"]}"#)?;
    /// assert!(settings.readable.iter().any(|pattern| pattern.covers("article/42")));
    /// // A typing error is found when the policy is pushed.
    /// assert!(serde_json::from_str::<Settings>(r#"{"readable": ["article*"]}"#).is_err());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ResourcePattern, RESOURCE;
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn kind<P: FromStr<Err = Error> + fmt::Display>(vectors: &Value, covers: fn(&P, &str) -> bool) {
        let texts = |name: &str| {
            let texts: Vec<String> = serde_json::from_value(vectors[name].clone()).unwrap();
            assert!(!texts.is_empty(), "{name}");
            texts
        };
        for text in texts("refused") {
            assert!(text.parse::<P>().is_err(), "{text}");
        }
        for row in vectors["covers"].as_array().unwrap() {
            let pattern: P = row["pattern"].as_str().unwrap().parse().unwrap();
            assert_eq!(pattern.to_string(), row["pattern"]);
            for (name, expected) in [("yes", true), ("no", false)] {
                for path in row[name].as_array().unwrap() {
                    assert_eq!(covers(&pattern, path.as_str().unwrap()), expected, "{pattern} {path}");
                }
            }
        }
    }

    #[test]
    fn they_are_the_hosts() {
        let vectors: Value = serde_json::from_str(include_str!("../../../../tests/vectors/patterns.json")).unwrap();
        kind(&vectors["actions"], ActionPattern::covers);
        kind(&vectors["resources"], ResourcePattern::covers);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let said = |text: &str| text.parse::<ResourcePattern>().unwrap_err().to_string();
        assert_eq!(said("acc*"), "`acc*` is no resource pattern: `*` comes after a whole segment and `/`");
        assert_eq!(
            said("account"),
            "`account` is no resource pattern: it has 1 segments joined by `/`, and 2 to 16 are right"
        );
        assert_eq!(said("account/a b"), "`account/a b` is no resource pattern: `a b` is no segment of one");
        assert!(said(&"a/".repeat(200)).ends_with("it has 400 bytes, and 256 is the most"));
    }
}
