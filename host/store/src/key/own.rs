//! Keys of the server's own things: its keys, its clock, its epochs, and when anything expires.

use attorn_core::{KeyThumbprint, LabelName, TimeMs};
use attorn_log::Epoch;

use super::{Key, KeyKind, KeyPurpose, SEPARATOR, hex_time};

impl Key {
    /// That everything is denied. There is one, or none.
    #[must_use]
    pub fn freeze() -> Self {
        Self::of(KeyKind::Freeze, &[])
    }

    /// That time was set back. There is one, or none.
    #[must_use]
    pub fn clock() -> Self {
        Self::of(KeyKind::Clock, &[])
    }

    /// How far the server's time has come. There is one, or none.
    #[must_use]
    pub fn clock_mark() -> Self {
        Self::of(KeyKind::ClockMark, &[])
    }

    /// One version of a wrapped key.
    #[must_use]
    pub fn key_material(purpose: KeyPurpose, id: &LabelName, version: u32) -> Self {
        Self::of(KeyKind::KeyMaterial, &[purpose.as_str(), id.as_str(), &format!("{version:08x}")])
    }

    /// An epoch of the audit log that has ended.
    #[must_use]
    pub fn log_epoch(epoch: Epoch) -> Self {
        Self::of(KeyKind::LogEpoch, &[&format!("{:016x}", epoch.0)])
    }

    /// The decision records that are lost of those whose entries are in a bundle.
    #[must_use]
    pub fn lost_records(epoch: Epoch, bundle: u64) -> Self {
        Self::of(KeyKind::LostRecords, &[&format!("{:016x}", epoch.0), &format!("{bundle:016x}")])
    }

    /// A key that signs tokens, or did.
    #[must_use]
    pub fn token_key(thumbprint: &KeyThumbprint) -> Self {
        Self::of(KeyKind::TokenKey, &[thumbprint.as_str()])
    }

    /// A key with which this server is a client of providers, or was.
    #[must_use]
    pub fn provider_client_key(version: u32) -> Self {
        Self::of(KeyKind::ProviderClientKey, &[&format!("{version:08x}")])
    }

    /// Something that there is one of.
    #[must_use]
    pub fn meta(name: &LabelName) -> Self {
        Self::of(KeyKind::Meta, &[name.as_str()])
    }

    /// That a state was accepted which somebody else may have written, as long as the log does not say it.
    pub(crate) fn accepted_states() -> Self {
        Self::of(KeyKind::Meta, &["accepted-states"])
    }

    /// The index entry that says when something expires. Its value is empty; see [`Self::expiring`].
    #[must_use]
    pub fn expiry(at: TimeMs, what: &Self) -> Self {
        let mut bytes = Self::of(KeyKind::Expiry, &[&hex_time(at)]).0.into_vec();
        bytes.push(SEPARATOR);
        bytes.extend_from_slice(&what.0);
        Self(bytes.into())
    }

    /// What expires, and when, if this is a key made by [`Self::expiry`].
    #[must_use]
    pub fn expiring(&self) -> Option<(TimeMs, Self)> {
        let mut segments = self.0.splitn(3, |&byte| byte == SEPARATOR);
        if segments.next() != Some(KeyKind::Expiry.as_str().as_bytes()) {
            return None;
        }
        let at = u64::from_str_radix(std::str::from_utf8(segments.next()?).ok()?, 16).ok()?;
        Some((TimeMs(at), Self(segments.next()?.into())))
    }
}
