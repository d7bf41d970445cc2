//! A user's device at the provider for tests: the provider is asked to ask the user (`OpenID` Connect CIBA, poll mode), and
//! answers polls as the test says.
//!
//! Users sign in there, too: the code of whoever comes back becomes the ID token that the test says.
//!
//! Nothing of the code under test is in it. It checks nothing of what it is asked: that is for the test to do, which sees
//! each form that came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::machines::now_ms;
use crate::provider::{ProviderKey, with};

/// What the provider says when it is asked or polled.
#[derive(Debug, Clone)]
pub enum Says {
    /// The user has not answered.
    Pending,
    /// Neither have they, and that too often.
    SlowDown,
    /// The user said no.
    No,
    /// The user did not answer in time.
    Expired,
    /// The user said yes: an ID token with these changes to its claims, and to its header.
    Yes(Value, Value),
    /// This status and this text.
    Raw(u16, String),
    /// Nothing, ever.
    Nothing,
    /// Nothing until the test says something else, and then that.
    Held,
}

impl Says {
    /// The user said yes.
    pub fn yes() -> Self {
        Self::Yes(json!({}), json!({}))
    }
}

/// A form that came, and what stood in the header `Authorization`.
#[derive(Debug, Clone)]
pub struct Form {
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
    /// The header.
    pub authorization: Option<String>,
    /// When it came.
    pub at: Instant,
}

impl Form {
    /// A parameter; an empty text if it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }
}

/// What is said and was asked.
pub struct Device {
    issuer: String,
    key: Arc<Mutex<Arc<ProviderKey>>>,
    state: Mutex<Told>,
}

struct Told {
    /// What is said to a question; none for a request that is begun.
    to_question: Option<Says>,
    to_poll: Says,
    /// The same for users by their `login_hint`.
    to_poll_of: BTreeMap<String, Says>,
    /// What is said to who brings the code of a sign-in.
    to_code: Says,
    /// Types of `authorization_details` that it knows.
    types: Vec<String>,
    questions: Vec<Form>,
    polls: Vec<Form>,
    codes: Vec<Form>,
}

impl Device {
    /// One of this provider.
    pub fn new(issuer: &str, key: Arc<Mutex<Arc<ProviderKey>>>) -> Arc<Self> {
        let told = Told {
            to_question: None,
            to_poll: Says::Pending,
            to_poll_of: BTreeMap::new(),
            to_code: Says::No,
            types: Vec::new(),
            questions: Vec::new(),
            polls: Vec::new(),
            codes: Vec::new(),
        };
        Arc::new(Self { issuer: issuer.into(), key, state: Mutex::new(told) })
    }

