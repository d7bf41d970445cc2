//! Whether a provider can ask its users as it is registered: what its metadata says now, and what it lacks for that. Nobody
//! is asked, and nothing is sent but the question for the metadata.

use std::collections::BTreeSet;
use std::sync::Arc;

use attorn_api::backchannel as api;
use attorn_api::oauth::ATTORN_APPROVAL;
use attorn_core::{Issuer, IssuerAlgorithm, ProviderId};
use attorn_store::Key;
use attorn_store::records::{BackchannelAuthentication, BackchannelRecord};
use serde_json::Value;
use zeroize::Zeroizing;

use super::client::{Client, Credential};
use super::metadata;
use super::problem::Problem;
use super::protocol::GRANT_TYPE;
use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::providers::registry::find;

/// How this server signs as a client.
const CLIENT_ALGORITHM: &str = "ES256";

/// How many kinds of subjects are told of; there are two.
const SUBJECT_TYPES_MAX: usize = 8;

/// What is wanted of a provider.
struct Wanted<'a> {
    issuer: &'a Issuer,
    algorithms: &'a BTreeSet<IssuerAlgorithm>,
    /// None where nobody has said yet how users are asked.
    backchannel: Option<&'a BackchannelRecord>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    problems: Vec<String>,
    notes: Vec<String>,
    subject_types: Vec<String>,
}

pub(crate) async fn check(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: ProviderId = call.path("id")?;
    let provider = find(&app, &id).await?.value;
    let backchannel = app.store.record::<BackchannelRecord>(&Key::backchannel(&id)).await?;
    let backchannel = backchannel.map(|found| found.value);
    let wanted =
        Wanted { issuer: &provider.issuer, algorithms: &provider.algorithms, backchannel: backchannel.as_ref() };
    let found = match document(&app, &provider.issuer).await {
        Ok(document) => look(&document, &wanted),
        Err(problem) => Found { problems: vec![problem.to_string()], ..Found::default() },
    };
    let Found { problems, notes, subject_types } = found;
    Reply::ok(&api::BackchannelCheck {
        provider: id.to_string(),
        is_set: backchannel.is_some(),
        good: problems.is_empty(),
        subject_types,
        problems,
        notes,
    })
}

/// Nobody says who they are to read metadata.
async fn document(app: &App, issuer: &Issuer) -> Result<Vec<u8>, Problem> {
    let id = "attorn".parse().map_err(|_| Problem::ClientRefused)?;
    let credential = Credential::Secret(Zeroizing::default());
    Client { network: &app.backchannels.network, issuer, id: &id, credential }.metadata().await
}

/// What a document says, and what it lacks.
fn look(document: &[u8], wanted: &Wanted<'_>) -> Found {
    let mut found = Found::default();
    let endpoints = metadata::endpoints(wanted.issuer, document);
    let said: Value = match (&endpoints, serde_json::from_slice(document)) {
        (Err(problem @ Problem::Metadata(_)), _) => {
            found.problems.push(problem.to_string());
            return found;
        }
        (_, said) => said.unwrap_or_default(),
    };
    of_endpoints(&said, wanted, &mut found);
    of_asking(&said, &mut found);
    of_signing(&said, wanted, &mut found);
    of_what_is_shown(&said, wanted, &mut found);
    of_subjects(&said, &mut found);
    of_setting(&said, wanted, &mut found);
    // Whatever keeps users from being asked is said.
    if let (Err(problem), true) = (endpoints, found.problems.is_empty()) {
        found.problems.push(problem.to_string());
    }
    found
}

fn of_endpoints(said: &Value, wanted: &Wanted<'_>, found: &mut Found) {
    let page = wanted.backchannel.is_some_and(|backchannel| backchannel.page).then_some("authorization_endpoint");
    for name in ["backchannel_authentication_endpoint", "token_endpoint"].into_iter().chain(page) {
        match said[name].as_str() {
            None => found.problems.push(format!("its metadata has no `{name}`")),
            Some(url) if metadata::endpoint(wanted.issuer, url).is_err() => {
                found
                    .problems
                    .push(format!("`{name}` is no https URL, one of this machine, or where no provider may be"));
            }
            Some(_) => {}
        }
    }
}

/// Members of groups are told from the user by `sub`, which has to be the same for all clients.
fn of_subjects(said: &Value, found: &mut Found) {
    let kinds = list(said, "subject_types_supported").unwrap_or_default();
    // They come from elsewhere, and people read them.
    let shown = kinds.iter().take(SUBJECT_TYPES_MAX).map(|kind| kind.chars().take(32).collect());
    found.subject_types = shown.collect();
    if !kinds.contains(&"public") {
        found.notes.push("`subject_types_supported` has no `public`: no group can be asked to approve".into());
    } else if kinds.contains(&"pairwise") {
        let note = "`subject_types_supported` has `pairwise`: where groups approve, this server's client and those of \
                    agents have to get `public` subjects, or a user can come as somebody else";
        found.notes.push(note.into());
    }
}

