//! When a worker is more in the way than of use.
//!
//! Tasks that do little and share a lock run faster one after the other on one
//! core than on two, where every step waits for the cache lines of the last. A
//! worker that spends a good part of its time waiting for locks gives way: it
//! leaves its tasks to the others and rests. So the others go on alone, and those
//! tasks that are worth a second core get it back a moment later.
//!
//! | while | and it waited for locks | then it |
//! |---|---|---|
//! | calm | - | stays calm |
//! | calm | at all | begins to watch its time |
//! | watching | for less than a quarter of the time | goes on to watch, or is calm if it did not wait at all |
//! | watching | for a quarter of the time or more | rests, twice as long as the last time if that was just before |
//!
//! At least one worker does not rest (see [`Shared::resting`](super::shared::Shared)).

use crate::types::time::Time;
use std::time::Duration;

/// The first rest: some times what it costs to wake a thread.
const FIRST: Duration = Duration::from_micros(100);
/// The longest: what the tasks that it left behind may wait for at the most, if
/// the others are held up. Well below what a worker that is held up costs anyway.
const LONGEST: Duration = Duration::from_micros(1_600);
/// A rest that ended no longer ago is followed by a longer one.
const JUST_BEFORE: Duration = Duration::from_millis(1);
/// The part of its time that a worker may wait for locks.
const PART: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Strife {
    /// Since when it watches its time.
    since: Option<Time>,
    /// The last rest, and when it ended.
    last: Option<(Duration, Time)>,
}

impl Strife {
    /// Now and then: it has `waited` for locks since the last look. Says how long
    /// to rest, if it should.
    pub(super) fn look(
        &mut self,
        waited: Duration,
        now: impl FnOnce() -> Time,
    ) -> Option<Duration> {
        if waited.is_zero() {
            self.since = None;
            return None;
        }
        let now = now();
        let since = self.since.replace(now)?;
        if waited * PART < now.since(since) {
            return None;
        }
        let again = self.last.filter(|(_, end)| now < *end + JUST_BEFORE);
        Some(again.map_or(FIRST, |(rest, _)| (rest * 2).min(LONGEST)))
    }

    /// It has rested.
    pub(super) fn rested(&mut self, rest: Duration, now: Time) {
        self.since = None;
        self.last = Some((rest, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);

    /// Looks every 10 us, at which it had waited for so many; the rests it took.
    fn rests(waits: &[u32]) -> Vec<Duration> {
        let (mut strife, mut now) = (Strife::default(), Time::ZERO);
        let mut rests = Vec::new();
        for waited in waits {
            now = now + 10 * MICRO;
            if let Some(rest) = strife.look(*waited * MICRO, || now) {
                now = now + rest;
                strife.rested(rest, now);
                rests.push(rest);
            }
        }
        rests
    }

    #[test]
    fn who_waits_for_a_quarter_of_the_time_rests() {
        assert_eq!(rests(&[0, 0, 0, 0]), []);
        assert_eq!(rests(&[2, 2, 2, 2, 2]), []);
        assert_eq!(rests(&[3, 0, 3, 0, 3, 0]), [], "once in a while");
        assert_eq!(rests(&[3, 3]), [FIRST]);
        assert_eq!(rests(&[9, 2, 9]), [FIRST]);
    }

    #[test]
    fn rests_grow_while_it_goes_on_and_begin_again_after_calm() {
        let strife = [5; 14];
        let growing = [100, 200, 400, 800, 1_600, 1_600, 1_600].map(|n| n * MICRO);
        assert_eq!(rests(&strife), growing);
        let mut with_calm = vec![5, 5, 5, 5];
        with_calm.extend([0; 100]);
        with_calm.extend([5, 5]);
        assert_eq!(rests(&with_calm), [FIRST, 2 * FIRST, FIRST]);
    }

    #[test]
    fn a_calm_worker_never_reads_the_clock() {
        let mut strife = Strife::default();
        let rest = strife.look(Duration::ZERO, || panic!("it did"));
        assert_eq!(rest, None);
    }
}
