//! Generational identities of regions, tasks and obligations.
//!
//! An id is a slot and the generation of that slot. Releasing a slot bumps its
//! generation, so a stale id can be recognised and never names a newcomer.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            slot: u32,
            generation: u32,
        }

        impl $name {
            /// The id of `slot` in its `generation`.
            pub const fn new(slot: u32, generation: u32) -> Self {
                Self { slot, generation }
            }

            /// The slot, reused after release.
            pub const fn slot(self) -> u32 {
                self.slot
            }

            /// How many times the slot was released before this id was issued.
            pub const fn generation(self) -> u32 {
                self.generation
            }

            /// The id of the slot's next tenant, or `None` when the slot is worn out.
            pub fn successor(self) -> Option<Self> {
                let generation = self.generation.checked_add(1)?;
                Some(Self { generation, ..self })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if self.generation == 0 {
                    write!(f, concat!($letter, "{}"), self.slot)
                } else {
                    write!(f, concat!($letter, "{}.{}"), self.slot, self.generation)
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    };
}

id!(
    /// Names a region of one runtime.
    RegionId,
    "R"
);
id!(
    /// Names a task of one runtime.
    TaskId,
    "T"
);
id!(
    /// Names an obligation of one task.
    ObligationId,
    "O"
);

#[cfg(test)]
mod tests {
    use super::TaskId;

    #[test]
    fn a_worn_out_slot_has_no_successor() {
        assert_eq!(TaskId::new(3, 0).successor(), Some(TaskId::new(3, 1)));
        assert_eq!(TaskId::new(3, u32::MAX).successor(), None);
    }

    #[test]
    fn ids_print_their_generation_once_it_matters() {
        assert_eq!(TaskId::new(7, 0).to_string(), "T7");
        assert_eq!(TaskId::new(7, 2).to_string(), "T7.2");
    }
}
