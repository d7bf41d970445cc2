//! A service that keeps articles: `ATTORN_URL=… ATTORN_KEY=faq.key ATTORN_AUDIENCE=… PORT=8080 cargo run --example articles`.

use std::env;
use std::error::Error;
use std::sync::Arc;

use attorn_resource_server::{AgentKey, ResourceServer, ServiceRequest, Uses};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};

async fn read(
    service: State<Arc<ResourceServer>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    let (path, arguments) = (uri.path(), serde_json::Map::new());
    let asked = ServiceRequest {
        method: method.as_str(),
        path,
        headers: &headers,
        body: b"",
        action: "faq.read",
        resource: path.trim_start_matches('/'),
        arguments: &arguments,
    };
    let accepted = service.accept(&asked).await.map_err(|refused| refused.code.status())?;
    Ok(format!("{path}, for {}\n", accepted.agent()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, audience) = (env::var("ATTORN_URL")?, env::var("ATTORN_AUDIENCE")?);
    let address = format!("127.0.0.1:{}", env::var("PORT")?);
    let uses = Uses::Counted(AgentKey::load(env::var("ATTORN_KEY")?.as_ref())?);
    let service = ResourceServer::called_at(&url, &audience, &format!("http://{address}"), uses)?;
    let router = Router::new().fallback(read).with_state(Arc::new(service));
    axum::serve(tokio::net::TcpListener::bind(address).await?, router).await?;
    Ok(())
}
