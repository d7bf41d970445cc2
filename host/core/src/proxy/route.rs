//! What a method and a path come to: which action on which resource, and what else the request may bring.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::path::{ProxyPath, is_allowed};
use super::segments::Segments;
use crate::id::ParseError;
use crate::permission::{Action, Resource, ResourceType};

/// The methods that are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyMethod {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl ProxyMethod {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl FromStr for ProxyMethod {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const HELP: &str = "`GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`";
        let found = Self::ALL.iter().copied().find(|method| method.as_str() == text);
        found.ok_or_else(|| ParseError::new("method", text, "it is not one that is called", HELP))
    }
}

impl fmt::Display for ProxyMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which bodies a route takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyBody {
    /// None.
    None,
    /// JSON, whole in the arguments and sent in its canonical form.
    Json,
    /// Bytes of this media type, of which the arguments have the digest.
    Bytes(Box<str>),
}

/// One row: what a method and a path come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyRoute {
    /// Of which method.
    pub method: ProxyMethod,
    /// Of which paths.
    pub path: PathTemplate,
    /// What it is.
    pub action: Action,
    /// To what it is done.
    pub resource: ResourceTemplate,
    /// The names that its query may have.
    pub query: BTreeSet<String>,
    /// Which body it takes.
    pub body: ProxyBody,
}

impl ProxyRoute {
    /// The resource of this path, if the row is for it. The inner error is a path whose parts can name no resource.
    #[must_use]
    pub fn resource(&self, method: ProxyMethod, path: &ProxyPath) -> Option<Result<Resource, ParseError>> {
        let captured = if self.method == method { self.path.captured(path)? } else { return None };
        Some(self.resource.filled(&captured))
    }
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    /// Itself.
    Literal(Box<str>),
    /// Any one segment of this kind, called so.
    Named(Box<str>, Segments),
}

impl Part {
    /// None comes first: what stands there as it is.
    fn rank(&self) -> (Option<Segments>, &str) {
        match self {
            Self::Literal(literal) => (None, literal),
            Self::Named(_, kind) => (Some(*kind), ""),
        }
    }
}

/// A path in which `{name}` stands for one segment: `/v2/invoices/{id}`, `/v2/invoices/{id:digits}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathTemplate(Vec<Part>);

/// A resource in which `{name}` stands for that segment of the path: `invoice/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceTemplate {
    resource_type: ResourceType,
    parts: Vec<Part>,
}

const PATH: &str = "path template";
const PATH_HELP: &str = "segments as paths have them, or `{name}` for one whole segment, also `{name:digits}`, \
                         `{name:uuid}` or `{name:slug}`: `/v2/invoices/{id:digits}`";
const RESOURCE: &str = "resource template";
const RESOURCE_HELP: &str = "a resource with `{name}` where the path has it: `invoice/{id}`";

fn part(text: &str) -> Result<Part, &'static str> {
    let Some(rest) = text.strip_prefix('{') else { return Ok(Part::Literal(text.into())) };
    let inner = rest.strip_suffix('}').ok_or("`{name}` stands for a whole segment")?;
    let (name, suffix) = inner.split_at(inner.find(':').unwrap_or(inner.len()));
    let kind = Segments::ALL.into_iter().find(|kind| kind.suffix() == suffix);
    let kind = kind.ok_or("what a name stands for is `digits`, `uuid` or `slug`, or is not said")?;
    let good = (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if good { Ok(Part::Named(name.into(), kind)) } else { Err("a name has 1 to 32 lower-case letters and `_`") }
}

impl PathTemplate {
    /// The segments that the names stand for, if it is such a path.
    fn captured<'a>(&'a self, path: &'a ProxyPath) -> Option<Vec<(&'a str, &'a str)>> {
        let segments = path.segments();
        if segments.len() != self.0.len() {
            return None;
        }
        let mut captured = Vec::new();
        for (part, segment) in self.0.iter().zip(segments) {
            match part {
                Part::Literal(literal) if **literal == *segment => {}
                Part::Named(name, kind) if kind.has(segment) => captured.push((&**name, segment)),
                Part::Literal(_) | Part::Named(..) => return None,
            }
        }
        Some(captured)
    }

    /// What it is for, segment by segment. Of two templates that fit a path, the lesser one counts; two that are equal
    /// fit the same paths.
    pub(super) fn rank(&self) -> Vec<(Option<Segments>, &str)> {
        self.0.iter().map(Part::rank).collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| if let Part::Named(name, _) = part { Some(&**name) } else { None })
    }
}

