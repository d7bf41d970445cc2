//! Permission patterns against a naive reference, which looks at segments and never at bytes.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use attorn_core::{Action, ActionPattern, ResourcePattern};

/// A grammar: what separates its segments, and what its types say of each other.
struct Grammar<Pattern, Path> {
    separator: char,
    covers: fn(&Pattern, &Path) -> bool,
    within: fn(&Pattern, &Pattern) -> bool,
}

/// Three lines: a pattern, another pattern, a path. What covers what, and what is within what, is as the
/// reference has it; and what is within covers nothing that the other does not.
pub fn patterns(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let (Some(inner), Some(outer), Some(path)) = (lines.next(), lines.next(), lines.next()) else { return };
    let actions = Grammar { separator: '.', covers: ActionPattern::covers, within: ActionPattern::within };
    actions.check(inner, outer, path);
    let resources = Grammar { separator: '/', covers: ResourcePattern::covers, within: ResourcePattern::within };
    resources.check(inner, outer, path);
    if let Ok(action) = path.parse::<Action>() {
        all_that_cover(&action, [inner, outer]);
    }
}

impl<Pattern: FromStr + Display, Path: FromStr> Grammar<Pattern, Path> {
    fn check(&self, inner: &str, outer: &str, path: &str) {
        let parsed_path = path.parse::<Path>().ok();
        for pattern in [inner, outer] {
            if let Ok(parsed) = pattern.parse::<Pattern>() {
                assert_eq!(parsed.to_string(), pattern);
                if let Some(parsed_path) = &parsed_path {
                    let covers = (self.covers)(&parsed, parsed_path);
                    assert_eq!(covers, self.reference_covers(pattern, path), "`{pattern}` and `{path}`");
                }
            }
        }
        let (Ok(a), Ok(b)) = (inner.parse::<Pattern>(), outer.parse::<Pattern>()) else { return };
        let within = (self.within)(&a, &b);
        assert!((self.within)(&a, &a), "`{inner}`");
        assert_eq!(within, self.reference_within(inner, outer), "`{inner}` and `{outer}`");
        assert!(!(within && (self.within)(&b, &a)) || inner == outer, "`{inner}` and `{outer}`");
        if let Some(path) = &parsed_path {
            assert!(!(within && (self.covers)(&a, path)) || (self.covers)(&b, path), "`{inner}` and `{outer}`");
        }
    }

    /// The segments before a wildcard, or all of them and none.
    fn parts<'a>(&self, pattern: &'a str) -> (Vec<&'a str>, bool) {
        let mut segments: Vec<&str> = pattern.split(self.separator).collect();
        let wild = segments.last() == Some(&"*");
        if wild {
            segments.pop();
        }
        (segments, wild)
    }

    fn reference_covers(&self, pattern: &str, path: &str) -> bool {
        let ((segments, wild), path) = (self.parts(pattern), path.split(self.separator).collect::<Vec<_>>());
        if wild { path.len() > segments.len() && path.starts_with(&segments) } else { path == segments }
    }

    fn reference_within(&self, inner: &str, outer: &str) -> bool {
        let ((inner, inner_wild), (outer, outer_wild)) = (self.parts(inner), self.parts(outer));
        match (inner_wild, outer_wild) {
            (true, true) => inner.starts_with(&outer),
            (true, false) => false,
            (false, true) => inner.len() > outer.len() && inner.starts_with(&outer),
            (false, false) => inner == outer,
        }
    }
}

/// The index of selectors looks an action up by these and by no others.
fn all_that_cover(action: &Action, patterns: [&str; 2]) {
    let covering: BTreeSet<ActionPattern> = action.covering().collect();
    assert!(covering.iter().all(|pattern| pattern.covers(action)), "`{action}`");
    for pattern in patterns.into_iter().filter_map(|pattern| pattern.parse::<ActionPattern>().ok()) {
        assert_eq!(covering.contains(&pattern), pattern.covers(action), "`{pattern}` and `{action}`");
    }
}
