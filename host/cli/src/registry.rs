//! An OCI registry, as far as policies need one: manifests, blobs, what refers to a manifest, and uploads, in one repository
//! ([distribution specification, version 1.1](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md)).
//!
//! What a registry says is what a stranger says. Every body has an end that was known before it was read, and every digest is
//! computed here. Redirects are followed for reading alone, a few, to where [`way`] lets them lead, and no credentials go with
//! them ([`auth`]). Where the libraries of others read bodies whole and go wherever they are sent, this does not, which is
//! why none of them is used.
//!
//! Not here: deleting, listing tags, other algorithms than SHA-256.

mod access;
mod auth;
mod credentials;
mod link;
mod problem;
mod transport;
mod way;

use std::time::Duration;

use attorn_toolchain::oci::manifest::{Artifact, Descriptor, INDEX, MANIFEST, MANIFEST_BYTES_MAX};
use attorn_toolchain::oci::signature::{Referrers, SIGNATURE};
use attorn_toolchain::oci::{Digest, Reference};
use reqwest::header::{CONTENT_TYPE, HeaderName, LINK};
use reqwest::{Method, Response, StatusCode, Url};

pub(crate) use access::{Access, AccessArgs, reference};
pub(crate) use auth::Scope;
pub(crate) use problem::malformed;

use self::transport::{Ask, Transport, header};
use crate::failure::Failure;
use crate::interrupt::interrupted;

/// How long all of it may take.
const TOTAL: Duration = Duration::from_mins(10);

/// Says that the registry lists what refers to what was pushed.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The digest of what comes, as the registry says.
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// How many parts of a list are read.
const PARTS_MAX: usize = 8;

/// How often a list that others change at the same time is written again.
const LIST_TRIES: usize = 3;

/// One repository in a registry.
pub(crate) struct Repository {
    transport: Transport,
    reference: Reference,
}

/// How a registry keeps what refers to a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    /// It knows by itself.
    Registry,
    /// In a list under a tag, which whoever pushes keeps.
    Tag,
}

/// What refers to a manifest.
pub(crate) struct Listed {
    /// Those that were looked at.
    pub(crate) referrers: Referrers,
    /// Whether there are more of them.
    pub(crate) has_more: bool,
}

/// Do something with a registry, unless it takes too long or somebody interrupts it.
pub(crate) async fn interruptible<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        done = tokio::time::timeout(TOTAL, work) => {
            done.unwrap_or_else(|_| Err(Failure::new(format!("the registry did not end in {} s", TOTAL.as_secs()))))
        }
        signal = interrupted() => {
            signal?;
            Err(Failure::new("interrupted"))
        }
    }
}

impl Repository {
    /// The repository that a reference names. Nothing is sent yet.
    pub(crate) fn new(reference: &Reference, access: Access, scope: Scope) -> Result<Self, Failure> {
        Ok(Self { transport: Transport::new(reference, access, scope)?, reference: reference.clone() })
    }

    /// A manifest by digest; nothing if there is none.
    pub(crate) async fn manifest(&mut self, digest: Digest) -> Result<Option<Vec<u8>>, Failure> {
        let found = self.manifest_at(&digest.to_string(), MANIFEST).await?;
        found.map(|bytes| problem::same("the manifest", digest, bytes)).transpose()
    }

    /// The manifest to which a tag leads now; nothing if there is none.
    pub(crate) async fn tagged(&mut self, tag: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.manifest_at(tag, MANIFEST).await
    }

    /// A blob, which has as many bytes as its descriptor says, and not more than these.
    pub(crate) async fn blob(
        &mut self,
        what: &'static str,
        blob: &Descriptor,
        bytes_max: u64,
    ) -> Result<Vec<u8>, Failure> {
        if blob.bytes > bytes_max {
            return Err(Failure::new(format!("{what} has {} bytes, more than {bytes_max}", blob.bytes)));
        }
        let ask = self.ask(Method::GET, &format!("blobs/{}", blob.digest))?;
        let response = self.transport.send(&ask).await?;
        if response.status() != StatusCode::OK {
            return Err(transport::refusal(&format!("to give {what}"), response).await);
        }
        let bytes_max = usize::try_from(blob.bytes).map_err(|error| Failure::of(&error))?;
        let bytes = transport::body(what, response, bytes_max).await?;
        if bytes.len() as u64 != blob.bytes {
            let problem = format!("{what} has {} bytes, and not {} as its manifest says", bytes.len(), blob.bytes);
            return Err(problem::unverified(problem));
        }
        problem::same(what, blob.digest, bytes)
    }

