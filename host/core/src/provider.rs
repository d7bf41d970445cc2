//! What operators record about `OpenID` providers: how tokens are signed, how they name the agent, and what
//! scopes and `authorization_details` (RFC 9396) come to.
//!
//! What a mapping does not name gives nothing. Nothing here reads tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::id::{DetailName, ParseError, Purpose};
use crate::permission::{ActionPattern, Permission, Resource, ResourcePattern};

macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The one of this name; none if there is none.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// How a provider may sign (RFC 7518, RFC 8037). There is no other: none is symmetric.
    IssuerAlgorithm {
        /// RSA, PKCS#1 v1.5, SHA-256.
        Rs256 = "RS256",
        /// RSA, PKCS#1 v1.5, SHA-384.
        Rs384 = "RS384",
        /// RSA, PKCS#1 v1.5, SHA-512.
        Rs512 = "RS512",
        /// RSA, PSS, SHA-256.
        Ps256 = "PS256",
        /// RSA, PSS, SHA-384.
        Ps384 = "PS384",
        /// RSA, PSS, SHA-512.
        Ps512 = "PS512",
        /// ECDSA on P-256.
        Es256 = "ES256",
        /// ECDSA on P-384.
        Es384 = "ES384",
        /// Ed25519.
        EdDsa = "EdDSA",
    }
}

impl FromStr for IssuerAlgorithm {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const HELP: &str = "one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA";
        Self::from_name(text).ok_or_else(|| ParseError::new("algorithm", text, "there is none of that name", HELP))
    }
}

named! {
    /// What the header of a provider's access tokens says in `typ`.
    ProviderTokenType {
        /// Always `at+jwt`, as RFC 9068 wants it.
        AtJwt = "at+jwt",
        /// `JWT`, nothing, or `at+jwt`: ID tokens are then told apart by their claims.
        Jwt = "jwt",
    }
}

named! {
    /// Which claim names the agent. It only names it: what was consented to is said by scopes and details.
    AgentNaming {
        /// `sub` in `may_act` (RFC 8693, section 4.4).
        MayAct = "may_act",
        /// `sub` in `act` (RFC 8693, section 4.1).
        Act = "act",
        /// `client_id` (RFC 8693, section 4.3).
        ClientId = "client_id",
        /// `azp`.
        Azp = "azp",
    }
}

/// What a scope comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentMapping {
    /// What for; 1 to 16.
    pub purposes: BTreeSet<Purpose>,
    /// What may be done; 1 to 64.
    pub permissions: Vec<Permission>,
}

/// What elements of one type of `authorization_details` come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetailMapping {
    /// What for; 1 to 16.
    pub purposes: BTreeSet<Purpose>,
    /// What the provider's names of actions mean; 1 to 64.
    pub actions: BTreeMap<DetailName, ActionPattern>,
    /// What stands before the `identifier`.
    pub resource_prefix: ResourcePrefix,
}

impl DetailMapping {
    /// What may be done where the action of this name was consented to, with this `identifier`; without one, to
    /// all that begins with the prefix.
    ///
    /// # Errors
    ///
    /// Why it comes to nothing.
    pub fn permission(&self, action: &str, identifier: Option<&str>) -> Result<Permission, String> {
        let named = action.parse::<DetailName>().ok().and_then(|name| self.actions.get(&name));
        let action = named.ok_or_else(|| format!("the action `{}` is not mapped", shown(action)))?.clone();
        let resource = match identifier {
            None => self.resource_prefix.all(),
            Some(identifier) => self.resource_prefix.one(identifier),
        };
        let resource = resource.map_err(|error| format!("its `identifier` names no resource: {error}"))?;
        Ok(Permission { action, resource })
    }
}

/// What the resources of a type of details begin with: whole segments and the `/` after them, as in `account/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourcePrefix(Box<str>);

impl ResourcePrefix {
    /// It as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All that begins so.
    fn all(&self) -> Result<ResourcePattern, ParseError> {
        format!("{}*", self.0).parse()
    }

    /// The one resource that goes on with this; never more than one.
    fn one(&self, identifier: &str) -> Result<ResourcePattern, ParseError> {
        format!("{}{identifier}", self.0).parse::<Resource>()?.as_str().parse()
    }
}

impl FromStr for ResourcePrefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const WHAT: &str = "resource prefix";
        const HELP: &str = "a resource type, perhaps more segments, and `/`: `account/`";
        if !text.ends_with('/') {
            return Err(ParseError::new(WHAT, text, "it does not end in `/`", HELP));
        }
        match format!("{text}*").parse::<ResourcePattern>() {
            Ok(_) => Ok(Self(text.into())),
            Err(_) => Err(ParseError::new(WHAT, text, "what stands before the last `/` are no segments", HELP)),
        }
    }
}

impl fmt::Display for ResourcePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a user consented to for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// What for.
    pub purpose: Purpose,
    /// What may be done, sorted.
    pub permissions: Vec<Permission>,
}

/// What a token's scopes and details come to, put together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consents {
    by_purpose: BTreeMap<Purpose, BTreeSet<Permission>>,
    unmapped: Vec<String>,
    unmapped_more: usize,
}

impl Consents {
    /// The most purposes of one token.
    pub const PURPOSES_MAX: usize = 64;
    /// The most permissions for one of them.
    pub const PERMISSIONS_MAX: usize = 256;
    /// The most bytes of their patterns: a delegation's record keeps all of them as evidence.
    pub const BYTES_MAX: usize = 24 << 10;
    /// How many things that come to nothing are said one by one.
    pub const UNMAPPED_MAX: usize = 64;

    /// This may be done for each of these purposes.
    pub fn add(&mut self, purposes: &BTreeSet<Purpose>, permissions: &[Permission]) {
        for purpose in purposes {
            self.by_purpose.entry(purpose.clone()).or_default().extend(permissions.iter().cloned());
        }
    }

    /// This comes to nothing, and why.
    pub fn nothing(&mut self, why: String) {
        if self.unmapped.len() < Self::UNMAPPED_MAX {
            self.unmapped.push(why);
        } else {
            self.unmapped_more += 1;
        }
    }

    /// Whether there is more than one token may hold.
    #[must_use]
    pub fn too_many(&self) -> bool {
        let bytes =
            |permission: &Permission| permission.action.to_string().len() + permission.resource.to_string().len();
        self.by_purpose.len() > Self::PURPOSES_MAX
            || self.by_purpose.values().any(|permissions| {
                permissions.len() > Self::PERMISSIONS_MAX
                    || permissions.iter().map(bytes).sum::<usize>() > Self::BYTES_MAX
            })
    }

    /// What was consented to, and what came to nothing.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Consent>, Vec<String>) {
        let consent = |(purpose, permissions): (Purpose, BTreeSet<Permission>)| Consent {
            purpose,
            permissions: permissions.into_iter().collect(),
        };
        let mut unmapped = self.unmapped;
        if self.unmapped_more > 0 {
            unmapped.push(format!("and {} more", self.unmapped_more));
        }
        (self.by_purpose.into_iter().map(consent).collect(), unmapped)
    }
}

/// At most 64 characters of what somebody else wrote, none of which drives a terminal.
#[must_use]
pub fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    let mut shown: String = text.chars().take(CHARS_MAX).flat_map(char::escape_default).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
