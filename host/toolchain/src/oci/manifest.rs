//! The manifest of a component: which bytes belong to it, and what they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Digest;
use crate::look::Look;

/// What a manifest is.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What a list of manifests is.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The most bytes of a manifest, or of a list of them, that are read. One of a component has about 1 KiB.
pub const MANIFEST_BYTES_MAX: usize = 256 << 10;
/// The most bytes of a component that are read, which is the most that a server takes.
pub const COMPONENT_BYTES_MAX: u64 = 32 << 20;

/// What the config of a component is.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// What a component is.
const WASM: &str = "application/wasm";
/// The name of a layer's bytes as a file.
pub(super) const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";

/// The digest that one component has is to be the same whenever and wherever it is published, so this is no time of anybody's.
/// `wkg` does not read a config without one.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// Bytes that stand somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What they are.
    pub media_type: String,
    /// Their digest.
    pub digest: Digest,
    /// How many they are.
    pub bytes: u64,
}

/// All that has to be in a registry for an artifact to be there: the blobs first, the manifest last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What the manifest names.
    pub blobs: Vec<Vec<u8>>,
    /// The manifest.
    pub manifest: Vec<u8>,
}

impl Artifact {
    /// The digest of its manifest, which is what it is named by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }
}

/// Why a manifest is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// It is no manifest at all.
    #[error("it is no manifest: {0}")]
    Malformed(String),
    /// It is a list of several.
    #[error("it is a list of artifacts, and not one")]
    List,
    /// It is of something else.
    #[error("it is no WebAssembly component: {0}")]
    NotWasm(String),
    /// It is of a component that no server takes.
    #[error("its component has {bytes} bytes, more than {COMPONENT_BYTES_MAX}")]
    TooLarge {
        /// How many it has.
        bytes: u64,
    },
}

/// As it stands in a manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescriptorWire {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// The same of a manifest. What others write beside is theirs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManifestWire {
    pub(super) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    pub(super) config: DescriptorWire,
    pub(super) layers: Vec<DescriptorWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<DescriptorWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// What kind of JSON it is, before anything else of it is believed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'a str,
    author: Option<&'a str>,
    architecture: &'a str,
    os: &'a str,
    layer_digests: [String; 1],
    component: World<'a>,
}

#[derive(Serialize)]
struct World<'a> {
    exports: &'a [String],
    imports: &'a [String],
    target: &'a str,
}

impl DescriptorWire {
    pub(super) fn of(media_type: &str, bytes: &[u8], title: Option<String>) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes).to_string(),
            size: bytes.len() as u64,
            artifact_type: None,
            annotations: title.map(|title| BTreeMap::from([(TITLE.to_owned(), title)])),
        }
    }

    pub(super) fn read(self) -> Result<Descriptor, ManifestError> {
        let digest =
            self.digest.parse().map_err(|_| ManifestError::Malformed("a digest in it is not SHA-256".into()))?;
        Ok(Descriptor { media_type: self.media_type, digest, bytes: self.size })
    }
}

/// What tools that know nothing of policies call the file of a component. It says nothing of where it stands: one component
/// has one digest wherever it is published.
pub(super) const FILE: &str = "policy.wasm";

/// The artifact of a component.
///
/// # Errors
///
/// None that anybody has seen: JSON of texts and numbers can be written.
pub fn of_component(component: &[u8], look: &Look) -> Result<Artifact, serde_json::Error> {
    let config = serde_json::to_vec(&Config {
        created: CREATED,
        author: None,
        architecture: "wasm",
        os: "wasip2",
        layer_digests: [Digest::of(component).to_string()],
        component: World { exports: &look.exports, imports: &look.imports, target: &look.world },
    })?;
    let manifest = serde_json::to_vec(&ManifestWire {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        artifact_type: None,
        config: DescriptorWire::of(CONFIG, &config, None),
        layers: vec![DescriptorWire::of(WASM, component, Some(FILE.to_owned()))],
        subject: None,
        annotations: Some(BTreeMap::from([(VERSION.to_owned(), look.description.version.clone())])),
    })?;
    Ok(Artifact { blobs: vec![config, component.to_vec()], manifest })
}

/// Where a manifest says that its component is.
///
/// # Errors
///
/// When it is no manifest, or one of something else.
pub fn component_of(manifest: &[u8]) -> Result<Descriptor, ManifestError> {
    let ManifestWire { config, layers, .. } = read(manifest)?;
    if config.media_type != CONFIG {
        return Err(ManifestError::NotWasm(format!("its config is `{}`, and not `{CONFIG}`", config.media_type)));
    }
    let count = layers.len();
    let Ok([layer]) = <[DescriptorWire; 1]>::try_from(layers) else {
        return Err(ManifestError::NotWasm(format!("it has {count} layers, and not one")));
    };
    if layer.media_type != WASM {
        return Err(ManifestError::NotWasm(format!("its layer is `{}`, and not `{WASM}`", layer.media_type)));
    }
    if layer.size > COMPONENT_BYTES_MAX {
        return Err(ManifestError::TooLarge { bytes: layer.size });
    }
    layer.read()
}

