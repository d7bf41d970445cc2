//! What can be wrong with what a registry says.

use attorn_toolchain::oci::Digest;
use attorn_toolchain::oci::manifest::ManifestError;

use crate::failure::Failure;

/// What came is not what was asked for.
pub(super) fn unverified(message: impl Into<String>) -> Failure {
    Failure::unverified(message).with_help("nothing that came can be relied on, and nothing was kept")
}

/// The bytes, if they are those.
pub(super) fn same(what: &str, digest: Digest, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let came = Digest::of(&bytes);
    if came == digest {
        return Ok(bytes);
    }
    Err(unverified(format!("{what} that came is `{came}`, and not `{digest}`")))
}

/// There is a list where one artifact was looked for.
pub(super) fn several() -> Failure {
    Failure::new("what stands there is a list of artifacts, and not one").with_help("name one of them by its digest")
}

/// What came is no manifest of ours.
pub(crate) fn malformed(what: &str, error: &ManifestError) -> Failure {
    match error {
        ManifestError::List => several(),
        ManifestError::Malformed(_) => Failure::new(format!("{what} cannot be understood: {error}")),
        ManifestError::NotWasm(_) | ManifestError::TooLarge { .. } => {
            Failure::new(format!("what stands there is no policy: {error}"))
                .with_help("`attorn policy publish` and `wkg oci push` put components there")
        }
    }
}
