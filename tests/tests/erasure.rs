//! Erasing a person: whatever was kept of them is searched for, byte by byte, in all files of the server and in its log;
//! the log still verifies, others are untouched, and what is asked for them fails with its code. Also where the server
//! was interrupted on the way.
// Long because: one scene of a user of whom everything is kept, and every way to lose them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::PathBuf;

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_api::policies::Policy;
use attorn_api::users::UserErased;
use attorn_identity::{KeyLabel, RootKey};
use attorn_log::{CheckpointVerifier, verify_export};
use attorn_server::epochs::BadEntries;
use attorn_server::restore::BadBlobs;
use attorn_store::{Key, Store};
use attorn_tests::behalf::{ask_by, later_login};
use attorn_tests::files::found_in;
use attorn_tests::machines::now_ms;
use attorn_tests::oauth::form;
use attorn_tests::provider::with;
use attorn_tests::world::use_of;
use attorn_tests::{Answer, Behalf, Call, components};
use serde_json::{Value, json};

/// A backup in which something is bad is not restored.
const WHOLE: (BadBlobs, BadEntries) = (BadBlobs::Refused, BadEntries::Refused);

/// What is in every word of the user's, and in nothing else.
const MARK: &str = "zqxjkvbw";

/// Words of the user's, each of which would name them.
fn claims_of_user() -> Value {
    json!({
        "sub": "subject-zqxjkvbw", "sid": "sid-zqxjkvbw", "jti": "jti-zqxjkvbw", "acr": "acr-zqxjkvbw", "groups": ["group-zqxjkvbw"],
        "customer": "customer-zqxjkvbw",
    })
}

/// The directory of everything that the server keeps.
fn home(scene: &Behalf) -> PathBuf {
    scene.server.data_dir().parent().unwrap().to_owned()
}

fn key_file(scene: &Behalf, user: &str) -> PathBuf {
    home(scene).join("user-keys").join(&user[user.len() - 2..]).join(format!("{user}.key"))
}

/// The user's key, unwrapped.
fn secret(scene: &Behalf, user: &str) -> Vec<u8> {
    let root: RootKey = std::fs::read_to_string(home(scene).join("root.key")).unwrap().parse().unwrap();
    let wrapped = std::fs::read(key_file(scene, user)).unwrap();
    root.unwrap(KeyLabel { kind: "user", id: user, version: 1 }, &wrapped).unwrap().to_vec()
}

#[track_caller]
fn denied(answer: &DecisionAnswer, code: &str) {
    let codes: Vec<_> = answer.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!((answer.decision, codes), (DecisionKind::Deny, vec![code]), "{answer:?}");
}

/// A user of whom everything that can be kept is kept.
struct Known {
    delegation: Delegation,
    child: Delegation,
    token: String,
    ask: Value,
    allowed: DecisionAnswer,
}

async fn known(scene: &Behalf) -> Known {
    let token = scene.token(claims_of_user());
    let made: DelegationMade = scene.exchange(&token).await.expect(201).json();
    let delegation = made.delegation;
    let child = scene.offered(&scene.bot, &delegation, &scene.helper).await;
    let holder = json!({ "user": delegation.user });
    scene.entitle(holder, &[("account.read", "account/right-zqxjkvbw/*")]).await;
    let facts = json!({ "facts": [
        { "name": format!("user/{}/risk", delegation.user), "value": "fact-zqxjkvbw" },
        { "name": format!("limits/{}/day", delegation.user), "value": "fact-zqxjkvbw", "expires_at_ms": now_ms() + 60_000 },
    ] });
    scene.staff.registrar.post("/v1/facts", &facts).await.expect(200);
    let resource = format!("account/{}/resource-zqxjkvbw", delegation.user);
    let more = json!({ "arguments": { "pin": "argument-zqxjkvbw" }, "claims": { "why": "claim-zqxjkvbw" } });
    let ask = with(ask_by(&delegation, "account.read", &resource), more);
    let allowed: DecisionAnswer = scene.bot.ask_once("idempotency-zqxjkvbw", &ask).await.json();
    assert_eq!(allowed.decision, DecisionKind::Allow, "{allowed:?}");
    let grant = allowed.grant.as_ref().unwrap();
    scene.bank.post(format!("/v1/grants/{}/uses", grant.id), &use_of(grant)).await.expect(200);
    let effect = json!({ "use_number": 1, "effect": "done", "note": "note-zqxjkvbw" });
    scene.bank.post(format!("/v1/grants/{}/effect", grant.id), &effect).await.expect(200);
    denied(&scene.bot.decide(&ask_by(&delegation, "account.read", "account/other-zqxjkvbw/x")).await, "not_entitled");
    Known { delegation, child, token, ask, allowed }
}

