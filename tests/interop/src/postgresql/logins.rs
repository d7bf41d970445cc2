//! Logins as the agent has them, and the comparison that follows every step: what the database has is what the leases
//! say, no more and no less.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use attorn_api::decisions::{DecisionAnswer, PostgresqlLogin};
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_api::targets::{Lease, LeaseList};
use attorn_tests::people::Operator;
use attorn_tests::wait::until_within;
use attorn_tests::{Answer, Behalf, Machine};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::database::Database;

/// Within which time a login is gone whose grant was ended, with its sessions.
pub(crate) const GONE: Duration = Duration::from_secs(1);
/// How long what has to come may take where the database was away.
pub(crate) const SETTLED: Duration = Duration::from_secs(90);

/// The same request, for a login.
pub(crate) fn for_login(mut ask: Value) -> Value {
    ask["credential"] = "postgresql".into();
    // Nobody would hold the login to any.
    ask["arguments"] = json!({});
    ask
}

/// A login that has to be made.
pub(crate) async fn login(agent: &Machine, ask: &Value) -> PostgresqlLogin {
    let answer: DecisionAnswer = agent.post("/v1/decisions", &for_login(ask.clone())).await.expect(200).json();
    assert!(answer.credential.is_none());
    answer.login.unwrap_or_else(|| panic!("no login: {:?}", answer.reasons))
}

/// What comes of asking for one.
pub(crate) async fn ask(agent: &Machine, ask: &Value) -> Answer {
    agent.post("/v1/decisions", &for_login(ask.clone())).await
}

/// Sign in with one.
pub(crate) async fn sign_in(database: &Database, login: &PostgresqlLogin) -> Client {
    try_sign_in(database, login).await.unwrap()
}

/// Try to.
pub(crate) async fn try_sign_in(database: &Database, login: &PostgresqlLogin) -> Result<Client, tokio_postgres::Error> {
    database.connect(&login.database, &login.user, login.password.as_deref().unwrap()).await
}

/// All leases that have not ended.
pub(crate) async fn open(registrar: &Operator, target: &str) -> Vec<Lease> {
    let (mut leases, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/leases?target={target}&limit=200{after}");
        let list: LeaseList = registrar.get(path).await.expect(200).json();
        leases.extend(list.leases);
        let Some(next) = list.next else { return leases };
        after = format!("&after={next}");
    }
}

/// What Alice delegates to the bot, by a token with these claims beside the usual ones.
pub(crate) async fn delegated(world: &Behalf, claims: Value) -> Delegation {
    let made: DelegationMade = world.exchange(&world.token(claims)).await.expect(201).json();
    made.delegation
}

/// A lease.
pub(crate) async fn lease(registrar: &Operator, id: &str) -> Lease {
    registrar.get(format!("/v1/leases/{id}")).await.expect(200).json()
}

/// All logins of ours.
pub(crate) async fn there(database: &Database) -> Vec<String> {
    database.ask("SELECT rolname FROM pg_roles WHERE rolname ~ '^attorn_' ORDER BY 1").await
}

/// Wait until no lease is open and no login is there, nor a row of one.
pub(crate) async fn until_none(database: &Database, registrar: &Operator, within: Duration) -> Duration {
    let took = until_within(within, "all leases end", async || open(registrar, "shop").await.is_empty()).await;
    assert_eq!(there(database).await, Vec::<String>::new());
    assert_eq!(database.ask("SELECT login FROM attorn.logins").await, Vec::<String>::new());
    took
}

/// See that every login has an open lease, and every lease that was issued its login.
pub(crate) async fn agree(database: &Database, registrar: &Operator) {
    let (before, open, after) = (there(database).await, open(registrar, "shop").await, there(database).await);
    // What ended while we looked is no contradiction.
    for login in before.iter().filter(|login| after.contains(login)) {
        assert!(open.iter().any(|lease| lease.name == *login), "`{login}` has no lease: {open:?}");
    }
    for issued in open.iter().filter(|lease| lease.state == "issued" && !after.contains(&lease.name)) {
        let now = lease(registrar, &issued.id).await;
        assert_ne!(now.state, "issued", "{now:?} has no login: {after:?}");
    }
}

/// In which states leases were found after something was killed: what the rounds of a test met. Nothing is asserted of
/// it, since it depends on the machine.
#[derive(Debug, Default)]
pub(crate) struct Met(BTreeMap<String, usize>);

impl Met {
    /// Count those that have not ended.
    pub(crate) async fn count(&mut self, registrar: &Operator) {
        for lease in open(registrar, "shop").await {
            *self.0.entry(lease.state).or_default() += 1;
        }
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states: Vec<String> = self.0.iter().map(|(state, count)| format!("{count} {state}")).collect();
        f.write_str(&if states.is_empty() { "none".to_owned() } else { states.join(", ") })
    }
}

/// Revoke a grant.
pub(crate) async fn revoke_grant(registrar: &Operator, grant: &str) {
    registrar.post(format!("/v1/grants/{grant}/revoke"), &json!({})).await.expect(200);
}
