//! The witnesses of the audit log that `attorn.toml` names, and how many of them are enough.

use attorn_log::{WitnessKey, WitnessPolicy};
use reqwest::Url;
use serde::Deserialize;

/// As many as find room under a checkpoint beside the log's own signature.
const WITNESSES_MAX: usize = 15;

/// The witnesses, and how many of them have to cosign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnesses {
    /// All of them; none if there are none.
    pub all: Vec<Witness>,
    /// How many are enough; 0 only if there are none.
    pub quorum: usize,
}

/// A witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Its key, with its name.
    pub key: WitnessKey,
    /// The URL that `add-checkpoint` stands below, with a final slash.
    pub url: Url,
}

/// As the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    key: String,
    url: String,
}

impl Witnesses {
    /// What a checkpoint has to have to be witnessed; none if there are no witnesses.
    #[must_use]
    pub fn policy(&self) -> Option<WitnessPolicy> {
        let keys: Vec<WitnessKey> = self.all.iter().map(|witness| witness.key.clone()).collect();
        (!keys.is_empty()).then(|| WitnessPolicy::quorum_of(self.quorum, &keys))
    }

    /// Read them; or which key of the file is wrong, and how.
    pub(super) fn of(files: &[File], quorum: i64) -> Result<Self, (&'static str, String)> {
        if files.len() > WITNESSES_MAX {
            return Err(("witness", format!("there are {}, and {WITNESSES_MAX} is the most", files.len())));
        }
        let mut all: Vec<Witness> = Vec::new();
        for file in files {
            let witness = file.witness().map_err(|problem| ("witness", problem))?;
            if all.iter().any(|other| other.key.name() == witness.key.name()) {
                return Err(("witness", format!("`{}` stands there twice", witness.key.name())));
            }
            all.push(witness);
        }
        let enough = usize::try_from(quorum).ok().filter(|quorum| *quorum <= all.len());
        match enough.filter(|quorum| (*quorum == 0) == all.is_empty()) {
            Some(quorum) => Ok(Self { all, quorum }),
            None if all.is_empty() => Err(("witness_quorum", "it means something only with a `[[witness]]`".into())),
            None => Err(("witness_quorum", format!("`{quorum}` is not between 1 and {}", all.len()))),
        }
    }
}

impl File {
    fn witness(&self) -> Result<Witness, String> {
        let key: WitnessKey = self.key.parse().map_err(|error| format!("`{}`: {error}", self.key))?;
        let url = if self.url.ends_with('/') { self.url.clone() } else { format!("{}/", self.url) };
        let fetched = Url::parse(&url).ok().filter(|url| {
            let loopback = super::is_loopback(url.host_str().unwrap_or_default());
            let plain = url.scheme() == "https" || (url.scheme() == "http" && loopback);
            plain
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        let Some(url) = fetched else {
            return Err(format!("`{}` is neither an https URL nor one of http on loopback", self.url));
        };
        Ok(Witness { key, url })
    }
}
