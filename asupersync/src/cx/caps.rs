//! Gates: what a context may do, and what it says when it may not.
//!
//! The set is a byte of the context, beside its view (`grant`), and the check is
//! one test of that byte. A context that may do everything is never asked further.

use super::Cx;
use crate::types::caps::{CapSet, Capability, CapabilityDenied};
use crate::types::event::{Event, UserEvent};
use crate::types::id::TaskId;

impl Cx {
    /// The effects that this context may perform.
    pub fn caps(&self) -> CapSet {
        self.grant.caps()
    }

    /// The same task, able to perform the effects in `caps` at most.
    ///
    /// What is made from it - tasks, regions, cleanup views - can do no more.
    /// Code that has only this context performs no other effect through this
    /// library; what the standard library offers stays within its reach.
    ///
    /// ```
    /// use asupersync::{CapSet, Cx, LabRuntime, LabConfig};
    ///
    /// async fn plugin(cx: &Cx) -> bool {
    ///     let handle = cx.spawn(async |_cx| ());
    ///     handle.refused().is_some()
    /// }
    ///
    /// let lab = LabRuntime::new(LabConfig::default());
    /// assert!(lab.run(async |cx| plugin(&cx.restrict(CapSet::TIME)).await));
    /// ```
    ///
    /// A narrowed context cannot be widened: asking for more gives the same set,
    /// and the set itself is out of reach.
    ///
    /// ```compile_fail
    /// # use asupersync::{CapSet, Cx};
    /// fn widen(mut cx: Cx) {
    ///     cx.caps = CapSet::ALL;
    /// }
    /// ```
    /// ```compile_fail
    /// # use asupersync::{CapSet, Cx};
    /// fn widen(cx: &Cx) -> Cx {
    ///     Cx { caps: CapSet::ALL, ..cx.clone() }
    /// }
    /// ```
    /// ```compile_fail
    /// # use asupersync::{CapSet, Cx};
    /// fn widen(cx: &Cx) -> Cx {
    ///     Cx::new(CapSet::ALL)
    /// }
    /// ```
    #[must_use = "the context it is called on keeps its effects"]
    pub fn restrict(&self, caps: CapSet) -> Cx {
        let caps = self.narrowed(caps, self.task_id());
        self.clone().with_caps(caps)
    }

    /// Asks whether this context may perform an effect.
    ///
    /// Everything in this library that performs one asks; a library on top asks
    /// on behalf of effects of its own.
    ///
    /// # Errors
    /// [`CapabilityDenied`], which names the effect; it is counted, and in the
    /// lab an event.
    #[inline]
    pub fn require(&self, capability: Capability) -> Result<(), CapabilityDenied> {
        if self.caps() == CapSet::ALL {
            return Ok(());
        }
        self.consult(capability)
    }

    #[cold]
    fn consult(&self, capability: Capability) -> Result<(), CapabilityDenied> {
        let (task, held) = (self.task_id(), self.caps());
        if held.contains(capability) {
            self.task.emit(|| Event::EffectAllowed {
                task,
                capability,
                held,
            });
            return Ok(());
        }
        self.region_cell().tree.denials.count(capability);
        self.task.emit(|| Event::EffectDenied { task, capability });
        Err(CapabilityDenied { capability, held })
    }

    /// How often contexts of this run were denied the effect so far.
    pub fn denials(&self, capability: Capability) -> u64 {
        self.region_cell().tree.denials.of(capability)
    }

    /// Puts an event of the program's own into the trace, in a world that keeps one.
    ///
    /// Without [`Capability::Trace`] it is dropped, and counted in [`Cx::denials`].
    ///
    /// ```
    /// # use asupersync::{LabConfig, LabRuntime};
    /// use asupersync::types::event::{Event, UserEvent};
    ///
    /// let lab = LabRuntime::new(LabConfig::default());
    /// lab.run(async |cx| cx.trace(("orders served", 3)));
    /// let said = |e: &Event| matches!(e, Event::User { event, .. } if event.value == 3);
    /// assert!(lab.trace().events.iter().any(|e| said(&e.event)));
    /// ```
    pub fn trace(&self, event: impl Into<UserEvent>) {
        if self.require(Capability::Trace).is_err() {
            return;
        }
        self.task.emit(|| Event::User {
            task: self.task_id(),
            event: event.into(),
        });
    }

    /// The same task with every effect, for the parts of an effect that was
    /// granted: connecting by name starts a task of its own. Never for code of a user.
    pub(crate) fn within_effect(&self) -> Cx {
        self.clone().with_caps(CapSet::ALL)
    }

    /// The set of a context made from this one for `task`, on which `asked` was said.
    pub(super) fn narrowed(&self, asked: CapSet, task: TaskId) -> CapSet {
        let caps = self.caps() & asked;
        self.hand_over(caps, task);
        caps
    }

    /// Records that `task` was given a context with `caps` made from this one.
    pub(super) fn hand_over(&self, caps: CapSet, task: TaskId) {
        let from = self.caps();
        if caps != from {
            self.task.emit(|| Event::CapsNarrowed {
                task,
                from,
                to: caps,
            });
        }
    }
}
