//! The `OpenAPI` 3.1 document, made from the table of routes.

use axum::http::Method;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::http::route::{Access, Content, HTML, Route};
use crate::queries;

/// The document that describes these routes.
pub(crate) fn document(routes: &[Route]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = SchemaGenerator::new(settings);
    let problem = generator.subschema_for::<attorn_api::Problem>().to_value();
    let oauth = generator.subschema_for::<attorn_api::oauth::OAuthError>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let error = if route.is_oauth() {
            json!({ "application/json": { "schema": oauth } })
        } else if route.is_page() {
            json!({ HTML: {} })
        } else {
            json!({ attorn_api::problem::PROBLEM_MEDIA_TYPE: { "schema": problem } })
        };
        let operation = operation(route, &error, &mut generator);
        let item = paths.entry(route.documented_path()).or_insert_with(|| json!({}));
        if let Value::Object(item) = item {
            item.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Attorn",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Decides, for every single action, what an AI agent may do, and proves it.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "operator": { "type": "http", "scheme": "bearer", "description": "An operator's token." },
                "user": {
                    "type": "http", "scheme": "bearer",
                    "description": "An access token of a provider, for its `user_audience` and one of its `user_clients`."
                },
                "proof": {
                    "type": "apiKey", "in": "header", "name": attorn_api::PROOF_HEADER,
                    "description": "A proof of possession (RFC 9449) with `content_digest` and the server's nonce."
                },
                "certificate": {
                    "type": "mutualTLS",
                    "description": "An X.509-SVID of a registered identity, where the server speaks TLS itself."
                },
                "oauthProof": {
                    "type": "apiKey", "in": "header", "name": attorn_api::PROOF_HEADER,
                    "description": "A proof of possession (RFC 9449) with the server's nonce, beside a client assertion."
                }
            }
        }
    })
}

fn operation(route: &Route, error: &Value, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    responses.insert(route.status.to_string(), body("As asked.", route.gives, generator));
    let description = if route.is_oauth() {
        "An error (RFC 6749, section 5.2); with `decision_id`, it was decided and is no allow."
    } else if route.is_page() {
        "A page that says why not, or the way to another."
    } else {
        "A problem (RFC 9457); nothing was decided or changed."
    };
    responses.insert("default".into(), json!({ "description": description, "content": error }));
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "x-attorn-access": route.access.describe(),
        "responses": responses,
        "parameters": parameters(route),
    });
    let security = match route.access {
        Access::Public => json!([]),
        Access::Agent | Access::AgentOnward => json!([{ "proof": [] }, { "certificate": [] }]),
        Access::ResourceServer => json!([{ "proof": [] }]),
        Access::User => json!([{ "user": [] }]),
        // The assertion stands in the form.
        Access::AgentClient | Access::ResourceServerClient => json!([{ "oauthProof": [] }]),
        // Without, where the server is configured so.
        Access::PublishedLog => json!([{ "operator": [] }, {}]),
        Access::Operator(_) | Access::OperatorOfAny(_) | Access::OperatorOrBootstrap(_) => json!([{ "operator": [] }]),
    };
    operation["security"] = security;
    if !matches!(route.takes, Content::None) {
        operation["requestBody"] = body("What is asked.", route.takes, generator);
    }
    operation
}

fn body(description: &str, content: Content, generator: &mut SchemaGenerator) -> Value {
    match content {
        Content::None => json!({ "description": description }),
        Content::Json(schema) => json!({
            "description": description,
            "content": { "application/json": { "schema": schema(generator) } }
        }),
        Content::Form(schema) => json!({
            "description": description,
            "content": { "application/x-www-form-urlencoded": { "schema": schema(generator) } }
        }),
        Content::Page => json!({ "description": description, "content": { HTML: {} } }),
        Content::Other(media_type) => json!({ "description": description, "content": { media_type: {} } }),
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let path = route.documented_path();
    let in_path = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    if route.waits() {
        let schema = json!({ "type": "string", "enum": ["checkpointed", "witnessed"] });
        parameters.push(json!({ "name": "wait", "in": "query", "schema": schema }));
    }
    if route.access == Access::AgentOnward {
        let purpose = json!({ "type": "string", "description": "`PURPOSE`, and `; delegation=ID`, `; session=ID`." });
        let name = attorn_api::FOR_HEADER;
        parameters.push(json!({ "name": name, "in": "header", "required": true, "schema": purpose }));
        let list =
            "The headers of this request that are meant to go on, with commas between: it is refused if one would not.";
        let list = json!({ "type": "string", "description": list });
        parameters.push(json!({ "name": attorn_api::HEADERS_HEADER, "in": "header", "schema": list }));
    }
    if route.method == Method::GET && route.operation.starts_with("list") {
        let by_index = matches!(route.operation, "listEntries" | "listEpochEntries");
        let from = if by_index { "from" } else { "after" };
        let filter = match route.operation {
            "listFacts" => Some("prefix"),
            "listPolicyLogs" => Some("policy"),
            "listLeases" => Some("target"),
            "listTargets" => Some("state"),
            _ => None,
        };
        let whose = if route.operation == "listDelegations" { &["user", "agent"][..] } else { &[] };
        for name in ["limit", from].into_iter().chain(filter).chain(whose.iter().copied()) {
            parameters.push(json!({ "name": name, "in": "query", "schema": { "type": "string" } }));
        }
    }
    let queried = match route.operation {
        "listEntries" => &["order", "cursor"][..],
        "listEpochEntries" => &[],
        "streamEntries" => &["from"],
        "replayHistory" => &["from", "to"],
        _ => return parameters,
    };
    for name in queried.iter().chain(&queries::filter::NAMES) {
        parameters.push(json!({ "name": name, "in": "query", "schema": { "type": "string" } }));
    }
    if route.operation == "streamEntries" {
        parameters.push(json!({ "name": "Last-Event-ID", "in": "header", "schema": { "type": "string" } }));
    }
    parameters
}
