//! The reasons that there are whatever the policies say.

use attorn_policy::ReasonDeclaration;

pub(crate) const PERMITTED: ReasonDeclaration =
    ReasonDeclaration::private("permitted", "a Cedar policy that has no code of its own permits it");
pub(crate) const FORBIDDEN: ReasonDeclaration =
    ReasonDeclaration::private("forbidden", "a Cedar policy that has no code of its own forbids it");
pub(crate) const NO_PERMIT: ReasonDeclaration = ReasonDeclaration::public("no_permit", "no Cedar policy permits it");
pub(crate) const FORBID_FAILED: ReasonDeclaration = ReasonDeclaration::private(
    "forbid_failed",
    "a Cedar policy that may forbid it could not be evaluated, which denies",
);
pub(crate) const PERMIT_FAILED: ReasonDeclaration = ReasonDeclaration::private(
    "permit_failed",
    "a Cedar policy that may permit it could not be evaluated, and counts for nothing",
);
pub(crate) const NO_USER: ReasonDeclaration =
    ReasonDeclaration::public("no_user", "this is only for agents that act for a user");
pub(crate) const RESOURCE_TYPE_NOT_MAPPED: ReasonDeclaration =
    ReasonDeclaration::public("resource_type_not_mapped", "the type of the resource has no name in Cedar");
pub(crate) const NOT_REPRESENTABLE: ReasonDeclaration =
    ReasonDeclaration::public("not_representable", "the request holds a value that Cedar does not have");
pub(crate) const OUTSIDE_SCHEMA: ReasonDeclaration =
    ReasonDeclaration::private("outside_schema", "the request is none that the Cedar schema knows");
pub(crate) const FACT_MISSING: ReasonDeclaration =
    ReasonDeclaration::private("fact_missing", "a fact that the entities are taken from is missing");
pub(crate) const CREDENTIAL_NOT_LISTED: ReasonDeclaration = ReasonDeclaration::public(
    "credential_not_listed",
    "this kind of credential can do more than what is decided, and the settings do not list it",
);

/// All of them.
pub(crate) const OURS: &[ReasonDeclaration] = &[
    PERMITTED,
    FORBIDDEN,
    NO_PERMIT,
    FORBID_FAILED,
    PERMIT_FAILED,
    NO_USER,
    RESOURCE_TYPE_NOT_MAPPED,
    NOT_REPRESENTABLE,
    OUTSIDE_SCHEMA,
    FACT_MISSING,
    CREDENTIAL_NOT_LISTED,
];
