//! The settings of a target that is called for agents, as they are stored. Its record is [`super::TargetRecord`].

use std::collections::BTreeSet;

use attorn_core::proxy::{PathTemplate, ProxyBody, ResourceTemplate};
use attorn_core::{Action, FieldName, ProxyMethod, ProxyOrigin, ProxyRoute, ProxySettings};
use serde::{Deserialize, Serialize};

use super::codec::Text;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProxyWire {
    origin: Text<ProxyOrigin>,
    tls_roots_pem: Option<String>,
    secret_header: Text<FieldName>,
    secret_prefix: String,
    routes: Vec<RouteWire>,
    request_headers: Vec<Text<FieldName>>,
    response_headers: Vec<Text<FieldName>>,
    request_bytes_max: u32,
    response_bytes_max: u64,
    head_ms_max: u64,
    idle_ms_max: u64,
    total_ms_max: u64,
    requests_max: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteWire {
    method: Text<ProxyMethod>,
    path: Text<PathTemplate>,
    action: Text<Action>,
    resource: Text<ResourceTemplate>,
    query: BTreeSet<String>,
    body: BodyWire,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BodyWire {
    None,
    Json,
    Bytes(String),
}

impl RouteWire {
    fn of(route: &ProxyRoute) -> Self {
        Self {
            method: Text(route.method),
            path: Text(route.path.clone()),
            action: Text(route.action.clone()),
            resource: Text(route.resource.clone()),
            query: route.query.clone(),
            body: match &route.body {
                ProxyBody::None => BodyWire::None,
                ProxyBody::Json => BodyWire::Json,
                ProxyBody::Bytes(media_type) => BodyWire::Bytes(media_type.to_string()),
            },
        }
    }

    fn route(self) -> ProxyRoute {
        ProxyRoute {
            method: self.method.0,
            path: self.path.0,
            action: self.action.0,
            resource: self.resource.0,
            query: self.query,
            body: match self.body {
                BodyWire::None => ProxyBody::None,
                BodyWire::Json => ProxyBody::Json,
                BodyWire::Bytes(media_type) => ProxyBody::Bytes(media_type.into()),
            },
        }
    }
}

impl ProxyWire {
    pub(super) fn of(settings: &ProxySettings) -> Self {
        let names = |names: &BTreeSet<FieldName>| names.iter().cloned().map(Text).collect();
        Self {
            origin: Text(settings.origin.clone()),
            tls_roots_pem: settings.tls_roots_pem.clone(),
            secret_header: Text(settings.secret_header.clone()),
            secret_prefix: settings.secret_prefix.clone(),
            routes: settings.routes.iter().map(RouteWire::of).collect(),
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

    pub(super) fn settings(self) -> ProxySettings {
        let names = |names: Vec<Text<FieldName>>| names.into_iter().map(|name| name.0).collect();
        ProxySettings {
            origin: self.origin.0,
            tls_roots_pem: self.tls_roots_pem,
            secret_header: self.secret_header.0,
            secret_prefix: self.secret_prefix,
            routes: self.routes.into_iter().map(RouteWire::route).collect(),
            request_headers: names(self.request_headers),
            response_headers: names(self.response_headers),
            request_bytes_max: self.request_bytes_max,
            response_bytes_max: self.response_bytes_max,
            head_ms_max: self.head_ms_max,
            idle_ms_max: self.idle_ms_max,
            total_ms_max: self.total_ms_max,
            requests_max: self.requests_max,
        }
    }
}
