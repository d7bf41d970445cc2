//! Passwords of targets' administrators, and what is shown to services, wrapped by the root key with the target and the password's number as associated
//! data: one cannot be put in another's place.

use attorn_api::ProblemCode;
use attorn_broker::postgresql::Passwords;
use attorn_broker::proxy::Proxy;
use attorn_core::TargetId;
use attorn_identity::{KeyLabel, RootKey};
use attorn_store::records::{TargetRecord, TargetSecret};

use crate::http::failure::Failure;

/// What such a key is for.
const KIND: &str = "target_secret";
/// The longest password, in bytes.
pub(super) const BYTES_MAX: usize = 1_024;

/// Wrap a password.
pub(super) fn wrap(root: &RootKey, id: &TargetId, version: u32, password: &[u8]) -> Result<TargetSecret, Failure> {
    let wrapped = root.wrap(label(id, version), password).map_err(Failure::internal)?;
    Ok(TargetSecret { version, wrapped })
}

/// Wrap a password of an administrator that somebody tells, in this member.
pub(super) fn password(
    root: &RootKey,
    id: &TargetId,
    (version, member): (u32, &str),
    text: &str,
) -> Result<TargetSecret, Failure> {
    let bytes = text.len();
    if !(1..=BYTES_MAX).contains(&bytes) {
        let detail = format!("`{member}` has {bytes} bytes, and may have 1 to {BYTES_MAX}");
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    wrap(root, id, version, text.as_bytes())
}

/// Wrap what is shown to a service.
pub(super) fn shown_to_service(
    root: &RootKey,
    id: &TargetId,
    version: u32,
    text: &str,
) -> Result<TargetSecret, Failure> {
    if text.len() > BYTES_MAX || !Proxy::is_secret(text.as_bytes()) {
        let least = Proxy::SECRET_BYTES_MIN;
        let detail = format!("`secret` has {least} to {BYTES_MAX} visible ASCII characters, none of them blank");
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    wrap(root, id, version, text.as_bytes())
}

/// The passwords that the administrator may have: the one that counts, and then the one that is to replace it.
pub(crate) fn all(root: &RootKey, record: &TargetRecord) -> Result<Passwords, Failure> {
    let secrets = std::iter::once(&record.secret).chain(&record.next_secret);
    let unwrap = |secret: &TargetSecret| root.unwrap(label(&record.id, secret.version), &secret.wrapped);
    secrets.map(unwrap).collect::<Result<_, _>>().map_err(Failure::internal)
}

fn label(id: &TargetId, version: u32) -> KeyLabel<'_> {
    KeyLabel { kind: KIND, id: id.as_str(), version }
}
