//! The children of a region, each in its seat: the one freed last is taken next.
//!
//! Like [`Slots`](crate::types::slots::Slots), without generations: only who sits
//! in a seat gives it up, once, so a seat needs no protection against stale keys.
//! Equal sequences of arrivals and departures give equal seats.

use super::region::Child;

/// A place among the children of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Seat(u32);

enum Place {
    Taken(Child),
    /// Free, and which is to be taken after it.
    Free(u32),
}

/// No seat: the end of the line of free ones.
const NONE: u32 = u32::MAX;

/// The seats of one region.
pub(crate) struct Seats {
    places: Vec<Place>,
    free: u32,
}

impl Seats {
    /// No seats; allocates nothing.
    pub(crate) const fn new() -> Self {
        Seats {
            places: Vec::new(),
            free: NONE,
        }
    }

    /// Gives a child a seat.
    ///
    /// # Panics
    /// When 2³² − 1 seats are taken.
    #[inline]
    pub(crate) fn take(&mut self, child: Child) -> Seat {
        let seat = self.free;
        if let Some(place) = self.places.get_mut(seat as usize) {
            let Place::Free(next) = *place else {
                unreachable!("in the line are only free seats");
            };
            self.free = next;
            *place = Place::Taken(child);
            return Seat(seat);
        }
        self.add(child)
    }

    fn add(&mut self, child: Child) -> Seat {
        let seat = u32::try_from(self.places.len()).ok();
        let seat = seat.filter(|s| *s != NONE);
        let seat = seat.expect("a region has at most 2^32 - 1 children");
        self.places.push(Place::Taken(child));
        Seat(seat)
    }

    /// The child leaves its seat.
    ///
    /// # Panics
    /// When it has left already.
    #[inline]
    pub(crate) fn leave(&mut self, seat: Seat) -> Child {
        let place = &mut self.places[seat.0 as usize];
        match std::mem::replace(place, Place::Free(self.free)) {
            Place::Taken(child) => {
                self.free = seat.0;
                child
            }
            Place::Free(_) => unreachable!("a seat is left by whoever sits in it"),
        }
    }

    /// The children in the order of their seats.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Child> {
        self.places.iter().filter_map(|place| match place {
            Place::Taken(child) => Some(child),
            Place::Free(_) => None,
        })
    }
}
