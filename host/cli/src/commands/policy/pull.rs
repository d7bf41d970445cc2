//! `attorn policy pull`.

use std::path::{Path, PathBuf};

use attorn_toolchain::look::Look;
use attorn_toolchain::oci::manifest::{COMPONENT_BYTES_MAX, MANIFEST_BYTES_MAX, component_of};
use attorn_toolchain::oci::signature::signature_of;
use attorn_toolchain::oci::{Digest, Reference};
use attorn_toolchain::{ComponentSignature, SignerKey};
use clap::Args;
use serde_json::json;

use super::{new_key, publish, verify};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::registry::{self, AccessArgs, Repository, Scope, malformed};
use crate::whole;

/// The most signatures of a component that are looked at.
const SIGNATURES_MAX: usize = 16;

/// Pull a policy's component from an OCI registry, with its signature, without a server. What no policy can be is refused, as
/// by `attorn policy inspect`, and then nothing is written.
#[derive(Debug, Args)]
#[command(
    after_help = "A tag leads where whoever may write to the registry wants it to; a digest to the same bytes for ever, and a signature
that you verify to what its signer made, wherever it comes from.

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
        let mut repository = Repository::new(&reference, access.read()?, Scope::Pull)?;
        let pulled = registry::interruptible(pull(&mut repository, &reference, &wanted)).await.map_err(|failure| {
            Failure { message: format!("`{reference}` is not pulled: {}", failure.message), ..failure }
        })?;
        let Pulled { digest, component, look, signature } = pulled;
        let beside = new_key::beside(&out, "minisig");
        write(&out, &component, &beside, signature.as_ref())?;
        let is_verified = matches!(wanted, Wanted::Of(_));
        let at = reference.at(digest).to_string();
        if output.json {
            let signature = signature.as_ref().map(|Signature { read, .. }| {
                json!({ "file": beside.display().to_string(), "key": read.key().to_string(), "verified": is_verified })
            });
            let wire = json!({
                "reference": at, "digest": digest.to_string(), "component": look.digest, "bytes": look.bytes,
                "name": look.description.name, "version": look.description.version, "world": look.world,
                "file": out.display().to_string(), "signature": signature,
            });
            return output.json(&wire).map(|()| Exit::Done);
        }
        output.line(format!("pulled {at}"));
        output.line(format!("component {}, {} bytes: {}", look.digest, look.bytes, out.display()));
        match &signature {
            Some(signature) if is_verified => {
                output.line(format!("verified: signed with the key {}: {}", signature.read.key(), beside.display()));
            }
            Some(signature) => {
                output.line(format!(
                    "signature of the key {}, as it says itself: {}",
                    signature.read.key(),
                    beside.display()
                ));
                output.note("nobody verified it: `attorn policy verify`, or `--public-key`");
            }
            None => output.line("no signature"),
        }
        Ok(Exit::Done)
    }
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
    let signature = match wanted {
        Wanted::None => None,
        Wanted::Any => the_one(signatures(repository, digest).await?)?,
        Wanted::Of(key) => Some(verified(signatures(repository, digest).await?, key, &component)?),
    };
    let (component, look) = publish::looked_at(component).await?;
    Ok(Pulled { digest, component, look, signature })
}

/// All signatures that stand beside it. What is none is passed over: whoever may write there may put anything there.
async fn signatures(repository: &mut Repository, subject: Digest) -> Result<Vec<Signature>, Failure> {
    let listed = repository.referrers(subject).await?.signatures();
    let listed = listed.map_err(|error| malformed("the list of signatures", &error))?;
    if listed.len() > SIGNATURES_MAX {
        return Err(Failure::new(format!("it has {} signatures, more than {SIGNATURES_MAX}", listed.len()))
            .with_help("`--unsigned` pulls it without one"));
    }
    let mut found = Vec::new();
    for entry in listed {
        if entry.bytes > MANIFEST_BYTES_MAX as u64 {
            continue;
        }
        let Some(manifest) = repository.manifest(entry.digest).await? else { continue };
        let blob =
            signature_of(&manifest, subject).map_err(|error| malformed("the manifest of a signature", &error))?;
        let Some(blob) = blob else { continue };
        let bytes = repository.blob("a signature", &blob, ComponentSignature::BYTES_MAX as u64).await?;
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(read) = ComponentSignature::parse(&text)
        {
            found.push(Signature { text, read });
        }
    }
    Ok(found)
}

/// The only signature, if there is any.
fn the_one(mut found: Vec<Signature>) -> Result<Option<Signature>, Failure> {
    if found.len() > 1 {
        let keys: Vec<_> = found.iter().map(|signature| format!("`{}`", signature.read.key())).collect();
        return Err(Failure::new(format!("it has {} signatures, of the keys {}", keys.len(), keys.join(", ")))
            .with_help("`--public-key KEY` takes that of a key and verifies it; `--unsigned` takes none"));
    }
    Ok(found.pop())
}

/// The signature of this key.
fn verified(found: Vec<Signature>, key: &SignerKey, component: &[u8]) -> Result<Signature, Failure> {
    let refused = |message: String| Failure { exit: Exit::VerificationFailed, ..Failure::new(message) };
    let mut why = None;
    for signature in found {
        match key.verify(component, &signature.read) {
            Ok(()) => return Ok(signature),
            // One of this key that is not good says more than one of another.
            Err(error) if signature.read.key() == key.id() || why.is_none() => why = Some(error),
            Err(_) => {}
        }
    }
    Err(match why {
        Some(error) => refused(format!("its signature is refused: {error}"))
            .with_help("nothing was written; is it the key of whoever signs these policies?"),
        None => refused(format!("it is not signed with the key `{}`: there is no signature beside it", key.id()))
            .with_help("nothing was written; without `--public-key` it is pulled as it is"),
    })
}

/// Each file is the old one or the new one, whole. The signature comes first: where the component is new, its signature is
/// there.
fn write(out: &Path, component: &[u8], beside: &Path, signature: Option<&Signature>) -> Result<(), Failure> {
    match signature {
        Some(signature) => whole::write(beside, signature.text.as_bytes())?,
        None if beside.try_exists().unwrap_or(true) => {
            let message = format!("`{}` is there, and what was pulled has no signature", beside.display());
            return Err(Failure::new(message).with_help("it would be taken for that of this component: move it away"));
        }
        None => {}
    }
    whole::write(out, component)
}
