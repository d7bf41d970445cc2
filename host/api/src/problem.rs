//! Problems (RFC 9457): how every error of the API looks.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::decisions::{ApprovalReference, ApprovalRequirement, Reason};

/// The media type of a problem.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// An error of the API. No decision was made and nothing was changed, unless it names a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:attorn:problem:` and the code.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// What kind of problem it is, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code: clients match on it.
    pub code: ProblemCode,
    /// What is wrong here, for people.
    pub detail: String,
    /// What to do about it, where there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Names the request in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Names the recorded decision, where there is one: `dec_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<String>,
    /// Why it was decided so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Who has to approve, where it was a challenge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<ApprovalRequirement>,
    /// The approval that it waits for, where it was a challenge. When somebody has said yes, send the same again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalReference>,
}

macro_rules! problem_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// The stable code of a problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[$doc])* $variant,)*
        }

        impl ProblemCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What kind of problem it is, for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

problem_codes! {
    /// The body is no JSON of the right shape.
    InvalidBody = "invalid_body", 400, "The body is not what this endpoint takes";
    /// A field has the right type, and a value that cannot be.
    InvalidField = "invalid_field", 422, "A field has a value that cannot be";
    /// A query parameter cannot be read.
    InvalidQuery = "invalid_query", 400, "The query is not what this endpoint takes";
    /// The body is over the limit.
    BodyTooLarge = "body_too_large", 413, "The body is too large";
    /// The media type is another.
    UnsupportedMediaType = "unsupported_media_type", 415, "The body has another media type";
    /// No proof came with the request.
    ProofMissing = "proof_missing", 401, "A proof of possession is needed";
    /// The proof is not one, or not of this request.
    ProofInvalid = "proof_invalid", 401, "The proof of possession does not prove this request";
    /// The proof carries no nonce of this run of the server; try again with the one in `DPoP-Nonce`.
    UseDpopNonce = "use_dpop_nonce", 401, "The proof needs the server's nonce";
    /// The proof has been accepted before.
    ProofReplayed = "proof_replayed", 401, "The proof has been used before";
    /// The key is not registered.
    UnknownKey = "unknown_key", 401, "The key is not registered";
    /// The key is registered, and has expired.
    KeyExpired = "key_expired", 401, "The key has expired";
    /// The client certificate is no X.509-SVID that its trust domain vouches for.
    CertificateInvalid = "certificate_invalid", 401, "The client certificate is refused";
    /// The identity that the client certificate shows is not registered, or not to be shown so.
    UnknownIdentity = "unknown_identity", 401, "The identity is not registered";
    /// No operator's token, or one that is none.
    Unauthenticated = "unauthenticated", 401, "An operator's token is needed";
    /// No user's token, or one that is none for this.
    UserUnauthenticated = "user_unauthenticated", 401, "A user's token is needed";
    /// The operator does not have the duty.
    MissingDuty = "missing_duty", 403, "The operator lacks the duty for this";
    /// Nobody approves what they ask for themselves.
    OwnRequest = "own_request", 403, "Nobody approves their own request";
    /// There is no such thing, or it is not yours.
    NotFound = "not_found", 404, "There is no such thing";
    /// The user was erased: what was kept of them can be read by nobody any more.
    UserErased = "user_erased", 410, "The user was erased";
    /// There is no such route.
    NoSuchRoute = "no_such_route", 404, "There is no such route";
    /// The route has no such method.
    MethodNotAllowed = "method_not_allowed", 405, "This route has no such method";
    /// The id is taken; ids are never used again.
    AlreadyExists = "already_exists", 409, "It exists already";
    /// It is not in a state that allows this.
    InvalidState = "invalid_state", 409, "It is in another state";
    /// The key is registered, for this or another holder.
    KeyTaken = "key_taken", 409, "The key is registered already";
    /// The identity is registered, for this or another agent.
    IdentityTaken = "identity_taken", 409, "The identity is registered already";
    /// The resource type belongs to another resource server.
    ResourceTypeTaken = "resource_type_taken", 409, "The resource type belongs to another resource server";
    /// The same idempotency key came with another request.
    IdempotencyConflict = "idempotency_conflict", 409, "The idempotency key was used for another request";
    /// It changed meanwhile, again and again.
    Contention = "contention", 503, "What this depends on keeps changing";
    /// All uses of the grant are spent.
    GrantSpent = "grant_spent", 409, "The grant's uses are spent";
    /// The grant has ended: it expired, or was revoked, or what it hangs on was.
    GrantInactive = "grant_inactive", 409, "The grant is not active any more";
    /// The use does not agree with the grant.
    GrantMismatch = "grant_mismatch", 409, "The use is not what the grant is for";
    /// An operator has stopped everything.
    Frozen = "frozen", 403, "The server is frozen";
    /// A user's token cannot be exchanged by this agent.
    SubjectTokenRefused = "subject_token_refused", 403, "The token cannot be exchanged";
    /// The user did not consent to this.
    ConsentMissing = "consent_missing", 403, "The user did not consent to this";
    /// What the user did since they signed in makes it count no more.
    LoginNeeded = "login_needed", 403, "The user has to sign in again";
    /// The delegation, or what it hangs on, has ended.
    DelegationInactive = "delegation_inactive", 409, "The delegation is not active any more";
    /// The agent has made so many of the user's delegations that no more are kept.
    TooManyDelegations = "too_many_delegations", 409, "The agent has made too many delegations of the user's";
    /// No target makes a credential of this kind for this action and resource type.
    NoTarget = "no_target", 422, "No target makes this credential";
    /// The target cannot make a credential now.
    TargetUnavailable = "target_unavailable", 503, "The target makes no credential now";
    /// The target makes no credential before an operator has mended something.
    TargetMisconfigured = "target_misconfigured", 503, "The target makes no credential before it is mended";
    /// The resource type is tied to another target.
    TargetTypeTaken = "target_type_taken", 409, "The resource type is tied to another target";
    /// The path, or another part of what is to go on, could be read in two ways.
    InvalidPath = "invalid_path", 400, "The path is not one that goes on";
    /// It was decided that the agent may not.
    Denied = "denied", 403, "This is denied";
    /// It was decided that the agent may, with an approval.
    ApprovalNeeded = "approval_needed", 403, "This needs an approval";
    /// The request was sent on, and what came back is no answer.
    UpstreamFailed = "upstream_failed", 502, "The target gave no answer that can be passed on";
    /// The request was sent on, and no answer came in time.
    UpstreamTimeout = "upstream_timeout", 504, "The target did not answer in time";
    /// The vote names another digest than that of what is asked.
    ApprovalMismatch = "approval_mismatch", 409, "The vote is on something else than what is asked";
    /// The component cannot be a policy.
    ComponentRejected = "component_rejected", 422, "The component cannot be used as a policy";
    /// Components have to be signed, and no signature came.
    SignatureMissing = "signature_missing", 422, "The component is not signed";
    /// The signature is not of this component, or of nobody whose signature counts.
    SignatureRefused = "signature_refused", 422, "The component's signature is refused";
    /// Somebody cancelled making the policy ready.
    LoadCancelled = "load_cancelled", 409, "Making the policy ready was cancelled";
    /// The policy's `init` refused the settings.
    SettingsRejected = "settings_rejected", 422, "The policy refuses its settings";
    /// Too many proofs or requests of one caller.
    TooManyRequests = "too_many_requests", 429, "Too many requests";
    /// The queue is full; nothing was decided.
    Busy = "busy", 503, "The server is busy";
    /// The server does not serve now, and says why at `/readyz`.
    NotReady = "not_ready", 503, "The server is not ready";
    /// It took too long.
    Timeout = "timeout", 503, "The request took too long";
    /// What was asked for of the audit log is not what was signed, or is gone: a file of it was altered or damaged.
    LogDamaged = "log_damaged", 500, "A part of the audit log is damaged";
    /// The record of a decision is lost for good, which an operator accepted; its entry tells what it can.
    RecordLost = "record_lost", 410, "The record is lost, which was accepted";
    /// The server failed; its log says why, under the request id.
    Internal = "internal", 500, "The server failed";
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ProblemCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ProblemCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| serde::de::Error::custom(format_args!("`{text}` is no problem code")))
    }
}

