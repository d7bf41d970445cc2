//! What a yes is bound to: the user and every hop, and the terms that were shown.

use attorn_api::delegations::Delegation;
use attorn_tests::behalf::registration;

use super::*;

/// Alice, whose bot passes on what it may to a helper, and that to another; and two who approve.
struct Chain {
    behalf: Behalf,
    root: Delegation,
    ada: Operator,
    bob: Operator,
}

impl Chain {
    async fn new() -> Self {
        let behalf = Behalf::new().await;
        behalf.activate("careful", components::bytes(ONE), json!({})).await;
        let ada = behalf.staff.admin.hire("ada", &[Duty::Approver]).await;
        let bob = behalf.staff.admin.hire("bob", &[Duty::Approver]).await;
        let root = behalf.delegated().await;
        Self { behalf, root, ada, bob }
    }

    async fn challenged(&self, agent: &Machine, delegation: &Delegation) -> ApprovalReference {
        let answer = self.behalf.read(agent, delegation).await;
        assert_eq!(answer.decision, Challenge, "{answer:?}");
        answer.approval.unwrap()
    }

    async fn revoke(&self, delegation: &Delegation) {
        let path = format!("/v1/delegations/{}/revoke", delegation.id);
        self.behalf.staff.registrar.post(path, &json!({})).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_ends_with_the_delegation_under_which_it_was_asked() {
    let chain = Chain::new().await;
    let (helper, second) = (&chain.behalf.helper, &chain.behalf.second);
    let middle = chain.behalf.offered(&chain.behalf.bot, &chain.root, helper).await;
    let last = chain.behalf.offered(helper, &middle, second).await;
    let asked = chain.challenged(second, &last).await;
    approve(&chain.ada, &asked.id).await;
    // The same again, by the same agents, is another delegation.
    chain.revoke(&last).await;
    let other = chain.behalf.offered(helper, &middle, second).await;
    let next = chain.challenged(second, &other).await;
    assert_ne!(next.id, asked.id, "a last hop");
    approve(&chain.ada, &next.id).await;
    // So it is where one in the middle is.
    chain.revoke(&middle).await;
    let middle = chain.behalf.offered(&chain.behalf.bot, &chain.root, helper).await;
    let last = chain.behalf.offered(helper, &middle, second).await;
    let third = chain.challenged(second, &last).await;
    assert!(third.id != asked.id && third.id != next.id, "a middle hop");
    // And where nobody is in the middle.
    let short = chain.behalf.offered(&chain.behalf.bot, &chain.root, second).await;
    assert_ne!(chain.challenged(second, &short).await.id, third.id);
    approve(&chain.ada, &third.id).await;
    assert_eq!(chain.behalf.read(second, &last).await.decision, Allow);
    replays_identically(&chain.behalf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_is_to_one_consent_of_one_user() {
    let chain = Chain::new().await;
    let asked = chain.challenged(&chain.behalf.bot, &chain.root).await;
    approve(&chain.ada, &asked.id).await;
    let again = chain.behalf.delegated_again().await;
    let other = chain.challenged(&chain.behalf.bot, &again).await;
    assert_ne!(other.id, asked.id, "another consent of hers");
    let of_bob = chain.behalf.token(json!({ "sub": "bob", "sid": "session-of-bob" }));
    let made: attorn_api::delegations::DelegationMade = chain.behalf.exchange(&of_bob).await.expect(201).json();
    let of_bob = chain.challenged(&chain.behalf.bot, &made.delegation).await;
    assert!(of_bob.id != asked.id && of_bob.id != other.id, "another user");
    assert_eq!(chain.behalf.read(&chain.behalf.bot, &chain.root).await.decision, Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_owns_an_agent_in_the_middle_approves_nothing() {
    let chain = Chain::new().await;
    let behalf = &chain.behalf;
    let middle = Machine::new(&behalf.reach, "middle");
    let mut body = registration(&middle, "account.*", "account/*");
    body["owner"] = "ADA".into();
    behalf.staff.registrar.post("/v1/agents", &body).await.expect(201);
    let to_middle = behalf.offered(&behalf.bot, &chain.root, &middle).await;
    let last = behalf.offered(&middle, &to_middle, &behalf.second).await;
    let asked = chain.challenged(&behalf.second, &last).await;
    assert_eq!(show(&chain.bob, &asked.id).await.asks.through, ["support-bot", "middle"]);
    vote(&chain.ada, &asked.id, "approve").await.refused(403, "own_request");
    assert_eq!(chain.challenged(&behalf.second, &last).await, asked);
    // A no is everybody's to say, and so is a yes of somebody else's.
    approve(&chain.bob, &asked.id).await;
    assert_eq!(behalf.read(&behalf.second, &last).await.decision, Allow);
}

fn fact(name: &str, value: u64) -> Value {
    json!({ "facts": [{ "name": format!("agent/support-bot/{name}"), "value": value }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_is_to_what_was_to_follow_and_to_no_more() {
    let scene = Scene::new("challenge_by_facts").await;
    let say = async |name: &str, value: u64| {
        scene.world.staff.registrar.post("/v1/facts", &fact(name, value)).await.expect(200);
    };
    let once = scene.challenged(&ask()).await;
    assert_eq!(show(&scene.ada, &once.id).await.asks.follows.uses_max, 1);
    approve(&scene.ada, &once.id).await;
    say("uses", 5).await;
    let answer = scene.world.bot.decide(&ask()).await;
    let five = answer.approval.clone().unwrap();
    assert_eq!((answer.decision, five.id == once.id), (Challenge, false), "{answer:?}");
    assert_eq!(scene.world.entry_of(&answer).await["approval"]["replaces"], once.id);
    let shown = show(&scene.ada, &five.id).await;
    assert_eq!((shown.asks.follows.uses_max, shown.votes.len()), (5, 0), "nobody has said yes to five");
    // What changes while it waits is shown anew, too, and what becomes less is not.
    say("amount", 5).await;
    let charged = scene.challenged(&ask()).await;
    assert_ne!(charged.id, five.id);
    assert_eq!(show(&scene.ada, &charged.id).await.asks.follows.debits[0].amount, "5");
    say("uses", 2).await;
    say("amount", 4).await;
    assert_eq!(scene.challenged(&ask()).await, charged);
    approve(&scene.ada, &charged.id).await;
    say("amount", 6).await;
    let more = scene.challenged(&ask()).await;
    assert_ne!(more.id, charged.id);
    approve(&scene.bob, &more.id).await;
    say("amount", 3).await;
    say("uses", 1).await;
    let allowed = scene.world.bot.decide(&ask()).await;
    assert_eq!((allowed.decision, allowed.grant.as_ref().map(|grant| grant.uses_max)), (Allow, Some(1)));
    replays_identically(&scene.world).await;
}
