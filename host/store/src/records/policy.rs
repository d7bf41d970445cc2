//! Policies and their versions. Which version is in force stands in the policy's record; the active set has a
//! digest over all of them.

use attorn_core::{
    ActionPattern, ComponentClass, Digest, JsonText, LabelName, OperatorId, PolicyId, PolicyLimits, PolicyMode,
    PolicySignerId, ResourceType, Selector, TimeMs, UserPresence,
};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// A policy over all its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRecord {
    /// Its id.
    pub id: PolicyId,
    /// The version that was pushed last, 1 or more.
    pub latest_version: u32,
    /// The version in force, if one is.
    pub in_force: Option<u32>,
    /// The versions that were in force before, the latest last: where a rollback leads.
    pub before: Vec<u32>,
}

impl PolicyRecord {
    /// How many versions that were in force before are remembered.
    pub const BEFORE_MAX: usize = 16;
}

impl Record for PolicyRecord {
    fn key(&self) -> Key {
        Key::policy(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&PolicyWire {
            id: Text(self.id.clone()),
            latest_version: self.latest_version,
            in_force: self.in_force,
            before: self.before.clone(),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: PolicyWire| {
            let PolicyWire { id, latest_version, in_force, before } = wire;
            Ok(Self { id: id.0, latest_version, in_force, before })
        })
    }
}

/// One version of a policy, as it was pushed. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersionRecord {
    /// Which policy.
    pub policy: PolicyId,
    /// Which version of it.
    pub version: u32,
    /// BLAKE3 of the component's bytes.
    pub component: Digest,
    /// What its author set.
    pub settings: PolicySettings,
    /// Which requests it is asked about.
    pub selector: Selector,
    /// Whether its outcome counts.
    pub mode: PolicyMode,
    /// Whether its silence denies.
    pub required: bool,
    /// What one evaluation may use.
    pub limits: PolicyLimits,
    /// What kind of program the component is.
    pub class: ComponentClass,
    /// When it was pushed.
    pub created_at: TimeMs,
    /// By whom.
    pub created_by: OperatorId,
    /// Whose signature of the component came with it, if one came.
    pub signature: Option<VersionSignature>,
}

/// A signature of a version's component, which was verified before the version was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSignature {
    /// Whose it is.
    pub signer: PolicySignerId,
    /// BLAKE3 of the signature's text.
    pub digest: Digest,
}

/// Where a policy's settings stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicySettings {
    /// Here, one JSON text.
    Inline(JsonText),
    /// In a file of this BLAKE3 digest: see [`crate::Files`].
    File(Digest),
}

impl PolicySettings {
    /// The most bytes that inline settings have as they stand in the record, with their escapes.
    pub const INLINE_BYTES_MAX: usize = 48 << 10;

    /// Where this text stands: here if it is small enough, else in a file that the caller writes
    /// before it commits the record.
    #[must_use]
    pub fn of(text: JsonText) -> Self {
        // What has to fit is the text within the record, where quotes take two bytes.
        let escapes = text.as_str().bytes().map(|byte| if matches!(byte, b'"' | b'\\') { 2 } else { 1 });
        if escapes.sum::<usize>() <= Self::INLINE_BYTES_MAX {
            Self::Inline(text)
        } else {
            Self::File(Digest::from_bytes(*blake3::hash(text.as_str().as_bytes()).as_bytes()))
        }
    }

    /// BLAKE3 of the text, wherever it stands.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Inline(text) => Digest::from_bytes(*blake3::hash(text.as_str().as_bytes()).as_bytes()),
            Self::File(digest) => *digest,
        }
    }
}

impl PolicyVersionRecord {
    /// What this version is, whoever pushed it and whenever: BLAKE3 with the context `attorn policy
    /// version v1` over the canonical JSON (RFC 8785) of all fields that bear on a decision.
    #[must_use]
    pub fn digest(&self) -> Digest {
        codec::hash(
            "attorn policy version v1",
            &IdentityWire {
                class: self.class,
                component: Text(self.component),
                limits: self.limits,
                mode: self.mode,
                policy: Text(self.policy.clone()),
                required: self.required,
                selector: SelectorWire::from(&self.selector),
                settings: Text(self.settings.digest()),
                version: self.version,
            },
        )
    }
}

/// That a version of a policy was revoked: it is never in force again, and what it allowed has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRevocationRecord {
    /// Which policy.
    pub policy: PolicyId,
    /// Which version of it.
    pub version: u32,
    /// When.
    pub at: TimeMs,
}

