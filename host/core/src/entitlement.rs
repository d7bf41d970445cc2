//! Entitlements: what users may do themselves. An agent never has more than its user.
//!
//! A pattern may hold fields of the user as whole segments of its resource: `account/{user.id}/*`. The host
//! fills them in and escapes what is filled in, so that no value reaches another user's resources: it is one
//! segment, never a wildcard, and two values never give the same segment. A field that is missing or empty
//! gives no right. Which claims a user has is not known here.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::id::{Issuer, LabelName, ParseError, UserId};
use crate::permission::{ActionPattern, Permission, ResourcePattern};

/// Whose right it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntitlementHolder {
    /// One user.
    User(UserId),
    /// All users whom their provider asserted to be in this group lately.
    Group {
        /// Whose group it is: the same name at another provider is another group.
        issuer: Issuer,
        /// Its name there.
        name: String,
    },
    /// All users of a provider.
    Everyone(Issuer),
}

/// A field of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UserField {
    /// `user.id`
    Id,
    /// `user.claim.NAME`
    Claim(LabelName),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Segment {
    Text(Box<str>),
    Field(UserField),
}

/// A permission whose resource may name fields of the user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntitlementPattern {
    /// Which actions.
    pub action: ActionPattern,
    /// Which resources, as written.
    resource: Box<str>,
    segments: Vec<Segment>,
}

const HELP: &str = "a resource pattern whose segments after the first may be `{user.id}` or `{user.claim.NAME}`: \
                    `account/42`, `invoice/{user.id}/*`";

impl EntitlementPattern {
    /// The most bytes of a resource pattern as it is written.
    pub const BYTES_MAX: usize = 256;

    /// Parse an action pattern and a resource pattern with fields.
    ///
    /// # Errors
    ///
    /// When either is none.
    pub fn parse(action: &str, resource: &str) -> Result<Self, ParseError> {
        let fail = |problem: String| Err(ParseError::new("entitlement", resource, problem, HELP));
        let action = action.parse()?;
        if resource.len() > Self::BYTES_MAX {
            return fail(format!("it has {} bytes, and {} is the most", resource.len(), Self::BYTES_MAX));
        }
        let mut segments = Vec::new();
        for (at, text) in resource.split('/').enumerate() {
            match field(text) {
                Some(Ok(_)) if at == 0 => return fail("the type of a resource is no field".into()),
                Some(Ok(field)) => segments.push(Segment::Field(field)),
                Some(Err(problem)) => return fail(problem),
                None => segments.push(Segment::Text(text.into())),
            }
        }
        let pattern = Self { action, resource: resource.into(), segments };
        // With harmless values in its fields it has to be a pattern.
        match pattern.filled(|_| Some("x".into())).map(|text| text.parse::<ResourcePattern>()) {
            Some(Ok(_)) => Ok(pattern),
            Some(Err(error)) => Err(error),
            None => fail("it cannot be filled in".into()),
        }
    }

    /// The resource pattern as it was written.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The permission of a user whose fields these are. None if one is missing or empty, or if what comes of it
    /// is too long for a resource.
    #[must_use]
    pub fn resolve(&self, value: impl Fn(&UserField) -> Option<String>) -> Option<Permission> {
        let resource = self.filled(value)?.parse().ok()?;
        Some(Permission { action: self.action.clone(), resource })
    }

    fn filled(&self, value: impl Fn(&UserField) -> Option<String>) -> Option<String> {
        let mut resource = String::new();
        for (at, segment) in self.segments.iter().enumerate() {
            if at > 0 {
                resource.push('/');
            }
            match segment {
                Segment::Text(text) => resource.push_str(text),
                Segment::Field(field) => escape(&value(field).filter(|value| !value.is_empty())?, &mut resource),
            }
        }
        Some(resource)
    }
}

impl fmt::Display for EntitlementPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.resource)
    }
}

/// A segment that is one field in braces; none if it has no braces.
fn field(segment: &str) -> Option<Result<UserField, String>> {
    if !segment.contains(['{', '}']) {
        return None;
    }
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let field = match inner {
        Some("user.id") => Some(UserField::Id),
        Some(inner) => {
            inner.strip_prefix("user.claim.").and_then(|name| LabelName::from_str(name).ok()).map(UserField::Claim)
        }
        None => None,
    };
    Some(field.ok_or_else(|| format!("the segment `{}` is neither text nor one field", segment.escape_default())))
}

/// Letters, digits, `-`, `_`, `.` and `~` stay; every other byte becomes `=` and two upper-case hex digits. A
/// value of dots alone would be a step, so its dots are escaped, too.
fn escape(value: &str, into: &mut String) {
    let step = value.bytes().all(|b| b == b'.');
    for byte in value.bytes() {
        let stays = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') || (byte == b'.' && !step);
        if stays {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "={byte:02X}");
        }
    }
}

#[cfg(test)]
#[path = "entitlement_tests.rs"]
mod tests;
