//! Ids. Each is made only by parsing, so whoever holds one knows that its bytes are harmless.
//!
//! All alphabets are ASCII and exclude `*`, control characters and blanks; none can be read as a
//! path that leaves its place.

use std::fmt;
use std::str::FromStr;

/// Text that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` is no {what}: {problem}")]
pub struct ParseError {
    what: &'static str,
    input: String,
    problem: String,
    help: &'static str,
}

impl ParseError {
    /// The longest part of a bad input that is repeated to whoever sent it, in characters.
    const INPUT_CHARS_MAX: usize = 64;

    /// `input` is no `what`, because of `problem`; `help` says in one line what would be right.
    #[must_use]
    pub fn new(what: &'static str, input: &str, problem: impl Into<String>, help: &'static str) -> Self {
        let mut shown: String = input.chars().take(Self::INPUT_CHARS_MAX).flat_map(char::escape_default).collect();
        if input.chars().nth(Self::INPUT_CHARS_MAX).is_some() {
            shown.push_str("...");
        }
        Self { what, input: shown, problem: problem.into(), help }
    }

    /// What would be right, in one line.
    #[must_use]
    pub fn help(&self) -> &'static str {
        self.help
    }
}

/// What characters an id is made of, and how many there may be.
struct Alphabet {
    first: fn(u8) -> bool,
    rest: fn(u8) -> bool,
    bytes_max: usize,
}

fn check(what: &'static str, text: &str, alphabet: &Alphabet, help: &'static str) -> Result<(), ParseError> {
    let fail = |problem: String| Err(ParseError::new(what, text, problem, help));
    let Some(&first) = text.as_bytes().first() else {
        return fail("it is empty".into());
    };
    if text.len() > alphabet.bytes_max {
        return fail(format!("it has {} bytes, and {} is the most", text.len(), alphabet.bytes_max));
    }
    if !(alphabet.first)(first) {
        let shown: String = text.chars().take(1).flat_map(char::escape_default).collect();
        return fail(format!("it may not begin with `{shown}`"));
    }
    match text.char_indices().find(|&(at, c)| !c.is_ascii() || !(alphabet.rest)(text.as_bytes()[at])) {
        Some((at, c)) => fail(format!("`{}` at byte {at} is not allowed", c.escape_default())),
        None => Ok(()),
    }
}

const fn lower(b: u8) -> bool {
    b.is_ascii_lowercase()
}

const fn lower_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

const fn name(b: u8) -> bool {
    lower_digit(b) || matches!(b, b'-' | b'_')
}

const fn code(b: u8) -> bool {
    lower_digit(b) || b == b'_'
}

const fn alphanumeric(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

const fn visible(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b':' | b'@' | b'+' | b'/')
}

const fn foreign(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'*' | b'"' | b'\\' | b'`')
}

const fn host(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':')
}

const fn field(b: u8) -> bool {
    lower_digit(b) || b == b'-'
}

const fn token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b':')
}

macro_rules! ids {
    ($($(#[$doc:meta])* $type:ident = $what:literal, $first:ident $rest:ident*, max $bytes_max:literal, $help:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Box<str>);

        impl $type {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                check($what, text, &Alphabet { first: $first, rest: $rest, bytes_max: $bytes_max }, $help)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.0)
            }
        }
    )*};
}

