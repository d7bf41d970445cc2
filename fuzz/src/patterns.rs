//! Permission patterns against a naive reference, which looks at segments and never at bytes.

use attorn_core::{Resource, ResourcePattern};

/// Three lines: a pattern, another pattern, a resource. What covers what, and what is within what, is
/// as the reference has it; and what is within covers nothing that the other does not.
pub fn patterns(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let (Some(inner), Some(outer), Some(resource)) = (lines.next(), lines.next(), lines.next()) else { return };
    for pattern in [inner, outer] {
        if let Ok(parsed) = pattern.parse::<ResourcePattern>() {
            assert_eq!(parsed.to_string(), pattern);
            if let Ok(resource) = resource.parse::<Resource>() {
                assert_eq!(parsed.covers(&resource), covers(pattern, resource.as_str()), "{text:?}");
            }
        }
    }
    let (Ok(a), Ok(b)) = (inner.parse::<ResourcePattern>(), outer.parse::<ResourcePattern>()) else { return };
    assert!(a.within(&a));
    assert_eq!(a.within(&b), within(inner, outer), "{text:?}");
    assert!(!(a.within(&b) && b.within(&a)) || inner == outer, "{text:?}");
    if let Ok(resource) = resource.parse::<Resource>() {
        assert!(!(a.within(&b) && a.covers(&resource)) || b.covers(&resource), "{text:?}");
    }
}

/// The segments before a wildcard, or all of them and none.
fn parts(pattern: &str) -> (Vec<&str>, bool) {
    let mut segments: Vec<&str> = pattern.split('/').collect();
    let wild = segments.last() == Some(&"*");
    if wild {
        segments.pop();
    }
    (segments, wild)
}

fn covers(pattern: &str, path: &str) -> bool {
    let ((segments, wild), path) = (parts(pattern), path.split('/').collect::<Vec<_>>());
    if wild { path.len() > segments.len() && path.starts_with(&segments) } else { path == segments }
}

fn within(inner: &str, outer: &str) -> bool {
    let ((inner, inner_wild), (outer, outer_wild)) = (parts(inner), parts(outer));
    match (inner_wild, outer_wild) {
        (true, true) => inner.starts_with(&outer),
        (true, false) => false,
        (false, true) => inner.len() > outer.len() && inner.starts_with(&outer),
        (false, false) => inner == outer,
    }
}
