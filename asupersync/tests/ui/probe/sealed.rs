//! The ways to look into an error are sealed.

use asupersync::CancelReason;
use asupersync::exec::probe::CancelProbe;

struct Mine;

struct Way;

impl CancelProbe<Way> for Mine {
    fn cancel_reason(&self) -> Option<&CancelReason> {
        None
    }
}

fn main() {}
