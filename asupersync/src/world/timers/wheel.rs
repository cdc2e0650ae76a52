//! The timers of later ticks: lists by how far they are away.
//!
//! A tick is 2^16 ns. Level 0 has a list per tick for the next 64 at the most,
//! level 1 a list per 64 ticks, and so on; what is too far for the last level
//! goes into one list more. A tick belongs to the level of the highest group of
//! six bits in which it differs from the current tick. So everything on a level
//! is due before everything on the levels above, and within a level the lists
//! are due in the order of their numbers.

use super::{At, Entry};
use crate::types::slots::{Key, Slots};
use crate::types::time::Time;

/// Nanoseconds per tick, as a power of two: about 65 us.
const TICK_BITS: u32 = 16;
/// Lists per level, as a power of two: a level's occupancy is one word.
const LEVEL_BITS: u32 = 6;
const LISTS: usize = 1 << LEVEL_BITS;
/// The last level's lists are 13 hours each, the whole wheel is 52 days.
const LEVELS: usize = 6;
/// The list of what is beyond the last level.
const BEYOND: usize = LEVELS * LISTS;

/// No entry.
pub(super) const NONE: Key = Key {
    slot: u32::MAX,
    generation: 0,
};

/// The tick of an instant.
pub(super) fn tick_of(due: Time) -> u64 {
    due.as_nanos() >> TICK_BITS
}

pub(super) struct Wheel {
    /// Which lists of each level have entries.
    occupied: [u64; LEVELS],
    lists: [List; BEYOND + 1],
}

#[derive(Clone, Copy)]
struct List {
    head: Key,
    /// No entry is due before.
    min: Time,
    /// Whether the entry that was due at `min` has been cancelled.
    stale: bool,
}

const EMPTY: List = List {
    head: NONE,
    min: Time::MAX,
    stale: false,
};

impl Wheel {
    pub(super) fn new() -> Box<Self> {
        Box::new(Wheel {
            occupied: [0; LEVELS],
            lists: [EMPTY; BEYOND + 1],
        })
    }

    /// Where an entry goes that is due after the current tick.
    pub(super) fn links(&self, due: Time, tick: u64) -> Links {
        let place = place_of(tick_of(due), tick);
        Links {
            list: place as u16,
            previous: NONE,
            next: self.lists[place].head,
        }
    }

    /// Adds an entry, which knows its links already.
    pub(super) fn push(&mut self, entries: &mut Slots<Entry>, key: Key, links: Links, due: Time) {
        let place = usize::from(links.list);
        if let Some(occupied) = self.occupied.get_mut(place / LISTS) {
            *occupied |= 1 << (place % LISTS);
        }
        let list = &mut self.lists[place];
        if due <= list.min {
            (list.min, list.stale) = (due, false);
        }
        list.head = key;
        link(entries, links.next, |next| next.previous = key);
    }

    /// Takes an entry, which was at `links` and due at `due`, out of its list.
    pub(super) fn remove(&mut self, entries: &mut Slots<Entry>, links: Links, due: Time) {
        let place = usize::from(links.list);
        let list = &mut self.lists[place];
        list.stale |= due == list.min;
        if links.previous == NONE {
            list.head = links.next;
        } else {
            link(entries, links.previous, |l| l.next = links.next);
        }
        link(entries, links.next, |l| l.previous = links.previous);
        if list.head == NONE {
            self.clear(place);
        }
    }

    /// The list that is due first, and its first tick.
    pub(super) fn first(&self, tick: u64) -> Option<(usize, u64)> {
        for (level, occupied) in self.occupied.iter().enumerate() {
            if *occupied != 0 {
                let list = occupied.trailing_zeros();
                let (shift, above) = (LEVEL_BITS * level as u32, LEVEL_BITS * (level as u32 + 1));
                let start = (tick >> above << above) | (u64::from(list) << shift);
                return Some((level * LISTS + list as usize, start));
            }
        }
        let all = LEVEL_BITS * LEVELS as u32;
        let start = ((tick >> all) + 1) << all;
        (self.lists[BEYOND].head != NONE).then_some((BEYOND, start))
    }

    /// No entry of the list is due before; its exact minimum unless the entry
    /// that was due then has been cancelled.
    pub(super) fn bound(&self, list: usize) -> Time {
        self.lists[list].min
    }

    /// When the first entry of a list is due.
    pub(super) fn min(&self, entries: &Slots<Entry>, list: usize) -> Time {
        if !self.lists[list].stale {
            return self.lists[list].min;
        }
        let (mut key, mut min) = (self.lists[list].head, Time::MAX);
        while let Some(entry) = entries.get(key) {
            min = min.min(entry.due);
            key = match entry.at {
                At::Listed(links) => links.next,
                At::Near(_) | At::Sorted => NONE,
            };
        }
        min
    }

    /// Empties a list and gives out its first entry; the others follow by their links.
    pub(super) fn take(&mut self, list: usize) -> Key {
        let head = self.lists[list].head;
        self.clear(list);
        head
    }

    fn clear(&mut self, place: usize) {
        self.lists[place] = EMPTY;
        if let Some(occupied) = self.occupied.get_mut(place / LISTS) {
            *occupied &= !(1 << (place % LISTS));
        }
    }
}

/// Where in which list an entry is.
#[derive(Clone, Copy)]
pub(super) struct Links {
    list: u16,
    previous: Key,
    pub(super) next: Key,
}

fn link(entries: &mut Slots<Entry>, key: Key, edit: impl FnOnce(&mut Links)) {
    if key == NONE {
        return;
    }
    if let Some(Entry {
        at: At::Listed(links),
        ..
    }) = entries.get_mut(key)
    {
        edit(links);
    }
}

/// The list of a tick, which is after the current one.
fn place_of(tick: u64, current: u64) -> usize {
    let highest = (tick ^ current).ilog2();
    let level = (highest / LEVEL_BITS) as usize;
    if level >= LEVELS {
        return BEYOND;
    }
    let list = (tick >> (LEVEL_BITS * level as u32)) as usize % LISTS;
    level * LISTS + list
}
