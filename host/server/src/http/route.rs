//! The table that all routes stand in. Router, `OpenAPI` document and the test that calls every route
//! without permission are made from the same rows, so none of them can forget a route.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use attorn_artifact::WorkerLimits;
use attorn_core::Duty;
use axum::http::Method;
use schemars::{Schema, SchemaGenerator};

use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::loads::LOADS_MAX;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody.
    Public,
    /// A registered agent, with a proof of possession.
    Agent,
    /// A registered agent, with a proof that also signs the query and whom it is for: the request goes on to a target.
    AgentOnward,
    /// A registered resource server, with a proof of possession.
    ResourceServer,
    /// A user, with an access token of a client that is listed for this.
    User,
    /// A registered agent as an OAuth client: with an assertion and a proof of possession (RFC 9449), or with a client
    /// certificate (RFC 8705).
    AgentClient,
    /// A registered resource server as an OAuth client.
    ResourceServerClient,
    /// An operator with this duty.
    Operator(Duty),
    /// An operator with one of these duties.
    OperatorOfAny(&'static [Duty]),
    /// An auditor, or anybody where `attorn.toml` says `public_log`.
    PublishedLog,
    /// An operator with this duty, or whoever holds the bootstrap token while it lives.
    OperatorOrBootstrap(Duty),
}

impl Access {
    /// Whether who calls is known only with the body.
    pub(crate) const fn needs_body(self) -> bool {
        matches!(
            self,
            Self::Agent | Self::AgentOnward | Self::ResourceServer | Self::AgentClient | Self::ResourceServerClient
        )
    }

    /// Whether finding out who calls takes work that strangers could have the server do.
    pub(crate) const fn strangers_wait(self) -> bool {
        !matches!(
            self,
            Self::Public
                | Self::PublishedLog
                | Self::Operator(_)
                | Self::OperatorOfAny(_)
                | Self::OperatorOrBootstrap(_)
        )
    }

    /// As the `OpenAPI` document says it.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Public => "public".into(),
            Self::Agent | Self::AgentOnward => "agent".into(),
            Self::ResourceServer => "resource_server".into(),
            Self::User => "user".into(),
            Self::AgentClient => "client:agent".into(),
            Self::ResourceServerClient => "client:resource_server".into(),
            Self::Operator(duty) | Self::OperatorOrBootstrap(duty) => format!("operator:{duty}"),
            Self::OperatorOfAny(duties) => format!("operator:{}", either(duties, "|")),
            Self::PublishedLog => format!("operator:{}", Duty::Auditor),
        }
    }
}

/// Duties, one of which is enough.
pub(crate) fn either(duties: &[Duty], between: &str) -> String {
    duties.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// What a handler's future gives.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send>>;

/// A body's media type and its schema.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    /// Nothing.
    None,
    /// JSON of this schema.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// A form of this schema. The routes that take one answer errors as OAuth has them, unless they give a page.
    Form(fn(&mut SchemaGenerator) -> Schema),
    /// A page in HTML, for people.
    Page,
    /// Another media type.
    Other(&'static str),
}

/// The media type of pages.
pub(crate) const HTML: &str = "text/html";

/// One route.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) operation: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) takes: Content,
    pub(crate) gives: Content,
    pub(crate) status: u16,
    pub(crate) body_bytes_max: usize,
    pub(crate) handler: fn(Arc<App>, Call) -> Answer,
}

/// The longest that a request may take which compiles nothing, and any body to arrive.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes of a body, where a route does not say otherwise.
pub(crate) const BODY_BYTES_MAX: usize = 32 << 10;

/// JSON of a type.
pub(crate) fn json<T: schemars::JsonSchema>() -> Content {
    Content::Json(SchemaGenerator::subschema_for::<T>)
}

/// A form of a type.
pub(crate) fn form<T: schemars::JsonSchema>() -> Content {
    Content::Form(SchemaGenerator::subschema_for::<T>)
}

/// A row of the table, with what most rows have.
pub(crate) fn route(
    method: Method,
    path: &'static str,
    access: Access,
    (operation, summary): (&'static str, &'static str),
    handler: fn(Arc<App>, Call) -> Answer,
) -> Route {
    let (takes, gives) = (Content::None, Content::None);
    Route {
        method,
        path,
        access,
        operation,
        summary,
        takes,
        gives,
        status: 200,
        body_bytes_max: BODY_BYTES_MAX,
        handler,
    }
}

impl Route {
    /// Whether its answer can wait for a checkpoint: `?wait=checkpointed` or `?wait=witnessed`.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.operation, "createDecision" | "showCheckpoint" | "showReceipt" | "showDecisionReceipt")
    }

    /// Whether a policy may have to be made ready for it, which compiles.
    pub(crate) fn loads(&self) -> bool {
        matches!(
            self.operation,
            "pushVersion"
                | "activatePolicy"
                | "rollBackPolicy"
                | "changeActiveSet"
                | "simulate"
                | "replayDecision"
                | "replayHistory"
        )
    }

    /// The longest that one may take, its body's arrival included, where a policy is compiled within these limits. One that
    /// compiles may have to wait until all others have that may wait with it; how far they are `/v1/loads` says.
    pub(crate) fn lasts_at_most(&self, compile: &WorkerLimits) -> Duration {
        let each = Duration::from_secs(compile.wall_s_max);
        if self.loads() { REQUEST_TIMEOUT + each * LOADS_MAX } else { REQUEST_TIMEOUT }
    }

    /// Its path as the `OpenAPI` document has it, which knows no parameters of several segments.
    pub(crate) fn documented_path(&self) -> String {
        self.path.replace("{*", "{")
    }

    /// Whether its errors are as OAuth has them.
    pub(crate) const fn is_oauth(&self) -> bool {
        self.takes_form() && !self.is_page()
    }

    /// Whether its body is a form.
    pub(crate) const fn takes_form(&self) -> bool {
        matches!(self.takes, Content::Form(_))
    }

    /// Whether people read it in a browser: its errors are pages, too.
    pub(crate) const fn is_page(&self) -> bool {
        matches!(self.gives, Content::Page)
    }

    pub(crate) fn takes(mut self, takes: Content) -> Self {
        self.takes = takes;
        self
    }

    pub(crate) fn gives(mut self, gives: Content) -> Self {
        self.gives = gives;
        self
    }

    pub(crate) fn created(mut self) -> Self {
        self.status = 201;
        self
    }

    pub(crate) fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }
}

/// Make a handler out of an `async fn(Arc<App>, Call) -> Result<Reply, Failure>`.
macro_rules! handler {
    ($function:path) => {
        |app, call| Box::pin($function(app, call))
    };
}
pub(crate) use handler;
