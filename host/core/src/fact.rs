//! Facts: how their names are made, and what names there are.
//!
//! A policy declares a [`FactTemplate`]: text with fields of the context in braces. Filled in, it is a
//! [`FactName`], under which operators and resource servers push values. Values and their storage are
//! not known here.
//!
//! INVARIANT: two different fillings of a template never make one name. What is filled in is
//! percent-encoded, so that a resource id with a `/` in it stays one segment, and a segment is one field or
//! text, so that no two fields meet in one.

use std::fmt;
use std::str::FromStr;

use crate::context::EvaluationContext;
use crate::id::{LabelName, ParseError};
use crate::permission::ResourceType;

/// The fields that a template may have, for people.
const FIELDS: &str = "the fields are {user.id}, {user.issuer}, {agent.id}, {agent.instance}, {agent.owner}, \
                      {agent.label.NAME}, {request.action}, {request.resource_type}, {request.resource_id}, \
                      {request.purpose}, {request.session}; between two `/` stands one field or text of letters, \
                      digits and `-._~`";
const TEMPLATE_BYTES_MAX: usize = 256;
const NAME_HELP: &str = "segments of letters, digits, `-._~` and `%` with two upper-case hex digits for any other \
                         byte, joined by `/`, at most 900 bytes: `resource/account/42/owner`";

/// Part of the context that a template may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Field {
    UserId,
    UserIssuer,
    AgentId,
    AgentInstance,
    AgentOwner,
    AgentLabel(LabelName),
    RequestAction,
    RequestResourceType,
    RequestResourceId,
    RequestPurpose,
    RequestSession,
}

impl Field {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "user.id" => Self::UserId,
            "user.issuer" => Self::UserIssuer,
            "agent.id" => Self::AgentId,
            "agent.instance" => Self::AgentInstance,
            "agent.owner" => Self::AgentOwner,
            "request.action" => Self::RequestAction,
            "request.resource_type" => Self::RequestResourceType,
            "request.resource_id" => Self::RequestResourceId,
            "request.purpose" => Self::RequestPurpose,
            "request.session" => Self::RequestSession,
            _ => Self::AgentLabel(text.strip_prefix("agent.label.")?.parse().ok()?),
        })
    }

    /// Its value in a context; none if it is missing or empty.
    fn of(&self, context: &EvaluationContext) -> Option<String> {
        let EvaluationContext { agent, user, request, instance, .. } = context;
        let value = match self {
            Self::UserId => user.as_ref()?.id.as_str(),
            Self::UserIssuer => user.as_ref()?.issuer.as_str(),
            Self::AgentId => agent.id.as_str(),
            Self::AgentInstance => instance.as_str(),
            Self::AgentOwner => agent.owner.as_str(),
            Self::AgentLabel(name) => agent.labels.get(name)?,
            Self::RequestAction => request.action.as_str(),
            Self::RequestResourceType => return Some(request.resource.resource_type().as_str().to_owned()),
            Self::RequestResourceId => request.resource.id(),
            Self::RequestPurpose => request.purpose.as_str(),
            // INVARIANT: a session is the delegation's. What the agent states without one is its claim, and
            // an agent that could choose a session would choose which fact is looked up.
            Self::RequestSession => context.delegations.first()?.session.as_str(),
        };
        Some(value.to_owned()).filter(|value| !value.is_empty())
    }
}

/// What stands between two `/` of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Segment {
    Text(Box<str>),
    Field(Field),
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['{', '}']) {
            let field = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let field = field.filter(|field| !field.contains(['{', '}']));
            let field = field
                .ok_or_else(|| format!("the segment `{}` is neither text nor one field", text.escape_default()))?;
            let known = Field::parse(field).map(Self::Field);
            return known.ok_or_else(|| format!("there is no field `{}`", field.escape_default()));
        }
        if let Some(bad) = text.chars().find(|&c| !c.is_ascii() || !unreserved(c as u8)) {
            return Err(format!("`{}` is not allowed outside of fields", bad.escape_default()));
        }
        not_a_step(text).map(|()| Self::Text(text.into()))
    }
}

/// The name of a fact with fields in braces: `resource/{request.resource_type}/{request.resource_id}/owner`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactTemplate {
    text: Box<str>,
    segments: Vec<Segment>,
}