fn of_asking(said: &Value, found: &mut Found) {
    let modes = list(said, "backchannel_token_delivery_modes_supported").unwrap_or_default();
    if !modes.contains(&"poll") {
        let problem =
            "`backchannel_token_delivery_modes_supported` has no `poll`, and this server asks in that mode alone";
        found.problems.push(problem.into());
    }
    match list(said, "grant_types_supported") {
        Some(types) if !types.contains(&GRANT_TYPE) => {
            found.problems.push(format!("`grant_types_supported` has no `{GRANT_TYPE}`"));
        }
        Some(_) => {}
        None => {
            found.notes.push(format!("`grant_types_supported` is missing: nothing says that it takes `{GRANT_TYPE}`"));
        }
    }
}

/// How this server says who it is, and how answers are signed.
fn of_signing(said: &Value, wanted: &Wanted<'_>, found: &mut Found) {
    const METHODS: &str = "token_endpoint_auth_methods_supported";
    let method = wanted.backchannel.map(|backchannel| match backchannel.authentication {
        BackchannelAuthentication::PrivateKeyJwt => "private_key_jwt",
        BackchannelAuthentication::ClientSecretBasic { .. } => "client_secret_basic",
    });
    match (method, list(said, METHODS)) {
        (None, Some(methods))
            if !methods.iter().any(|one| matches!(*one, "private_key_jwt" | "client_secret_basic")) =>
        {
            found.problems.push(format!("`{METHODS}` has neither `private_key_jwt` nor `client_secret_basic`"));
        }
        (Some(method), Some(methods)) if !methods.contains(&method) => {
            found.problems.push(format!("`{METHODS}` has no `{method}`, by which this server says who it is"));
        }
        (Some("private_key_jwt"), None) => found.notes.push(format!(
            "`{METHODS}` is missing, which means `client_secret_basic` alone; this server says who it is by \
             `private_key_jwt`"
        )),
        _ => {}
    }
    let signs = list(said, "token_endpoint_auth_signing_alg_values_supported");
    if method == Some("private_key_jwt") && signs.is_some_and(|signs| !signs.contains(&CLIENT_ALGORITHM)) {
        found.problems.push(format!(
            "`token_endpoint_auth_signing_alg_values_supported` has no `{CLIENT_ALGORITHM}`, by which this server signs"
        ));
    }
    let ours: Vec<&str> = wanted.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
    let theirs = list(said, "id_token_signing_alg_values_supported");
    if theirs.is_some_and(|theirs| !theirs.iter().any(|one| ours.contains(one))) {
        found.problems.push(format!(
            "`id_token_signing_alg_values_supported` has none of the provider's `algorithms` here: {}",
            ours.join(", ")
        ));
    }
}

/// Whether users see what they approve.
fn of_what_is_shown(said: &Value, wanted: &Wanted<'_>, found: &mut Found) {
    const TYPES: &str = "authorization_details_types_supported";
    if list(said, TYPES).is_some_and(|types| types.contains(&ATTORN_APPROVAL)) {
        return;
    }
    let lacks = format!("`{TYPES}` has no `{ATTORN_APPROVAL}`, so it does not show users what they approve");
    match wanted.backchannel {
        Some(backchannel) if backchannel.code_only => found.notes.push(format!("{lacks}: they see the code alone")),
        Some(backchannel) if backchannel.page => found.notes.push(format!("{lacks}: they answer on the page")),
        Some(_) => found.problems.push(format!("{lacks}, and nobody is asked: `--page`, or `--code-only`")),
        None => found.notes.push(format!("{lacks}: set it with `--page`, or `--code-only`")),
    }
}

/// What there is to set where nothing is.
fn of_setting(said: &Value, wanted: &Wanted<'_>, found: &mut Found) {
    if wanted.backchannel.is_some() {
        return;
    }
    let methods = list(said, "token_endpoint_auth_methods_supported").unwrap_or_default();
    let by = if methods.contains(&"private_key_jwt") { "--private-key-jwt" } else { "--secret-file FILE" };
    found.notes.push(format!(
        "nothing is set, so nobody is asked: register a client for this server at the provider, and `attorn provider \
         backchannel set` with `--client-id` and `{by}`"
    ));
}

/// A list of texts, if there is one.
fn list<'a>(said: &'a Value, name: &str) -> Option<Vec<&'a str>> {
    Some(said[name].as_array()?.iter().filter_map(Value::as_str).collect())
}

#[cfg(test)]
mod tests {
    use attorn_core::TimeMs;
    use attorn_store::records::LoginHint;
    use serde_json::json;

    use super::*;

    fn record(change: impl Fn(&mut BackchannelRecord)) -> BackchannelRecord {
        let mut record = BackchannelRecord {
            provider: "main".parse().unwrap(),
            client: "attorn".parse().unwrap(),
            authentication: BackchannelAuthentication::PrivateKeyJwt,
            login_hint: LoginHint::Subject,
            page: false,
            code_only: false,
            changed_at: TimeMs(0),
        };
        change(&mut record);
        record
    }