    /// What refers to a manifest, as far as it is read.
    pub(crate) async fn referrers(&mut self, digest: Digest) -> Result<Listed, Failure> {
        let mut ask = self.ask(Method::GET, &format!("referrers/{digest}"))?;
        ask.url.query_pairs_mut().append_pair("artifactType", SIGNATURE);
        ask.accept = Some(INDEX);
        let response = self.transport.send(&ask).await?;
        let is_list = header(&response, &CONTENT_TYPE).is_some_and(|kind| essence(kind) == INDEX);
        match response.status() {
            // Some answer whatever they do not know with a page for people.
            StatusCode::OK if is_list => self.parts(ask, response).await,
            StatusCode::OK
            | StatusCode::BAD_REQUEST
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_ACCEPTABLE => Ok(Listed { referrers: self.listed(digest).await?, has_more: false }),
            _ => Err(transport::refusal("to list signatures", response).await),
        }
    }

    /// A list from its first part on, as far as it stays at the registry.
    async fn parts(&mut self, mut ask: Ask, mut response: Response) -> Result<Listed, Failure> {
        let mut referrers = Referrers::default();
        for left in (0..PARTS_MAX).rev() {
            if response.status() != StatusCode::OK {
                return Err(transport::refusal("to list more signatures", response).await);
            }
            let next = link::next(response.headers().get_all(LINK)).map(|to| response.url().join(&to));
            let bytes = transport::body("the list of signatures", response, MANIFEST_BYTES_MAX).await?;
            let part = Referrers::read(&bytes).map_err(|error| malformed("the list of signatures", &error))?;
            referrers.extend(part);
            let Some(next) = next else { return Ok(Listed { referrers, has_more: false }) };
            ask.url = next.ok().filter(|url| self.transport.is_near(url)).ok_or_else(|| {
                Failure::new("the list of signatures goes on where the registry is not")
                    .with_help("whoever runs it can say why it leads there")
            })?;
            if left == 0 {
                break;
            }
            response = self.transport.send(&ask).await?;
        }
        Ok(Listed { referrers, has_more: true })
    }

    /// The list that whoever pushed kept.
    async fn listed(&mut self, digest: Digest) -> Result<Referrers, Failure> {
        match self.manifest_at(&digest.referrers_tag(), INDEX).await? {
            Some(bytes) => Referrers::read(&bytes).map_err(|error| malformed("the list of signatures", &error)),
            None => Ok(Referrers::default()),
        }
    }

    /// Put an artifact there, by its digest and under no tag.
    pub(crate) async fn put(&mut self, artifact: &Artifact) -> Result<Response, Failure> {
        for blob in &artifact.blobs {
            self.put_blob(blob).await?;
        }
        self.put_manifest(&artifact.digest().to_string(), MANIFEST, &artifact.manifest).await
    }

    /// Have a tag lead to an artifact that is there.
    pub(crate) async fn tag(&mut self, tag: &str, artifact: &Artifact) -> Result<(), Failure> {
        self.put_manifest(tag, MANIFEST, &artifact.manifest).await.map(drop)
    }