impl FactTemplate {
    /// The template as it was declared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the fact in this context. None if a field is missing or empty, or if what comes of it
    /// is no name that a fact could be pushed under.
    #[must_use]
    pub fn fill_in(&self, context: &EvaluationContext) -> Option<FactName> {
        let mut name = String::new();
        for (at, segment) in self.segments.iter().enumerate() {
            if at > 0 {
                name.push('/');
            }
            match segment {
                Segment::Text(text) => name.push_str(text),
                Segment::Field(field) => encode(&field.of(context)?, &mut name),
            }
        }
        name.parse().ok()
    }
}

impl FromStr for FactTemplate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |problem: String| Err(ParseError::new("template of a fact", text, problem, FIELDS));
        if text.is_empty() || text.len() > TEMPLATE_BYTES_MAX {
            return fail(format!("it has {} bytes, and 1 to {TEMPLATE_BYTES_MAX} are right", text.len()));
        }
        match text.split('/').map(Segment::parse).collect() {
            Ok(segments) => Ok(Self { text: text.into(), segments }),
            Err(problem) => fail(problem),
        }
    }
}

impl fmt::Display for FactTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for FactTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FactTemplate({})", self.text)
    }
}

/// The name of a fact: what a template can come to, and nothing else. Each name has one spelling.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactName(Box<str>);

impl FactName {
    /// The most bytes of a name: enough for every resource's owner, all of its id escaped.
    pub const BYTES_MAX: usize = 900;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type of the resource that the fact is about: the second segment of `resource/{type}/…`. None if
    /// it is about something else.
    #[must_use]
    pub fn resource_type(&self) -> Option<ResourceType> {
        let (resource_type, _) = self.0.strip_prefix("resource/")?.split_once('/')?;
        resource_type.parse().ok()
    }
}

impl FromStr for FactName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |problem: String| Err(ParseError::new("name of a fact", text, problem, NAME_HELP));
        if text.is_empty() || text.len() > Self::BYTES_MAX {
            return fail(format!("it has {} bytes, and 1 to {} are right", text.len(), Self::BYTES_MAX));
        }
        if let Err(problem) = text.split('/').try_for_each(not_a_step) {
            return fail(problem);
        }
        match misspelt(text) {
            None => Ok(Self(text.into())),
            Some(at) => {
                let shown: String = text[at..].chars().take(3).flat_map(char::escape_default).collect();
                fail(format!("`{shown}` at byte {at} is not how it is written"))
            }
        }
    }
}

impl fmt::Display for FactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FactName({})", self.0)
    }
}

/// How names begin, for lists. It need not end with a whole segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactPrefix(Box<str>);

impl FactPrefix {
    /// The prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FactPrefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let allowed = |b: u8| unreserved(b) || matches!(b, b'/' | b'%');
        if text.len() > FactName::BYTES_MAX || !text.bytes().all(allowed) {
            return Err(ParseError::new("beginning of a fact's name", text, "no name begins so", NAME_HELP));
        }
        Ok(Self(text.into()))
    }
}

/// Nothing, and what file systems and URLs take as a step, is no segment.
fn not_a_step(segment: &str) -> Result<(), String> {
    match segment {
        "" | "." | ".." => Err(format!("a segment may not be `{segment}`")),
        _ => Ok(()),
    }
}

/// Where a text is not spelt as a name is: a byte outside of the alphabet, or an escape that is none or
/// that nobody needs.
fn misspelt(text: &str) -> Option<usize> {
    let (bytes, mut at) = (text.as_bytes(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let escaped = bytes.get(at + 1..at + 3).and_then(|hex| Some(digit(hex[0])? << 4 | digit(hex[1])?));
                if escaped.is_none_or(unreserved) {
                    return Some(at);
                }
                at += 3;
            }
            b if unreserved(b) || b == b'/' => at += 1,
            _ => return Some(at),
        }
    }
    None
}

/// Percent-encoding (RFC 3986 section 2.1) of all but its unreserved characters.
fn encode(value: &str, into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if unreserved(byte) {
            into.push(char::from(byte));
        } else {
            let [high, low] = [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
            into.extend(['%', high, low]);
        }
    }
}

const fn unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

const fn digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
#[path = "fact_tests.rs"]
mod tests;
