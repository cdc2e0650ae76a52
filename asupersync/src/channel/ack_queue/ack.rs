//! The duty that comes with a delivered message.

use super::Shared;
use super::state::Message;
use crate::cx::Cx;
use crate::exec::obligation::Obligation;
use crate::types::obligation::{AbortCause, ObligationKind};
use crate::types::time::Time;
use crate::world::World;
use std::fmt;
use std::sync::Arc;

/// Says what became of a delivered message: commit it, or hand it back.
///
/// Dropping it hands the message back. It is settled once:
///
/// ```compile_fail,E0382
/// fn both<T>(ack: asupersync::channel::ack_queue::Ack<T>) {
///     ack.commit();
///     ack.nack();
/// }
/// ```
#[must_use = "an `Ack` that is dropped hands its message back: commit it when the work is done"]
pub struct Ack<T> {
    shared: Arc<Shared<T>>,
    /// Taken when it is settled.
    message: Option<Message<T>>,
    promise: Option<Obligation>,
    /// Whose clock tells when the message is due again; not needed without a delay.
    world: Option<Arc<dyn World>>,
}

impl<T> Ack<T> {
    pub(super) fn new(shared: &Arc<Shared<T>>, message: Message<T>, cx: &Cx) -> Self {
        Ack {
            shared: shared.clone(),
            message: Some(message),
            promise: Some(cx.promise(ObligationKind::Ack)),
            world: shared.delays.then(|| cx.world().clone()),
        }
    }

    pub(super) fn value(&self) -> &T {
        &self.message().value
    }

    /// Which delivery of the message this is; 1 is the first.
    pub fn attempt(&self) -> u32 {
        self.message().attempts
    }

    /// The work is done: the message is gone, and its place is free.
    pub fn commit(mut self) {
        let message = self.message.take();
        self.shared.apply(|state| state.commit());
        if let Some(promise) = self.promise.take() {
            promise.commit();
        }
        drop(message);
    }

    /// The work is not done: the message is delivered again, or becomes a dead letter.
    pub fn nack(mut self) {
        self.hand_back();
        if let Some(promise) = self.promise.take() {
            promise.abort(AbortCause::Explicit);
        }
    }

    /// Hands the duty over to the task of `cx`, which is the one that has it now.
    pub fn transfer(mut self, cx: &Cx) -> Self {
        self.promise = self.promise.take().map(|promise| cx.adopt(promise));
        self
    }

    fn message(&self) -> &Message<T> {
        self.message
            .as_ref()
            .expect("an `Ack` holds its message until it is settled")
    }

    fn hand_back(&mut self) {
        if let Some(message) = self.message.take() {
            let now = self.world.as_ref().map_or(Time::ZERO, |world| world.now());
            self.shared.apply(|state| state.hand_back(message, now));
        }
    }
}

impl<T> Drop for Ack<T> {
    fn drop(&mut self) {
        // First whoever receives it next: the promise, which settles itself when
        // it is dropped after this, may panic in strict mode.
        self.hand_back();
    }
}

impl<T> fmt::Debug for Ack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack")
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
