//! Capabilities: what a narrowed context may not do, everywhere and by whatever way it was made.

use asupersync::cx::{Interrupt, WaitCancelled};
use asupersync::net::{TcpListener, TcpStream};
use asupersync::types::event::Event;
use asupersync::{
    CapSet, Capability, CapabilityDenied, Cx, Error, ErrorKind, JoinSet, LabConfig, LabRuntime,
    Missed, Outcome, Region, RegionOptions, Runtime, Scope, Severity, SporkOptions, TimeoutError,
};
use proptest::prelude::*;
use std::io;
use std::time::Duration;

mod worlds;
use worlds::{current_thread, everywhere};

const MOMENT: Duration = Duration::from_millis(1);

/// The denial at the bottom of an error.
fn denied(e: &io::Error) -> Option<Capability> {
    (e.get_ref()?.downcast_ref::<CapabilityDenied>()).map(|d| d.capability)
}

/// Performs an effect and tells whether it was let through; a denial has to name the effect.
async fn performs(cx: &Cx, capability: Capability) -> bool {
    let denial = match capability {
        Capability::Spawn => (cx.spawn(async |_cx| ()).refused())
            .map(|e| e.to_string().contains("CapabilityDenied: SPAWN")),
        Capability::Time => match cx.sleep(Duration::ZERO).await {
            Ok(()) => None,
            Err(e) => Some(e.denied().is_some_and(|d| d.capability == capability)),
        },
        Capability::Net => match TcpListener::bind(cx, "127.0.0.1:0").await {
            Ok(_) => None,
            Err(e) => Some(denied(&e) == Some(capability)),
        },
        Capability::Trace => {
            let before = cx.denials(capability);
            cx.trace("here");
            (cx.denials(capability) > before).then_some(true)
        }
        Capability::Random => cx.rng().err().map(|d| d.capability == capability),
        Capability::Fs => (asupersync::fs::try_exists(cx, ".").await.err())
            .map(|e| denied(&e) == Some(capability)),
        // Effects of libraries on top: the gate is theirs to ask.
        Capability::Process | Capability::Remote => {
            let asked = cx.require(capability).err();
            asked.map(|d| d.capability == capability)
        }
    };
    assert_ne!(denial, Some(false), "the denial names {capability}");
    denial.is_none()
}

/// The effects that a context turns out to perform.
async fn performed(cx: &Cx) -> CapSet {
    let mut all = CapSet::NONE;
    for c in Capability::ALL {
        if performs(cx, c).await {
            all = all.with(c.into());
        }
    }
    all
}

#[test]
fn a_context_performs_exactly_the_effects_of_its_set() {
    everywhere(async |scope: Scope| {
        for c in Capability::ALL {
            let without = CapSet::ALL.without(c.into());
            for caps in [CapSet::of(c), without] {
                assert_eq!(performed(&scope.restrict(caps)).await, caps);
            }
        }
        assert_eq!(performed(&scope).await, CapSet::ALL);
        assert_eq!(performed(&scope.restrict(CapSet::NONE)).await, CapSet::NONE);
    });
}

#[test]
fn every_way_to_wait_for_the_clock_is_gated() {
    everywhere(async |scope: Scope| {
        let cx = scope.restrict(CapSet::ALL.without(CapSet::TIME));
        let is_time =
            |d: Option<CapabilityDenied>| d.map(|d| d.capability) == Some(Capability::Time);
        assert!(is_time(cx.sleep(MOMENT).await.unwrap_err().denied()));
        assert!(is_time(
            cx.sleep_until(cx.now()).await.unwrap_err().denied()
        ));
        let mut ticks = cx.interval(MOMENT, Missed::Skip);
        assert!(is_time(ticks.tick(&cx).await.unwrap_err().denied()));
        let drained = cx.timeout(MOMENT, async |_| ()).await;
        assert!(
            matches!(drained, Err(TimeoutError::Denied(_))),
            "{drained:?}"
        );
        let dropped = cx.timeout_drop(MOMENT, std::future::pending::<()>()).await;
        assert!(
            matches!(dropped, Err(TimeoutError::Denied(_))),
            "{dropped:?}"
        );
        // What needs no capability: reading the clock, and a deadline of somebody else's making.
        assert!(cx.now() <= scope.now());
        let allowed = scope.timeout(MOMENT, async |s| s.restrict(CapSet::NONE).cancelled().await);
        assert!(matches!(allowed.await, Err(TimeoutError::Elapsed)));
    });
}

