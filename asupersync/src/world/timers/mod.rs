//! The timer queue, one value used by both worlds.
//!
//! A hierarchical wheel of ticks for what is far, and an order by exact instant
//! of what is near. Invariants:
//!
//! 1. timers leave in the order (due, sequence of insertion), and never before
//!    they are due: a tick only says where a timer is kept;
//! 2. near is what is due in the current tick or before, in the wheel what is
//!    due later, so the first that is near is the first of all;
//! 3. setting a timer for later and cancelling one are O(1); a timer is moved
//!    once per level that it was set above, and is sorted among those of its tick;
//! 4. a cancelled timer leaves nothing behind once its tick has passed: until
//!    then a stale key is recognised.
//!
//! The current tick follows the instants that are asked for: it is where the
//! wheel stands, which may be behind the clock.

mod near;
mod wheel;

use crate::types::slots::{Key, Slots};
use crate::types::time::Time;
use near::{Near, Node};
use std::task::Waker;
use wheel::{Links, NONE, Wheel, tick_of};

/// Pending timers.
#[derive(Default)]
pub struct Timers {
    entries: Slots<Entry>,
    near: Near,
    /// Made with the first timer that is not near.
    wheel: Option<Box<Wheel>>,
    tick: u64,
    sequence: u64,
}

struct Entry {
    waker: Waker,
    due: Time,
    sequence: u64,
    at: At,
}

/// Where an entry is kept.
#[derive(Clone, Copy)]
enum At {
    /// Near, at this place of the heap.
    Near(usize),
    /// Near, in the row.
    Sorted,
    /// In a list of the wheel.
    Listed(Links),
}

impl Timers {
    /// No timers.
    pub const fn new() -> Self {
        Timers {
            entries: Slots::new(),
            near: Near::new(),
            wheel: None,
            tick: 0,
            sequence: 0,
        }
    }

    /// Number of pending timers.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is pending.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// When the next one is due.
    ///
    /// Where a timer was cancelled that was due before all others of its list,
    /// this looks through the list; see [`Timers::wake_by`].
    pub fn next_due(&self) -> Option<Time> {
        let near = self.near.first().map(|node| node.due);
        near.or_else(|| {
            let wheel = self.wheel.as_ref()?;
            let (list, _) = wheel.first(self.tick)?;
            Some(wheel.min(&self.entries, list))
        })
    }

    /// As [`Timers::next_due`], in O(1), but too early if a timer was cancelled
    /// that was due then. Who comes back at that time for nothing and asks
    /// [`Timers::fire`] is told a later one.
    pub fn wake_by(&self) -> Option<Time> {
        let near = self.near.first().map(|node| node.due);
        near.or_else(|| {
            let wheel = self.wheel.as_ref()?;
            let (list, _) = wheel.first(self.tick)?;
            Some(wheel.bound(list))
        })
    }

    /// Adds a timer.
    pub fn set(&mut self, due: Time, waker: Waker) -> Key {
        let sequence = self.sequence;
        self.sequence += 1;
        let entry = |at| Entry {
            waker,
            due,
            sequence,
            at,
        };
        if tick_of(due) <= self.tick {
            let key = self.entries.insert(entry(At::Near(usize::MAX)));
            self.near
                .push(&mut self.entries, Node { due, sequence, key });
            return key;
        }
        let wheel = self.wheel.get_or_insert_with(Wheel::new);
        let links = wheel.links(due, self.tick);
        let key = self.entries.insert(entry(At::Listed(links)));
        wheel.push(&mut self.entries, key, links, due);
        key
    }

    /// The waker of a pending timer, to replace; `None` when it has fired.
    pub fn waker_mut(&mut self, key: Key) -> Option<&mut Waker> {
        self.entries.get_mut(key).map(|e| &mut e.waker)
    }

    /// Removes a timer and gives its due time and waker back; `None` when it has fired.
    pub fn cancel(&mut self, key: Key) -> Option<(Time, Waker)> {
        let Entry { waker, due, at, .. } = self.entries.remove(key)?;
        match (at, &mut self.wheel) {
            (At::Near(place), _) => self.near.remove(&mut self.entries, place),
            (At::Sorted, _) => self.near.trim(&self.entries),
            (At::Listed(links), Some(wheel)) => wheel.remove(&mut self.entries, links, due),
            (At::Listed(_), None) => unreachable!("a list is a wheel's"),
        }
        Some((due, waker))
    }

    /// Removes the next timer that is due at `now`; the caller wakes it with no lock held.
    pub fn fire(&mut self, now: Time) -> Option<(Time, Waker)> {
        while self.near.first().is_none() {
            if !self.turn(tick_of(now)) {
                return None;
            }
        }
        let first = self.near.first().filter(|node| node.due <= now)?;
        let entry = self.entries.remove(first.key);
        self.near.remove_first(&mut self.entries, first);
        Some((first.due, entry.expect("a node names a live entry").waker))
    }

