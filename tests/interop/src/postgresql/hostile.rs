//! Logins that do what they can so that they are not ended.

use std::time::Duration;

use attorn_tests::Behalf;
use attorn_tests::world::ask as article;
use tokio_postgres::{Config, NoTls};

use super::database::Database;
use super::logins::{self, SETTLED, lease, login, sign_in, try_sign_in, until_none};

/// One that holds the lock on its own row is ended all the same, at the first attempt.
pub(crate) async fn locks_its_row(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let made = login(&world.bot, &article()).await;
    let session = sign_in(database, &made).await;
    session.batch_execute("BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'x'").await.unwrap();
    logins::revoke_grant(registrar, &lease(registrar, &made.lease).await.grant).await;
    until_none(database, registrar, SETTLED).await;
    assert!(session.batch_execute("COMMIT").await.is_err(), "the session goes on");
    assert!(try_sign_in(database, &made).await.is_err());
    let ended = lease(registrar, &made.lease).await;
    assert_eq!((ended.state.as_str(), ended.attempts), ("ended", 0));
}

/// One that signed in before it was closed, and shows itself only later, does not outlive it.
pub(crate) async fn shows_late(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let made = login(&world.bot, &article()).await;
    let mut config = Config::new();
    config.host("127.0.0.1").port(database.port).dbname(&made.database).user(&made.user).password(&made.password);
    config.options("-c post_auth_delay=15");
    let late = tokio::spawn(async move {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move { drop(connection.await) });
        client.batch_execute("SELECT 1").await
    });
    // So that it is past the question whether it may sign in.
    tokio::time::sleep(Duration::from_secs(1)).await;
    logins::revoke_grant(registrar, &lease(registrar, &made.lease).await.grant).await;
    let took = until_none(database, registrar, SETTLED).await;
    println!("           gone after {} ms", took.as_millis());
    assert!(late.await.unwrap().is_err(), "a session outlives its login");
}
