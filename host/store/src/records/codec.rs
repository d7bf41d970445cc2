//! The format byte, the JSON behind it, and what can be wrong with either.

use std::fmt;
use std::str::FromStr;

use attorn_core::{Digest, UserId};
use data_encoding::BASE64;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::key::Key;

/// Something that is stored under a key of its own.
pub trait Record: Sized {
    /// Where it is stored.
    fn key(&self) -> Key;

    /// The bytes that are stored.
    fn encode(&self) -> Vec<u8>;

    /// Read the bytes that are stored under this key.
    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError>;
}

/// Stored bytes that are not what they should be.
#[derive(Debug, thiserror::Error)]
#[error("the value stored under `{key}` is invalid")]
pub struct RecordError {
    /// Where they stand.
    pub key: Key,
    /// What is wrong.
    #[source]
    pub problem: RecordProblem,
}

impl RecordError {
    pub(crate) fn new(key: &Key, problem: RecordProblem) -> Self {
        Self { key: key.clone(), problem }
    }

    pub(crate) fn no_decision(key: &Key) -> Self {
        Self::new(key, RecordProblem::Meaning("the key names no decision".to_owned()))
    }
}

/// What is wrong with stored bytes.
#[derive(Debug, thiserror::Error)]
pub enum RecordProblem {
    /// There is not even a format byte.
    #[error("it is empty")]
    Empty,
    /// A version of this program wrote it that this one does not know.
    #[error("its format {0} is unknown")]
    UnknownFormat(u8),
    /// It is no JSON text of the right fields.
    #[error("it cannot be read: {0}")]
    Json(serde_json::Error),
    /// It can be read and makes no sense.
    #[error("{0}")]
    Meaning(String),
    /// It belongs under another key.
    #[error("it belongs under `{0}`")]
    OtherKey(Key),
    /// Nothing of that name is known.
    #[error("there is no such kind of key")]
    UnknownKind,
    /// It can be read, and would be written otherwise.
    #[error("it is not as this program writes it")]
    NotAsWritten,
    /// It is too short or its header is wrong.
    #[error("its header is broken")]
    Header,
    /// It should be a number of eight bytes.
    #[error("it is no counter")]
    NotACounter,
}

/// The format that there is of every kind.
const FORMAT: u8 = 1;
/// The format of what is sealed as a whole: the user, a zero byte, and what only their key opens.
const SEALED_FORMAT: u8 = 2;

/// The bytes of a record: its format and its JSON.
pub(super) fn encode<W: Serialize>(wire: &W) -> Vec<u8> {
    let mut bytes = json(wire);
    bytes.insert(0, FORMAT);
    bytes
}

/// A wire type as JSON, its fields in the order in which they are declared.
#[expect(clippy::expect_used, reason = "every wire type is a struct of texts, numbers and lists, which JSON can hold")]
pub(crate) fn json<W: Serialize>(wire: &W) -> Vec<u8> {
    serde_json::to_vec(wire).expect("a wire type is JSON")
}

/// Hash something that is in the canonical form of RFC 8785 when serde writes it: its fields stand in
/// the order of their names, its texts are escaped as little as can be, its numbers are whole.
pub(super) fn hash<W: Serialize>(context: &str, wire: &W) -> Digest {
    Digest::from_bytes(blake3::derive_key(context, &json(wire)))
}

/// The bytes of a record that is one text already.
pub(super) fn encode_text(text: &str) -> Vec<u8> {
    [&[FORMAT], text.as_bytes()].concat()
}

/// Read a wire type and make a record of it.
pub(super) fn decode<W: DeserializeOwned, R: Record>(
    key: &Key,
    stored: &[u8],
    of_wire: impl FnOnce(W) -> Result<R, String>,
) -> Result<R, RecordError> {
    let json = body(key, stored)?;
    let wire = serde_json::from_slice(json).map_err(|error| RecordError::new(key, RecordProblem::Json(error)))?;
    let record = of_wire(wire).map_err(|problem| RecordError::new(key, RecordProblem::Meaning(problem)))?;
    let own_key = record.key();
    if own_key == *key { Ok(record) } else { Err(RecordError::new(key, RecordProblem::OtherKey(own_key))) }
}

/// Read the bytes of something that was sealed for this key.
pub(super) fn decode_body<W: DeserializeOwned, B>(
    key: &Key,
    bytes: &[u8],
    of_wire: impl FnOnce(W) -> B,
) -> Result<B, RecordError> {
    let json = body(key, bytes)?;
    serde_json::from_slice(json).map(of_wire).map_err(|error| RecordError::new(key, RecordProblem::Json(error)))
}

/// Bytes that only a user's key opens. What they are is not known here.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Self).map_err(|_| D::Error::custom("what is sealed is not base64"))
    }
}

/// Something as it is kept: readable, or sealed where it is about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept<T> {
    /// Readable: there is no user to hide.
    Plain(T),
    /// Only this user's key opens it, in the place where it stands.
    Sealed {
        /// Whose key opens it.
        user: UserId,
        /// The bytes.
        sealed: Sealed,
    },
}

/// [`Kept`] within a wire type.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum KeptWire<W> {
    Plain(W),
    Sealed { user: Text<UserId>, sealed: Sealed },
}

impl<W> KeptWire<W> {
    pub(super) fn of<T>(kept: &Kept<T>, wire: impl FnOnce(&T) -> W) -> Self {
        match kept {
            Kept::Plain(value) => Self::Plain(wire(value)),
            Kept::Sealed { user, sealed } => Self::Sealed { user: Text(user.clone()), sealed: sealed.clone() },
        }
    }

    pub(super) fn kept<T>(self, value: impl FnOnce(W) -> T) -> Kept<T> {
        match self {
            Self::Plain(wire) => Kept::Plain(value(wire)),
            Self::Sealed { user, sealed } => Kept::Sealed { user: user.0, sealed },
        }
    }
}

/// The bytes of a record that is sealed as a whole.
pub(super) fn encode_sealed(user: &UserId, sealed: &Sealed) -> Vec<u8> {
    [&[SEALED_FORMAT], user.as_str().as_bytes(), &[0], &sealed.0].concat()
}

/// Whose key opens a record that is sealed as a whole, and its bytes; none for one that is not.
pub(super) fn sealed_body(key: &Key, stored: &[u8]) -> Result<Option<(UserId, Sealed)>, RecordError> {
    let Some((&SEALED_FORMAT, body)) = stored.split_first() else { return Ok(None) };
    let meaning = |problem: &str| RecordError::new(key, RecordProblem::Meaning(problem.to_owned()));
    let end = body.iter().position(|&byte| byte == 0).ok_or_else(|| meaning("it names no user"))?;
    let user = std::str::from_utf8(&body[..end]).ok().and_then(|user| user.parse().ok());
    let sealed = &body[end + 1..];
    if sealed.is_empty() {
        return Err(meaning("nothing is sealed in it"));
    }
    Ok(Some((user.ok_or_else(|| meaning("it names no user"))?, Sealed(sealed.to_vec()))))
}

/// What follows the format byte.
pub(super) fn body<'a>(key: &Key, stored: &'a [u8]) -> Result<&'a [u8], RecordError> {
    match stored.split_first() {
        Some((&FORMAT, body)) => Ok(body),
        Some((&format, _)) => Err(RecordError::new(key, RecordProblem::UnknownFormat(format))),
        None => Err(RecordError::new(key, RecordProblem::Empty)),
    }
}

/// Something that is stored as the text that it prints and parses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}