/// Read what should be a manifest.
pub(super) fn read(manifest: &[u8]) -> Result<ManifestWire, ManifestError> {
    let malformed = |error: serde_json::Error| ManifestError::Malformed(error.to_string());
    let kind: Kind = serde_json::from_slice(manifest).map_err(malformed)?;
    if kind.schema_version != 2 {
        return Err(ManifestError::Malformed(format!("its `schemaVersion` is {}, and not 2", kind.schema_version)));
    }
    if kind.manifests.is_some() || kind.media_type.as_deref() == Some(INDEX) {
        return Err(ManifestError::List);
    }
    match kind.media_type.as_deref() {
        None | Some(MANIFEST) => serde_json::from_slice(manifest).map_err(malformed),
        Some(other) => Err(ManifestError::NotWasm(format!("it is `{other}`"))),
    }
}

#[cfg(test)]
mod tests {
    use attorn_core::ComponentClass;
    use attorn_engine::Description;

    use super::*;

    fn look() -> Look {
        Look {
            digest: String::new(),
            bytes: 3,
            world: "attorn:policy/policy-component@0.1.0".into(),
            class: ComponentClass::Native,
            imports: vec!["attorn:policy/log@0.1.0".into()],
            exports: vec!["attorn:policy/policy@0.1.0".into()],
            sections: vec![],
            built: None,
            description: Description {
                name: "spend-limit".into(),
                version: "1.2.0".into(),
                settings_schema: "{}".into(),
            },
        }
    }

    fn text(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
        let artifact = of_component(b"abc", &look()).unwrap();
        let mut value = serde_json::from_slice(&artifact.manifest).unwrap();
        change(&mut value);
        serde_json::to_vec(&value).unwrap()
    }

    #[track_caller]
    fn refused(manifest: &[u8], problem: &str) {
        let error = component_of(manifest).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn what_is_no_manifest_of_a_component_is_refused() {
        refused(b"", "it is no manifest: EOF");
        refused(b"<!doctype html>", "it is no manifest: ");
        refused(b"{}", "missing field `schemaVersion`");
        refused(&text(|it| it["schemaVersion"] = 1.into()), "its `schemaVersion` is 1");
        refused(&text(|it| it["mediaType"] = INDEX.into()), "a list of artifacts");
        refused(&text(|it| it["manifests"] = serde_json::json!([])), "a list of artifacts");
        refused(&text(|it| it["mediaType"] = "text/html".into()), "it is `text/html`");
        let config = "application/vnd.oci.image.config.v1+json";
        refused(
            &text(|it| it["config"]["mediaType"] = config.into()),
            "its config is `application/vnd.oci.image.config",
        );
        refused(&text(|it| it["layers"] = serde_json::json!([])), "it has 0 layers");
        refused(&text(|it| it["layers"] = vec![it["layers"][0].clone(); 2].into()), "it has 2 layers");
        refused(
            &text(|it| it["layers"][0]["mediaType"] = "application/x-tar".into()),
            "its layer is `application/x-tar`",
        );
        refused(&text(|it| it["layers"][0]["digest"] = "sha512:00".into()), "not SHA-256");
        refused(&text(|it| it["layers"][0]["digest"] = "../../x".into()), "not SHA-256");
        refused(&text(|it| it["layers"][0]["size"] = (-1).into()), "it is no manifest: ");
        refused(&text(|it| it["layers"][0]["size"] = (COMPONENT_BYTES_MAX + 1).into()), "33554433 bytes, more than");
        let twice = String::from_utf8(text(|_| ())).unwrap().replace("\"layers\":", "\"layers\":[],\"layers\":");
        refused(twice.as_bytes(), "duplicate field `layers`");
    }

    #[test]
    fn the_artifact_is_what_wkg_writes_and_reads() {
        let artifact = of_component(b"abc", &look()).unwrap();
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let config = format!(
            r#"{{"created":"1970-01-01T00:00:00Z","author":null,"architecture":"wasm","os":"wasip2","layerDigests":["{abc}"],"component":{{"exports":["attorn:policy/policy@0.1.0"],"imports":["attorn:policy/log@0.1.0"],"target":"attorn:policy/policy-component@0.1.0"}}}}"#
        );
        assert_eq!(artifact.blobs, [config.as_bytes(), b"abc"]);
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"{CONFIG}","digest":"{}","size":{}}},"layers":[{{"mediaType":"{WASM}","digest":"{abc}","size":3,"annotations":{{"org.opencontainers.image.title":"policy.wasm"}}}}],"annotations":{{"org.opencontainers.image.version":"1.2.0"}}}}"#,
            Digest::of(config.as_bytes()),
            config.len()
        );
        assert_eq!(String::from_utf8_lossy(&artifact.manifest), manifest);
        let descriptor = component_of(&artifact.manifest).unwrap();
        assert_eq!((descriptor.digest.to_string().as_str(), descriptor.bytes), (abc, 3));
        // Others leave out what may be left out, and write more.
        let theirs = text(|it| {
            it.as_object_mut().unwrap().remove("mediaType");
            it["x"] = 1.into();
            it["layers"][0]["urls"] = serde_json::json!(["https://elsewhere.example"]);
        });
        assert_eq!(component_of(&theirs), Ok(descriptor));
    }
}
