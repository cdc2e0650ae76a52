//! The lanes themselves: a queue per cancel priority, a heap of deadlines, and a plain queue.

use super::fairness::{Fairness, Pick, StreakLimits, Waiting};
use crate::types::time::Time;
use crate::world::Lane;
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

/// The cancel and timed lanes.
///
/// Cancelling a region enqueues all its tasks at one priority, so a queue per
/// priority makes both ends O(1) where a heap would pay O(log n) per task.
pub struct Urgent<T> {
    /// Sorted by falling priority; six ranks exist, so this stays tiny. Emptied
    /// buckets are kept: the next cancellation is likely of the same rank.
    cancel: Vec<(u8, VecDeque<T>)>,
    cancels: usize,
    timed: BinaryHeap<Reverse<Due<T>>>,
    sequence: u64,
}

struct Due<T> {
    deadline: Time,
    priority: u8,
    sequence: u64,
    task: T,
}

impl<T> Due<T> {
    fn rank(&self) -> (Time, Reverse<u8>, u64) {
        (self.deadline, Reverse(self.priority), self.sequence)
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, o: &Self) -> Ordering {
        self.rank().cmp(&o.rank())
    }
}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, o: &Self) -> Option<Ordering> {
        Some(self.cmp(o))
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, o: &Self) -> bool {
        self.rank() == o.rank()
    }
}

impl<T> Eq for Due<T> {}

impl<T> Urgent<T> {
    /// Two empty lanes; allocates nothing.
    pub const fn new() -> Self {
        Urgent {
            cancel: Vec::new(),
            cancels: 0,
            timed: BinaryHeap::new(),
            sequence: 0,
        }
    }

    /// Entries in both lanes.
    pub fn len(&self) -> usize {
        self.cancels + self.timed.len()
    }

    /// Whether both lanes are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries in the cancel lane.
    pub fn cancels(&self) -> usize {
        self.cancels
    }

    /// Entries in the timed lane.
    pub fn timeds(&self) -> usize {
        self.timed.len()
    }

    /// Whether the count of the cancel lane is the number of its entries.
    pub fn counters_agree(&self) -> bool {
        let counted: usize = self.cancel.iter().map(|(_, bucket)| bucket.len()).sum();
        counted == self.cancels
    }

    /// Adds a task to its lane; gives one of the ready lane back.
    pub fn push(&mut self, lane: Lane, task: T) -> Option<T> {
        match lane {
            Lane::Cancel { priority } => self.push_cancel(priority, task),
            Lane::Timed { deadline, priority } => self.push_timed(deadline, priority, task),
            Lane::Ready => return Some(task),
        }
        None
    }

    fn push_cancel(&mut self, priority: u8, task: T) {
        let place = self
            .cancel
            .binary_search_by_key(&Reverse(priority), |(p, _)| Reverse(*p));
        let place = place.unwrap_or_else(|place| {
            self.cancel.insert(place, (priority, VecDeque::new()));
            place
        });
        self.cancel[place].1.push_back(task);
        self.cancels += 1;
    }

    fn push_timed(&mut self, deadline: Time, priority: u8, task: T) {
        let sequence = self.sequence;
        self.sequence += 1;
        self.timed.push(Reverse(Due {
            deadline,
            priority,
            sequence,
            task,
        }));
    }

    /// Takes the most urgent task of the cancel lane.
    pub fn pop_cancel(&mut self) -> Option<T> {
        let task = self
            .cancel
            .iter_mut()
            .find_map(|(_, bucket)| bucket.pop_front())?;
        self.cancels -= 1;
        Some(task)
    }

    /// Takes the task with the earliest deadline.
    pub fn pop_timed(&mut self) -> Option<T> {
        self.timed.pop().map(|Reverse(due)| due.task)
    }

    /// Takes the most urgent task of both lanes.
    pub fn pop(&mut self) -> Option<T> {
        self.pop_cancel().or_else(|| self.pop_timed())
    }
}