ids! {
    /// A registered agent. Never used again for another.
    AgentId = "agent id", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// One of an agent's keys' holders, such as a pod or a host.
    InstanceName = "instance name", lower_digit name*, max 64, "lower-case letters, digits, `-` and `_`, at most 64";
    /// A person or system that administers.
    OperatorId = "operator id", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// A service that accepts credentials.
    ResourceServerId = "resource server id", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// A policy, over all its versions.
    PolicyId = "policy id", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// Who vouches for components.
    PolicySignerId = "policy signer id", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// Why an agent acts.
    Purpose = "purpose", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// The name of a label.
    LabelName = "label name", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// Why something was decided as it was.
    ReasonCode = "reason code", lower code*, max 64, "lower-case letters, digits and `_`, a letter first, at most 64";
    /// Who answers for an agent: a name, a team, an address.
    Owner = "owner", alphanumeric visible*, max 128, "letters, digits and `-_.~:@+/`, at most 128";
    /// What a resource server answers to in a token's `aud`.
    Audience = "audience", alphanumeric visible*, max 256, "a URL or name of letters, digits and `-_.~:@+/`, at most 256";
    /// A session, as its provider or the agent names it.
    SessionId = "session id", alphanumeric token*, max 128, "letters, digits and `-_.~:`, at most 128";
    /// A human on whose behalf agents act: the host's own opaque id.
    UserId = "user id", lower name*, max 64, "`usr_…`, as the server printed it: lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// What a user delegated to an agent, or an agent offered to another.
    DelegationId = "delegation id", lower name*, max 64, "`dlg_…`, as the server printed it: lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// Who vouches for users or for workloads: the URL of an `OpenID` provider, or what a workload's tokens say in `iss`.
    Issuer = "issuer", alphanumeric visible*, max 256, "a URL of letters, digits and `-_.~:@+/`, at most 256";
    /// An `OpenID` provider that is trusted by what is recorded about it.
    ProviderId = "provider id", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// Who vouches for workloads, as it is registered.
    WorkloadIssuerId = "workload issuer id", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// A workload as its issuer names it in `sub`.
    WorkloadSubject = "workload subject", foreign foreign*, max 255, "visible ASCII characters without `*`, quotes and `\\`, at most 255";
    /// A client as its provider names it in `client_id`, `azp`, or the `sub` of `act` and `may_act`.
    ClientId = "client id", foreign foreign*, max 256, "visible ASCII characters without `*`, quotes and `\\`, at most 256";
    /// A scope as its provider names it (RFC 6749, section 3.3).
    ScopeName = "scope", foreign foreign*, max 256, "visible ASCII characters without `*`, quotes and `\\`, at most 256";
    /// A type of `authorization_details`, or an action of one, as its provider names it (RFC 9396).
    DetailName = "name in authorization details", foreign foreign*, max 256, "visible ASCII characters without `*`, quotes and `\\`, at most 256";
    /// Where credentials of a kind are made: a database.
    TargetId = "target id", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// Who is told over HTTP of what is to be approved.
    WebhookId = "webhook id", lower name*, max 64, "lower-case letters, digits, `-` and `_`, a letter first, at most 64";
    /// Where a target answers: the name of a machine, or an address.
    HostName = "host", host host*, max 253, "a name or an IP address: letters, digits, `-`, `_`, `.` and `:`, at most 253";
    /// A header of HTTP, in lower case.
    FieldName = "header name", lower field*, max 64, "lower-case letters, digits and `-`, a letter first, at most 64";
    /// A claim of a provider's tokens.
    ClaimName = "claim name", foreign foreign*, max 128, "visible ASCII characters without `*`, quotes and `\\`, at most 128";
}

/// An RFC 7638 SHA-256 thumbprint of a public key: 43 characters of unpadded base64url.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyThumbprint(Box<str>);

impl KeyThumbprint {
    /// The thumbprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyThumbprint {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const WHAT: &str = "key thumbprint";
        const HELP: &str = "43 characters of unpadded base64url: the RFC 7638 SHA-256 thumbprint of the key";
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if text.len() != 43 {
            return Err(ParseError::new(WHAT, text, format!("it has {} bytes instead of 43", text.len()), HELP));
        }
        if !text.bytes().all(allowed) {
            return Err(ParseError::new(WHAT, text, "it is not base64url", HELP));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for KeyThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyThumbprint({})", self.0)
    }
}

fn parse_hex<const N: usize>(
    what: &'static str,
    whole: &str,
    hex: &str,
    help: &'static str,
) -> Result<[u8; N], ParseError> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if hex.len() != 2 * N {
        return Err(ParseError::new(
            what,
            whole,
            format!("it has {} hex digits instead of {}", hex.len(), 2 * N),
            help,
        ));
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => return Err(ParseError::new(what, whole, "it is not lower-case hexadecimal", help)),
        }
    }
    Ok(bytes)
}

/// Ids and digests are written several times for each decision, so this takes no formatter per byte.
fn write_hex<const N: usize>(f: &mut fmt::Formatter<'_>, bytes: &[u8; N]) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * N);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    f.write_str(&text)
}

/// A 256-bit digest; which function made it stands where it is used. As text, 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// A digest that a hash function put out.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_hex("digest", text, text, "64 lower-case hexadecimal digits").map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

macro_rules! minted_ids {
    ($($(#[$doc:meta])* $type:ident = $what:literal, $prefix:literal, $help:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type([u8; 16]);

        impl $type {
            /// An id out of 16 bytes that the caller drew at random.
            #[must_use]
            pub const fn from_random(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl FromStr for $type {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                match text.strip_prefix($prefix) {
                    Some(hex) => parse_hex($what, text, hex, $help).map(Self),
                    None => Err(ParseError::new($what, text, concat!("it does not begin with `", $prefix, "`"), $help)),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    )*};
}

minted_ids! {
    /// What somebody is asked to approve.
    ApprovalId = "approval id", "apr_", "`apr_` and 32 lower-case hexadecimal digits";
    /// One decision.
    DecisionId = "decision id", "dec_", "`dec_` and 32 lower-case hexadecimal digits";
    /// One grant.
    GrantId = "grant id", "grt_", "`grt_` and 32 lower-case hexadecimal digits";
    /// One credential that exists outside.
    LeaseId = "lease id", "lse_", "`lse_` and 32 lower-case hexadecimal digits";
}

#[cfg(test)]
#[path = "id_tests.rs"]
mod tests;
