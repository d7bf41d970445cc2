//! `attorn policy pull`.

use std::path::{Path, PathBuf};

use attorn_engine::Description;
use attorn_toolchain::look::Look;
use attorn_toolchain::oci::manifest::{
    COMPONENT_BYTES_MAX, Descriptor, MANIFEST_BYTES_MAX, ManifestError, component_of,
};
use attorn_toolchain::oci::signature::signature_of;
use attorn_toolchain::oci::{Digest, Reference};
use attorn_toolchain::{ComponentSignature, SignerKey, whole};
use clap::Args;
use serde_json::{Value, json};

use super::local::{self, UNKNOWN};
use super::{new_key, verify};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::registry::{self, AccessArgs, Listed, Repository, Scope, malformed};

/// The most signatures of a component that are looked at.
const SIGNATURES_MAX: usize = 64;

/// Pull a policy's component from an OCI registry, with its signature, without a server. What no policy can be is refused, as
/// by `attorn policy inspect`, and then nothing is written.
#[derive(Debug, Args)]
#[command(
    after_help = "A tag leads where whoever may write to the registry wants it to; a digest to the same bytes for ever, and a signature
that you verify to what its signer made, wherever it comes from. Verified says which key signed it, and not that it is the
policy or the version that you asked for: whoever may write to the registry can put another there that this key signed. So name
and version are printed, as the component says them, and what its signer wrote; and a warning, where they are other than those
of the reference.

Examples:
  attorn policy pull ghcr.io/acme/spend-limit:1.2.0 --public-key release.key.pub
  attorn policy pull ghcr.io/acme/spend-limit@sha256:… -o policy.wasm
  attorn policy pull localhost:5000/spend-limit:1.2.0 --plain-http --unsigned --json

Ends with 0 if it is here, 1 if not, 2 if the reference or an argument means nothing, and 5 if what came is not what the
digest says, or the key did not sign it."
)]
pub(crate) struct Pull {
    /// Where it is: registry, repository, and tag or digest; with both, the digest counts
    #[arg(value_name = "REGISTRY/REPOSITORY:TAG|@DIGEST", value_parser = registry::reference)]
    reference: Reference,
    /// Where the component goes; the repository's last name with `.wasm` if it is not said. What is there is replaced. The
    /// signature goes beside it, with `.minisig`
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Take it only if this key signed it: the key itself, or a file that holds it
    #[arg(long, value_name = "KEY|FILE.pub", conflicts_with = "unsigned")]
    public_key: Option<String>,
    /// Bring no signature
    #[arg(long)]
    unsigned: bool,
    #[command(flatten)]
    access: AccessArgs,
}

/// Which signature is wanted.
enum Wanted {
    /// That of a key, which has to verify.
    Of(SignerKey),
    /// The one that there is.
    Any,
    /// None.
    None,
}

/// A signature that came.
struct Signature {
    text: String,
    read: ComponentSignature,
}

/// What came.
struct Pulled {
    digest: Digest,
    component: Vec<u8>,
    look: Look,
    signature: Option<Signature>,
    /// What was not looked at, of what stands beside it.
    passed_over: Option<String>,
}

impl Pull {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let Self { reference, out, public_key, unsigned, access } = self;
        let wanted = match (&public_key, unsigned) {
            (Some(key), _) => Wanted::Of(verify::public_key(key)?),
            (None, false) => Wanted::Any,
            (None, true) => Wanted::None,
        };
        let out = out.unwrap_or_else(|| PathBuf::from(format!("{}.wasm", reference.name())));
        let beside = new_key::beside(&out, "minisig");
        // What cannot be replaced is said before anything is asked for.
        for path in [&out, &beside] {
            whole::check(path).map_err(|error| unwritable(path, &error))?;
        }
        let mut repository = Repository::new(&reference, access.read()?, Scope::Pull)?;
        let pulled = registry::interruptible(pull(&mut repository, &reference, &wanted)).await.map_err(|failure| {
            Failure { message: format!("`{reference}` is not pulled: {}", failure.message), ..failure }
        })?;
        write(&out, &pulled.component, &beside, pulled.signature.as_ref())?;
        let is_verified = matches!(wanted, Wanted::Of(_));
        if output.json {
            return output.json(&pulled.wire(&reference, &out, &beside, is_verified)).map(|()| Exit::Done);
        }
        pulled.print(output, &reference, &out, &beside, is_verified);
        Ok(Exit::Done)
    }
}

impl Pulled {
    fn wire(&self, reference: &Reference, out: &Path, beside: &Path, is_verified: bool) -> Value {
        let Self { digest, look, signature, .. } = self;
        let signature = signature.as_ref().map(|Signature { read, .. }| {
            json!({
                "file": beside.display().to_string(), "key": read.key().to_string(), "verified": is_verified,
                "trusted_comment": is_verified.then(|| read.trusted_comment()),
            })
        });
        json!({
            "reference": reference.at(*digest).to_string(), "digest": digest.to_string(), "component": look.digest,
            "bytes": look.bytes, "name": look.description.name, "version": look.description.version,
            "world": look.world, "file": out.display().to_string(), "signature": signature,
            "warnings": self.warnings(reference),
        })
    }

