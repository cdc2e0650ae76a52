//! How exactly a thread's sleeps end.

/// The thread's timer slack, cut to a nanosecond and put back on drop.
///
/// Linux may round a sleep up by 50 us to save power, which is 50 times what
/// the rest of a wake-up takes.
pub(super) struct ExactTimers {
    #[cfg(target_os = "linux")]
    former: Option<u64>,
}

impl ExactTimers {
    #[cfg(target_os = "linux")]
    pub(super) fn on() -> Self {
        use rustix::thread::{current_timer_slack, set_current_timer_slack};
        let former = current_timer_slack().ok();
        // Refused, sleeps are a little longer.
        let _ = set_current_timer_slack(Some(std::num::NonZeroU64::MIN));
        ExactTimers { former }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn on() -> Self {
        ExactTimers {}
    }
}

#[cfg(target_os = "linux")]
impl Drop for ExactTimers {
    fn drop(&mut self) {
        if let Some(former) = self.former.and_then(std::num::NonZeroU64::new) {
            let _ = rustix::thread::set_current_timer_slack(Some(former));
        }
    }
}
