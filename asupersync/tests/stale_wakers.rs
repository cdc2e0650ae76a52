//! A waker that outlives its task wakes nobody, least of all who has the task's place now.

mod worlds;

use asupersync::{Cx, Scope, TaskHandle};
use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use worlds::everywhere;

const TASKS: usize = 30;

/// A task that counts its polls, and waits until it may go.
#[derive(Default)]
struct Waiting {
    go: AtomicBool,
    polls: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Waiting {
    fn spawn(self: &Arc<Self>, scope: &Scope) -> TaskHandle<()> {
        let this = self.clone();
        scope.spawn(async move |_cx: Cx| {
            poll_fn(|task| {
                this.polls.fetch_add(1, Ordering::SeqCst);
                if this.go.load(Ordering::SeqCst) {
                    return Poll::Ready(());
                }
                *this.waker.lock().expect("nobody panics") = Some(task.waker().clone());
                Poll::Pending
            })
            .await;
        })
    }
}

#[test]
fn a_waker_of_an_ended_task_wakes_nobody() {
    everywhere(async |scope| {
        let mut stale: Vec<Waker> = Vec::new();
        let (mut seen, mut reused) = (HashSet::new(), 0);
        for _ in 0..10 {
            let waiting: Vec<_> = (0..TASKS).map(|_| Arc::new(Waiting::default())).collect();
            let tasks: Vec<_> = waiting.iter().map(|w| w.spawn(&scope)).collect();
            for task in &tasks {
                let slot = task.id().expect("it was admitted").slot();
                reused += usize::from(!seen.insert(slot));
            }
            let waits = |w: &Arc<Waiting>| w.waker.lock().expect("nobody panics").is_some();
            while !waiting.iter().all(waits) {
                scope.yield_now().await.expect("nobody cancels");
            }
            stale.iter().for_each(Waker::wake_by_ref);
            stale.iter().cloned().for_each(Waker::wake);
            for _ in 0..3 {
                scope.yield_now().await.expect("nobody cancels");
            }
            for waiting in &waiting {
                let waker = waiting.waker.lock().expect("nobody panics").take();
                let waker = waker.expect("it waits");
                stale.push(waker.clone());
                waiting.go.store(true, Ordering::SeqCst);
                waker.wake();
            }
            for task in tasks {
                task.await.into_result().expect("it was woken");
            }
            // Woken by another's waker, it would have been polled in vain.
            let polls = |w: &Arc<Waiting>| w.polls.load(Ordering::SeqCst);
            assert!(waiting.iter().all(|w| polls(w) == 2));
        }
        assert!(reused >= TASKS, "{reused} places were taken again");
    });
}
