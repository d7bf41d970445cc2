//! `attorn policy publish`.

use std::path::PathBuf;

use attorn_toolchain::look::Look;
use attorn_toolchain::oci::manifest::{Artifact, of_component};
use attorn_toolchain::oci::signature::of_signature;
use attorn_toolchain::oci::{Digest, Reference};
use attorn_toolchain::{ComponentSignature, SignatureError, SignerKey};
use clap::Args;
use serde_json::{Value, json};

use super::local::{self, UNKNOWN};
use super::pull::version_of;
use super::{push, verify};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::registry::{self, AccessArgs, Listing, Repository, Scope};

/// Publish a policy's component in an OCI registry, with its signature, without a server. What no policy can be is refused, as
/// by `attorn policy inspect`.
#[derive(Debug, Args)]
#[command(
    after_help = "The component goes there as `wkg oci push` would put it, and `wkg oci pull` reads it; settings stay here. The tag is set last,
so it never leads to a component whose signature is still missing. The same component has the same digest whenever and
wherever it is published: give that to whoever pulls it. A tag that leads to another component is left there, unless
`--move-tag` is given.

Examples:
  attorn policy publish policy.wasm ghcr.io/acme/spend-limit:1.2.0
  attorn policy publish policy.wasm ghcr.io/acme/spend-limit:1.2.0 --public-key release.key.pub
  attorn policy publish policy.wasm ghcr.io/acme/spend-limit:1.2.0 --signature release.minisig --json
  attorn policy publish policy.wasm ghcr.io/acme/spend-limit:latest --move-tag
  attorn policy publish policy.wasm localhost:5000/spend-limit:1.2.0 --plain-http --username ci --password-file -

Ends with 0 if it is there, 1 if not, 2 if the reference or an argument means nothing, and 5 if the signature is none, of
another component or not of the key, or what the registry says of itself does not agree."
)]
pub(crate) struct Publish {
    /// The WebAssembly component
    file: PathBuf,
    /// Where it goes: registry, repository, tag
    #[arg(value_name = "REGISTRY/REPOSITORY:TAG", value_parser = registry::reference)]
    reference: Reference,
    #[command(flatten)]
    signature: push::Signature,
    /// Publish it only if this key signed it: the key itself, or a file that holds it
    #[arg(long, value_name = "KEY|FILE.pub", conflicts_with = "unsigned")]
    public_key: Option<String>,
    /// Have the tag lead here, also where it leads to another component: whoever pulls by it gets this one from then on
    #[arg(long)]
    move_tag: bool,
    #[command(flatten)]
    access: AccessArgs,
}

/// A tag, and where it may lead.
struct Tag {
    name: String,
    may_move: bool,
}

/// What came of it.
struct Published {
    digest: Digest,
    /// Where the tag led before, if that was elsewhere.
    moved_from: Option<Digest>,
    signature: Option<(Digest, Listing)>,
}

impl Publish {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let Self { file, reference, signature, public_key, move_tag, access } = self;
        let key = public_key.as_deref().map(verify::public_key).transpose()?;
        let tag = match (reference.tag(), reference.digest()) {
            (Some(tag), None) => Tag { name: tag.to_owned(), may_move: move_tag },
            _ => {
                return Err(Failure::usage(format!(
                    "`{reference}` is where something is, and not where something goes"
                ))
                .with_help("a tag and no digest: `ghcr.io/acme/spend-limit:1.2.0`"));
            }
        };
        let component = super::read_component(&file)?;
        let signature = signature.read(&file)?;
        let access = access.read()?;
        let mut repository = Repository::new(&reference, access, Scope::Push)?;
        let (component, look) = local::look(component).await?;
        let signed = signature.as_deref().map(|signature| fits(signature, &look)).transpose()?;
        if let Some(key) = &key {
            is_of(key, &component, signed.as_ref())?;
        }
        let failed = |error: serde_json::Error| Failure::of(&error);
        let artifact = of_component(&component, &look).map_err(failed)?;
        let beside = signature.map(|text| of_signature(&text, &artifact.manifest));
        let beside = beside.transpose().map_err(failed)?;
        let published = registry::interruptible(put(&mut repository, &tag, &artifact, beside)).await;
        let published = published.map_err(|failure| Failure {
            message: format!("`{reference}` is not published: {}", failure.message),
            ..failure
        })?;
        let at = reference.at(published.digest);
        let warning = other_version(&tag.name, &look.description.version);
        if output.json {
            let signed = signed.as_ref().map(|signed| (signed, key.is_some()));
            let mut wire = wire(&reference, &published, &look, signed);
            wire["warnings"] = warning.into_iter().collect();
            return output.json(&wire).map(|()| Exit::Done);
        }
        if let Some(warning) = warning {
            output.note(format!("warning: {warning}"));
        }
        output.line(format!("published {at}"));
        if let Some(before) = published.moved_from {
            output.line(format!("moved the tag `{}`, which led to {before} before", tag.name));
        }
        output.line(format!("component {}, {} bytes", look.digest, look.bytes));
        match signed {
            Some(signed) if key.is_some() => output.line(format!("verified: signed with the key {}", signed.key())),
            Some(signed) => {
                output.line(format!("signature of the key {}, as it says itself", signed.key()));
                output.note("nobody compared it with the component: `--public-key` does, before anything is sent");
            }
            None => output.note("it is not signed: `attorn policy sign` makes a signature, which goes with it"),
        }
        Ok(Exit::Done)
    }
}