    /// Put an artifact there that refers to another, so that it is found from that.
    pub(crate) async fn refer(&mut self, artifact: &Artifact, subject: Digest) -> Result<Listing, Failure> {
        let put = self.put(artifact).await?;
        if header(&put, &SUBJECT).is_some() {
            return Ok(Listing::Registry);
        }
        let tag = subject.referrers_tag();
        for _ in 0..LIST_TRIES {
            let list = self.listed(subject).await?;
            if list.has(artifact.digest()) {
                return Ok(Listing::Tag);
            }
            let list = list.with(artifact).map_err(|error| malformed("the list of signatures", &error))?;
            self.put_manifest(&tag, INDEX, &list).await?;
        }
        // Somebody else may have written between: what is there now decides.
        if self.listed(subject).await?.has(artifact.digest()) {
            return Ok(Listing::Tag);
        }
        Err(Failure::new(format!("the signature does not stay in the list of them, which is tagged `{tag}`"))
            .with_help("does somebody else publish signatures of this component now? try again"))
    }

    async fn put_blob(&mut self, blob: &[u8]) -> Result<(), Failure> {
        let digest = Digest::of(blob);
        let ask = self.ask(Method::HEAD, &format!("blobs/{digest}"))?;
        if self.transport.send(&ask).await?.status() == StatusCode::OK {
            return Ok(());
        }
        let begun = self.transport.send(&self.ask(Method::POST, "blobs/uploads/")?).await?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(transport::refusal("an upload", begun).await);
        }
        let mut url = transport::location(&begun)?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let body = Some(("application/octet-stream", blob.to_vec()));
        let put = self.transport.send(&Ask { body, ..Ask::new(Method::PUT, url) }).await?;
        match put.status() {
            StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(()),
            _ => Err(transport::refusal("what was uploaded", put).await),
        }
    }

    async fn put_manifest(&mut self, named: &str, kind: &'static str, manifest: &[u8]) -> Result<Response, Failure> {
        let mut ask = self.ask(Method::PUT, &format!("manifests/{named}"))?;
        ask.body = Some((kind, manifest.to_vec()));
        let put = self.transport.send(&ask).await?;
        if !matches!(put.status(), StatusCode::CREATED | StatusCode::OK | StatusCode::ACCEPTED) {
            return Err(transport::refusal("the manifest", put).await);
        }
        said_digest(&put, Digest::of(manifest))?;
        Ok(put)
    }

    async fn manifest_at(&mut self, named: &str, kind: &'static str) -> Result<Option<Vec<u8>>, Failure> {
        let mut ask = self.ask(Method::GET, &format!("manifests/{named}"))?;
        ask.accept = Some(kind);
        let response = self.transport.send(&ask).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(transport::refusal("to give a manifest", response).await),
        }
        let said = header(&response, &CONTENT_TYPE).map(|kind| essence(kind).to_owned());
        let digest = header(&response, &DIGEST).map(str::to_owned);
        let bytes = transport::body("the manifest", response, MANIFEST_BYTES_MAX).await?;
        if let Some(digest) = digest.filter(|digest| digest.starts_with("sha256:"))
            && digest != Digest::of(&bytes).to_string()
        {
            return Err(problem::unverified(format!("what came is not `{digest}`, as the registry says")));
        }
        // What is one thing by its header and another by its text is neither.
        match said.as_deref() {
            Some(INDEX) if kind == MANIFEST => Err(problem::several()),
            Some(said) if said != kind => Err(Failure::new(format!(
                "the registry `{}` answers with `{said}`, and not with `{kind}`",
                self.reference.registry()
            ))
            .with_help("is this a registry, and is a policy what stands there?")),
            _ => Ok(Some(bytes)),
        }
    }

    fn ask(&self, method: Method, path: &str) -> Result<Ask, Failure> {
        Ok(Ask::new(method, self.transport.url(&format!("/v2/{}/{path}", self.reference.repository()))?))
    }
}

/// That what was put is named as it was put.
fn said_digest(response: &Response, digest: Digest) -> Result<(), Failure> {
    match header(response, &DIGEST) {
        Some(said) if said.starts_with("sha256:") && said != digest.to_string() => {
            Err(problem::unverified(format!("the registry took `{digest}`, and calls it `{said}`")))
        }
        _ => Ok(()),
    }
}

/// A media type without its parameters.
fn essence(kind: &str) -> &str {
    kind.split(';').next().unwrap_or(kind).trim()
}

/// A URL without what may be secret in it.
fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}