    fn said(changes: &[(&str, Value)]) -> Found {
        said_of(changes, Some(&record(|_| {})))
    }

    fn said_of(changes: &[(&str, Value)], backchannel: Option<&BackchannelRecord>) -> Found {
        let mut whole = json!({
            "issuer": "https://sso.example", "token_endpoint": "https://sso.example/token",
            "authorization_endpoint": "https://sso.example/in",
            "backchannel_authentication_endpoint": "https://sso.example/ask",
            "backchannel_token_delivery_modes_supported": ["poll", "ping"],
            "grant_types_supported": ["authorization_code", GRANT_TYPE],
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "authorization_details_types_supported": [ATTORN_APPROVAL],
            "subject_types_supported": ["public"],
        });
        for (name, value) in changes {
            match value {
                Value::Null => drop(whole.as_object_mut().unwrap().remove(*name)),
                value => whole[*name] = value.clone(),
            }
        }
        let issuer = "https://sso.example".parse().unwrap();
        let algorithms = ["ES256".parse().unwrap()].into();
        look(whole.to_string().as_bytes(), &Wanted { issuer: &issuer, algorithms: &algorithms, backchannel })
    }

    #[test]
    fn what_a_provider_lacks_is_named_one_by_one() {
        assert_eq!(said(&[]), Found { subject_types: vec!["public".into()], ..Found::default() });
        for (name, value, problem) in [
            ("issuer", json!("https://other.example"), "another issuer"),
            ("backchannel_authentication_endpoint", json!(null), "no `backchannel_authentication_endpoint`"),
            ("backchannel_authentication_endpoint", json!("http://sso.example/ask"), "is no https URL"),
            ("token_endpoint", json!(null), "no `token_endpoint`"),
            ("backchannel_token_delivery_modes_supported", json!(["ping"]), "has no `poll`"),
            ("backchannel_token_delivery_modes_supported", json!(null), "has no `poll`"),
            ("grant_types_supported", json!(["authorization_code"]), GRANT_TYPE),
            ("token_endpoint_auth_methods_supported", json!(["client_secret_post"]), "has no `private_key_jwt`"),
            ("token_endpoint_auth_signing_alg_values_supported", json!(["RS256"]), "has no `ES256`"),
            ("id_token_signing_alg_values_supported", json!(["RS256"]), "`algorithms` here: ES256"),
            ("authorization_details_types_supported", json!(null), "nobody is asked: `--page`, or `--code-only`"),
        ] {
            let Found { problems, notes, .. } = said(&[(name, value)]);
            assert!(problems.len() == 1 && problems[0].contains(problem), "{name}: {problems:?}");
            assert_eq!(notes, Vec::<String>::new(), "{name}");
        }
        let both = said(&[("token_endpoint", json!(null)), ("grant_types_supported", json!([]))]);
        assert_eq!(both.problems.len(), 2, "{both:?}");
    }

    #[test]
    fn what_is_not_said_is_no_fault_and_what_users_see_depends_on_how_they_are_asked() {
        for name in ["grant_types_supported", "token_endpoint_auth_methods_supported"] {
            let Found { problems, notes, .. } = said(&[(name, json!(null))]);
            assert!(problems.is_empty() && notes.len() == 1 && notes[0].contains(name), "{name}: {problems:?}");
        }
        let none = [("authorization_details_types_supported", json!([]))];
        let page = record(|record| record.page = true);
        let code_only = record(|record| record.code_only = true);
        for (backchannel, note) in [(&page, "on the page"), (&code_only, "the code alone")] {
            let Found { problems, notes, .. } = said_of(&none, Some(backchannel));
            assert!(problems.is_empty() && notes.len() == 1 && notes[0].contains(note), "{problems:?} {notes:?}");
        }
        let nowhere = [("authorization_endpoint", json!(null))];
        assert!(said_of(&nowhere, Some(&page)).problems[0].contains("no `authorization_endpoint`"));
        assert_eq!(said(&nowhere), said(&[]));
        for (kinds, note) in [(json!(["pairwise"]), "no group"), (json!(["public", "pairwise"]), "as somebody else")] {
            let Found { problems, notes, subject_types } = said(&[("subject_types_supported", kinds.clone())]);
            assert_eq!(json!(subject_types), kinds);
            assert!(problems.is_empty() && notes.len() == 1 && notes[0].contains(note), "{problems:?} {notes:?}");
        }
        let unset = said_of(&none, None);
        assert!(unset.problems.is_empty() && unset.notes[0].contains("set it with"), "{unset:?}");
        // Whoever has set nothing reads what there is to set, also where nothing is missing.
        for (methods, by) in
            [(json!(["private_key_jwt"]), "--private-key-jwt"), (json!(["client_secret_basic"]), "--secret-file FILE")]
        {
            let Found { problems, notes, .. } = said_of(&[("token_endpoint_auth_methods_supported", methods)], None);
            assert!(problems.is_empty() && notes.len() == 1, "{problems:?} {notes:?}");
            assert!(notes[0].contains("nothing is set") && notes[0].contains(by), "{notes:?}");
        }
    }
}