/// A signature that may be this component's. Whose it is, is for those who have the key; that it was made before the
/// component was built anew, its comment says.
fn fits(text: &str, look: &Look) -> Result<ComponentSignature, Failure> {
    let signature = ComponentSignature::parse(text).map_err(|error| {
        let failure = Failure::unverified(format!("the signature cannot be published: {error}"));
        match error {
            SignatureError::Legacy => {
                failure.with_help("`attorn policy sign`, or `minisign -S` since 0.10, makes another")
            }
            _ => failure,
        }
    })?;
    let of = signature.trusted_comment().split('\t').find_map(|part| part.strip_prefix("blake3:"));
    match of {
        Some(of) if of != look.digest => {
            let message = format!("the signature says that it is of the component {of}, and this is {}", look.digest);
            Err(Failure::unverified(message)
                .with_help("`attorn policy sign` makes another; `--unsigned` publishes without one"))
        }
        _ => Ok(signature),
    }
}

/// That the key signed these very bytes.
fn is_of(key: &SignerKey, component: &[u8], signed: Option<&ComponentSignature>) -> Result<(), Failure> {
    let signed = signed.ok_or_else(|| {
        Failure::unverified(format!("it is not signed with the key `{}`: there is no signature", key.id()))
            .with_help("`attorn policy sign` makes one, and `--signature FILE` names one that stands elsewhere")
    })?;
    key.verify(component, signed).map_err(|error| {
        Failure::unverified(format!("its signature is refused: {error}"))
            .with_help("nothing was sent; is it the signature of these very bytes, and is it the key?")
    })
}

/// What is said of a tag that is a version, where the component says that it is of another.
fn other_version(tag: &str, version: &str) -> Option<String> {
    version_of(tag).filter(|tagged| version != UNKNOWN && tagged != version).map(|tagged| {
        format!(
            "the tag says `{tagged}`, and the component says that it is of the version `{version}`: that stands in the \
             policy's sources, and `attorn policy pull` warns, too"
        )
    })
}

/// Where a tag led before that is about to lead to this, if that is elsewhere.
async fn led_to(repository: &mut Repository, tag: &Tag, artifact: &Artifact) -> Result<Option<Digest>, Failure> {
    let name = &tag.name;
    let found = match repository.tagged(name).await {
        // Whatever stands there, somebody wants it moved.
        Err(_) if tag.may_move => None,
        found => found?,
    };
    match found.map(|manifest| Digest::of(&manifest)).filter(|before| *before != artifact.digest()) {
        Some(before) if !tag.may_move => Err(Failure::new(format!("the tag `{name}` leads to another one, {before}"))
            .with_help(
                "nothing was sent: name another tag, or give `--move-tag`: whoever pulls by the tag gets this one then",
            )),
        before => Ok(before),
    }
}

async fn put(
    repository: &mut Repository,
    tag: &Tag,
    artifact: &Artifact,
    signature: Option<Artifact>,
) -> Result<Published, Failure> {
    let moved_from = led_to(repository, tag, artifact).await?;
    repository.put(artifact).await?;
    let digest = artifact.digest();
    let signature = match signature {
        Some(signature) => Some((signature.digest(), repository.refer(&signature, digest).await?)),
        None => None,
    };
    repository.tag(&tag.name, artifact).await?;
    Ok(Published { digest, moved_from, signature })
}

fn wire(
    reference: &Reference,
    published: &Published,
    look: &Look,
    signed: Option<(&ComponentSignature, bool)>,
) -> Value {
    let signature = published.signature.zip(signed).map(|((digest, listing), (signed, is_verified))| {
        json!({
            "digest": digest.to_string(), "key": signed.key().to_string(), "verified": is_verified,
            "listed_by": match listing { Listing::Registry => "registry", Listing::Tag => "tag" },
        })
    });
    json!({
        "reference": reference.at(published.digest).to_string(), "tag": reference.tag(),
        "digest": published.digest.to_string(), "component": look.digest, "bytes": look.bytes, "signature": signature,
        "version": look.description.version, "moved_from": published.moved_from.map(|before| before.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_is_another_version_is_said() {
        for (tag, version) in [("1.2.0", "1.2.1"), ("v1.2.0", "1.3.0"), ("1.2.0-rc1", "1.2.0"), ("1.2.0", "draft")] {
            let said = other_version(tag, version).unwrap();
            assert!(said.starts_with("the tag says `1.2.0") && said.contains(&format!("`{version}`")), "{said}");
        }
        for (tag, version) in
            [("1.2.0", "1.2.0"), ("v1.2.0", "1.2.0"), ("1.2.0_x", "1.2.0+x"), ("latest", "1.2.0"), ("2", "1.2.0")]
        {
            assert_eq!(other_version(tag, version), None, "{tag} {version}");
        }
        assert_eq!(other_version("1.2.0", UNKNOWN), None);
    }
}
