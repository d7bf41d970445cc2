//! Whose cosignatures a checkpoint has to have: a witness policy (`c2sp.org/tlog-policy`).
//!
//! ```text
//! witness <name> <key> [<url>]
//! group <name> <all, any or a number> <names of witnesses and groups>
//! quorum <name, or none>
//! ```
//!
//! A line that begins with `#` is a comment. Lines about logs are read and say nothing here: which log is trusted
//! is said by its key. Names are defined before they are used, so a policy cannot turn in circles.

use std::str::FromStr;

use crate::checkpoint::SignedCheckpoint;
use crate::note::SIGNATURES_MAX;
use crate::reference::decimal;
use crate::witness::{Cosignature, CosignatureError, WitnessKey};

/// How many lines a policy has at most.
const LINES_MAX: usize = 256;

/// A witness policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessPolicy {
    members: Vec<(Box<str>, Member)>,
    /// The place of what must hold among the members; none if nothing has to.
    quorum: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    Witness(Box<WitnessKey>),
    /// So many of those at these places, all of which are before its own.
    Group {
        threshold: usize,
        of: Vec<usize>,
    },
}

/// Who cosigned a checkpoint that a policy is content with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// The witness's name and its cosignature.
    pub by: Vec<(String, Cosignature)>,
}

/// Why a text is no witness policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is too long.
    #[error("the witness policy has more than {} bytes or {LINES_MAX} lines", WitnessPolicy::BYTES_MAX)]
    TooLong,
    /// A line cannot be read.
    #[error("line {line} of the witness policy: {problem}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// It has no line `quorum`.
    #[error("the witness policy has no line `quorum`")]
    NoQuorum,
}

/// Why a checkpoint does not have the cosignatures that a policy asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// A cosignature is wrong.
    #[error("the cosignature of the witness `{witness}` is wrong")]
    Bad {
        /// Whose.
        witness: String,
        /// What is wrong.
        #[source]
        source: CosignatureError,
    },
    /// There are too few.
    #[error("the witness policy is not met: the checkpoint is cosigned by {}, and it needs {needed}", names(.by))]
    NotMet {
        /// Who did.
        by: Vec<String>,
        /// Who has to, in words.
        needed: String,
    },
}

fn names(by: &[String]) -> String {
    if by.is_empty() { "nobody of it".to_owned() } else { format!("{} of it (`{}`)", by.len(), by.join("`, `")) }
}

impl WitnessPolicy {
    /// The longest policy, in bytes.
    pub const BYTES_MAX: usize = 64 << 10;

    /// So many of these witnesses.
    #[must_use]
    pub fn quorum_of(threshold: usize, witnesses: &[WitnessKey]) -> Self {
        let members = witnesses.iter().map(|key| (key.name().into(), Member::Witness(Box::new(key.clone()))));
        let mut members: Vec<_> = members.collect();
        let of = (0..members.len()).collect();
        members.push(("quorum".into(), Member::Group { threshold, of }));
        Self { quorum: Some(members.len() - 1), members }
    }

    /// Whether a checkpoint has the cosignatures that this asks for.
    pub fn check(&self, checkpoint: &SignedCheckpoint) -> Result<Witnessed, QuorumError> {
        let mut by = Vec::new();
        let mut met = Vec::with_capacity(self.members.len());
        for (name, member) in &self.members {
            met.push(match member {
                Member::Witness(key) => {
                    let found =
                        key.find(checkpoint).map_err(|source| QuorumError::Bad { witness: (**name).into(), source });
                    let found = found?;
                    let is = found.is_some();
                    by.extend(found.map(|cosignature| (key.name().to_owned(), cosignature)));
                    is
                }
                Member::Group { threshold, of } => of.iter().filter(|at| met[**at]).count() >= *threshold,
            });
        }
        match self.quorum {
            Some(at) if !met[at] => {
                let by = by.into_iter().map(|(name, _)| name).collect();
                Err(QuorumError::NotMet { by, needed: self.needed(at) })
            }
            _ => Ok(Witnessed { by }),
        }
    }

    /// What has to hold at this place, in words.
    fn needed(&self, at: usize) -> String {
        match &self.members[at] {
            (name, Member::Witness(_)) => format!("`{name}`"),
            (_, Member::Group { threshold, of }) => {
                let names: Vec<_> = of.iter().map(|at| &*self.members[*at].0).collect();
                format!("{threshold} of `{}`", names.join("`, `"))
            }
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|(known, _)| &**known == name)
    }

    fn add(&mut self, name: &str, member: Member) -> Result<(), String> {
        if name == "none" || self.place(name).is_some() {
            return Err(format!("the name `{}` is taken", name.escape_default()));
        }
        if let Member::Witness(key) = &member
            && self.members.iter().any(|(_, other)| *other == Member::Witness(key.clone()))
        {
            return Err("that witness is there under another name".into());
        }
        self.members.push((name.into(), member));
        Ok(())
    }

    fn group(&self, threshold: &str, of: &[&str]) -> Result<Member, String> {
        let place = |name: &&str| self.place(name).ok_or_else(|| format!("`{}` is not known", name.escape_default()));
        let mut of: Vec<usize> = of.iter().map(place).collect::<Result<_, _>>()?;
        let len = of.len();
        of.sort_unstable();
        of.dedup();
        if of.len() < len {
            return Err("a member stands twice in the group".into());
        }
        let threshold = match threshold {
            "any" => Some(1),
            "all" => Some(len),
            number => decimal(number).and_then(|number| usize::try_from(number).ok()),
        };
        let threshold = threshold.filter(|threshold| (1..=len).contains(threshold));
        Ok(Member::Group { threshold: threshold.ok_or("so many members are not in the group")?, of })
    }
}

impl FromStr for WitnessPolicy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        if text.len() > Self::BYTES_MAX || text.lines().count() > LINES_MAX {
            return Err(PolicyError::TooLong);
        }
        let mut policy = Self { members: Vec::new(), quorum: None };
        let mut quorum = None;
        for (at, line) in text.lines().enumerate() {
            let fail = |problem: String| PolicyError::Line { line: at + 1, problem };
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match &words[..] {
                [] | ["log", _] | ["log", _, _] => {}
                [first, ..] if first.starts_with('#') => {}
                ["witness", name, key] | ["witness", name, key, _] => {
                    let key = key.parse().map_err(|error: crate::KeyError| fail(error.to_string()))?;
                    policy.add(name, Member::Witness(Box::new(key))).map_err(fail)?;
                }
                ["group", name, threshold, of @ ..] => {
                    let group = policy.group(threshold, of).map_err(&fail)?;
                    policy.add(name, group).map_err(fail)?;
                }
                ["quorum", name] if quorum.is_none() => {
                    let place = policy.place(name);
                    if place.is_none() && *name != "none" {
                        return Err(fail(format!("`{}` is not known", name.escape_default())));
                    }
                    quorum = Some(place);
                }
                _ => {
                    return Err(fail(
                        "it is none of `witness`, `group`, `quorum` and `log`, each as it should be".into(),
                    ));
                }
            }
        }
        let witnesses = policy.members.iter().filter(|(_, member)| matches!(member, Member::Witness(_))).count();
        if witnesses >= SIGNATURES_MAX {
            let problem = format!("there are more than {} witnesses", SIGNATURES_MAX - 1);
            return Err(PolicyError::Line { line: text.lines().count(), problem });
        }
        policy.quorum = quorum.ok_or(PolicyError::NoQuorum)?;
        Ok(policy)
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
