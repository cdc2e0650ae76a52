//! The promises of one task, as a word.
//!
//! | bits | field | says |
//! |---|---|---|
//! | 0..56 | eight slots of seven bits | below, three: 0 free, 1 to 6 a reserved promise of that kind, 7 found leaked; above, four: the slot's generation |
//! | 60 | ESCALATED | the holder's future is being dropped because its cleanup budget is spent |
//! | 61 | MORE | there were more promises than slots, and the rest are elsewhere |
//! | 62 | HELD | the word holds a reference to its task |
//! | 63 | CLOSED | the holder has completed |
//!
//! | slot | reserve | resolve by the holder's value | holder completes |
//! |---|---|---|---|
//! | free | → reserved; refused once CLOSED | - | stays free |
//! | reserved | - | → free: committed or aborted | → leaked |
//! | leaked | - | → free: it is too late, nothing is resolved | stays leaked |
//!
//! Invariants:
//! 1. LINEAR: a slot is freed only by the value that was given it, so it is
//!    never lent to two and no value resolves another's promise. Nothing rests on
//!    the generation, which counts up to 15 and begins again: it tells readers of
//!    events one tenant of a slot from the next;
//! 2. LEDGER: once CLOSED no slot is reserved, and none will be;
//! 3. the reference that HELD stands for is given up once: by whichever step
//!    finds the word CLOSED and all slots free, and both of these only happen once.

use crate::types::id::ObligationId;
use crate::types::obligation::ObligationKind;

/// Promises that fit into the word.
pub const SLOTS: u32 = 8;

/// Bits of a slot.
const WIDTH: u32 = 7;
/// The record of a slot; its generation is above.
const RECORD: u64 = 0b111;
const GENERATION: u64 = 0b111_1000;
const ONE_GENERATION: u64 = 0b1000;
/// The lowest bit of every slot.
const LOW_BITS: u64 = 0x0002_0408_1020_4081;
const LEAKED: u64 = 7;
const ESCALATED: u64 = 1 << 60;
const MORE: u64 = 1 << 61;
const HELD: u64 = 1 << 62;
const CLOSED: u64 = 1 << 63;

/// What a task has promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Promises(pub u64);

/// What became of a wish to promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Reserve {
    /// It is in this slot.
    Slot {
        /// The word with the promise in it.
        after: Promises,
        /// Which slot, in which generation.
        id: ObligationId,
        /// Whether the word holds its task from here on.
        first: bool,
    },
    /// All slots are in use: it has to be kept elsewhere.
    Full,
    /// The holder has completed: it cannot promise any more.
    Closed,
}

/// What a step that may have been the last has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Left {
    /// The word.
    pub after: Promises,
    /// Whether the reference to the task is to be given up.
    pub last: bool,
}

impl Promises {
    /// The holder promises something.
    pub fn reserve(self, kind: ObligationKind) -> Reserve {
        if self.is_closed() {
            return Reserve::Closed;
        }
        let w = self.0;
        let used = (w | w >> 1 | w >> 2) & LOW_BITS;
        let free = !used & LOW_BITS;
        if free == 0 {
            return Reserve::Full;
        }
        let slot = free.trailing_zeros() / WIDTH;
        let after = w | HELD | encode(kind) << (WIDTH * slot);
        Reserve::Slot {
            after: Promises(after),
            id: self.id(slot),
            first: w & HELD == 0,
        }
    }

    /// Whether what is in the slot is still to be resolved; otherwise it has leaked.
    pub fn is_reserved(self, slot: u32) -> bool {
        decode(self.0 >> (WIDTH * slot)).is_some()
    }

    /// The value that was given the slot lets go of it.
    pub fn free(self, slot: u32) -> Left {
        let at = WIDTH * slot;
        let next = (self.0 >> at & GENERATION).wrapping_add(ONE_GENERATION) & GENERATION;
        let after = Promises(self.0 & !((RECORD | GENERATION) << at) | next << at);
        Left {
            after,
            last: after.is_closed() && after.is_empty(),
        }
    }

    /// The holder completes: what is still reserved has leaked. For the first time only.
    pub fn close(self) -> Left {
        let mut w = self.0 | CLOSED;
        for (id, _) in self.reserved() {
            w |= LEAKED << (WIDTH * id.slot());
        }
        let after = Promises(w);
        Left {
            after,
            last: w & HELD != 0 && after.is_empty(),
        }
    }

    /// The reserved promises.
    pub fn reserved(self) -> impl Iterator<Item = (ObligationId, ObligationKind)> {
        (0..SLOTS).filter_map(move |slot| {
            let kind = decode(self.0 >> (WIDTH * slot))?;
            Some((self.id(slot), kind))
        })
    }

    /// The slot as its tenant knows it.
    fn id(self, slot: u32) -> ObligationId {
        let generation = (self.0 >> (WIDTH * slot) & GENERATION) / ONE_GENERATION;
        ObligationId::new(slot, generation as u32)
    }

