//! A generational arena: the slot freed last is the slot filled next.
//!
//! Invariants:
//! 1. a key names at most one value, ever: removal bumps the generation of the slot;
//! 2. a slot whose generation is at its maximum is retired, never reused;
//! 3. equal sequences of insertions and removals give equal keys.

/// A slot and the generation it had when the value was put in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// Index of the slot.
    pub slot: u32,
    /// Generation of the slot at insertion.
    pub generation: u32,
}

enum Entry<T> {
    Full { generation: u32, value: T },
    Empty { generation: u32, next: u32 },
}

/// No slot: the end of the free list, and the mark of a retired slot.
const NONE: u32 = u32::MAX;

/// An arena of `T` with stale-proof keys.
pub struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
}

impl<T> Slots<T> {
    /// An empty arena; allocates nothing.
    pub const fn new() -> Self {
        Slots {
            entries: Vec::new(),
            free: NONE,
            len: 0,
        }
    }

    /// Number of values inside.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is inside.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a value in and names it.
    ///
    /// # Panics
    /// When 2³² − 1 slots are in use.
    pub fn insert(&mut self, value: T) -> Key {
        self.len += 1;
        let slot = self.free;
        if slot == NONE {
            let slot = u32::try_from(self.entries.len())
                .ok()
                .filter(|s| *s != NONE);
            let slot = slot.expect("an arena holds at most 2^32 - 1 slots");
            self.entries.push(Entry::Full {
                generation: 0,
                value,
            });
            return Key {
                slot,
                generation: 0,
            };
        }
        let entry = &mut self.entries[slot as usize];
        let Entry::Empty { generation, next } = *entry else {
            unreachable!("the free list names only empty slots");
        };
        self.free = next;
        *entry = Entry::Full { generation, value };
        Key { slot, generation }
    }

    /// Takes a value out; `None` for a stale key.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.slot as usize)?;
        match entry {
            Entry::Full { generation, .. } if *generation == key.generation => {}
            _ => return None,
        }
        let vacant = match key.generation.checked_add(1) {
            Some(generation) => {
                let next = std::mem::replace(&mut self.free, key.slot);
                Entry::Empty { generation, next }
            }
            // Retired: the free list never reaches it again.
            None => Entry::Empty {
                generation: u32::MAX,
                next: NONE,
            },
        };
        self.len -= 1;
        match std::mem::replace(entry, vacant) {
            Entry::Full { value, .. } => Some(value),
            Entry::Empty { .. } => unreachable!("checked full above"),
        }
    }

    /// The value under a key; `None` for a stale key.
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.entries.get(key.slot as usize)? {
            Entry::Full { generation, value } if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value under a key, to change; `None` for a stale key.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.entries.get_mut(key.slot as usize)? {
            Entry::Full { generation, value } if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// Takes all values out, in slot order; their keys are stale afterwards.
    pub fn drain(&mut self) -> Vec<T> {
        let keys: Vec<Key> = self.entries().map(|(key, _)| key).collect();
        keys.into_iter()
            .filter_map(|key| self.remove(key))
            .collect()
    }

    /// All values in slot order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|e| match e {
            Entry::Full { value, .. } => Some(value),
            Entry::Empty { .. } => None,
        })
    }

    /// All values in slot order, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().filter_map(|e| match e {
            Entry::Full { value, .. } => Some(value),
            Entry::Empty { .. } => None,
        })
    }

    /// All keys and values in slot order.
    pub fn entries(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(slot, e)| match e {
                Entry::Full { generation, value } => Some((
                    Key {
                        slot: slot as u32,
                        generation: *generation,
                    },
                    value,
                )),
                Entry::Empty { .. } => None,
            })
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_last_freed_first() {
        let mut s = Slots::new();
        let keys: Vec<_> = (0..4).map(|i| s.insert(i)).collect();
        for k in &keys {
            assert!(s.remove(*k).is_some());
        }
        let again: Vec<_> = (0..4).map(|i| s.insert(i).slot).collect();
        assert_eq!(again, [3, 2, 1, 0]);
        assert!(
            keys.iter().all(|k| s.get(*k).is_none()),
            "stale keys name nothing"
        );
        assert!(keys.iter().all(|k| s.remove(*k).is_none()));
        assert_eq!(s.len(), 4);
    }

    #[test]
    fn a_worn_out_slot_is_retired() {
        let mut s = Slots::new();
        let k = s.insert('a');
        s.entries[0] = Entry::Full {
            generation: u32::MAX,
            value: 'a',
        };
        assert_eq!(
            s.remove(Key {
                generation: u32::MAX,
                ..k
            }),
            Some('a')
        );
        assert_eq!(s.insert('b').slot, 1);
    }
}
