//! Where panics happen: the standard library tells only its hook, and only as it happens.
//!
//! On request, a hook is chained before the one that was there, once per
//! process. It notes the place for the thread that is about to unwind, and
//! whoever contains the panic takes the note. A panic that is raised again with
//! `resume_unwind` calls no hook; [`resume`] keeps its place.

use crate::types::outcome::{PanicLocation, PanicPayload};
use std::any::Any;
use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static PLACE: RefCell<Option<PanicLocation>> = const { RefCell::new(None) };
}

/// Begins to note where panics happen; stays for the life of the process.
pub(crate) fn capture() {
    static CHAINED: Once = Once::new();
    CHAINED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            note(info.location().map(PanicLocation::from));
            before(info);
        }));
    });
}

/// Raises a contained panic again.
pub(crate) fn resume(panic: &PanicPayload) -> ! {
    note(panic.location().cloned());
    std::panic::resume_unwind(Box::new(panic.message().to_owned()))
}

/// Runs user code that must not unwind any further, and says what it panicked with.
pub(crate) fn contain<T>(f: impl FnOnce() -> T) -> Result<T, PanicPayload> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map_err(caught)
}

#[cold]
fn caught(payload: Box<dyn Any + Send>) -> PanicPayload {
    // First of all: the payload's destructor may panic, and be noted, too.
    let place = PLACE.try_with(RefCell::take).ok().flatten();
    PanicPayload::from_any(payload).at(place)
}

fn note(place: Option<PanicLocation>) {
    // A thread that is going away has nobody left to take the note.
    let _ = PLACE.try_with(|p| p.replace(place));
}