impl JsonSchema for ProblemCode {
    fn schema_name() -> Cow<'static, str> {
        "ProblemCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes: Vec<&str> = Self::ALL.iter().map(|code| code.as_str()).collect();
        json_schema!({ "type": "string", "enum": codes })
    }
}

impl Problem {
    /// A problem of this code.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            type_uri: format!("urn:attorn:problem:{code}"),
            title: code.title().into(),
            status: code.status(),
            code,
            detail: detail.into(),
            help: None,
            request_id: None,
            decision_id: None,
            reasons: Vec::new(),
            approvers: Vec::new(),
            approval: None,
        }
    }

    /// The same, with a way out.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_comes_back_from_its_text() {
        for code in ProblemCode::ALL {
            let text = serde_json::to_string(code).unwrap();
            assert_eq!(serde_json::from_str::<ProblemCode>(&text).unwrap(), *code);
            assert_eq!(ProblemCode::ALL.iter().filter(|other| other.as_str() == code.as_str()).count(), 1);
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn a_problem_is_what_rfc_9457_says() {
        let problem = Problem::new(ProblemCode::NotFound, "no agent `x`").with_help("`attorn agent list`");
        let expect = r#"{"type":"urn:attorn:problem:not_found","title":"There is no such thing","status":404,"code":"not_found","detail":"no agent `x`","help":"`attorn agent list`"}"#;
        assert_eq!(serde_json::to_string(&problem).unwrap(), expect);
    }
}
