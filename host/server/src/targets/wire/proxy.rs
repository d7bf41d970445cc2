//! The settings of a service that is called, as the API has them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use attorn_api::ProblemCode;
use attorn_api::targets as api;
use attorn_broker::tls::roots;
use attorn_core::proxy::{ProxyBody, ProxyOrigin};
use attorn_core::{FieldName, ProxyRoute, ProxySettings, ResourceType};

use crate::http::failure::Failure;
use crate::registry::count;
use crate::targets::wire::literal;

/// The settings, checked. What the rows name is what is tied to the target, and this server listens there.
pub(crate) fn settings(
    wire: &api::Proxy,
    types: &BTreeSet<ResourceType>,
    own: SocketAddr,
) -> Result<ProxySettings, Failure> {
    let refused = |problem: String| Failure::of(ProblemCode::InvalidField, problem);
    count("routes", wire.routes.len(), 1, ProxySettings::ROUTES_MAX)?;
    let settings = ProxySettings {
        origin: wire.origin.parse()?,
        tls_roots_pem: wire.tls_roots_pem.clone(),
        secret_header: wire.secret_header.parse()?,
        secret_prefix: wire.secret_prefix.clone(),
        routes: wire.routes.iter().map(route).collect::<Result<_, _>>()?,
        request_headers: names(&wire.request_headers)?,
        response_headers: names(&wire.response_headers)?,
        request_bytes_max: wire.request_bytes_max,
        response_bytes_max: wire.response_bytes_max,
        head_ms_max: wire.head_ms_max,
        idle_ms_max: wire.idle_ms_max,
        total_ms_max: wire.total_ms_max,
        requests_max: wire.requests_max,
    };
    settings.check().map_err(refused)?;
    let ProxyOrigin { is_https, host, port } = &settings.origin;
    literal(host.as_str(), *port, (*is_https, own)).map_err(|why| refused(format!("`origin` {why}")))?;
    if let Some(other) = settings.resource_types().find(|named| !types.contains(named)) {
        return Err(refused(format!("a row names the resource type `{other}`, which is not the target's")));
    }
    if let Some(pem) = &settings.tls_roots_pem {
        roots(pem).map_err(|problem| refused(format!("`tls_roots_pem`: {problem}")))?;
    }
    Ok(settings)
}

fn route(wire: &api::ProxyRoute) -> Result<ProxyRoute, Failure> {
    count("query", wire.query.len(), 0, ProxySettings::NAMES_MAX)?;
    Ok(ProxyRoute {
        method: wire.method.parse()?,
        path: wire.path.parse()?,
        action: wire.action.parse()?,
        resource: wire.resource.parse()?,
        query: wire.query.iter().cloned().collect(),
        body: match wire.body.as_deref() {
            None => ProxyBody::None,
            Some("json") => ProxyBody::Json,
            Some(media_type) => ProxyBody::Bytes(media_type.into()),
        },
    })
}

fn names(names: &[String]) -> Result<BTreeSet<FieldName>, Failure> {
    count("headers", names.len(), 0, ProxySettings::NAMES_MAX)?;
    names.iter().map(|name| name.parse().map_err(Failure::from)).collect()
}

pub(crate) fn shown(settings: &ProxySettings) -> api::Proxy {
    let names = |names: &BTreeSet<FieldName>| names.iter().map(ToString::to_string).collect();
    let route = |route: &ProxyRoute| api::ProxyRoute {
        method: route.method.to_string(),
        path: route.path.to_string(),
        action: route.action.to_string(),
        resource: route.resource.to_string(),
        query: route.query.iter().cloned().collect(),
        body: match &route.body {
            ProxyBody::None => None,
            ProxyBody::Json => Some("json".into()),
            ProxyBody::Bytes(media_type) => Some(media_type.to_string()),
        },
    };
    api::Proxy {
        origin: settings.origin.to_string(),
        tls_roots_pem: settings.tls_roots_pem.clone(),
        secret_header: settings.secret_header.to_string(),
        secret_prefix: settings.secret_prefix.clone(),
        routes: settings.routes.iter().map(route).collect(),
        request_headers: names(&settings.request_headers),
        response_headers: names(&settings.response_headers),
        request_bytes_max: settings.request_bytes_max,
        response_bytes_max: settings.response_bytes_max,
        head_ms_max: settings.head_ms_max,
        idle_ms_max: settings.idle_ms_max,
        total_ms_max: settings.total_ms_max,
        requests_max: settings.requests_max,
    }
}
