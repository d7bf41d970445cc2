//! What is registered about a service that is called for agents, apart from its secret.

use std::collections::BTreeSet;

use super::origin::ProxyOrigin;
use super::path::ProxyPath;
use super::route::{ProxyBody, ProxyMethod, ProxyRoute};
use crate::id::{FieldName, ParseError};
use crate::permission::{Action, Resource, ResourceType};

/// A service that is called for agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySettings {
    /// Where it answers.
    pub origin: ProxyOrigin,
    /// Certificates in PEM by which its own is verified; without them, those that the machine trusts.
    pub tls_roots_pem: Option<String>,
    /// The header that carries the secret.
    pub secret_header: FieldName,
    /// What stands before the secret there: `Bearer `.
    pub secret_prefix: String,
    /// What is called. Of rows that fit, the one counts that says more of the path, whatever their order.
    pub routes: Vec<ProxyRoute>,
    /// The headers of a request that go on, beside the body's media type.
    pub request_headers: BTreeSet<FieldName>,
    /// The headers of an answer that are passed on, beside those that always are.
    pub response_headers: BTreeSet<FieldName>,
    /// The most bytes of a request's body.
    pub request_bytes_max: u32,
    /// The most bytes of an answer's body.
    pub response_bytes_max: u64,
    /// How long the service may take until its answer begins, in milliseconds.
    pub head_ms_max: u64,
    /// How long an answer may pause, in milliseconds.
    pub idle_ms_max: u64,
    /// How long a request may take in all, in milliseconds.
    pub total_ms_max: u64,
    /// How many requests it is sent at once.
    pub requests_max: u32,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched<'a> {
    /// The row that is for it.
    pub route: &'a ProxyRoute,
    /// What is done.
    pub action: &'a Action,
    /// To what.
    pub resource: Resource,
}

impl ProxySettings {
    /// The most rows.
    pub const ROUTES_MAX: usize = 64;
    /// The most bytes of all rows together: they stand in one record.
    pub const ROUTES_BYTES_MAX: usize = 12 << 10;
    /// The most names in a list.
    pub const NAMES_MAX: usize = 32;
    /// The most bytes of certificates.
    pub const ROOTS_BYTES_MAX: usize = 32 << 10;
    /// The most bytes of a request's body. It is read before it is known who sends it.
    pub const REQUEST_BYTES_MAX: u32 = 32 << 10;
    /// The most bytes of an answer's body: 1 GiB.
    pub const RESPONSE_BYTES_MAX: u64 = 1 << 30;
    /// The longest until an answer begins: less than a request may take here.
    pub const HEAD_MS_MAX: u64 = 20_000;
    /// The longest pause.
    pub const IDLE_MS_MAX: u64 = 60_000;
    /// The longest in all: a quarter of an hour.
    pub const TOTAL_MS_MAX: u64 = 15 * 60 * 1000;
    /// The most requests at once.
    pub const REQUESTS_MAX: u32 = 256;
    /// The most bytes before the secret.
    const PREFIX_BYTES_MAX: usize = 64;