    fn print(&self, output: &Output, reference: &Reference, out: &Path, beside: &Path, is_verified: bool) {
        let Self { digest, look, signature, .. } = self;
        output.line(format!("pulled {}", reference.at(*digest)));
        output.line(format!("component {}, {} bytes: {}", look.digest, look.bytes, out.display()));
        output.line(format!("policy {} {}, as it says itself", look.description.name, look.description.version));
        match signature {
            Some(Signature { read, .. }) if is_verified => {
                output.line(format!("verified: signed with the key {}: {}", read.key(), beside.display()));
                // minisign puts a tab between its parts.
                output.line(format!("comment {}", read.trusted_comment().replace('\t', "  ")));
            }
            Some(Signature { read, .. }) => {
                output.line(format!("signature of the key {}, as it says itself: {}", read.key(), beside.display()));
                output.note("nobody verified it: `attorn policy verify`, or `--public-key`");
            }
            None => output.line("no signature"),
        }
        for warning in self.warnings(reference) {
            output.note(format!("warning: {warning}"));
        }
    }

    /// Where what came is perhaps not what was meant: a key signs many policies, and old ones.
    fn warnings(&self, reference: &Reference) -> Vec<String> {
        let Description { name, version, .. } = &self.look.description;
        let mut warnings = Vec::new();
        if name != UNKNOWN && name.replace('_', "-") != reference.name().replace('_', "-") {
            warnings.push(format!("it calls itself `{name}`, and `{}` was asked for", reference.name()));
        }
        let tagged = reference.tag().and_then(version_of);
        if let Some(tagged) = tagged.filter(|tagged| version != UNKNOWN && tagged != version) {
            warnings.push(format!("it says that it is of the version `{version}`, and `{tagged}` was asked for"));
        }
        warnings.extend(self.passed_over.clone());
        warnings
    }
}

/// The version that a tag says, if it is one ([semantic versioning](https://semver.org)). No tag has a `+`, and others write a
/// `_` for it.
pub(super) fn version_of(tag: &str) -> Option<String> {
    let bare = tag.strip_prefix('v').unwrap_or(tag).replace('_', "+");
    let core = bare.split(['-', '+']).next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (core.split('.').count() == 3 && core.split('.').all(is_number)).then_some(bare)
}

async fn pull(repository: &mut Repository, reference: &Reference, wanted: &Wanted) -> Result<Pulled, Failure> {
    let manifest = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => repository.manifest(digest).await?,
        (None, tag) => repository.tagged(tag.unwrap_or_default()).await?,
    };
    let manifest = manifest.ok_or_else(|| {
        Failure::new("there is nothing of that name").with_help("is the repository right, and may everybody read it?")
    })?;
    let digest = Digest::of(&manifest);
    let blob = component_of(&manifest).map_err(|error| malformed("the manifest", &error))?;
    let component = repository.blob("the component", &blob, COMPONENT_BYTES_MAX).await?;
    // Whoever signed it vouches for it before anything of it is compiled.
    let beside = match wanted {
        Wanted::None => Beside::default(),
        _ => Beside::list(repository, digest).await?,
    };
    let (signature, passed_over) = match wanted {
        Wanted::None => (None, None),
        Wanted::Any => beside.the_one(repository, digest).await?,
        Wanted::Of(key) => (Some(beside.verified(repository, digest, key, &component).await?), None),
    };
    let (component, look) = local::look(component).await?;
    Ok(Pulled { digest, component, look, signature, passed_over })
}

/// What stands beside a component, as its signatures. Whoever may write there may put anything there, so what is no signature
/// keeps nobody from the others.
#[derive(Default)]
struct Beside {
    entries: Vec<Result<Descriptor, ManifestError>>,
    /// Whether there are more, which nobody looks at.
    has_more: bool,
}

impl Beside {
    async fn list(repository: &mut Repository, subject: Digest) -> Result<Self, Failure> {
        let Listed { referrers, has_more } = repository.referrers(subject).await?;
        let mut entries: Vec<_> = referrers.signatures().take(SIGNATURES_MAX + 1).collect();
        let has_more = has_more || entries.len() > SIGNATURES_MAX;
        entries.truncate(SIGNATURES_MAX);
        Ok(Self { entries, has_more })
    }