#[test]
fn connecting_is_gated_and_a_stream_one_was_given_is_not() {
    everywhere(async |scope: Scope| {
        use asupersync::io::{ReadExt, WriteExt};
        let listener = TcpListener::bind(&scope, "127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let none = scope.restrict(CapSet::NONE);
        let refused = TcpStream::connect(&none, addr).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(denied(&refused), Some(Capability::Net));
        let mut out = TcpStream::connect(&scope, addr).await.unwrap();
        // Accepting and its pauses are part of the listener, which is the authority.
        let (mut back, _) = listener.accept(&none).await.unwrap();
        out.write_all(&none, b"!").await.unwrap();
        let mut byte = [0];
        back.read_exact(&none, &mut byte).await.unwrap();
        assert_eq!(&byte, b"!");
    });
}

#[test]
fn a_denied_wait_is_no_cancellation() {
    everywhere(async |scope: Scope| {
        let body = async |scope: Scope| {
            let lacking = scope.task().caps(CapSet::NONE);
            lacking
                .try_spawn(async |cx: Cx| cx.sleep(MOMENT).await)
                .await
        };
        let reported = scope.region_report(RegionOptions::default(), body).await;
        let reported = reported.unwrap();
        // Nobody had asked the task to cancel, so it failed.
        assert_eq!(reported.report.severity, Severity::Err);
        let Some(Outcome::Err(error)) = reported.value else {
            panic!("not {:?}", reported.value)
        };
        assert_eq!(
            error.to_string(),
            "CapabilityDenied: TIME is not among the effects of this context (NONE); pass a context that has it, or keep it in TaskBuilder::caps, RegionOptions::caps or Cx::restrict where this one was narrowed"
        );
        let kind = Error::from(error.clone()).kind();
        assert_eq!(kind, ErrorKind::CapabilityDenied);
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn connecting_by_name_needs_no_capability_but_the_network() {
    // The look-up runs in a task of its own, and attempts are staggered in time.
    current_thread(async |scope: Scope| {
        let net = scope.restrict(CapSet::NET);
        let listener = TcpListener::bind(&net, "localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(&net, ("localhost", port)).await.unwrap();
        assert_eq!(Capability::ALL.map(|c| scope.denials(c)), [0; 8]);
    });
}

/// A way to make a context from another.
#[derive(Clone, Copy, Debug)]
enum Way {
    Restrict,
    Task,
    TryTask,
    Blocking,
    Region,
    Cleanup,
    TaskFinalizer,
    RegionFinalizer,
    StoredScope,
    Spork,
    JoinSet,
}

/// Makes a context with `asked` in the given way and tells what it holds.
async fn make(cx: &Cx, way: Way, asked: CapSet) -> (CapSet, Option<Cx>) {
    let restricted = cx.restrict(asked);
    let options = RegionOptions {
        caps: asked,
        ..RegionOptions::default()
    };
    let (tell, told) = std::sync::mpsc::channel();
    match way {
        Way::Restrict => {}
        Way::Cleanup => tell.send(restricted.cleanup().caps()).unwrap(),
        Way::Task => {
            let task = cx.task().caps(asked);
            task.spawn(async move |cx: Cx| tell.send(cx.caps()).unwrap())
                .await
                .into_result()
                .unwrap();
        }
        Way::TryTask => {
            let task = cx.task().caps(asked);
            task.try_spawn(async move |cx: Cx| tell.send(cx.caps()))
                .await
                .into_result()
                .unwrap();
        }
        Way::Blocking => {
            let task = cx.task().caps(asked);
            task.spawn_blocking(move |cx| tell.send(cx.caps()).unwrap())
                .await
                .into_result()
                .unwrap();
        }
        Way::Region => {
            let body = async |scope: Scope| tell.send(scope.caps()).unwrap();
            Region::open_with(cx, options, body).await.unwrap();
        }
        Way::TaskFinalizer => {
            let body = async move |cx: Cx| {
                cx.restrict(asked)
                    .defer_with(async move |cx| tell.send(cx.caps()).unwrap());
            };
            cx.spawn(body).await.into_result().unwrap();
        }
        Way::RegionFinalizer => {
            let body = async |scope: Scope| {
                scope.defer_with(async move |cx| tell.send(cx.caps()).unwrap());
            };
            Region::open_with(cx, options, body).await.unwrap();
        }
        Way::Spork => {
            let options = SporkOptions {
                caps: asked,
                ..SporkOptions::default()
            };
            let body = async move |cx: Cx| tell.send(cx.caps()).unwrap();
            cx.spork(options, body).await.into_result().unwrap();
        }
        Way::JoinSet => {
            let mut members = JoinSet::new(&restricted);
            members.spawn(async move |cx: Cx| tell.send(cx.caps()).unwrap());
            members.join_all(cx).await.unwrap();
        }
        Way::StoredScope => {
            let body = async |scope: Scope| {
                let stored = scope.scope().expect("a body has a scope");
                let body = async move |cx: Cx| tell.send(cx.caps()).unwrap();
                stored.spawn(body).await.into_result().unwrap();
            };
            Region::open_with(cx, options, body).await.unwrap();
        }
    }
    let made = told.try_recv().unwrap_or_else(|_| restricted.caps());
    (made, matches!(way, Way::Restrict).then_some(restricted))
}

fn way() -> impl Strategy<Value = Way> {
    prop::sample::select(vec![
        Way::Restrict,
        Way::Task,
        Way::TryTask,
        Way::Blocking,
        Way::Region,
        Way::Cleanup,
        Way::TaskFinalizer,
        Way::RegionFinalizer,
        Way::StoredScope,
        Way::Spork,
        Way::JoinSet,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The sets narrow by intersection along every chain of ways, whatever is asked for.
    #[test]
    fn no_way_widens(chain in prop::collection::vec((way(), any::<u8>()), 1..6), seed: u64) {
        let lab = LabRuntime::new(LabConfig::default().seed(seed));
        lab.run(async |scope: Scope| {
            // Starting tasks is how most contexts are made, so the chain keeps that effect.
            let mut at = scope.restrict(CapSet::ALL);
            for (way, bits) in &chain {
                let asked = CapSet::from_bits(*bits).with(CapSet::SPAWN);
                let (made, next) = make(&at, *way, asked).await;
                assert_eq!(made, at.caps() & asked, "{way:?}");
                at = next.unwrap_or_else(|| at.restrict(asked));
            }
        });
        assert!(lab.capability_use_oracle().is_ok());
        let narrowed = |e: &Event| matches!(e, Event::CapsNarrowed { from, to, .. } if !to.is_subset(*from));
        prop_assert!(!lab.trace().events.iter().any(|e| narrowed(&e.event)));
    }
}

#[test]
fn a_denial_is_an_event_that_names_task_and_effect() {
    let lab = LabRuntime::new(LabConfig::default());
    let task = lab.run(async |scope: Scope| {
        let worker = scope.task().caps(CapSet::TIME);
        let worker = worker.spawn(async |cx: Cx| {
            cx.trace("unheard");
            cx.sleep(MOMENT).await.unwrap();
        });
        let id = worker.id();
        worker.await.into_result().unwrap();
        id.expect("it was not refused")
    });
    let events: Vec<Event> = lab.trace().events.iter().map(|e| e.event).collect();
    assert!(events.contains(&Event::EffectDenied {
        task,
        capability: Capability::Trace
    }));
    assert!(events.contains(&Event::EffectAllowed {
        task,
        capability: Capability::Time,
        held: CapSet::TIME
    }));
    assert!(!events.iter().any(|e| matches!(e, Event::User { .. })));
}

#[test]
fn waiting_through_another_tasks_context_is_reported() {
    let lab = LabRuntime::new(LabConfig::default());
    let failure = lab.try_run(async |scope: Scope| {
        let lent = Cx::clone(&scope);
        scope.spawn(async move |_own: Cx| lent.sleep(MOMENT).await);
    });
    let failure = failure.unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains("TaskNotOwned: T1 waits through the context of T0"),
        "{text}"
    );
    assert!(lab.capability_use_oracle().is_err());
    assert_eq!(Error::from(failure).kind(), ErrorKind::TaskNotOwned);
}

#[test]
fn a_combinators_own_waker_is_no_foreign_use() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |scope: Scope| {
        let (a, b) = futures::join!(scope.sleep(MOMENT), scope.sleep(2 * MOMENT));
        a.and(b).unwrap();
        let many: Vec<_> = (0..40).map(|_| scope.sleep(MOMENT)).collect();
        for slept in futures::future::join_all(many).await {
            slept.unwrap();
        }
    });
}

#[test]
fn the_set_costs_a_context_no_room() {
    // A task, a scope, and a word for the view and the set; nothing per wait.
    assert!(size_of::<Cx>() <= 5 * size_of::<usize>());
    assert_eq!(size_of::<Scope>(), size_of::<Cx>());
    let wait = size_of::<&Cx>() + size_of::<Interrupt>();
    assert_eq!(size_of::<WaitCancelled<'_>>(), wait);
}

#[test]
fn a_run_may_begin_narrowed_by_its_first_region() {
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let caps = runtime.block_on(async |scope: Scope| {
        let options = RegionOptions {
            caps: CapSet::TIME.with(CapSet::SPAWN),
            ..RegionOptions::named("plugin host")
        };
        Region::open_with(&scope, options, async |scope| {
            let inner = scope.spawn(async |cx: Cx| cx.caps());
            inner.await.into_result().unwrap()
        })
        .await
    });
    assert_eq!(caps.unwrap().unwrap(), CapSet::TIME.with(CapSet::SPAWN));
}