    /// Its routes below `/realms/main`.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/realms/main/ask", post(question))
            .route("/realms/main/token", post(poll))
            .with_state(Arc::clone(self))
    }

    /// What the provider's configuration says of it.
    pub fn metadata(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "backchannel_authentication_endpoint": format!("{issuer}/ask"),
            "token_endpoint": format!("{issuer}/token"),
            "authorization_endpoint": format!("{issuer}/sign-in?realm=main"),
            "subject_types_supported": ["public"],
            "authorization_response_iss_parameter_supported": true,
            "backchannel_token_delivery_modes_supported": ["poll"],
            "authorization_details_types_supported": self.told().types,
        })
    }

    /// Say this to polls from now on.
    pub fn says(&self, says: Says) {
        self.told().to_poll = says;
    }

    /// Say this to polls about this user from now on, whatever is said to others.
    pub fn says_of(&self, login_hint: &str, says: Says) {
        self.told().to_poll_of.insert(login_hint.into(), says);
    }

    /// Say this to who brings the code of a sign-in, from now on.
    pub fn says_to_codes(&self, says: Says) {
        self.told().to_code = says;
    }

    /// The codes that came so far.
    pub fn codes(&self) -> Vec<Form> {
        self.told().codes.clone()
    }

    /// Say this to questions from now on.
    pub fn says_to_questions(&self, says: Says) {
        self.told().to_question = Some(says);
    }

    /// Begin requests again.
    pub fn takes_questions(&self) {
        self.told().to_question = None;
    }

    /// Know this type of `authorization_details`.
    pub fn knows(&self, detail_type: &str) {
        self.told().types.push(detail_type.into());
    }

    /// The questions that came so far.
    pub fn questions(&self) -> Vec<Form> {
        self.told().questions.clone()
    }

    /// The polls that came so far.
    pub fn polls(&self) -> Vec<Form> {
        self.told().polls.clone()
    }

    /// Wait until there were so many questions; the last of them.
    pub async fn question(&self, number: usize) -> Form {
        self.wait(|told| told.questions.get(number - 1).cloned(), "a question").await
    }

    /// Wait until there were so many polls.
    pub async fn polled(&self, number: usize) {
        self.wait(|told| (told.polls.len() >= number).then_some(()), "a poll").await;
    }

    async fn wait<T>(&self, what: impl Fn(&Told) -> Option<T>, name: &str) -> T {
        crate::found(name, async || what(&self.told())).await
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id_token(&self, request: &Form, claims: Value, header: Value) -> String {
        let key = Arc::clone(&self.key.lock().unwrap_or_else(PoisonError::into_inner));
        let now_s = now_ms() / 1_000;
        let usual = json!({
            "iss": self.issuer, "aud": "attorn", "sub": "alice", "iat": now_s, "exp": now_s + 300, "auth_time": now_s,
            "urn:openid:params:jwt:claim:auth_req_id": request.get("auth_req_id"),
        });
        let header = with(json!({ "alg": key.alg(), "kid": key.kid }), header);
        key.sign(&header.to_string(), &with(usual, claims).to_string())
    }
}

impl Told {
    fn to_poll(&self, poll: &Form) -> Says {
        let number = poll.get("auth_req_id").strip_prefix("request-").and_then(|number| number.parse::<usize>().ok());
        let question = number.and_then(|number| self.questions.get(number.checked_sub(1)?));
        let of_user = question.and_then(|question| self.to_poll_of.get(question.get("login_hint")));
        of_user.unwrap_or(&self.to_poll).clone()
    }
}

async fn question(State(device): State<Arc<Device>>, headers: HeaderMap, body: String) -> Response {
    let form = form(&headers, &body);
    let (says, number) = {
        let mut told = device.told();
        told.questions.push(form.clone());
        (told.to_question.clone(), told.questions.len())
    };
    match says {
        None => answer(200, &json!({ "auth_req_id": format!("request-{number}"), "expires_in": 120, "interval": 1 })),
        Some(says) => said(&device, &form, says).await,
    }
}

async fn poll(State(device): State<Arc<Device>>, headers: HeaderMap, body: String) -> Response {
    let form = form(&headers, &body);
    if form.get("grant_type") == "authorization_code" {
        let says = {
            let mut told = device.told();
            told.codes.push(form.clone());
            told.to_code.clone()
        };
        return said(&device, &form, says).await;
    }
    device.told().polls.push(form.clone());
    let says = loop {
        let says = device.told().to_poll(&form);
        if !matches!(says, Says::Held) {
            break says;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    said(&device, &form, says).await
}

async fn said(device: &Device, form: &Form, says: Says) -> Response {
    let error = |code: &str| answer(400, &json!({ "error": code }));
    match says {
        Says::Pending => error("authorization_pending"),
        Says::SlowDown => error("slow_down"),
        Says::No => error("access_denied"),
        Says::Expired => error("expired_token"),
        Says::Yes(claims, header) => {
            let token = device.id_token(form, claims, header);
            answer(200, &json!({ "access_token": "a", "token_type": "Bearer", "id_token": token }))
        }
        Says::Raw(status, text) => (StatusCode::from_u16(status).unwrap(), text).into_response(),
        Says::Nothing | Says::Held => std::future::pending().await,
    }
}

fn form(headers: &HeaderMap, body: &str) -> Form {
    let parameters = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    Form { parameters, authorization, at: Instant::now() }
}

fn answer(status: u16, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(status).unwrap(), headers, body.to_string()).into_response()
}