    /// The only signature, if there is any; and what was passed over.
    async fn the_one(
        self,
        repository: &mut Repository,
        subject: Digest,
    ) -> Result<(Option<Signature>, Option<String>), Failure> {
        const HELP: &str = "`--public-key KEY` takes that of a key and verifies it; `--unsigned` takes none";

        if self.has_more {
            return Err(Failure::new(format!("it has more than {} signatures", self.entries.len())).with_help(HELP));
        }
        let (mut found, mut bad) = (Vec::new(), Bad::default());
        for entry in self.entries {
            match signature(repository, subject, entry).await {
                Ok(signature) => found.extend(signature),
                Err(failure) => bad.add(failure),
            }
        }
        if found.len() > 1 {
            let keys: Vec<_> = found.iter().map(|signature| format!("`{}`", signature.read.key())).collect();
            return Err(Failure::new(format!("it has {} signatures, of the keys {}", keys.len(), keys.join(", ")))
                .with_help(HELP));
        }
        Ok((found.pop(), bad.said()))
    }

    /// The first signature of this key and these bytes.
    async fn verified(
        self,
        repository: &mut Repository,
        subject: Digest,
        key: &SignerKey,
        component: &[u8],
    ) -> Result<Signature, Failure> {
        let (mut why, mut bad) = (None, Bad::default());
        let looked_at = self.entries.len();
        for entry in self.entries {
            let found = match signature(repository, subject, entry).await {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(failure) => {
                    bad.add(failure);
                    continue;
                }
            };
            match key.verify(component, &found.read) {
                Ok(()) => return Ok(found),
                // One of this key that is not good says more than one of another.
                Err(error) if found.read.key() == key.id() || why.is_none() => why = Some(error),
                Err(_) => {}
            }
        }
        let (why, help) = match why {
            Some(error) => (
                format!("its signature is refused: {error}"),
                "nothing was written; is it the key of whoever signs these policies?",
            ),
            None => (
                format!("it is not signed with the key `{}`: there is no signature beside it", key.id()),
                "nothing was written; `attorn policy publish --public-key` puts a signature there that verifies",
            ),
        };
        let more = self.has_more.then(|| format!("there are more than the {looked_at} that were looked at"));
        let message = [Some(why), bad.said(), more].into_iter().flatten().collect::<Vec<_>>().join("; ");
        Err(Failure::unverified(message).with_help(help))
    }
}

/// What was passed over, since it could not be read.
#[derive(Default)]
struct Bad {
    count: usize,
    first: Option<Failure>,
}

impl Bad {
    fn add(&mut self, failure: Failure) {
        self.count += 1;
        self.first.get_or_insert(failure);
    }

    fn said(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(format!("{} of what stands beside it as signatures could not be read: {}", self.count, first.message))
    }
}

/// The signature to which an entry leads; nothing if that is one of something else, or none.
async fn signature(
    repository: &mut Repository,
    subject: Digest,
    entry: Result<Descriptor, ManifestError>,
) -> Result<Option<Signature>, Failure> {
    let entry = entry.map_err(|error| malformed("the list of signatures", &error))?;
    if entry.bytes > MANIFEST_BYTES_MAX as u64 {
        return Ok(None);
    }
    let Some(manifest) = repository.manifest(entry.digest).await? else { return Ok(None) };
    let blob = signature_of(&manifest, subject).map_err(|error| malformed("the manifest of a signature", &error))?;
    let Some(blob) = blob else { return Ok(None) };
    let bytes = repository.blob("a signature", &blob, ComponentSignature::BYTES_MAX as u64).await?;
    let text = String::from_utf8(bytes).ok();
    Ok(text.and_then(|text| ComponentSignature::parse(&text).ok().map(|read| Signature { text, read })))
}

/// Each file is the old one or the new one, whole. The signature comes first: where the component is new, its signature is
/// there.
fn write(out: &Path, component: &[u8], beside: &Path, signature: Option<&Signature>) -> Result<(), Failure> {
    let put = |path: &Path, bytes: &[u8]| whole::write(path, bytes).map_err(|error| unwritable(path, &error));
    match signature {
        Some(signature) => put(beside, signature.text.as_bytes())?,
        None if beside.try_exists().unwrap_or(true) => {
            let message = format!("`{}` is there, and what was pulled has no signature", beside.display());
            return Err(Failure::new(message).with_help("it would be taken for that of this component: move it away"));
        }
        None => {}
    }
    put(out, component)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::file("write", path, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_are_no_versions_say_none() {
        for tag in ["latest", "1", "1.2", "1.2.3.4", "v", "1.2.x", "1..3", "2026-11-28", "stable-1.2.3", "vv1.2.3"] {
            assert_eq!(version_of(tag), None, "{tag}");
        }
        for (tag, version) in
            [("1.2.3", "1.2.3"), ("v1.2.3", "1.2.3"), ("1.2.3-rc.1", "1.2.3-rc.1"), ("1.2.3_build.7", "1.2.3+build.7")]
        {
            assert_eq!(version_of(tag).as_deref(), Some(version), "{tag}");
        }
    }
}
