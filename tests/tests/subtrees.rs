//! Whatever tree of delegations there is, revoking any of them ends exactly what hangs on it.

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_tests::behalf::registration;
use attorn_tests::{Behalf, Call, Machine};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tokio::runtime::Runtime;

/// How long the longest chain is.
const DEPTH_MAX: usize = 4;
/// How many trees are tried, each with a delegation of its own at the root.
const TREES: u32 = 12;

#[derive(Clone, Copy, Debug)]
enum Revoker {
    Operator,
    User,
    /// The agent that acts by the delegation gives it back.
    Holder,
}

/// One tree: on which earlier node each but the root hangs, and the node that is revoked.
#[derive(Clone, Debug)]
struct Plan {
    parents: Vec<Index>,
    revoked: Index,
    by: Revoker,
}

fn plans() -> impl Strategy<Value = Plan> {
    let by = select(vec![Revoker::Operator, Revoker::User, Revoker::Holder]);
    (vec(any::<Index>(), 1..9), any::<Index>(), by).prop_map(|(parents, revoked, by)| Plan { parents, revoked, by })
}

/// A node: its delegation, the node that it hangs on, and how many nodes are above it.
struct Node {
    delegation: Delegation,
    parent: Option<usize>,
    depth: usize,
}

/// The bot, and agents for each depth, so that no agent is twice in a chain.
struct Scene {
    behalf: Behalf,
    below: Vec<Machine>,
    trees: usize,
}

impl Scene {
    async fn new() -> Self {
        let behalf = Behalf::new().await;
        let below: Vec<_> =
            (1..DEPTH_MAX).map(|depth| Machine::new(&behalf.reach, &format!("at-depth-{depth}"))).collect();
        for agent in &below {
            let body = registration(agent, "account.*", "account/*");
            behalf.staff.registrar.post("/v1/agents", &body).await.expect(201);
        }
        Self { behalf, below, trees: 0 }
    }

    /// Whose the last tree is.
    fn user(&self) -> String {
        format!("user-{}", self.trees)
    }

    /// Who acts by what is as deep as this.
    fn agent(&self, depth: usize) -> &Machine {
        depth.checked_sub(1).map_or(&self.behalf.bot, |at| &self.below[at])
    }

    async fn tree(&mut self, plan: &Plan) -> Vec<Node> {
        self.trees += 1;
        // Each tree is a user's of its own: who revoked something would have to sign in again, later.
        let user = self.user();
        let token = self.behalf.token(json!({ "sub": user, "sid": user }));
        let made: DelegationMade = self.behalf.exchange(&token).await.expect(201).json();
        let mut nodes = vec![Node { delegation: made.delegation, parent: None, depth: 0 }];
        for index in &plan.parents {
            let may: Vec<usize> = (0..nodes.len()).filter(|at| nodes[*at].depth + 1 < DEPTH_MAX).collect();
            let parent = *index.get(&may);
            let depth = nodes[parent].depth + 1;
            let (from, to) = (self.agent(depth - 1), self.agent(depth));
            let delegation = self.behalf.offered(from, &nodes[parent].delegation, to).await;
            nodes.push(Node { delegation, parent: Some(parent), depth });
        }
        nodes
    }

    async fn revoke(&self, node: &Node, by: Revoker) {
        let (behalf, id) = (&self.behalf, &node.delegation.id);
        let answer = match by {
            Revoker::Operator => behalf.staff.registrar.post(format!("/v1/delegations/{id}/revoke"), &json!({})).await,
            Revoker::User => {
                let token = behalf.provider.user_token(json!({ "sub": self.user() }));
                let call = Call::post(format!("/v1/me/delegations/{id}/revoke"), &json!({}));
                behalf.reach.send(call.bearer(&token)).await
            }
            Revoker::Holder => {
                self.agent(node.depth).post(format!("/v1/own-delegations/{id}/revoke"), &json!({})).await
            }
        };
        answer.expect(200);
    }

    async fn read(&self, node: &Node) -> DecisionAnswer {
        self.behalf.read(self.agent(node.depth), &node.delegation).await
    }
}

/// Whether one node is another, or hangs on it.
fn hangs_on(nodes: &[Node], mut at: usize, revoked: usize) -> bool {
    loop {
        match nodes[at].parent {
            _ if at == revoked => return true,
            None => return false,
            Some(parent) => at = parent,
        }
    }
}

async fn check(scene: &mut Scene, others: &mut Vec<Node>, plan: &Plan) -> Result<(), TestCaseError> {
    let nodes = scene.tree(plan).await;
    for node in &nodes {
        let answer = scene.read(node).await;
        prop_assert_eq!(answer.decision, DecisionKind::Allow, "before: {:?}", answer);
    }
    let revoked = plan.revoked.index(nodes.len());
    scene.revoke(&nodes[revoked], plan.by).await;
    for (at, node) in nodes.iter().enumerate() {
        let answer = scene.read(node).await;
        let codes: Vec<_> = answer.reasons.iter().map(|reason| reason.code.as_str()).collect();
        if hangs_on(&nodes, at, revoked) {
            prop_assert_eq!((answer.decision, codes), (DecisionKind::Deny, vec!["delegation_revoked"]), "node {}", at);
        } else {
            prop_assert_eq!(answer.decision, DecisionKind::Allow, "node {}: {:?}", at, codes);
        }
    }
    // What another tree has left is as it was.
    for node in others.iter() {
        let answer = scene.read(node).await;
        prop_assert_eq!(answer.decision, DecisionKind::Allow, "of another tree: {:?}", answer);
    }
    let left = nodes.into_iter().enumerate().filter(|(at, _)| *at < revoked).map(|(_, node)| node);
    *others = left.collect();
    Ok(())
}

#[test]
fn revoking_any_node_of_any_tree_ends_exactly_its_subtree() {
    let runtime = Runtime::new().expect("a runtime");
    let scene = std::cell::RefCell::new((runtime.block_on(Scene::new()), Vec::new()));
    let config = Config { cases: TREES, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&plans(), |plan| {
            let mut scene = scene.borrow_mut();
            let (scene, others) = &mut *scene;
            runtime.block_on(check(scene, others, &plan))
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}
