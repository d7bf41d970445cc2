//! Actions, resources, and the patterns that permissions are made of.
//!
//! An action is `name(.name)*`, a resource `type/id` where the id may itself have segments. Both are
//! compared byte by byte. A pattern is exact, or ends in a wildcard after a whole segment (`.*` for
//! actions, `/*` for resources), or is `*`. There is no other wildcard, which is what makes "is
//! within" decidable: see [`ActionPattern::within`].

use std::fmt;
use std::str::FromStr;

use crate::id::ParseError;

/// What a path is made of: the separator of its segments and what a segment may hold.
#[derive(Clone, Copy)]
struct Grammar {
    what: &'static str,
    pattern: &'static str,
    help: &'static str,
    separator: char,
    segments_min: usize,
    segments_max: usize,
    bytes_max: usize,
    allowed: fn(char) -> bool,
    first_segment: fn(char) -> bool,
}

const ACTION: Grammar = Grammar {
    what: "action",
    pattern: "action pattern",
    help: "names of letters, digits, `-` and `_`, joined by `.`, at most 8 and 128 bytes: `account.read`",
    separator: '.',
    segments_min: 1,
    segments_max: 8,
    bytes_max: 128,
    allowed: |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'),
    first_segment: |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'),
};

const RESOURCE: Grammar = Grammar {
    what: "resource",
    pattern: "resource pattern",
    help: "`type/id`: a type of lower-case letters, digits, `-` and `_`, and an id of letters, digits and \
           `-_.~:@+=`, which may have segments joined by `/`; at most 16 segments and 256 bytes: `account/42`",
    separator: '/',
    segments_min: 2,
    segments_max: 16,
    bytes_max: 256,
    allowed: |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | ':' | '@' | '+' | '='),
    first_segment: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'),
};

impl Grammar {
    fn parse(&self, text: &str) -> Result<Box<str>, ParseError> {
        self.segments(self.what, text, text, self.segments_min).map(|()| text.into())
    }

    fn parse_pattern(&self, text: &str) -> Result<Pattern, ParseError> {
        if text == "*" {
            return Ok(Pattern::Any);
        }
        match text.strip_suffix('*') {
            None => self.segments(self.pattern, text, text, self.segments_min).map(|()| Pattern::Exact(text.into())),
            Some(prefix) => {
                let Some(path) = prefix.strip_suffix(self.separator) else {
                    let problem = format!("`*` must follow a whole segment and `{}`", self.separator);
                    return Err(ParseError::new(self.pattern, text, problem, self.help));
                };
                // The separator stays in the prefix: `account/` is no prefix of `accounts/1`.
                self.segments(self.pattern, text, path, 1).map(|()| Pattern::Under(prefix.into()))
            }
        }
    }

    fn segments(&self, what: &'static str, whole: &str, path: &str, segments_min: usize) -> Result<(), ParseError> {
        let fail = |problem: String| Err(ParseError::new(what, whole, problem, self.help));
        if path.len() > self.bytes_max {
            return fail(format!("it has {} bytes, and {} is the most", path.len(), self.bytes_max));
        }
        let count = path.split(self.separator).count();
        if count < segments_min {
            return fail(format!("it has no `{}`", self.separator));
        }
        if count > self.segments_max {
            return fail(format!("it has {count} segments, and {} is the most", self.segments_max));
        }
        for (at, segment) in path.split(self.separator).enumerate() {
            let allowed = if at == 0 { self.first_segment } else { self.allowed };
            if segment.is_empty() {
                return fail("a segment is empty".into());
            }
            if matches!(segment, "." | "..") {
                return fail(format!("a segment may not be `{segment}`"));
            }
            if let Some(bad) = segment.chars().find(|&c| !allowed(c)) {
                return fail(format!("`{}` is not allowed", bad.escape_default()));
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Pattern {
    /// `*`
    Any,
    /// What stands before the `*`, with its separator.
    Under(Box<str>),
    Exact(Box<str>),
}

impl Pattern {
    fn covers(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            // A parsed path never ends in its separator, so something always follows the prefix.
            Self::Under(prefix) => path.starts_with(&**prefix),
            Self::Exact(exact) => **exact == *path,
        }
    }

    fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Any) => true,
            (Self::Any, _) | (Self::Under(_), Self::Exact(_)) => false,
            (Self::Under(inner), Self::Under(outer)) => inner.starts_with(&**outer),
            (Self::Exact(path), _) => other.covers(path),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Under(prefix) => write!(f, "{prefix}*"),
            Self::Exact(path) => f.write_str(path),
        }
    }
}

