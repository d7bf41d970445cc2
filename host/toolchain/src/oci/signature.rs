//! Signatures of components beside them: an artifact for each, which names the component's manifest as its *subject*.
//!
//! The specification calls these referrers. A registry that knows them lists them; for one that does not, a list of the same
//! form stands under a tag that is made of the subject's digest, and whoever pushes keeps it ([`Referrers`]). That a signature
//! stands here says nothing: whoever may write to a repository can add one. What counts is whether a key verifies it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Digest;
use super::manifest::{
    Artifact, Descriptor, DescriptorWire, FILE, INDEX, MANIFEST, ManifestError, ManifestWire, TITLE, read,
};

/// What a signature of minisign is called here. Nobody has registered a name for it.
pub const SIGNATURE: &str = "application/vnd.attorn.policy.minisign.v1";

/// The most referrers of an artifact that are kept in a list of ours.
const REFERRERS_MAX: usize = 256;

/// The config of what has none.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const EMPTY_BYTES: &[u8] = b"{}";

/// What refers to an artifact, of whatever kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Referrers(Vec<Value>);

/// The artifact of a signature, as it stands in its `.minisig` file. Its title is what tools call that file.
///
/// # Errors
///
/// None that anybody has seen: JSON of texts and numbers can be written.
pub fn of_signature(signature: &str, subject: &[u8]) -> Result<Artifact, serde_json::Error> {
    let manifest = serde_json::to_vec(&ManifestWire {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        artifact_type: Some(SIGNATURE.to_owned()),
        config: DescriptorWire::of(EMPTY, EMPTY_BYTES, None),
        layers: vec![DescriptorWire::of(SIGNATURE, signature.as_bytes(), Some(format!("{FILE}.minisig")))],
        subject: Some(DescriptorWire::of(MANIFEST, subject, None)),
        annotations: None,
    })?;
    Ok(Artifact { blobs: vec![EMPTY_BYTES.to_vec(), signature.as_bytes().to_vec()], manifest })
}

/// Where a manifest says that a signature of this subject is; nothing if it is one of something else.
///
/// # Errors
///
/// When it is no manifest.
pub fn signature_of(manifest: &[u8], subject: Digest) -> Result<Option<Descriptor>, ManifestError> {
    let wire = read(manifest)?;
    let is_ours = wire.artifact_type.as_deref() == Some(SIGNATURE);
    let is_of = wire.subject.is_some_and(|named| named.digest == subject.to_string());
    match <[DescriptorWire; 1]>::try_from(wire.layers) {
        Ok([layer]) if is_ours && is_of && layer.media_type == SIGNATURE => layer.read().map(Some),
        _ => Ok(None),
    }
}

impl Referrers {
    /// Read a list.
    ///
    /// # Errors
    ///
    /// When it is no list.
    pub fn read(index: &[u8]) -> Result<Self, ManifestError> {
        let malformed = |problem: &str| ManifestError::Malformed(problem.to_owned());
        let value: Value = serde_json::from_slice(index).map_err(|error| malformed(&error.to_string()))?;
        if value["schemaVersion"] != 2 || value["mediaType"].as_str().is_some_and(|it| it != INDEX) {
            return Err(malformed("it is no list of referrers"));
        }
        let manifests = value["manifests"].as_array().ok_or_else(|| malformed("it has no `manifests`"))?;
        Ok(Self(manifests.clone()))
    }

    /// The signatures among them; an error for each entry that should be one and cannot be read.
    pub fn signatures(&self) -> impl Iterator<Item = Result<Descriptor, ManifestError>> {
        let is_ours = |entry: &&Value| entry["artifactType"] == SIGNATURE && entry["mediaType"] == MANIFEST;
        let read = |entry: &Value| {
            let wire: DescriptorWire = serde_json::from_value(entry.clone())
                .map_err(|error| ManifestError::Malformed(format!("an entry of the list is none: {error}")))?;
            wire.read()
        };
        self.0.iter().filter(is_ours).map(read)
    }

    /// Add what the next part of a list names.
    pub fn extend(&mut self, next: Self) {
        self.0.extend(next.0);
    }

    /// Whether a manifest is among them.
    #[must_use]
    pub fn has(&self, digest: Digest) -> bool {
        self.0.iter().any(|entry| entry["digest"] == digest.to_string())
    }

