//! Which of many policies are about a request, found without trying the selector of each.
//!
//! An index says exactly what a scan of all selectors would say: it only leaves out those that cannot
//! match, and tries the others. It knows no policies, only the places of their selectors.

use std::collections::BTreeMap;

use crate::agent::{Agent, UserPresence};
use crate::id::LabelName;
use crate::permission::{ActionPattern, ResourceType};
use crate::policy::Selector;
use crate::request::Request;

/// An index over selectors.
///
/// Each selector stands under one of its sides, the one that the fewest others share: its actions, its
/// types of resource, or one of its labels. A request looks only where its own action, type and labels
/// lead, so what it costs grows with how many selectors are alike, and not with how many there are.
#[derive(Debug, Clone, Default)]
pub struct SelectorIndex {
    selectors: Vec<Selector>,
    by_action: Places<ActionPattern>,
    by_resource_type: Places<ResourceType>,
    by_label: Places<(LabelName, String)>,
    /// Those that leave all these sides open.
    open: Vec<usize>,
}

type Places<K> = BTreeMap<K, Vec<usize>>;

/// The side under which a selector stands.
enum Side<'a> {
    Actions,
    ResourceTypes,
    Label(&'a (LabelName, String)),
    Open,
}

impl SelectorIndex {
    /// An index over these, which are named by their places from 0 on.
    #[must_use]
    pub fn new(selectors: Vec<Selector>) -> Self {
        let shared = Shared::of(&selectors);
        let mut index = Self::default();
        for (at, selector) in selectors.iter().enumerate() {
            match shared.rarest_side(selector) {
                Side::Actions => {
                    for action in &selector.actions {
                        index.by_action.entry(action.clone()).or_default().push(at);
                    }
                }
                Side::ResourceTypes => {
                    for resource_type in &selector.resource_types {
                        index.by_resource_type.entry(resource_type.clone()).or_default().push(at);
                    }
                }
                Side::Label(label) => index.by_label.entry(label.clone()).or_default().push(at),
                Side::Open => index.open.push(at),
            }
        }
        index.selectors = selectors;
        index
    }

    /// The places of all selectors that match, in order.
    #[must_use]
    pub fn matching(&self, agent: &Agent, request: &Request, user: UserPresence) -> Vec<usize> {
        let mut places = self.candidates(agent, request);
        places.retain(|&at| self.selectors.get(at).is_some_and(|selector| selector.matches(agent, request, user)));
        places
    }

    /// The places of those that may match, in order, each once.
    fn candidates(&self, agent: &Agent, request: &Request) -> Vec<usize> {
        let mut places = self.open.clone();
        let mut add = |found: Option<&Vec<usize>>| places.extend(found.into_iter().flatten());
        add(self.by_resource_type.get(&request.resource.resource_type()));
        for pattern in request.action.covering() {
            add(self.by_action.get(&pattern));
        }
        if !self.by_label.is_empty() {
            for (name, value) in &agent.labels {
                add(self.by_label.get(&(name.clone(), value.clone())));
            }
        }
        // Two patterns of one selector may cover the same action.
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// How many selectors name each action pattern, type and label.
struct Shared<'a> {
    actions: BTreeMap<&'a ActionPattern, usize>,
    resource_types: BTreeMap<&'a ResourceType, usize>,
    labels: BTreeMap<&'a (LabelName, String), usize>,
}

impl<'a> Shared<'a> {
    fn of(selectors: &'a [Selector]) -> Self {
        Self {
            actions: count(selectors.iter().flat_map(|selector| &selector.actions)),
            resource_types: count(selectors.iter().flat_map(|selector| &selector.resource_types)),
            labels: count(selectors.iter().flat_map(|selector| &selector.agent_labels)),
        }
    }

    /// The side that the fewest share. A selector stands under all its actions or types, so it is the
    /// most shared of them that counts; of its labels an agent must have all, so one is enough.
    fn rarest_side<'s>(&self, selector: &'s Selector) -> Side<'s> {
        let of = |count: Option<&usize>| count.copied().unwrap_or(0);
        let actions = selector.actions.iter().map(|action| of(self.actions.get(action))).max();
        let types = selector.resource_types.iter().map(|name| of(self.resource_types.get(name))).max();
        let label = selector.agent_labels.iter().map(|label| (of(self.labels.get(label)), label)).min();
        let sides = [
            actions.map(|count| (count, Side::Actions)),
            types.map(|count| (count, Side::ResourceTypes)),
            label.map(|(count, label)| (count, Side::Label(label))),
        ];
        sides.into_iter().flatten().min_by_key(|(count, _)| *count).map_or(Side::Open, |(_, side)| side)
    }
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
