//! A schedule that was recorded, shortened or written by hand.

use super::{Ready, Strategy};
use std::sync::Arc;

/// Gives recorded answers in order, and zeros when they are used up.
#[derive(Debug)]
pub struct Replay {
    choices: Arc<[u32]>,
    next: usize,
}

impl Replay {
    /// The strategy of this schedule.
    pub fn new(choices: impl Into<Arc<[u32]>>) -> Self {
        Replay {
            choices: choices.into(),
            next: 0,
        }
    }

    fn answer(&mut self) -> u32 {
        let answer = self.choices.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        answer
    }
}

impl Strategy for Replay {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn task(&mut self, _ready: &dyn Ready) -> u32 {
        self.answer()
    }

    fn number(&mut self, _bound: u32) -> u32 {
        self.answer()
    }
}
