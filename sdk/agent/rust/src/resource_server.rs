//! For services that accept credentials: reporting uses and effects of grants, and saying what is so of their
//! own resources.
//!
//! Checking a credential needs the server's public keys and nothing of this. Reporting is for services
//! that want every use counted by the server, and its effect in the audit log.

use std::fmt;

use attorn_api::facts::{DeleteFacts, FactsDeleted, FactsSet, SetFacts};
use attorn_api::grants::{EffectRecorded, GrantUse, ReportEffect, UseGrant};
use serde::Serialize;

use crate::error::Error;
use crate::key::AgentKey;
use crate::request::to_text;
use crate::transport::{TIMEOUT, Transport};

/// A resource server's connection to the server, under the key that it is registered with.
pub struct ResourceServerClient {
    transport: Transport,
}

impl ResourceServerClient {
    /// Report to the server at this URL with this key.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] if it is no URL, or plain HTTP beyond loopback.
    pub fn new(url: &str, key: AgentKey) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new(url.parse()?, key.into(), TIMEOUT)? })
    }

    /// Count a use of a grant, before acting on it. Act only when this is `Ok`.
    ///
    /// # Errors
    ///
    /// [`Error::Problem`] if the grant is spent, has ended, or is for something else.
    pub async fn use_grant(&self, grant_id: &str, intended: &UseGrant) -> Result<GrantUse, Error> {
        self.post(grant_id, "uses", intended).await
    }

    /// Say what came of a use.
    ///
    /// # Errors
    ///
    /// [`Error::Problem`] if there was no such use, or its effect was reported already.
    pub async fn report_effect(&self, grant_id: &str, report: &ReportEffect) -> Result<EffectRecorded, Error> {
        self.post(grant_id, "effect", report).await
    }

    /// Say that these are so, all of them or none. Their names begin with `resource/` and one of this service's
    /// types. A body has 32 KiB at most, which is about 7 of the longest values.
    ///
    /// # Errors
    ///
    /// [`Error::Problem`] if one of them is about something else, has no right form, or was set by an operator,
    /// whose word stands.
    pub async fn set_facts(&self, facts: &SetFacts) -> Result<FactsSet, Error> {
        let body = to_text("facts", facts)?.into_bytes();
        self.transport.post("/v1/resource-facts", body, None).await
    }

    /// Forget these facts about this service's own resources. A name under which nothing stands is no error,
    /// and the answer names it.
    ///
    /// # Errors
    ///
    /// As for [`Self::set_facts`].
    pub async fn delete_facts(&self, names: &DeleteFacts) -> Result<FactsDeleted, Error> {
        let body = to_text("names", names)?.into_bytes();
        self.transport.post("/v1/resource-facts/delete", body, None).await
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        grant_id: &str,
        what: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        // It comes out of a token, and goes into a path.
        if grant_id.is_empty() || !grant_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            let value = grant_id.escape_debug().take(64).collect();
            return Err(Error::Unsendable { what: "grant id", value });
        }
        let body = to_text("body", body)?.into_bytes();
        self.transport.post(&format!("/v1/grants/{grant_id}/{what}"), body, None).await
    }
}

impl fmt::Debug for ResourceServerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authentication = self.transport.authentication();
        f.debug_struct("ResourceServerClient").field("authentication", authentication).finish_non_exhaustive()
    }
}
