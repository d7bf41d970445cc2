//! A target for tests of this module.

use std::collections::BTreeSet;

use attorn_core::ProxySettings;

/// The settings of a service at this origin, with no rows.
pub(crate) fn settings(origin: &str) -> ProxySettings {
    ProxySettings {
        origin: origin.parse().unwrap(),
        tls_roots_pem: None,
        secret_header: "authorization".parse().unwrap(),
        secret_prefix: "Bearer ".into(),
        routes: Vec::new(),
        request_headers: BTreeSet::new(),
        response_headers: BTreeSet::new(),
        request_bytes_max: 1,
        response_bytes_max: 1,
        head_ms_max: 1,
        idle_ms_max: 1,
        total_ms_max: 1,
        requests_max: 1,
    }
}