macro_rules! path_types {
    ($grammar:ident, $(#[$path_doc:meta])* $path:ident, $(#[$pattern_doc:meta])* $pattern:ident) => {
        $(#[$path_doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $path(Box<str>);

        impl $path {
            /// It as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $path {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                $grammar.parse(text).map(Self)
            }
        }

        impl fmt::Display for $path {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        $(#[$pattern_doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $pattern(Pattern);

        impl $pattern {
            /// Whether it matches this one.
            #[must_use]
            pub fn covers(&self, path: &$path) -> bool {
                self.0.covers(&path.0)
            }

            /// Whether `other` covers all that this covers.
            #[must_use]
            pub fn within(&self, other: &Self) -> bool {
                self.0.within(&other.0)
            }
        }

        impl FromStr for $pattern {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                $grammar.parse_pattern(text).map(Self)
            }
        }

        impl fmt::Display for $pattern {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

path_types! {
    ACTION,
    /// What is to be done: `account.read`.
    Action,
    /// Which actions: `account.read`, `account.*` (everything below, not `account` itself) or `*`.
    ActionPattern
}

path_types! {
    RESOURCE,
    /// What it is to be done to: `account/42`.
    Resource,
    /// Which resources: `account/42`, `account/*`, `file/team-a/*` or `*`.
    ResourcePattern
}

impl Action {
    /// All patterns that cover it, and no others: itself, each of its beginnings with `.*`, and `*`.
    pub fn covering(&self) -> impl Iterator<Item = ActionPattern> {
        let under = self.0.match_indices('.').map(|(at, dot)| Pattern::Under(self.0[..at + dot.len()].into()));
        under.chain([Pattern::Exact(self.0.clone()), Pattern::Any]).map(ActionPattern)
    }
}

/// The part of a resource before its first `/`. Every type belongs to one resource server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceType(Box<str>);

impl ResourceType {
    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ResourceType {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const HELP: &str = "lower-case letters, digits, `-` and `_`, at most 64: `account`";
        if text.len() > 64 {
            return Err(ParseError::new("resource type", text, "64 bytes are the most", HELP));
        }
        if text.is_empty() || !text.chars().all(RESOURCE.first_segment) {
            return Err(ParseError::new("resource type", text, "it is empty or has other characters", HELP));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Resource {
    /// The part before the first `/`.
    #[must_use]
    pub fn resource_type(&self) -> ResourceType {
        ResourceType(self.parts().0.into())
    }

    /// The part after the first `/`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        // A parsed resource has at least two segments; the other branch cannot be reached.
        self.0.split_once('/').unwrap_or((&self.0, ""))
    }
}

/// What may be done to what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permission {
    /// Which actions.
    pub action: ActionPattern,
    /// On which resources.
    pub resource: ResourcePattern,
}

impl Permission {
    /// Whether it permits this action on this resource.
    #[must_use]
    pub fn covers(&self, action: &Action, resource: &Resource) -> bool {
        self.action.covers(action) && self.resource.covers(resource)
    }

    /// Whether `other` permits all that this permits.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.action.within(&other.action) && self.resource.within(&other.resource)
    }
}

#[cfg(test)]
#[path = "permission_tests.rs"]
mod tests;