    /// Turns the wheel to its first list, if that begins at `limit` or before,
    /// and spreads the list over what is below; else to `limit`.
    fn turn(&mut self, limit: u64) -> bool {
        let first = self.wheel.as_mut().and_then(|wheel| {
            let (list, start) = wheel.first(self.tick)?;
            (start <= limit).then(|| (wheel.take(list), start))
        });
        let Some((mut key, start)) = first else {
            self.tick = self.tick.max(limit);
            return false;
        };
        self.tick = start;
        while key != NONE {
            let entry = self.entries.get(key).expect("a list names live entries");
            let node = Node {
                due: entry.due,
                sequence: entry.sequence,
                key,
            };
            key = match entry.at {
                At::Listed(links) => links.next,
                At::Near(_) | At::Sorted => unreachable!("an entry is in one place"),
            };
            if tick_of(node.due) <= start {
                self.entries.get_mut(node.key).expect("as above").at = At::Sorted;
                self.near.add(node);
            } else if let Some(wheel) = &mut self.wheel {
                let links = wheel.links(node.due, start);
                self.entries.get_mut(node.key).expect("as above").at = At::Listed(links);
                wheel.push(&mut self.entries, node.key, links, node.due);
            }
        }
        self.near.sort();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[derive(Clone, Debug)]
    enum Op {
        Set(u64),
        Cancel(usize),
        Fire(u64),
    }

    /// How far away a timer is: of every order of magnitude, and often equal to another.
    fn distance() -> impl Strategy<Value = u64> {
        prop_oneof![
            0u64..50,
            (0u32..64, any::<u64>()).prop_map(|(bits, n)| n >> bits),
            (0u64..20).prop_map(|n| n << 16),
            (0u32..64).prop_map(|bits| 1 << bits),
        ]
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => distance().prop_map(Op::Set),
            1 => any::<usize>().prop_map(Op::Cancel),
            1 => distance().prop_map(Op::Fire),
        ]
    }

    /// Timers beside an ordered map, at an instant that only moves on.
    #[derive(Default)]
    struct Pair {
        timers: Timers,
        model: BTreeMap<(Time, usize), Key>,
        all: Vec<(Time, usize, Key)>,
        now: Time,
    }

    impl Pair {
        fn apply(&mut self, op: Op) {
            match op {
                Op::Set(distance) => {
                    let due = self.now + Duration::from_nanos(distance);
                    let number = self.all.len();
                    let key = self.timers.set(due, Waker::noop().clone());
                    self.model.insert((due, number), key);
                    self.all.push((due, number, key));
                }
                Op::Cancel(which) if !self.all.is_empty() => {
                    let (due, number, key) = self.all[which % self.all.len()];
                    let known = self.model.remove(&(due, number)).is_some();
                    let cancelled = self.timers.cancel(key).map(|(due, _)| due);
                    assert_eq!(cancelled, known.then_some(due));
                }
                Op::Cancel(_) => {}
                Op::Fire(distance) => {
                    self.now = self.now + Duration::from_nanos(distance);
                    while let Some((due, _)) = self.timers.fire(self.now) {
                        let ((expected, _), key) =
                            self.model.pop_first().expect("the model has one too");
                        assert_eq!(due, expected);
                        assert!(
                            self.timers.waker_mut(key).is_none(),
                            "equal ones in sequence"
                        );
                    }
                    let left = self.model.keys().next();
                    assert!(left.is_none_or(|(due, _)| *due > self.now));
                }
            }
            let next = self.model.keys().next().map(|(due, _)| *due);
            assert_eq!(self.timers.len(), self.model.len());
            assert_eq!(self.timers.next_due(), next);
            let bound = self.timers.wake_by();
            assert_eq!(bound.is_some(), next.is_some());
            assert!(bound <= next, "too late");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_an_ordered_map(ops in prop::collection::vec(op(), 0..400)) {
            let mut pair = Pair::default();
            ops.into_iter().for_each(|op| pair.apply(op));
        }
    }

    #[test]
    fn agrees_with_an_ordered_map_over_a_hundred_thousand_operations() {
        let mut rng = crate::math::rng::Rng::stream(7, "timers");
        let mut pair = Pair::default();
        for _ in 0..100_000 {
            let (kind, n) = (rng.below(8), rng.next_u64());
            // Mostly up to some seconds, now and then up to years.
            let distance = n >> (64 - 1 - rng.below(if kind == 0 { 60 } else { 33 }));
            pair.apply(match kind {
                0..4 => Op::Set(distance),
                4..7 => Op::Cancel(n as usize),
                _ => Op::Fire(distance >> 8),
            });
        }
        pair.apply(Op::Fire(u64::MAX));
        assert!(pair.timers.is_empty());
    }

    #[test]
    fn a_bound_that_is_too_early_is_corrected_when_it_passes() {
        let at = |ms| Time::ZERO + Duration::from_millis(ms);
        let mut timers = Timers::new();
        let early = timers.set(at(1_000), Waker::noop().clone());
        timers.set(at(1_010), Waker::noop().clone());
        assert!(timers.cancel(early).is_some());
        assert_eq!(timers.next_due(), Some(at(1_010)));
        assert_eq!(timers.wake_by(), Some(at(1_000)));
        assert!(timers.fire(at(1_000)).is_none());
        assert_eq!(timers.wake_by(), Some(at(1_010)));
        let (due, _) = timers.fire(at(1_010)).expect("it is due");
        assert_eq!((due, timers.wake_by()), (at(1_010), None));
    }

    /// A deadline far behind every other never costs the near ones a look at it.
    #[test]
    fn what_is_far_stays_where_it_is() {
        let mut timers = Timers::new();
        let never = timers.set(Time::from_nanos(u64::MAX - 1), Waker::noop().clone());
        let mut now = Time::ZERO;
        for _ in 0..1_000 {
            now = now + Duration::from_secs(1);
            timers.set(now, Waker::noop().clone());
            assert_eq!(timers.fire(now).map(|(due, _)| due), Some(now));
            assert!(timers.fire(now).is_none());
        }
        assert!(timers.cancel(never).is_some() && timers.is_empty());
    }
}