impl FromStr for PathTemplate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |problem: &str| ParseError::new(PATH, text, problem, PATH_HELP);
        let rest = text.strip_prefix('/').ok_or_else(|| fail("it does not begin with `/`"))?;
        let parts = rest.split('/').map(part).collect::<Result<Vec<_>, _>>().map_err(fail)?;
        let harmless = |part: &Part| match part {
            Part::Literal(text) => !matches!(&**text, "" | "." | "..") && text.bytes().all(is_allowed),
            Part::Named(..) => true,
        };
        if text.len() > ProxyPath::BYTES_MAX || parts.len() > ProxyPath::SEGMENTS_MAX || !parts.iter().all(harmless) {
            return Err(fail("no path is ever so"));
        }
        let template = Self(parts);
        let distinct: BTreeSet<_> = template.names().collect();
        if distinct.len() < template.names().count() {
            return Err(fail("a name stands twice"));
        }
        Ok(template)
    }
}

impl ResourceTemplate {
    /// The type of the resources.
    #[must_use]
    pub const fn resource_type(&self) -> &ResourceType {
        &self.resource_type
    }

    /// The names that the path does not have, if there are any.
    pub fn unknown<'a>(&'a self, path: &'a PathTemplate) -> impl Iterator<Item = &'a str> {
        let named = |part: &'a Part| if let Part::Named(name, _) = part { Some(&**name) } else { None };
        self.parts.iter().filter_map(named).filter(|name| path.names().all(|known| known != *name))
    }

    fn filled(&self, captured: &[(&str, &str)]) -> Result<Resource, ParseError> {
        let mut text = self.resource_type.to_string();
        for part in &self.parts {
            text.push('/');
            text.push_str(match part {
                Part::Literal(literal) => literal,
                Part::Named(name, _) => captured.iter().find(|(known, _)| *known == &**name).map_or("", |(_, is)| is),
            });
        }
        text.parse()
    }
}

impl FromStr for ResourceTemplate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |problem: &str| ParseError::new(RESOURCE, text, problem, RESOURCE_HELP);
        let (resource_type, rest) = text.split_once('/').ok_or_else(|| fail("it has no `/`"))?;
        let resource_type = resource_type.parse().map_err(|_| fail("it does not begin with a type"))?;
        let parts = rest.split('/').map(part).collect::<Result<Vec<_>, _>>().map_err(fail)?;
        let typed = |part: &Part| matches!(part, Part::Named(_, kind) if *kind != Segments::Any);
        if parts.iter().any(typed) {
            return Err(fail("what a name stands for is said in the path"));
        }
        let template = Self { resource_type, parts };
        let names: Vec<_> = template
            .parts
            .iter()
            .filter_map(|part| if let Part::Named(name, _) = part { Some((&**name, "x")) } else { None })
            .collect();
        template.filled(&names).map_err(|_| fail("no resource is ever so"))?;
        Ok(template)
    }
}

fn write_part(part: &Part, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match part {
        Part::Literal(literal) => write!(f, "/{literal}"),
        Part::Named(name, kind) => write!(f, "/{{{name}{}}}", kind.suffix()),
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| write_part(part, f))
    }
}