    /// What a method and a path come to; nothing if no row is for them.
    ///
    /// # Errors
    ///
    /// A path of a row whose parts can name no resource.
    pub fn matched(&self, method: ProxyMethod, path: &ProxyPath) -> Result<Option<Matched<'_>>, ParseError> {
        let fits = |route: &ProxyRoute| route.resource(method, path).is_some();
        let found = self.routes.iter().filter(|route| fits(route)).min_by_key(|route| route.path.rank());
        let found = found.and_then(|route| Some((route, route.resource(method, path)?)));
        found.map(|(route, resource)| Ok(Matched { route, action: &route.action, resource: resource? })).transpose()
    }

    /// What is wrong with it, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the member.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, have: u64, most: u64| match have {
            0 => Err(format!("`{name}` is at least 1")),
            have if have > most => Err(format!("`{name}` is {have}, and {most} is the most")),
            _ => Ok(()),
        };
        within("request_bytes_max", self.request_bytes_max.into(), Self::REQUEST_BYTES_MAX.into())?;
        within("response_bytes_max", self.response_bytes_max, Self::RESPONSE_BYTES_MAX)?;
        within("head_ms_max", self.head_ms_max, Self::HEAD_MS_MAX)?;
        within("idle_ms_max", self.idle_ms_max, Self::IDLE_MS_MAX)?;
        within("total_ms_max", self.total_ms_max, Self::TOTAL_MS_MAX)?;
        within("requests_max", self.requests_max.into(), Self::REQUESTS_MAX.into())?;
        within("routes", self.routes.len() as u64, Self::ROUTES_MAX as u64)?;
        if let Some(roots) = &self.tls_roots_pem {
            within("tls_roots_pem", roots.len() as u64, Self::ROOTS_BYTES_MAX as u64)?;
            if !self.origin.is_https {
                return Err("`tls_roots_pem` is for an origin that speaks TLS".into());
            }
        }
        self.check_headers()?;
        self.routes.iter().try_for_each(check_route)?;
        let bytes: usize = self.routes.iter().map(bytes).sum();
        within("routes", bytes as u64, Self::ROUTES_BYTES_MAX as u64).map_err(|problem| format!("{problem} bytes"))?;
        self.check_distinct()
    }

    /// No two rows are for the same: only one of them would ever count.
    fn check_distinct(&self) -> Result<(), String> {
        for (at, route) in self.routes.iter().enumerate() {
            let same = |other: &&ProxyRoute| other.method == route.method && other.path.rank() == route.path.rank();
            if let Some(before) = self.routes[..at].iter().find(same) {
                let (method, path) = (route.method, &route.path);
                return Err(format!("`{method} {path}` is for the same as `{method} {}`", before.path));
            }
        }
        Ok(())
    }

    fn check_headers(&self) -> Result<(), String> {
        let header = self.secret_header.as_str();
        if !may_hold_a_secret(header) {
            return Err(format!("`secret_header` may not be `{header}`"));
        }
        let visible = |b: u8| b == b' ' || b.is_ascii_graphic();
        if self.secret_prefix.len() > Self::PREFIX_BYTES_MAX || !self.secret_prefix.bytes().all(visible) {
            return Err(format!("`secret_prefix` has visible ASCII characters, {} at most", Self::PREFIX_BYTES_MAX));
        }
        let lists = [("request_headers", &self.request_headers), ("response_headers", &self.response_headers)];
        for (name, list) in lists {
            if list.len() > Self::NAMES_MAX {
                return Err(format!("`{name}` is {}, and {} is the most", list.len(), Self::NAMES_MAX));
            }
            if let Some(bad) = list.iter().find(|field| !may_pass(field.as_str()) || **field == self.secret_header) {
                return Err(format!("`{name}` may not have `{bad}`"));
            }
        }
        Ok(())
    }

    /// The types of all resources that its rows name.
    pub fn resource_types(&self) -> impl Iterator<Item = &ResourceType> {
        self.routes.iter().map(|route| route.resource.resource_type())
    }
}

fn check_route(route: &ProxyRoute) -> Result<(), String> {
    let row = format!("{} {}", route.method, route.path);
    if let Some(name) = route.resource.unknown(&route.path).next() {
        return Err(format!("the resource of `{row}` has `{{{name}}}`, and its path has not"));
    }
    if route.query.len() > ProxySettings::NAMES_MAX || !route.query.iter().all(|name| super::ProxyQuery::is_name(name))
    {
        return Err(format!(
            "the query of `{row}` has {} names at most, of letters, digits and `-_.[]`",
            ProxySettings::NAMES_MAX
        ));
    }
    let bodiless = matches!(route.method, ProxyMethod::Get | ProxyMethod::Head);
    match &route.body {
        ProxyBody::None => Ok(()),
        // Servers differ in what they make of it (RFC 9110, section 9.3.1).
        _ if bodiless => Err(format!("`{row}` can have no body")),
        ProxyBody::Json => Ok(()),
        ProxyBody::Bytes(media_type) if is_media_type(media_type) => Ok(()),
        ProxyBody::Bytes(media_type) => {
            Err(format!("`{}` of `{row}` is no media type, or that of JSON", media_type.escape_default()))
        }
    }
}

fn bytes(route: &ProxyRoute) -> usize {
    let query: usize = route.query.iter().map(String::len).sum();
    route.path.to_string().len() + route.action.as_str().len() + route.resource.to_string().len() + query + 64
}

/// `type/subtype`, without parameters. JSON is read and not only hashed.
fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.+_".contains(&b))
    };
    let parts = text.split_once('/');
    text.len() <= 64 && parts.is_some_and(|(kind, sub)| token(kind) && token(sub) && sub != "json")
}

/// What says how a message is framed, where it goes, who sends it, or how it is called: never anybody's but ours.
const OURS: [&str; 27] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "dpop",
    "dpop-nonce",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "www-authenticate",
    "x-http-method-override",
    "x-method-override",
    "x-request-id",
];

/// Prefixes of such.
const OURS_UNDER: [&str; 8] =
    ["attorn-", "proxy-", "sec-", "x-forwarded-", "x-original-", "x-rewrite-", "x-http-method", "access-control-"];

/// Whether a header may be passed on, either way.
fn may_pass(name: &str) -> bool {
    name != "authorization" && may_hold_a_secret(name)
}

fn may_hold_a_secret(name: &str) -> bool {
    !OURS.contains(&name) && !OURS_UNDER.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
