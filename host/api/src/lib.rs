//! JSON types and problem codes of Attorn's HTTP API, shared by server, command line and SDKs.
//!
//! Everything here is text as it goes over the wire: ids are strings, and who receives them parses
//! them into `attorn_core` types at once. Unknown members are refused. Times are milliseconds since
//! 1970-01-01T00:00:00Z, digests 64 lower-case hexadecimal digits.
//!
//! There is no HTTP here: no server, no client.

pub mod agents;
pub mod approvals;
pub mod audit;
pub mod backchannel;
pub mod clock;
pub mod decisions;
pub mod delegations;
pub mod facts;
pub mod grants;
pub mod json;
pub mod loads;
pub mod oauth;
pub mod operators;
pub mod policies;
pub mod policy_logs;
pub mod policy_signers;
pub mod problem;
pub mod provider_client_keys;
pub mod providers;
pub mod replays;
pub mod resource_servers;
pub mod simulations;
pub mod targets;
pub mod token_keys;
pub mod trust_domains;
pub mod users;
pub mod workload_issuers;

pub use problem::{Problem, ProblemCode};

/// The header that carries the proof of possession (RFC 9449).
pub const PROOF_HEADER: &str = "DPoP";

/// The header in which the server gives a nonce for the next proof (RFC 9449 section 8).
pub const NONCE_HEADER: &str = "DPoP-Nonce";

/// The header that makes a decision happen once however often it is asked for.
pub const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

/// The header of a request that goes through a proxy which says what it is for: the purpose, and `; delegation=…` and
/// `; session=…` where they belong. The proof signs it (`attorn_for`).
pub const FOR_HEADER: &str = "Attorn-For";
/// The header in which an agent lists the headers that it means to go on to a service, so that it is told of one that would
/// not: `if-match, accept-language`.
pub const HEADERS_HEADER: &str = "Attorn-Headers";

/// The header of an answer that came through a proxy which names the recorded decision.
pub const DECISION_HEADER: &str = "Attorn-Decision";

/// The header that names a request in the server's log, in problems and in answers.
pub const REQUEST_ID_HEADER: &str = "X-Request-ID";
