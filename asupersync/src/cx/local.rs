//! Tasks that stay on the thread that starts them, and hence may hold what is not `Send`.

use super::{Cx, TaskBuilder};
use crate::exec::bound::{Bound, Stay};
use crate::exec::handle::{SpawnError, TaskHandle};
use crate::exec::probe::Local;
use std::future::Future;

impl Cx {
    /// As [`Cx::spawn`], for a task that stays on the calling thread: neither
    /// the body, nor its future, nor what it returns need to be `Send`.
    ///
    /// It is a task like any other: its region owns and awaits it, it is asked
    /// to cancel, limited by budgets and reported. It is woken from any thread
    /// and polled on this one, in turn with what else the thread has to do, so
    /// a long poll of another task here holds it up.
    ///
    /// The thread must be one that runs tasks of this runtime: a worker, or one
    /// inside `block_on`. On any other, as in [`Cx::spawn_blocking`], the spawn is
    /// refused with [`SpawnError::NoHome`]. On a current-thread runtime that
    /// several threads use, `block_on` stays until the tasks have ended that
    /// were started on its thread, also those of another thread's program.
    ///
    /// *Cancellation.* As [`Cx::spawn`].
    ///
    /// ```
    /// use asupersync::{Runtime, Scope};
    /// use std::rc::Rc;
    /// let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    /// let sum = runtime.block_on(async |scope: Scope| {
    ///     let shared = Rc::new(2);
    ///     let theirs = shared.clone();
    ///     let task = scope.spawn_local(async move |_cx| Rc::new(*theirs + 1));
    ///     *shared + *task.await.into_result().unwrap()
    /// });
    /// assert_eq!(sum.unwrap(), 5);
    /// ```
    ///
    /// It may outlive the code that starts it, so it cannot borrow from it:
    ///
    /// ```compile_fail,E0597
    /// # use asupersync::Cx;
    /// fn start(cx: &Cx) {
    ///     let text = String::from("gone too soon");
    ///     let borrowed = &text;
    ///     cx.spawn_local(async move |_cx| borrowed.len());
    /// }
    /// ```
    ///
    /// The handle stays where what it returns must stay:
    ///
    /// ```compile_fail,E0277
    /// # use asupersync::Cx;
    /// # use std::rc::Rc;
    /// fn start(cx: &Cx) {
    ///     let task = cx.spawn_local(async |_cx| Rc::new(1));
    ///     cx.spawn(async move |_cx| drop(task));
    /// }
    /// ```
    pub fn spawn_local<T, F, Fut>(&self, body: F) -> TaskHandle<T>
    where
        F: FnOnce(Cx) -> Fut + 'static,
        Fut: Future<Output = T> + 'static,
        T: 'static,
    {
        self.task().spawn_local(body)
    }
}

impl TaskBuilder<'_> {
    /// Starts it; see [`Cx::spawn_local`].
    pub fn spawn_local<T, F, Fut>(mut self, body: F) -> TaskHandle<T>
    where
        F: FnOnce(Cx) -> Fut + 'static,
        Fut: Future<Output = T> + 'static,
        T: 'static,
    {
        let Some(stay) = Stay::here(self.world()) else {
            return TaskHandle::refuse(SpawnError::NoHome);
        };
        self.stay_at(stay.home());
        let body = Bound::new(body, stay);
        match self.start::<Local, _, _>(move |cx| body.call(cx)) {
            Ok(task) => TaskHandle::new(task),
            Err(refused) => TaskHandle::refuse(refused),
        }
    }
}
