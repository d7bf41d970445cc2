//! The reasons that there are whatever the policies say.

use attorn_policy::ReasonDeclaration;

pub(crate) const ALLOWED: ReasonDeclaration = ReasonDeclaration::private("allowed", "a Rego rule allows it");
pub(crate) const DENIED: ReasonDeclaration = ReasonDeclaration::private("denied", "a Rego rule denies it");
pub(crate) const CHALLENGED: ReasonDeclaration =
    ReasonDeclaration::private("challenged", "a Rego rule asks for an approval");
pub(crate) const NOT_ALLOWED: ReasonDeclaration = ReasonDeclaration::public("not_allowed", "no Rego rule allows it");
pub(crate) const EVALUATION_FAILED: ReasonDeclaration =
    ReasonDeclaration::private("evaluation_failed", "the Rego policy could not be evaluated, which denies");
pub(crate) const MALFORMED_ANSWER: ReasonDeclaration =
    ReasonDeclaration::private("malformed_answer", "a Rego rule has a value that is no answer, which denies");
pub(crate) const FACT_MISSING: ReasonDeclaration =
    ReasonDeclaration::private("fact_missing", "a fact that the Rego policy reads is missing");
pub(crate) const CREDENTIAL_NOT_LISTED: ReasonDeclaration = ReasonDeclaration::public(
    "credential_not_listed",
    "this kind of credential can do more than what is decided, and the settings do not list it",
);

/// All of them.
pub(crate) const OURS: &[ReasonDeclaration] = &[
    ALLOWED,
    DENIED,
    CHALLENGED,
    NOT_ALLOWED,
    EVALUATION_FAILED,
    MALFORMED_ANSWER,
    FACT_MISSING,
    CREDENTIAL_NOT_LISTED,
];
