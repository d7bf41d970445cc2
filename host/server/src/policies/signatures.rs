//! Signatures of components: whose counts, and that a version without one comes into force nowhere while signatures
//! are required.
//!
//! A signature is of a component's bytes, and not of the settings, selector or limits that it is pushed with. What is in
//! force stays so, whatever becomes of its signer: to take a policy out of force can widen what agents may do.

use std::collections::{BTreeMap, BTreeSet};

use attorn_api::ProblemCode;
use attorn_api::policies as api;
use attorn_core::{Digest, PolicySignerId};
use attorn_identity::{ComponentSignature, KeyId, SignatureError, SignerKey};
use attorn_store::records::{PolicySignerRecord, PolicyVersionRecord, SignatureRequirementRecord, VersionSignature};
use attorn_store::{Batch, Key, KeyKind, Require, Store, Versioned};

use crate::http::failure::Failure;
use crate::registry::all;

/// The most signers that are active, and the most that there are with those who were revoked: these stay, so that no key of
/// theirs counts again, and whoever asks whose a signature is reads them all.
const ACTIVE_MAX: usize = 64;
const EVER_MAX: usize = 1_024;

/// A signature that came with a push. Whether it is good, [`Self::verify`] says.
pub(super) struct Brought {
    signer: PolicySignerId,
    key: SignerKey,
    signature: ComponentSignature,
    digest: Digest,
}

impl Brought {
    /// The signature that came, if it names the key of an active signer. None came, and none has to.
    pub(super) async fn of(store: &Store, text: Option<&str>) -> Result<Option<Self>, Failure> {
        let Some(text) = text else {
            let requirement = requirement(store).await?;
            return if is_required(requirement.as_ref()) { Err(missing("this component")) } else { Ok(None) };
        };
        let signature = ComponentSignature::parse(text).map_err(|error| malformed(&error))?;
        let signers = Signers::of(store).await?;
        let (signer, key) = signers.of_key(signature.key())?;
        let digest = Digest::from_bytes(*blake3::hash(text.as_bytes()).as_bytes());
        Ok(Some(Self { signer: signer.id.clone(), key, signature, digest }))
    }

    /// What of it is recorded with the version.
    pub(super) fn recorded(&self) -> VersionSignature {
        VersionSignature { signer: self.signer.clone(), digest: self.digest }
    }

    /// See whether the signer made it, and of these bytes.
    pub(super) fn verify(self, component: &[u8]) -> Result<(), Failure> {
        self.key.verify(component, &self.signature).map_err(|error| {
            refused(format!("the signature by the signer `{}` is refused: {error}", self.signer))
                .with_help("`attorn policy verify` tries it without a server; `attorn policy sign` makes another")
        })
    }
}

/// All signers, active and revoked.
pub(super) struct Signers(BTreeMap<PolicySignerId, PolicySignerRecord>);

