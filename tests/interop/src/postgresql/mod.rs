//! A real PostgreSQL: what a login is and what it cannot do, how it ends, logins that do what they can so that they do
//! not end, a database that is away, slow, restarted, or knows another password, one that is none, and a database and a
//! server that are killed at any moment. After each step leases and logins are compared.

mod crashes;
mod database;
mod ends;
mod faults;
mod hostile;
mod impostor;
mod kills;
mod logins;
mod operators;
mod restored;
mod shop;
mod trips;
mod users;

use attorn_tests::Behalf;
use serde_json::json;

use crate::steps::Steps;
use database::Database;

/// All of it.
pub(crate) async fn play(steps: &mut Steps) {
    let mut database = steps.take("a database starts", Database::start()).await;
    shop::fill(&database).await;
    {
        let world = steps.take("attorn starts", Box::pin(Behalf::new())).await;
        let registrar = &world.staff.registrar;
        shop::register(registrar, "shop", &["article", "account"], shop::settings(&database)).await;
        steps.take("a login is made for one grant", users::for_one_grant(&world, &database)).await;
        steps.take("a login for a user sees that user's rows", users::own_rows(&world, &database)).await;
        steps.take("nothing that a login does makes it more", users::no_more(&world, &database)).await;
        steps.take("what is not to be given is refused", users::refused(&world, &database)).await;
        steps.take("login and session end with their grant", ends::with_the_grant(&world, &database)).await;
        steps.take("what hangs on something ends with it", ends::with_all_else(&world, &database)).await;
        steps.take("a login ends when its time is over", ends::with_time(&world, &database)).await;
        steps.take("what a login left behind goes", ends::with_what_it_owns(&world, &database)).await;
        steps.take("a login that locks its row ends", hostile::locks_its_row(&world, &database)).await;
        steps.take("a session that shows late ends", hostile::shows_late(&world, &database)).await;
        steps.take("logins that take all connections end", hostile::take_all_connections(&world, &database)).await;
        steps.take("logins that take all locks end", hostile::take_all_locks(&world, &database)).await;
        steps.take("what was made under a role is taken", hostile::make_things_under_a_role(&world, &database)).await;
        steps.take("logins that own much end", hostile::own_much(&world, &database)).await;
        steps.take("no login is made without room for it", hostile::no_room(&world, &database)).await;
        steps.take("one agent holds few logins", hostile::one_agent_holds_few(&world, &database)).await;
        steps.take("who is no database hears nothing", impostor::hear_nothing(&world, &database)).await;
        steps.take("300 end at once", ends::many(&world, &database)).await;
        steps.take("a database is known by its certificate", operators::tls(&world, &database)).await;
        steps.take("a login is renewed within its grant", operators::renew(&world, &database)).await;
        steps.take("the administrator's password changes", operators::rotate(&world, &database)).await;
        steps.take("a dead password is found out", operators::dead_password(&world, &database)).await;
        steps.take("what has no lease is found and ended", operators::unknown(&world, &database)).await;
        steps.take("a bad target is told what is wrong", operators::bad_targets(&world, &database)).await;
        steps.take("a suspended target makes nothing", operators::suspend(&world, &database)).await;
        steps.take("the database is away", Box::pin(faults::away(&world, &mut database))).await;
        steps.take("the database does not answer", Box::pin(faults::frozen(&world, &database))).await;
        steps.take("the administrator's password is wrong", Box::pin(faults::wrong_password(&world, &database))).await;
        steps.take("a lock is in the way", Box::pin(faults::locked(&world, &database))).await;
        let name = format!("the database crashes, {} rounds", rounds());
        steps.take(&name, Box::pin(crashes::rounds(&world, &mut database, rounds()))).await;
        let bye = json!({ "reason": "a test" });
        registrar.post("/v1/targets/shop/retire", &bye).await.expect(200);
    }
    steps
        .take("a restored server ends what it does not know", Box::pin(restored::ends_what_it_does_not_know(&database)))
        .await;
    steps.take("a login costs two questions", Box::pin(trips::for_one_login(&database))).await;
    let name = format!("the server is killed, {} rounds", rounds());
    steps.take(&name, Box::pin(kills::rounds(&database, rounds()))).await;
}

/// How often either side is killed: `ATTORN_TEST_ROUNDS`, or 10 times.
fn rounds() -> u32 {
    std::env::var("ATTORN_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(10)
}
