//! Hash maps that iterate alike in every process.
//!
//! The standard library keys each map at random, so a program that iterates one
//! is no function of its seed. These have fixed keys: what iteration yields is a
//! function of the operations on the map, in their order. It is *not* independent
//! of that order, and may change with the compiler; who needs more takes a
//! `BTreeMap`.
//!
//! With fixed keys, who chooses the keys of a map can make them collide: use
//! these for keys of one's own, not for keys from the network.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

/// A `HashMap` with fixed keys; made with `default()`.
///
/// ```
/// use asupersync::DetHashMap;
///
/// let numbers = || {
///     let map: DetHashMap<u32, u32> = (0..100).map(|n| (n, n * n)).collect();
///     map.into_iter().collect::<Vec<_>>()
/// };
/// assert_eq!(numbers(), numbers());
/// ```
pub type DetHashMap<K, V> = HashMap<K, V, DetState>;

/// A `HashSet` with fixed keys; made with `default()`.
pub type DetHashSet<T> = HashSet<T, DetState>;

/// Makes hashers with fixed keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DetState;

impl BuildHasher for DetState {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        // Unlike `RandomState`, this has the same keys every time.
        DefaultHasher::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_in_every_process() {
        // A compiler that hashes otherwise changes these numbers, and every
        // recorded trace of a program that iterates such a map.
        assert_eq!(DetState.hash_one(0_u64), 13_646_096_770_106_105_413);
        assert_ne!(DetState.hash_one("a"), DetState.hash_one("b"));
    }

    #[test]
    fn iteration_is_a_function_of_the_operations() {
        let run = || {
            let mut set: DetHashSet<u64> = (0..1_000).collect();
            set.retain(|n| n % 3 != 0);
            set.extend(2_000..2_100);
            set.into_iter().collect::<Vec<_>>()
        };
        let order = run();
        assert_eq!(order, run());
        assert!(!order.is_sorted(), "it is a hash map's order after all");
    }
}