impl Signers {
    pub(super) async fn of(store: &Store) -> Result<Self, Failure> {
        let signers: Vec<PolicySignerRecord> = all(store, KeyKind::PolicySigner).await?;
        Ok(Self(signers.into_iter().map(|signer| (signer.id.clone(), signer)).collect()))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PolicySignerRecord> {
        self.0.values()
    }

    pub(super) fn active(&self) -> usize {
        self.iter().filter(|signer| signer.revoked.is_none()).count()
    }

    /// Whether there is room for one more.
    pub(super) fn room(&self) -> Result<(), Failure> {
        let full = |detail: String, help| Err(Failure::of(ProblemCode::InvalidState, detail).with_help(help));
        if self.active() >= ACTIVE_MAX {
            let detail = format!("there are {ACTIVE_MAX} active signers, which is the most");
            return full(detail, "revoke one: `attorn policy signer revoke`");
        }
        if self.0.len() >= EVER_MAX {
            let detail = format!("there are {EVER_MAX} signers with those who were revoked, which is the most");
            return full(
                detail,
                "have one who is active sign: `attorn policy signer list` shows whose signatures count",
            );
        }
        Ok(())
    }

    /// Whether an active signer signed this version's component.
    pub(super) fn vouch_for(&self, record: &PolicyVersionRecord) -> bool {
        let signer = record.signature.as_ref().and_then(|signature| self.0.get(&signature.signer));
        signer.is_some_and(|signer| signer.revoked.is_none())
    }

    /// Who signed this version's component, for operators to read.
    pub(super) fn of_version(&self, record: &PolicyVersionRecord) -> Option<api::VersionSigner> {
        let signature = record.signature.as_ref()?;
        let signer = self.0.get(&signature.signer);
        let key = signer.and_then(|signer| SignerKey::parse(&signer.public_key).ok());
        Some(api::VersionSigner {
            id: signature.signer.to_string(),
            key: key.map_or_else(String::new, |key| key.id().to_string()),
            revoked_at_ms: signer.and_then(|signer| signer.revoked.as_ref()).map(|revoked| revoked.at.0),
        })
    }

    /// The active signer who has this key.
    fn of_key(&self, id: KeyId) -> Result<(&PolicySignerRecord, SignerKey), Failure> {
        for signer in self.iter() {
            let key = key_of(signer)?;
            if key.id() != id {
                continue;
            }
            return if signer.revoked.is_none() { Ok((signer, key)) } else { Err(revoked(signer, &key)) };
        }
        Err(refused(format!("the signature is of the key `{id}`, which is no signer's")).with_help(
            "`attorn policy signer list` shows whose count, `attorn policy signer register` adds one, and \
             `attorn policy push --unsigned` sends none",
        ))
    }
}

/// The key of a signer, which was parsed when it was registered.
pub(super) fn key_of(signer: &PolicySignerRecord) -> Result<SignerKey, Failure> {
    SignerKey::parse(&signer.public_key)
        .map_err(|error| Failure::internal(format_args!("the key of the signer `{}`: {error}", signer.id)))
}

/// What is recorded of whether signatures are required.
pub(super) async fn requirement(store: &Store) -> Result<Option<Versioned<SignatureRequirementRecord>>, Failure> {
    Ok(store.record::<SignatureRequirementRecord>(&Key::policy_signatures()).await?)
}

/// Nobody required any until somebody did.
pub(super) fn is_required(requirement: Option<&Versioned<SignatureRequirementRecord>>) -> bool {
    requirement.is_some_and(|requirement| requirement.value.required)
}

/// That whether signatures are required, and who the signers are, is what it was when this was read.
pub(super) fn as_it_was(requirement: Option<&Versioned<SignatureRequirementRecord>>) -> (Key, Require) {
    let require = requirement.map_or(Require::Absent, |requirement| Require::Version(requirement.version));
    (Key::policy_signatures(), require)
}

/// Just before a version is recorded: whose signature came with it. The batch names all that this rests on.
pub(super) async fn vouched(
    store: &Store,
    batch: &mut Batch,
    record: &PolicyVersionRecord,
) -> Result<Option<api::VersionSigner>, Failure> {
    let requirement = requirement(store).await?;
    batch.require.push(as_it_was(requirement.as_ref()));
    match &record.signature {
        None if is_required(requirement.as_ref()) => Err(missing("this component")),
        None => Ok(None),
        Some(signature) => {
            let (signer, require) = active(store, &signature.signer).await?;
            batch.require.push(require);
            let key = key_of(&signer)?.id().to_string();
            Ok(Some(api::VersionSigner { id: signer.id.to_string(), key, revoked_at_ms: None }))
        }
    }
}

/// Whether these versions may come into force, and what that rests on.
///
/// INVARIANT: whatever comes into force passes here, and the batch that puts it there requires what this gives. Where
/// signatures are required, each version has one of a signer who is active in that very commit: it names the requirement
/// and the signers.
pub(super) async fn may_come_into_force(
    store: &Store,
    versions: impl Iterator<Item = &PolicyVersionRecord>,
) -> Result<Vec<(Key, Require)>, Failure> {
    let requirement = requirement(store).await?;
    let (mut signers, mut any) = (BTreeSet::new(), false);
    for record in versions {
        any = true;
        if !is_required(requirement.as_ref()) {
            continue;
        }
        let of = || format!("version {} of policy `{}`", record.version, record.policy);
        let signature = record.signature.as_ref().ok_or_else(|| missing(&of()))?;
        signers.insert(signature.signer.clone());
    }
    // To take a policy out of force needs no signature, whatever becomes of them meanwhile.
    let mut rests_on = Vec::from_iter(any.then(|| as_it_was(requirement.as_ref())));
    for signer in signers {
        rests_on.push(active(store, &signer).await?.1);
    }
    Ok(rests_on)
}

/// This signer, who is active, and what a batch requires so that they still are when it commits.
async fn active(store: &Store, id: &PolicySignerId) -> Result<(PolicySignerRecord, (Key, Require)), Failure> {
    let key = Key::policy_signer(id);
    let stored = store.record::<PolicySignerRecord>(&key).await?;
    let stored = stored.ok_or_else(|| refused(format!("there is no signer `{id}`")))?;
    if stored.value.revoked.is_some() {
        return Err(revoked(&stored.value, &key_of(&stored.value)?));
    }
    Ok((stored.value, (key, Require::Version(stored.version))))
}

fn missing(what: &str) -> Failure {
    let detail = format!("components have to be signed, and {what} came without a signature");
    Failure::of(ProblemCode::SignatureMissing, detail).with_help(
        "`attorn policy sign` makes one, and `attorn policy push` sends the one that stands beside the component, or \
         the one of `--signature`",
    )
}

fn revoked(signer: &PolicySignerRecord, key: &SignerKey) -> Failure {
    refused(format!("the signature is by the signer `{}` (key `{}`), who is revoked", signer.id, key.id()))
        .with_help("have it signed by another, and push it again: `attorn policy signer list` shows whose count")
}

fn malformed(error: &SignatureError) -> Failure {
    refused(format!("the signature is refused: {error}"))
        .with_help("it is the text of a `.minisig` file: `attorn policy sign` makes one, and `minisign -S` since 0.10")
}

fn refused(detail: String) -> Failure {
    Failure::of(ProblemCode::SignatureRefused, detail)
}

#[cfg(test)]
#[path = "signatures_tests.rs"]
mod tests;