    /// The word of a holder whose future is being dropped by escalation, or no longer is.
    #[must_use]
    pub fn escalated(self, on: bool) -> Self {
        Promises(self.0 & !ESCALATED | if on { ESCALATED } else { 0 })
    }

    /// The word of a holder that keeps further promises elsewhere.
    #[must_use]
    pub fn with_more(self) -> Self {
        Promises(self.0 | MORE)
    }

    /// Whether the holder's future is being dropped by escalation.
    pub fn is_escalated(self) -> bool {
        self.0 & ESCALATED != 0
    }

    /// Whether there may be promises elsewhere.
    pub fn has_more(self) -> bool {
        self.0 & MORE != 0
    }

    /// Whether the holder has completed.
    pub fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    /// Whether nobody has a slot.
    pub fn is_empty(self) -> bool {
        self.0 & (LOW_BITS * RECORD) == 0
    }

    /// Whether the holder has never promised anything.
    pub fn is_unused(self) -> bool {
        self.0 == 0
    }
}

fn encode(kind: ObligationKind) -> u64 {
    kind as u64 + 1
}

fn decode(word: u64) -> Option<ObligationKind> {
    let record = word & RECORD;
    ObligationKind::ALL
        .get((record as usize).checked_sub(1)?)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reserve(word: &mut Promises, kind: ObligationKind) -> Option<(ObligationId, bool)> {
        match word.reserve(kind) {
            Reserve::Slot { after, id, first } => {
                *word = after;
                Some((id, first))
            }
            Reserve::Full | Reserve::Closed => None,
        }
    }

    #[test]
    fn eight_promises_fit_and_a_freed_slot_is_reused() {
        let mut word = Promises::default();
        for n in 0..SLOTS {
            let kind = ObligationKind::ALL[n as usize % 6];
            assert_eq!(
                reserve(&mut word, kind),
                Some((ObligationId::new(n, 0), n == 0))
            );
        }
        assert_eq!(word.reserve(ObligationKind::Ack), Reserve::Full);
        word = word.free(3).after;
        for generation in (1..16).chain(0..2) {
            let id = ObligationId::new(3, generation);
            assert_eq!(reserve(&mut word, ObligationKind::Ack), Some((id, false)));
            word = word.free(3).after;
        }
    }

    #[test]
    fn what_is_reserved_when_the_holder_completes_has_leaked_and_keeps_its_slot() {
        let mut word = Promises::default();
        assert!(reserve(&mut word, ObligationKind::Reply).is_some());
        let closed = word.close();
        assert!(!closed.last, "the value still has the slot");
        assert!(!closed.after.is_reserved(0) && closed.after.reserved().count() == 0);
        assert_eq!(closed.after.reserve(ObligationKind::Ack), Reserve::Closed);
        assert!(closed.after.free(0).last);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Reserve(usize),
        Resolve(usize),
        Escalate(bool),
        Close,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0usize..6).prop_map(Step::Reserve),
            4 => any::<usize>().prop_map(Step::Resolve),
            1 => any::<bool>().prop_map(Step::Escalate),
            1 => Just(Step::Close),
        ]
    }

    proptest! {
        /// The word against the plain list that it stands for.
        #[test]
        fn the_word_says_what_a_list_of_promises_would(steps in prop::collection::vec(step(), 0..80)) {
            let mut word = Promises::default();
            // Slot, kind, and whether it has leaked, of every value alive.
            let mut values: Vec<(u32, ObligationKind, bool)> = Vec::new();
            let (mut closed, mut used, mut given_up) = (false, false, 0);
            for step in steps {
                match step {
                    Step::Reserve(kind) => {
                        let kind = ObligationKind::ALL[kind];
                        let expected = !closed && values.len() < SLOTS as usize;
                        let made = reserve(&mut word, kind);
                        prop_assert_eq!(made.is_some(), expected);
                        if let Some((id, first)) = made {
                            let slot = id.slot();
                            prop_assert!(values.iter().all(|v| v.0 != slot), "lent twice");
                            prop_assert_eq!(first, !used);
                            used = true;
                            values.push((slot, kind, false));
                        }
                    }
                    Step::Resolve(which) if !values.is_empty() => {
                        let (slot, _, leaked) = values.swap_remove(which % values.len());
                        prop_assert_eq!(word.is_reserved(slot), !leaked);
                        let left = word.free(slot);
                        word = left.after;
                        given_up += u32::from(left.last);
                    }
                    Step::Escalate(on) => word = word.escalated(on),
                    Step::Close if !closed => {
                        let left = word.close();
                        word = left.after;
                        given_up += u32::from(left.last);
                        closed = true;
                        values.iter_mut().for_each(|v| v.2 = true);
                    }
                    Step::Resolve(_) | Step::Close => {}
                }
                let mut live: Vec<_> = values.iter().filter(|v| !v.2).map(|v| (v.0, v.1)).collect();
                live.sort_unstable();
                let said: Vec<_> = word.reserved().map(|(id, kind)| (id.slot(), kind)).collect();
                prop_assert_eq!(said, live);
                prop_assert_eq!(given_up, u32::from(used && closed && values.is_empty()));
            }
        }
    }
}