impl<T> Default for Urgent<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// All three lanes of one scheduler, with their fairness.
pub struct Lanes<T> {
    urgent: Urgent<T>,
    ready: VecDeque<T>,
    fairness: Fairness,
}

impl<T> Lanes<T> {
    /// Empty lanes with the default fairness.
    pub fn new() -> Self {
        Lanes::with_limits(StreakLimits::default())
    }

    /// Empty lanes with these limits.
    pub const fn with_limits(limits: StreakLimits) -> Self {
        Lanes {
            urgent: Urgent::new(),
            ready: VecDeque::new(),
            fairness: Fairness::with_limits(limits),
        }
    }

    /// Entries in all lanes.
    pub fn len(&self) -> usize {
        self.urgent.len() + self.ready.len()
    }

    /// Whether nothing is ready.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a task to its lane.
    pub fn push(&mut self, lane: Lane, task: T) {
        let ready = self.urgent.push(lane, task);
        self.ready.extend(ready);
    }

    /// Takes the next task by priority and fairness.
    pub fn pop(&mut self) -> Option<T> {
        let waiting = Waiting {
            cancel: self.urgent.cancels() > 0,
            timed: self.urgent.timeds() > 0,
            ready: !self.ready.is_empty(),
        };
        match self.fairness.choose(waiting)? {
            Pick::Cancel => self.urgent.pop_cancel(),
            Pick::Timed => self.urgent.pop_timed(),
            Pick::Ready => self.ready.pop_front(),
        }
    }
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn lane() -> impl Strategy<Value = Lane> {
        prop_oneof![
            (0u8..6).prop_map(|rank| Lane::Cancel {
                priority: 200 + 10 * rank
            }),
            (0u64..9, 0u8..3).prop_map(|(t, priority)| Lane::Timed {
                deadline: Time::from_nanos(t),
                priority,
            }),
            Just(Lane::Ready),
        ]
    }

    /// Smaller is served first inside its lane.
    fn rank(lane: Lane, arrival: usize) -> (u64, usize) {
        match lane {
            Lane::Cancel { priority } => (255 - u64::from(priority), arrival),
            // More urgent with every unit of priority, but never past a deadline.
            Lane::Timed { deadline, priority } => (
                256 * deadline.as_nanos() + 255 - u64::from(priority),
                arrival,
            ),
            Lane::Ready => (0, arrival),
        }
    }

    fn index(lane: Lane) -> usize {
        match lane {
            Lane::Cancel { .. } => 0,
            Lane::Timed { .. } => 1,
            Lane::Ready => 2,
        }
    }

    proptest! {
        #[test]
        fn agree_with_three_ordered_maps(
            ops in prop::collection::vec(prop::option::weighted(0.6, lane()), 0..400)
        ) {
            let mut lanes = Lanes::new();
            let mut model: [BTreeMap<(u64, usize), usize>; 3] = Default::default();
            let mut fairness = Fairness::new();
            let pushed = ops.len();
            // Pops are added at the end so that the lanes are emptied.
            for (i, op) in ops.into_iter().chain(std::iter::repeat_n(None, pushed)).enumerate() {
                if let Some(lane) = op {
                    lanes.push(lane, i);
                    model[index(lane)].insert(rank(lane, i), i);
                } else {
                    let [cancel, timed, ready] = [0, 1, 2].map(|i: usize| !model[i].is_empty());
                    let expected = fairness.choose(Waiting { cancel, timed, ready }).map(|pick| {
                        let lane = match pick { Pick::Cancel => 0, Pick::Timed => 1, Pick::Ready => 2 };
                        model[lane].pop_first().expect("the pick waits").1
                    });
                    prop_assert_eq!(lanes.pop(), expected);
                }
                prop_assert_eq!(lanes.len(), model.iter().map(BTreeMap::len).sum::<usize>());
            }
            prop_assert!(lanes.is_empty());
        }
    }
}
