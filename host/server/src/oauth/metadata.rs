//! By what clients find the endpoints: authorization server metadata (RFC 8414) and protected resource
//! metadata (RFC 9728). The issuer is the configured public URL, byte by byte.

use std::sync::Arc;

use attorn_api::oauth::{ATTORN_ACTION, CLIENT_CREDENTIALS, TOKEN_EXCHANGE};
use serde_json::json;

use super::ciba::CIBA;
use crate::app::App;
use crate::config::Tls;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

pub(crate) const TOKEN: &str = "/oauth/token";
/// Where an agent asks that a user be asked.
pub(crate) const BC_AUTHORIZE: &str = "/bc-authorize";
pub(crate) const INTROSPECT: &str = "/oauth/introspect";
pub(crate) const REVOKE: &str = "/oauth/revoke";
pub(crate) const JWKS: &str = "/.well-known/jwks.json";
/// The keys with which this server is a client of providers.
pub(crate) const CLIENT_JWKS: &str = "/.well-known/client-jwks.json";

/// Of what clients and this server sign themselves. What is signed about a client has the algorithms of whoever signs.
const ALGORITHMS: [&str; 2] = ["ES256", "EdDSA"];
const METHODS: [&str; 1] = ["private_key_jwt"];
/// Agents may show a JWT-SVID instead; its algorithms are those of its trust domain. A workload's token has no name of
/// its own: it comes as `jwt-bearer`, as what is signed with `private_key_jwt` does, and its algorithms are those that
/// its issuer is registered with.
const AGENT_METHODS: [&str; 2] = ["private_key_jwt", "spiffe_jwt"];
/// Where connections end here, an X.509-SVID does as well (RFC 8705, section 2.1).
const AGENT_METHODS_OVER_TLS: [&str; 3] = ["private_key_jwt", "spiffe_jwt", "tls_client_auth"];

/// What this server is to those who get tokens from it.
pub(crate) async fn authorization_server(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let issuer = &app.config.public_url;
    let at = |path: &str| format!("{issuer}{path}");
    // Behind a proxy no certificate of a client's is seen.
    let sees_certificates = matches!(app.config.tls, Tls::Server { .. });
    let agent_methods: &[&str] = if sees_certificates { &AGENT_METHODS_OVER_TLS } else { &AGENT_METHODS };
    Reply::ok(&json!({
        "issuer": issuer,
        "token_endpoint": at(TOKEN),
        "introspection_endpoint": at(INTROSPECT),
        "revocation_endpoint": at(REVOKE),
        "jwks_uri": at(JWKS),
        // Nobody signs in here, so there is no authorization endpoint and nothing that it would answer.
        "response_types_supported": [],
        "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE, CIBA],
        "backchannel_authentication_endpoint": at(BC_AUTHORIZE),
        "backchannel_token_delivery_modes_supported": ["poll"],
        "backchannel_user_code_parameter_supported": false,
        "token_endpoint_auth_methods_supported": agent_methods,
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": METHODS,
        "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": agent_methods,
        "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "tls_client_certificate_bound_access_tokens": sees_certificates,
        "authorization_details_types_supported": [ATTORN_ACTION],
        "protected_resources": [issuer],
    }))
}

/// What this server is to those who call its own API.
pub(crate) async fn protected_resource(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let issuer = &app.config.public_url;
    Reply::ok(&json!({
        "resource": issuer,
        "authorization_servers": [issuer],
        "jwks_uri": format!("{issuer}{JWKS}"),
        "resource_name": "Attorn",
        // No token is taken in the ways of RFC 6750.
        "bearer_methods_supported": [],
        "authorization_details_types_supported": [ATTORN_ACTION],
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "dpop_bound_access_tokens_required": true,
    }))
}