    /// The list with a signature's manifest more, as it is written; what others put there stays as it is.
    ///
    /// # Errors
    ///
    /// When the list is too long to be kept.
    pub fn with(mut self, signature: &Artifact) -> Result<Vec<u8>, ManifestError> {
        if self.0.len() >= REFERRERS_MAX {
            return Err(ManifestError::Malformed(format!("the list has {} entries already", self.0.len())));
        }
        let mut entry = DescriptorWire::of(MANIFEST, &signature.manifest, None);
        entry.artifact_type = Some(SIGNATURE.to_owned());
        let title =
            read(&signature.manifest)?.layers.first().and_then(|layer| layer.annotations.as_ref()?.get(TITLE).cloned());
        entry.annotations = title.map(|title| BTreeMap::from([(TITLE.to_owned(), title)]));
        let malformed = |error: serde_json::Error| ManifestError::Malformed(error.to_string());
        self.0.push(serde_json::to_value(entry).map_err(malformed)?);
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": self.0 });
        serde_json::to_vec(&index).map_err(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: &[u8] = b"{\"schemaVersion\":2}";

    fn artifact() -> Artifact {
        of_signature("untrusted comment: x\n", SUBJECT).unwrap()
    }

    fn text(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut value = serde_json::from_slice(&artifact().manifest).unwrap();
        change(&mut value);
        serde_json::to_vec(&value).unwrap()
    }

    #[test]
    fn what_is_no_signature_of_this_subject_is_passed_over() {
        let subject = Digest::of(SUBJECT);
        for manifest in [
            text(|it| it["artifactType"] = "application/vnd.dev.cosign.artifact.sig.v1+json".into()),
            text(|it| it["subject"]["digest"] = Digest::of(b"another").to_string().into()),
            text(|it| drop(it.as_object_mut().unwrap().remove("subject"))),
            text(|it| it["layers"] = json!([])),
            text(|it| it["layers"] = vec![it["layers"][0].clone(); 2].into()),
            text(|it| it["layers"][0]["mediaType"] = "text/plain".into()),
        ] {
            assert_eq!(signature_of(&manifest, subject), Ok(None), "{}", String::from_utf8_lossy(&manifest));
        }
        for manifest in [b"".to_vec(), b"[]".to_vec(), text(|it| it["layers"][0]["digest"] = "sha256:00".into())] {
            assert!(signature_of(&manifest, subject).is_err());
        }
        let found = signature_of(&artifact().manifest, subject).unwrap().unwrap();
        assert_eq!((found.digest, found.bytes), (Digest::of(b"untrusted comment: x\n"), 21));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (list, problem) in [
            ("", "EOF"),
            ("{}", "it is no list of referrers"),
            (r#"{"schemaVersion":2}"#, "it has no `manifests`"),
            (r#"{"schemaVersion":2,"manifests":{}}"#, "it has no `manifests`"),
            (
                &format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","manifests":[]}}"#),
                "it is no list of referrers",
            ),
        ] {
            let error = Referrers::read(list.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(problem), "{list}: {error}");
        }
        let odd =
            format!(r#"{{"schemaVersion":2,"manifests":[{{"artifactType":"{SIGNATURE}","mediaType":"{MANIFEST}"}}]}}"#);
        let mut odd = Referrers::read(odd.as_bytes()).unwrap();
        let error = odd.signatures().next().unwrap().unwrap_err().to_string();
        assert!(error.contains("an entry of the list is none"), "{error}");
        // And it keeps nobody from the others.
        odd.extend(Referrers::read(&Referrers::default().with(&artifact()).unwrap()).unwrap());
        assert_eq!(odd.signatures().map(|read| read.is_ok()).collect::<Vec<_>>(), [false, true]);
        let long = Referrers(vec![Value::Null; REFERRERS_MAX]).with(&artifact()).unwrap_err().to_string();
        assert!(long.contains("256 entries already"), "{long}");
    }

    #[test]
    fn a_list_keeps_what_others_put_there() {
        let theirs = format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{{"mediaType":"{MANIFEST}","digest":"{}","size":7,"artifactType":"x/y","z":[1]}}]}}"#,
            Digest::of(b"theirs")
        );
        let before = Referrers::read(theirs.as_bytes()).unwrap();
        assert_eq!(before.signatures().count(), 0);
        let (ours, list) = (artifact(), before.clone().with(&artifact()).unwrap());
        let after = Referrers::read(&list).unwrap();
        assert!(!before.has(ours.digest()) && after.has(ours.digest()) && after.has(Digest::of(b"theirs")));
        assert_eq!(after.0[0], before.0[0]);
        let expect =
            Descriptor { media_type: MANIFEST.into(), digest: ours.digest(), bytes: ours.manifest.len() as u64 };
        assert_eq!(after.signatures().collect::<Vec<_>>(), [Ok(expect)]);
    }
}
