//! The fuel of a cascade: a ghost variable, which decides nothing and is
//! checked against what a request did.
//!
//! At a request the fuel is the number of live, unshielded regions and tasks
//! below. It is counted region by region, at the instant at which the region
//! stops admitting, because only then does the number stand still. Each of them
//! uses up one unit when it is reached, and in the end none is left. Somebody who
//! was asked for a stronger reason before is reached too, and passes nothing on:
//! what is below has been reached for that reason.
//!
//! | at the end | means |
//! |---|---|
//! | fuel left | somebody below was not reached |
//! | fuel overdrawn | somebody was reached who is not below |
//! | somebody reached again | the tree is none, or two edges of a cascade lead to one node |
//!
//! That nobody is reached twice is why a cascade terminates, in as many steps as
//! there are nodes. It does not follow that those who are asked end.

use crate::types::id::{RegionId, TaskId};

/// Who can be asked to cancel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Node {
    /// A region.
    Region(RegionId),
    /// A task.
    Task(TaskId),
}

/// What one cascade has done so far.
#[derive(Clone, Debug)]
pub struct Fuel {
    target: Node,
    /// Whoever was reached. A list, sorted in the end: a cascade of many nodes
    /// is not to allocate for each of them, in debug builds either.
    reached: Vec<Node>,
    owed: u32,
}

/// What it has done in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Account {
    /// Where it began.
    pub target: Node,
    /// How many there were to reach.
    pub fuel: u32,
    /// How often somebody was reached.
    pub reached: u32,
    /// How often somebody who had been reached before, or the target.
    pub again: u32,
    /// The first of those.
    pub twice: Option<Node>,
}

/// A cascade that did not reach everybody below once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Uneven {
    /// Somebody was reached more than once.
    #[error("a request reached {0:?} {1} more times: its tree is none, please report this")]
    Again(Node, u32),
    /// Too few or too many were reached.
    #[error("a request reached {reached} of {fuel} below: please report this")]
    Differs {
        /// How many there were.
        fuel: u32,
        /// How many were reached.
        reached: u32,
    },
}

impl Fuel {
    /// A request to `target`, which is not below itself.
    pub fn new(target: Node) -> Self {
        Fuel {
            target,
            reached: Vec::new(),
            owed: 0,
        }
    }

    /// So many were found below somebody who passes the request on.
    pub fn owe(&mut self, nodes: u32) {
        self.owed += nodes;
    }

    /// The request reaches somebody.
    pub fn reach(&mut self, node: Node) {
        self.reached.push(node);
    }

    /// The cascade is over.
    pub fn end(mut self) -> Account {
        let reached = self.reached.len() as u32;
        self.reached.push(self.target);
        self.reached.sort_unstable();
        let repeated = self.reached.windows(2).filter(|pair| pair[0] == pair[1]);
        Account {
            target: self.target,
            fuel: self.owed,
            reached,
            again: repeated.clone().count() as u32,
            twice: repeated.map(|pair| pair[0]).next(),
        }
    }
}

impl Account {
    /// Whether everybody below was reached, and once.
    ///
    /// # Errors
    /// When the account does not come out even.
    pub fn check(&self) -> Result<(), Uneven> {
        let (fuel, reached) = (self.fuel, self.reached);
        match self.twice {
            Some(node) => Err(Uneven::Again(node, self.again)),
            None if fuel != reached => Err(Uneven::Differs { fuel, reached }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn region(i: usize) -> Node {
        Node::Region(RegionId::new(i as u32, 0))
    }

    /// Sends a request down `children` from `0`, as a cascade does: whoever was
    /// asked before passes nothing on.
    fn cascade(children: &[Vec<usize>]) -> Account {
        let mut fuel = Fuel::new(region(0));
        let mut asked = vec![false; children.len()];
        let mut queue = VecDeque::from([0]);
        while let Some(at) = queue.pop_front() {
            if at != 0 || asked[0] {
                fuel.reach(region(at));
            }
            if !std::mem::replace(&mut asked[at], true) {
                fuel.owe(children[at].len() as u32);
                queue.extend(&children[at]);
            }
        }
        fuel.end()
    }

    #[test]
    fn a_cycle_is_told_and_the_cascade_ends_all_the_same() {
        let fuel = cascade(&[vec![1], vec![2], vec![0, 3], vec![]]);
        assert_eq!(fuel.check(), Err(Uneven::Again(region(0), 1)));
        assert_eq!((fuel.fuel, fuel.reached, fuel.again), (4, 4, 1));
    }

    #[test]
    fn two_ways_to_one_node_are_told() {
        let fuel = cascade(&[vec![1, 2], vec![3], vec![3], vec![]]);
        assert_eq!(fuel.check(), Err(Uneven::Again(region(3), 1)));
    }

    #[test]
    fn who_is_left_out_or_does_not_belong_is_told() {
        let mut fuel = Fuel::new(region(0));
        fuel.owe(2);
        fuel.reach(region(1));
        let check = |fuel: &Fuel| fuel.clone().end().check();
        let differs = |fuel, reached| Err(Uneven::Differs { fuel, reached });
        assert_eq!(check(&fuel), differs(2, 1));
        fuel.reach(region(2));
        assert_eq!(check(&fuel), Ok(()));
        fuel.reach(Node::Task(TaskId::new(2, 0)));
        assert_eq!(check(&fuel), differs(2, 3));
    }

    proptest! {
        #[test]
        fn on_a_tree_the_fuel_is_the_number_of_nodes_and_is_used_up(
            parents in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let mut children = vec![Vec::new()];
            for parent in &parents {
                let parent = parent.index(children.len());
                let child = children.len();
                children[parent].push(child);
                children.push(Vec::new());
            }
            let fuel = cascade(&children);
            prop_assert_eq!(fuel.check(), Ok(()));
            prop_assert_eq!(fuel.reached, parents.len() as u32);
        }
    }
}