impl fmt::Display for ResourceTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.resource_type)?;
        self.parts.iter().try_for_each(|part| write_part(part, f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, resource: &str) -> ProxyRoute {
        ProxyRoute {
            method: ProxyMethod::Get,
            path: path.parse().unwrap(),
            action: "invoice.read".parse().unwrap(),
            resource: resource.parse().unwrap(),
            query: BTreeSet::new(),
            body: ProxyBody::None,
        }
    }

    #[test]
    fn a_path_names_its_resource() {
        let row = route("/v2/customers/{customer}/invoices/{id}", "invoice/{customer}/{id}");
        let resource = |method, path: &str| row.resource(method, &path.parse().unwrap());
        let found = resource(ProxyMethod::Get, "/v2/customers/7/invoices/42").unwrap().unwrap();
        assert_eq!(found.to_string(), "invoice/7/42");
        assert!(resource(ProxyMethod::Head, "/v2/customers/7/invoices/42").is_none());
        for other in ["/v2/customers/7/invoices", "/v2/customers/7/invoices/42/x", "/v3/customers/7/invoices/42", "/v2"]
        {
            assert!(resource(ProxyMethod::Get, other).is_none(), "{other}");
        }
        // No resource is called so: it is refused, not taken for another.
        assert!(resource(ProxyMethod::Get, "/v2/customers/a$b/invoices/42").unwrap().is_err());
        let fixed = route("/v2/invoices", "invoice/all");
        let found = fixed.resource(ProxyMethod::Get, &"/v2/invoices".parse().unwrap());
        assert_eq!(found.unwrap().unwrap().to_string(), "invoice/all");
    }

    #[test]
    fn a_name_stands_for_what_it_says() {
        for (kind, good, bad) in [
            ("digits", &["0", "42"][..], &["042", "+42", "42.", "x", "4-2", "٤٢"][..]),
            (
                "uuid",
                &["0190d3a8-5b7c-7e3f-8a21-0123456789ab"],
                &["0190D3A8-5b7c-7e3f-8a21-0123456789ab", "0190d3a85b7c7e3f8a210123456789ab", "-", "a-b-c-d-e"],
            ),
            ("slug", &["alice", "a-b2", "7"], &["Alice", "-a", "a-", "a--b", "a.b", "a_b"]),
        ] {
            let row = route(&format!("/{{id:{kind}}}"), "invoice/{id}");
            let fits = |segment: &str| match format!("/{segment}").parse() {
                Ok(path) => row.resource(ProxyMethod::Get, &path).is_some(),
                Err(_) => false,
            };
            assert!(good.iter().all(|segment| fits(segment)), "{kind}");
            assert_eq!(bad.iter().find(|segment| fits(segment)), None, "{kind}");
        }
    }

    #[test]
    fn templates_are_shown_as_they_came_and_bad_ones_are_refused() {
        for text in ["/v2/invoices/{id}", "/{a}/{b_c}", "/x", "/{a:digits}/{b:uuid}/{c:slug}"] {
            assert_eq!(text.parse::<PathTemplate>().unwrap().to_string(), text);
        }
        for (text, problem) in [
            ("v2", "it does not begin with `/`"),
            ("/", "no path is ever so"),
            ("/a//b", "no path is ever so"),
            ("/a/../b", "no path is ever so"),
            ("/a b", "no path is ever so"),
            ("/a%20b", "no path is ever so"),
            ("/a;b", "no path is ever so"),
            ("/a{id}", "no path is ever so"),
            ("/{id}x", "`{name}` stands for a whole segment"),
            ("/{}", "a name has 1 to 32 lower-case letters and `_`"),
            ("/{Id}", "a name has 1 to 32 lower-case letters and `_`"),
            ("/{id}/{id}", "a name stands twice"),
            ("/{id:digits}/{id}", "a name stands twice"),
            ("/{id:number}", "what a name stands for is `digits`, `uuid` or `slug`, or is not said"),
            ("/{id:}", "what a name stands for is `digits`, `uuid` or `slug`, or is not said"),
        ] {
            let error = text.parse::<PathTemplate>().unwrap_err();
            assert!(error.to_string().ends_with(problem), "{error}");
        }
        for text in ["invoice/{id}", "invoice/a/{id}"] {
            assert_eq!(text.parse::<ResourceTemplate>().unwrap().to_string(), text);
        }
        for (text, problem) in [
            ("invoice", "it has no `/`"),
            ("{type}/1", "it does not begin with a type"),
            ("invoice/", "no resource is ever so"),
            ("invoice/{id", "`{name}` stands for a whole segment"),
            ("invoice/..", "no resource is ever so"),
            ("invoice/{id:digits}", "what a name stands for is said in the path"),
        ] {
            let error = text.parse::<ResourceTemplate>().unwrap_err();
            assert!(error.to_string().ends_with(problem), "{error}");
        }
        let (path, resource) = (route("/a/{id}", "invoice/{id}/{other}").path, "invoice/{id}/{other}");
        let resource: ResourceTemplate = resource.parse().unwrap();
        assert_eq!(resource.unknown(&path).collect::<Vec<_>>(), ["other"]);
    }
}