impl Record for PolicyRevocationRecord {
    fn key(&self) -> Key {
        Key::policy_revocation(&self.policy, self.version)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&RevocationWire { policy: Text(self.policy.clone()), version: self.version, at_ms: self.at.0 })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: RevocationWire| {
            Ok(Self { policy: wire.policy.0, version: wire.version, at: TimeMs(wire.at_ms) })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevocationWire {
    policy: Text<PolicyId>,
    version: u32,
    at_ms: u64,
}

impl Record for PolicyVersionRecord {
    fn key(&self) -> Key {
        Key::policy_version(&self.policy, self.version)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&PolicyVersionWire {
            policy: Text(self.policy.clone()),
            version: self.version,
            component: Text(self.component),
            settings: match &self.settings {
                PolicySettings::Inline(text) => SettingsWire::Inline(text.as_str().to_owned()),
                PolicySettings::File(digest) => SettingsWire::File(Text(*digest)),
            },
            selector: SelectorWire::from(&self.selector),
            mode: self.mode,
            required: self.required,
            limits: self.limits,
            class: self.class,
            created_at_ms: self.created_at.0,
            created_by: Text(self.created_by.clone()),
            signature: self.signature.as_ref().map(|signature| SignatureWire {
                signer: Text(signature.signer.clone()),
                digest: Text(signature.digest),
            }),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: PolicyVersionWire| {
            Ok(Self {
                policy: wire.policy.0,
                version: wire.version,
                component: wire.component.0,
                settings: match wire.settings {
                    SettingsWire::Inline(text) => PolicySettings::Inline(JsonText::from_canonical(text)),
                    SettingsWire::File(digest) => PolicySettings::File(digest.0),
                },
                selector: wire.selector.into(),
                mode: wire.mode,
                required: wire.required,
                limits: wire.limits,
                class: wire.class,
                created_at: TimeMs(wire.created_at_ms),
                created_by: wire.created_by.0,
                signature: wire.signature.map(|wire| VersionSignature { signer: wire.signer.0, digest: wire.digest.0 }),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyWire {
    id: Text<PolicyId>,
    latest_version: u32,
    in_force: Option<u32>,
    before: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyVersionWire {
    policy: Text<PolicyId>,
    version: u32,
    component: Text<Digest>,
    settings: SettingsWire,
    selector: SelectorWire,
    #[serde(with = "ModeWire")]
    mode: PolicyMode,
    required: bool,
    #[serde(with = "LimitsWire")]
    limits: PolicyLimits,
    #[serde(with = "ClassWire")]
    class: ComponentClass,
    created_at_ms: u64,
    created_by: Text<OperatorId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<SignatureWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureWire {
    signer: Text<PolicySignerId>,
    digest: Text<Digest>,
}

/// Fields in the order of their names: this is hashed.
#[derive(Serialize)]
struct IdentityWire {
    #[serde(with = "ClassWire")]
    class: ComponentClass,
    component: Text<Digest>,
    #[serde(with = "LimitsWire")]
    limits: PolicyLimits,
    #[serde(with = "ModeWire")]
    mode: PolicyMode,
    policy: Text<PolicyId>,
    required: bool,
    selector: SelectorWire,
    settings: Text<Digest>,
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SettingsWire {
    Inline(String),
    File(Text<Digest>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PolicyMode", rename_all = "snake_case")]
enum ModeWire {
    Enforce,
    Shadow,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ComponentClass", rename_all = "snake_case")]
enum ClassWire {
    Native,
    Script,
    LargeRuntime,
}

/// Fields in the order of their names: this is hashed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorWire {
    actions: Vec<Text<ActionPattern>>,
    agent_labels: Vec<(Text<LabelName>, String)>,
    resource_types: Vec<Text<ResourceType>>,
    user: Option<UserWire>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UserWire {
    WithUser,
    WithoutUser,
}

impl From<&Selector> for SelectorWire {
    fn from(selector: &Selector) -> Self {
        Self {
            actions: selector.actions.iter().cloned().map(Text).collect(),
            agent_labels: selector.agent_labels.iter().cloned().map(|(name, value)| (Text(name), value)).collect(),
            resource_types: selector.resource_types.iter().cloned().map(Text).collect(),
            user: selector.user.map(|user| match user {
                UserPresence::WithUser => UserWire::WithUser,
                UserPresence::WithoutUser => UserWire::WithoutUser,
            }),
        }
    }
}

impl From<SelectorWire> for Selector {
    fn from(wire: SelectorWire) -> Self {
        Self {
            actions: wire.actions.into_iter().map(|action| action.0).collect(),
            resource_types: wire.resource_types.into_iter().map(|resource_type| resource_type.0).collect(),
            agent_labels: wire.agent_labels.into_iter().map(|(name, value)| (name.0, value)).collect(),
            user: wire.user.map(|user| match user {
                UserWire::WithUser => UserPresence::WithUser,
                UserWire::WithoutUser => UserPresence::WithoutUser,
            }),
        }
    }
}

/// Fields in the order of their names: this is hashed.
#[derive(Serialize, Deserialize)]
#[serde(remote = "PolicyLimits", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the type that it stands for")]
struct LimitsWire {
    cpu_us_max: u64,
    log_bytes_max: u64,
    memory_bytes_max: u64,
    output_bytes_max: u64,
    table_elements_max: u64,
    wall_us_max: u64,
}