async fn export(scene: &Behalf) -> Answer {
    scene.staff.auditor.get("/v1/audit/export").await.expect(200)
}

async fn log_verifies(scene: &Behalf) {
    let key: CheckpointVerifier = scene.reach.send(Call::get("/v1/audit/key")).await.text().trim().parse().unwrap();
    verify_export(export(scene).await.body.as_slice(), Some(&key)).unwrap();
}

/// Neither the files nor the log have a word of the user's.
async fn no_word_is_found(scene: &Behalf) {
    assert_eq!(found_in(&home(scene), MARK.as_bytes()), Vec::<PathBuf>::new());
    assert!(!export(scene).await.text().contains(MARK));
    for entry in scene.entries().await {
        assert!(!entry.to_string().contains(MARK), "{entry}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_erased_user_is_found_anywhere_and_the_log_verifies() {
    let mut scene = Behalf::new().await;
    let Known { delegation, allowed, ask, .. } = known(&scene).await;
    let user = &delegation.user;
    let (secret, wrapped) = (secret(&scene, user), std::fs::read(key_file(&scene, user)).unwrap());
    // The search finds what is there: an agent's owner in the store, the key in its file.
    assert!(!found_in(&home(&scene), b"support@example.org").is_empty());
    assert_eq!(found_in(&home(&scene), &wrapped), [key_file(&scene, user)]);
    // Old bytes stay in the file of the store, so all has to have been sealed before.
    no_word_is_found(&scene).await;
    let record = scene.record_of(&allowed).await;
    assert!(record.to_string().contains("argument-zqxjkvbw"), "{record}");
    // The log does not even have the random id that the store has.
    assert!(!export(&scene).await.text().contains(user.as_str()));

    scene.erase(user).await.expect(200);
    // What is recorded of a try to act for them names nothing of theirs, either.
    let after = scene.bot.decide(&ask).await;
    denied(&after, "user_erased");
    let record = scene.record_of(&after).await;
    assert!(!record.to_string().contains(MARK), "{record}");
    assert!(record["request"]["resource"].as_str().unwrap().starts_with("account/unread_"), "{record}");
    no_word_is_found(&scene).await;
    for bytes in [&secret, &wrapped] {
        assert_eq!(found_in(&home(&scene), bytes), Vec::<PathBuf>::new());
    }
    log_verifies(&scene).await;
    scene.world.server.restart(false).await;
    no_word_is_found(&scene).await;
    log_verifies(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_an_erased_user_is_told_and_reads_nothing() {
    let scene = Behalf::new().await;
    let Known { delegation, child, token, ask, allowed } = known(&scene).await;
    let user = &delegation.user;
    let registrar = &scene.staff.registrar;
    scene.eraser.post("/v1/users/usr_nobody/erase", &json!({})).await.refused(404, "not_found");
    scene.eraser.post(format!("/v1/users/{user}/erase"), &json!({ "x": 1 })).await.refused(400, "invalid_body");
    let long = json!({ "reason": "x".repeat(257) });
    scene.eraser.post(format!("/v1/users/{user}/erase"), &long).await.refused(422, "invalid_field");
    registrar.post(format!("/v1/users/{user}/erase"), &json!({})).await.refused(403, "missing_duty");
    let erased: UserErased = scene.erase(user).await.expect(200).json();
    let size = scene.log_size().await;
    assert_eq!((&erased.id, erased.entry.index), (user, size - 1));
    let again: UserErased = scene.erase(user).await.expect(200).json();
    assert_eq!((&again, scene.log_size().await), (&erased, size));

    denied(&scene.bot.decide(&ask).await, "user_erased");
    denied(&scene.read(&scene.helper, &child).await, "user_erased");
    scene.bot.ask_once("idempotency-zqxjkvbw", &ask).await.refused(410, "user_erased");
    let grant = allowed.grant.as_ref().unwrap();
    scene.bank.post(format!("/v1/grants/{}/uses", grant.id), &use_of(grant)).await.refused(409, "grant_inactive");
    let effect = json!({ "use_number": 1, "effect": "done" });
    scene.bank.post(format!("/v1/grants/{}/effect", grant.id), &effect).await.refused(409, "grant_inactive");
    scene.staff.auditor.get(format!("/v1/audit/decisions/{}", allowed.decision_id)).await.refused(410, "user_erased");
    let named = json!({ "provider": "main", "subject": "subject-zqxjkvbw" });
    registrar.post("/v1/users/find", &named).await.refused(404, "not_found");
    for path in [
        format!("/v1/users/{user}"),
        format!("/v1/delegations?user={user}"),
        format!("/v1/delegations/{}", delegation.id),
        format!("/v1/delegations/{}/tree", delegation.id),
        format!("/v1/grants/{}", grant.id),
    ] {
        registrar.get(path).await.refused(410, "user_erased");
    }
    for path in [
        format!("/v1/users/{user}/revoke"),
        format!("/v1/delegations/{}/revoke", delegation.id),
        format!("/v1/sessions/{}/revoke", delegation.session),
        format!("/v1/grants/{}/revoke", grant.id),
    ] {
        let body = if path.starts_with("/v1/grants") { None } else { Some(json!({})) };
        let answer = match body {
            Some(body) => registrar.post(path, &body).await,
            None => registrar.act(path).await,
        };
        answer.refused(410, "user_erased");
    }
    let fact = json!({ "facts": [{ "name": format!("limits/{user}/day"), "value": 1 }] });
    registrar.post("/v1/facts", &fact).await.refused(410, "user_erased");
    let facts: Value = registrar.get("/v1/facts").await.json();
    assert_eq!(facts["facts"], json!([]));
    let left = json!({ "names": [format!("user/{user}/risk"), format!("limits/{user}/day")] });
    let deleted: Value = registrar.post("/v1/facts/delete", &left).await.expect(200).json();
    assert_eq!(deleted["deleted"], 1, "{deleted}");
    let set = json!({ "holder": { "user": user }, "permissions": [{ "action": "*", "resource": "*" }] });
    registrar.post("/v1/entitlements", &set).await.refused(410, "user_erased");
    registrar.post("/v1/entitlements/delete", &json!({ "holder": { "user": user } })).await.refused(404, "not_found");
    let mine = scene.provider.user_token(claims_of_user());
    let nothing: Value = scene.reach.send(Call::get("/v1/me/delegations").bearer(&mine)).await.expect(200).json();
    assert_eq!(nothing, json!({ "delegations": [], "next": null }));
    // A provider that tells of a logout late is told nothing.
    let logout = scene.provider.logout_token(json!({ "sub": "subject-zqxjkvbw", "sid": "sid-zqxjkvbw" }));
    let logout = form("/v1/backchannel-logout", &[("logout_token", logout)]);
    scene.reach.send(logout).await.expect(200);
    // Agents see what they always see of what is not there.
    let path = format!("/v1/own-delegations/{}/revoke", child.id);
    scene.helper.post(path, &json!({})).await.refused(404, "not_found");
    let own: Value = scene.helper.send(Call::get("/v1/own-delegations")).await.json();
    assert_eq!(own["delegations"], json!([]));
    let grants: Value = registrar.get("/v1/grants").await.json();
    assert_eq!(grants["grants"], json!([]));

    // A token of before delegates nothing, exchanged or not; a later login is somebody new.
    scene.exchange(&token).await.refused(409, "delegation_inactive");
    let other = with(claims_of_user(), json!({ "jti": "other", "sid": "other" }));
    scene.exchange(&scene.token(other)).await.refused(403, "login_needed");
    let login = with(claims_of_user(), later_login().await);
    let anew: DelegationMade = scene.exchange(&scene.token(login)).await.expect(201).json();
    assert_ne!(anew.delegation.user, *user);
    assert_eq!(scene.read(&scene.bot, &anew.delegation).await.decision, DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_untouched() {
    let scene = Behalf::new().await;
    let alice = scene.delegated().await;
    let Known { delegation, .. } = known(&scene).await;
    let before = scene.read(&scene.bot, &alice).await;
    let shown = scene.alice().await;
    scene.erase(&delegation.user).await.expect(200);
    assert_eq!(scene.read(&scene.bot, &alice).await.decision, DecisionKind::Allow);
    assert_eq!(scene.alice().await, shown);
    assert_eq!(scene.record_of(&before).await["user"]["id"], alice.user);
    let grant = before.grant.unwrap();
    scene.bank.post(format!("/v1/grants/{}/uses", grant.id), &use_of(&grant)).await.expect(200);
    let list: Value = scene.staff.registrar.get(format!("/v1/delegations?user={}", alice.user)).await.json();
    assert_eq!(list["delegations"].as_array().unwrap().len(), 1);
}

/// As if the disk had failed, or the server been killed, between the write and the end of the key.
fn obstruct(scene: &Behalf, user: &str) -> PathBuf {
    let obstacle = key_file(scene, user).with_extension("erased");
    std::fs::create_dir(&obstacle).unwrap();
    obstacle
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_interrupted_counts_at_once_and_is_ended_when_it_is_asked_for_again() {
    let scene = Behalf::new().await;
    let Known { delegation, ask, allowed, .. } = known(&scene).await;
    let user = &delegation.user;
    let obstacle = obstruct(&scene, user);
    scene.erase(user).await.refused(500, "internal");
    assert!(key_file(&scene, user).exists());
    denied(&scene.bot.decide(&ask).await, "user_erased");
    scene.staff.registrar.get(format!("/v1/users/{user}")).await.refused(410, "user_erased");
    scene.staff.auditor.get(format!("/v1/audit/decisions/{}", allowed.decision_id)).await.refused(410, "user_erased");
    std::fs::remove_dir(obstacle).unwrap();
    scene.erase(user).await.expect(200);
    assert!(!key_file(&scene, user).exists());
    let entries = scene.entries().await;
    assert_eq!(entries.iter().filter(|entry| entry["type"] == "user_erased").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_interrupted_is_ended_by_the_next_start() {
    let mut scene = Behalf::new().await;
    let Known { delegation, .. } = known(&scene).await;
    let user = &delegation.user;
    let obstacle = obstruct(&scene, user);
    scene.erase(user).await.refused(500, "internal");
    std::fs::remove_dir(obstacle).unwrap();
    scene.world.server.restart(false).await;
    assert!(!key_file(&scene, user).exists());
    log_verifies(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_brings_back_an_old_copy_of_the_keys_brings_back_nobody() {
    let mut scene = Behalf::new().await;
    let Known { delegation, allowed, .. } = known(&scene).await;
    let (user, decision) = (&delegation.user, format!("/v1/audit/decisions/{}", allowed.decision_id));
    let copy = home(&scene).parent().unwrap().join("copy-of-keys");
    assert_eq!(attorn_server::copy_user_keys(&home(&scene).join("user-keys"), &copy, None).unwrap().keys, 1);
    scene.erase(user).await.expect(200);
    let file = key_file(&scene, user);
    std::fs::copy(copy.join(&user[user.len() - 2..]).join(file.file_name().unwrap()), &file).unwrap();
    scene.staff.auditor.get(&decision).await.refused(410, "user_erased");
    scene.world.server.restart(false).await;
    assert!(!file.exists());
    scene.staff.auditor.get(decision).await.refused(410, "user_erased");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_key_was_lost_before_can_still_be_erased() {
    let scene = Behalf::new().await;
    let Known { delegation, token, .. } = known(&scene).await;
    std::fs::remove_file(key_file(&scene, &delegation.user)).unwrap();
    scene.erase(&delegation.user).await.expect(200);
    scene.staff.registrar.get(format!("/v1/users/{}", delegation.user)).await.refused(410, "user_erased");
    // Nobody knew the name any more, and yet a token of before is one of before.
    scene.exchange(&token).await.refused(409, "delegation_inactive");
    let other = with(claims_of_user(), json!({ "jti": "other", "sid": "other" }));
    scene.exchange(&scene.token(other)).await.refused(403, "login_needed");
    let login = with(claims_of_user(), later_login().await);
    scene.exchange(&scene.token(login)).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_key_opens_nothing_can_still_be_erased() {
    let mut scene = Behalf::new().await;
    let Known { delegation, .. } = known(&scene).await;
    let (user, file) = (&delegation.user, key_file(&scene, &delegation.user));
    let wrapped = std::fs::read(&file).unwrap();
    for broken in [vec![0; wrapped.len()], b"x".to_vec(), vec![0; 4_000]] {
        std::fs::write(&file, broken).unwrap();
        scene.world.server.restart(false).await;
        scene.staff.registrar.get(format!("/v1/users/{user}")).await.refused(500, "internal");
    }
    scene.erase(user).await.expect(200);
    assert!(!file.exists());
    scene.staff.registrar.get(format!("/v1/users/{user}")).await.refused(410, "user_erased");
    no_word_is_found(&scene).await;
    log_verifies(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_about_two_users_names_neither_and_ends_with_either() {
    let scene = Behalf::new().await;
    let alice = scene.delegated().await.user;
    let Known { delegation, .. } = known(&scene).await;
    let (registrar, other) = (&scene.staff.registrar, delegation.user);
    let name = format!("pair/{alice}/{other}/{alice}");
    let fact = json!({ "facts": [{ "name": name, "value": 1 }] });
    registrar.post("/v1/facts", &fact).await.expect(200);
    let third = scene.exchange(&scene.token(json!({ "sub": "carol", "sid": "carol", "jti": "carol" }))).await;
    let third: DelegationMade = third.expect(201).json();
    let crowd = json!({ "facts": [{ "name": format!("{name}/{}", third.delegation.user), "value": 1 }] });
    let problem = registrar.post("/v1/facts", &crowd).await.refused(422, "invalid_field");
    assert!(problem.help.is_some_and(|help| help.contains("two at most")));
    let entries = scene.entries().await;
    let entry = entries.iter().rfind(|entry| entry["type"] == "facts_set").unwrap();
    let shown = entry["about"]["facts"][0]["name"].as_str().unwrap().to_owned();
    let parts: Vec<&str> = shown.split('/').collect();
    assert!(parts[0] == "pair" && parts[1..].iter().all(|part| part.starts_with("psn_")), "{shown}");
    assert!(parts[1] == parts[3] && parts[1] != parts[2], "{shown}");
    let text = export(&scene).await.text();
    assert!(!text.contains(&alice) && !text.contains(&other));

    // It was sealed under the key of the first, and says nothing once the second is erased.
    scene.erase(&other).await.expect(200);
    let facts: Value = registrar.get("/v1/facts?prefix=pair/").await.json();
    assert_eq!(facts["facts"], json!([]));
    registrar.post("/v1/facts", &fact).await.refused(410, "user_erased");
    let deleted: Value = registrar.post("/v1/facts/delete", &json!({ "names": [name] })).await.expect(200).json();
    assert_eq!(deleted["deleted"], 1, "{deleted}");
    assert!(!export(&scene).await.text().contains(&alice));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_erased_user_s_agent_asks_for_cannot_be_guessed_from_the_log() {
    let mut scene = Behalf::new().await;
    let Known { delegation, ask, .. } = known(&scene).await;
    scene.erase(&delegation.user).await.expect(200);
    let mut hidden = Vec::new();
    for _ in 0..2 {
        for _ in 0..2 {
            let answer = scene.bot.decide(&ask).await;
            denied(&answer, "user_erased");
            hidden.push(scene.record_of(&answer).await["request"]["resource"].as_str().unwrap().to_owned());
        }
        scene.world.server.restart(false).await;
    }
    assert!(hidden.iter().all(|resource| resource.starts_with("account/unread_")), "{hidden:?}");
    // It is told again within a run; the key of that is nowhere on disk, so that nobody finds it by trying.
    assert!(hidden[0] == hidden[1] && hidden[2] == hidden[3] && hidden[0] != hidden[2], "{hidden:?}");
}

/// The configuration of a server, for what is done without it.
fn config(scene: &Behalf) -> attorn_server::Config {
    attorn_server::Config::load(&home(scene).join("attorn.toml")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_an_erasure_gives_nothing_back_without_the_keys() {
    let scene = Behalf::new().await;
    let alice = scene.delegated().await.user;
    let Known { delegation, .. } = known(&scene).await;
    let user = &delegation.user;
    let (secret, wrapped) = (secret(&scene, user), std::fs::read(key_file(&scene, user)).unwrap());
    let outside = tempfile::TempDir::new().unwrap();
    let [backup, copy] = ["backup", "keys"].map(|name| outside.path().join(name));
    let mut config = config(&scene);
    attorn_server::data::back_up(&config, &backup).unwrap();
    attorn_server::copy_user_keys(&config.user_keys, &copy, None).unwrap();
    let key: CheckpointVerifier = scene.reach.send(Call::get("/v1/audit/key")).await.text().trim().parse().unwrap();
    scene.erase(user).await.expect(200);

    // Without the keys, and with an old copy of them: what is known beside the keys is that the user was erased.
    for (name, keys) in [("without", None), ("with", Some(copy.as_path()))] {
        config.data_dir = outside.path().join(name);
        let restored = Box::pin(attorn_server::restore::restore(&config, &backup, keys, WHOLE)).await.unwrap();
        assert_eq!((restored.ended.users, restored.user_keys), (1, keys.map(|_| 0)), "{name}");
        assert!(!key_file(&scene, user).exists());
        assert_eq!(found_in(&config.data_dir, MARK.as_bytes()), Vec::<PathBuf>::new());
        for bytes in [&secret, &wrapped] {
            assert_eq!(found_in(&config.data_dir, bytes), Vec::<PathBuf>::new());
            assert_eq!(found_in(&backup, bytes), Vec::<PathBuf>::new());
        }
        let file = std::io::BufReader::new(std::fs::File::open(&restored.export).unwrap());
        verify_export(file, Some(&key)).unwrap();
        let store = Store::open(&config.data_dir, &attorn_server::data::ours(&config).unwrap()).unwrap();
        let there = async |key: Key| store.get(&key).await.unwrap().is_some();
        let id = user.parse().unwrap();
        assert!(!there(Key::user(&id)).await && there(Key::erasure(&id)).await, "{name}");
        assert!(there(Key::user(&alice.parse().unwrap())).await, "{name}");
        store.verify_integrity().await.unwrap();
    }

    // All keys were lost with all that was known of erasures: then whoever is in the old copy comes back.
    config.data_dir = outside.path().join("lost");
    config.user_keys = outside.path().join("other-keys");
    let restored = Box::pin(attorn_server::restore::restore(&config, &backup, Some(&copy), WHOLE)).await.unwrap();
    assert_eq!((restored.ended.users, restored.user_keys), (0, Some(2)));
    // A restore that was cut off has left half of one, and the next one puts all of it there, or says that it is none.
    let file = config.user_keys.join(&alice[alice.len() - 2..]).join(format!("{alice}.key"));
    let whole = std::fs::read(&file).unwrap();
    for (name, of_copy) in [("half", &whole[..]), ("none", b"garbage")] {
        std::fs::write(&file, &whole[..20]).unwrap();
        std::fs::write(copy.join(&alice[alice.len() - 2..]).join(file.file_name().unwrap()), of_copy).unwrap();
        config.data_dir = outside.path().join(name);
        let restored = Box::pin(attorn_server::restore::restore(&config, &backup, Some(&copy), WHOLE)).await.unwrap();
        let is_whole = name == "half";
        assert_eq!((restored.user_keys, restored.users_without_key), (Some(u64::from(is_whole)), u64::from(!is_whole)));
        assert_eq!(restored.bad_user_keys.len(), if is_whole { 0 } else { 2 }, "{:?}", restored.bad_user_keys);
        assert_eq!(std::fs::read(&file).unwrap() == whole, is_whole);
    }
    // Unless the copy is from after the erasure: it has the mark.
    let newer = outside.path().join("newer");
    attorn_server::copy_user_keys(&home(&scene).join("user-keys"), &newer, None).unwrap();
    config.data_dir = outside.path().join("newer-data");
    config.user_keys = outside.path().join("newest-keys");
    let restored = Box::pin(attorn_server::restore::restore(&config, &backup, Some(&newer), WHOLE)).await.unwrap();
    assert_eq!((restored.ended.users, restored.user_keys), (1, Some(1)));
}

/// Shadow policies are asked some time after the answer, and write to their logs what they were asked about.
#[tokio::test(flavor = "multi_thread")]
async fn no_shadow_policy_writes_about_a_user_who_was_erased_meanwhile() {
    const DECISIONS: u64 = 12;
    let scene = Behalf::new().await;
    let known = known(&scene).await;
    // The first keeps the others waiting.
    let slow = json!({ "mode": "shadow",
        "limits": { "cpu_us_max": 100_000, "wall_us_max": 200_000, "memory_bytes_max": 1 << 20 } });
    scene.activate_with("a-slow", components::bytes("loop_in_evaluate"), json!({}), slow).await;
    scene.activate_with("writes", components::bytes("logs"), json!({}), json!({ "mode": "shadow" })).await;
    for _ in 0..DECISIONS {
        assert_eq!(scene.bot.decide(&known.ask).await.decision, DecisionKind::Allow);
    }
    scene.erase(&known.delegation.user).await.expect(200);
    let mut counted = 0;
    for _ in 0..400 {
        let logs = scene.staff.auditor.get("/v1/policy-logs?limit=200").await;
        assert!(!logs.text().contains(MARK), "{}", logs.text());
        let policy: Policy = scene.staff.policy_admin.get("/v1/policies/writes").await.json();
        let report = policy.versions.first().and_then(|version| version.shadow);
        counted = report.map_or(0, |report| report.evaluations + report.dropped);
        if counted == DECISIONS {
            assert!(report.unwrap().dropped > 0, "none of them waited");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(counted, DECISIONS);
}
