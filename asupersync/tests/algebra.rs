//! The laws of joining and racing, at the level of severities: the two sides of
//! a law end in the same set of ways over all schedules of the lab.
//!
//! [`same`] runs both sides under every schedule that there is; where three arms
//! yield those are too many, and [`seem_same`] draws some.
//!
//! | law | holds for severities | for values |
//! |---|---|---|
//! | join is associative and commutative, ready-`Ok` is its unit | yes | no: [`the_order_of_a_tuple_breaks_commutativity_and_associativity_for_values`] |
//! | race is associative and commutative | yes | no: [`ties_break_commutativity_for_values`] |
//! | never is the unit of race | yes | yes |
//! | join distributes over race, for arms without effects | yes | yes, for pure arms |
//! | `timeout(a, timeout(b, f))` is `timeout(min(a, b), f)` | yes | yes |
//! | `timeout(d, f)` is a race of `f` with a sleep, unless both are due at one instant | yes | no: [`a_timeout_keeps_a_value_that_a_race_gives_away`] |

use asupersync::combine::Arm;
use asupersync::{Cx, LabConfig, LabRuntime, Severity, join, race};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

mod worlds;
use worlds::every_schedule;

/// A small program that ends in a severity.
#[derive(Clone, Debug)]
enum Term {
    /// Yields so often, then ends so.
    Leaf(u32, Severity),
    /// Sleeps so many seconds, then ends well.
    Sleep(u64),
    /// Sleeps so many seconds, then ends as one that ran out of time.
    Elapse(u64),
    /// Goes on until it is asked to cancel.
    Never,
    Join(Box<Term>, Box<Term>),
    Race(Box<Term>, Box<Term>),
    Timeout(u64, Box<Term>),
}
use Term::{Elapse, Leaf, Never, Sleep};

fn join(a: &Term, b: &Term) -> Term {
    Term::Join(a.clone().into(), b.clone().into())
}

fn race(a: &Term, b: &Term) -> Term {
    Term::Race(a.clone().into(), b.clone().into())
}

fn timeout(secs: u64, a: &Term) -> Term {
    Term::Timeout(secs, a.clone().into())
}

type Ends = Pin<Box<dyn Future<Output = Severity> + Send>>;

fn eval(cx: Cx, term: Term) -> Ends {
    Box::pin(async move {
        match term {
            Leaf(yields, severity) => {
                for _ in 0..yields {
                    if cx.yield_now().await.is_err() {
                        return Severity::Cancelled;
                    }
                }
                severity
            }
            Sleep(secs) => match cx.sleep(Duration::from_secs(secs)).await {
                Ok(()) => Severity::Ok,
                Err(_) => Severity::Cancelled,
            },
            Elapse(secs) => {
                let _ = cx.sleep(Duration::from_secs(secs)).await;
                Severity::Cancelled
            }
            Never => {
                cx.cancelled().await;
                Severity::Cancelled
            }
            // Both sides run as tasks, so that the schedule decides who goes first.
            Term::Join(a, b) => {
                let a = cx.spawn(move |cx| eval(cx, *a));
                let b = cx.spawn(move |cx| eval(cx, *b));
                let (a, b) = join!(a, b);
                let end = |o: asupersync::Outcome<Severity>| {
                    o.into_result().unwrap_or(Severity::Cancelled)
                };
                end(a).max(end(b))
            }
            Term::Race(a, b) => {
                let arms = [*a, *b].map(|term| Arm::new(move |cx| eval(cx, term)));
                cx.race(arms)
                    .await
                    .map_or(Severity::Cancelled, |won| won.value)
            }
            Term::Timeout(secs, a) => {
                let body = async |scope: asupersync::Scope| eval(Cx::clone(&scope), *a).await;
                let timed = cx.timeout(Duration::from_secs(secs), body).await;
                timed.unwrap_or(Severity::Cancelled)
            }
        }
    })
}

/// How a program can end, over all of its schedules.
fn all_ends(term: &Term) -> BTreeSet<Severity> {
    let mut ends = BTreeSet::new();
    every_schedule(
        async |cx: asupersync::Scope| eval(Cx::clone(&cx), term.clone()).await,
        |end| {
            ends.insert(end);
        },
    );
    ends
}

/// How a program can end, over schedules that are drawn.
fn some_ends(term: &Term) -> BTreeSet<Severity> {
    let end = |seed| {
        let lab = LabRuntime::new(LabConfig::default().seed(seed));
        lab.run(async |cx| eval(Cx::clone(&cx), term.clone()).await)
    };
    (0..150).map(end).collect()
}

#[track_caller]
fn same(a: &Term, b: &Term) {
    assert_eq!(all_ends(a), all_ends(b), "\n  {a:?}\n  {b:?}");
}

/// As [`same`], for programs with too many schedules to run them all.
#[track_caller]
fn seem_same(a: &Term, b: &Term) {
    assert_eq!(some_ends(a), some_ends(b), "\n  {a:?}\n  {b:?}");
}

/// Programs that end in each way, at once.
fn soon() -> [Term; 4] {
    use Severity::{Cancelled, Err, Ok, Panicked};
    [Ok, Err, Cancelled, Panicked].map(|s| Leaf(0, s))
}

/// Programs that end in each way, at once and later.
fn leaves() -> Vec<Term> {
    let later = [Severity::Ok, Severity::Err].map(|s| Leaf(2, s));
    soon().into_iter().chain(later).collect()
}

#[test]
fn join_is_a_commutative_monoid() {
    let unit = Leaf(0, Severity::Ok);
    for a in &leaves() {
        same(&join(a, &unit), a);
        same(&join(&unit, a), a);
        for b in &leaves() {
            same(&join(a, b), &join(b, a));
            let c = &Leaf(1, Severity::Err);
            seem_same(&join(a, &join(b, c)), &join(&join(a, b), c));
        }
    }
    let [ok, err, cancelled, panicked] = &soon();
    for [a, b, c] in [
        [ok, err, cancelled],
        [panicked, ok, err],
        [err, cancelled, ok],
    ] {
        same(&join(a, &join(b, c)), &join(&join(a, b), c));
    }
}

#[test]
fn race_is_a_commutative_monoid() {
    for a in &leaves() {
        same(&race(a, &Never), a);
        same(&race(&Never, a), a);
        for b in &leaves() {
            same(&race(a, b), &race(b, a));
        }
    }
    let [ok, err, cancelled, panicked] = &soon();
    for [a, b, c] in [
        [ok, err, cancelled],
        [panicked, ok, err],
        [err, cancelled, ok],
    ] {
        same(&race(a, &race(b, c)), &race(&race(a, b), c));
    }
    let [a, b, c] = [Severity::Ok, Severity::Err, Severity::Panicked].map(|s| Leaf(1, s));
    seem_same(&race(&a, &race(&b, &c)), &race(&race(&a, &b), &c));
}

/// Named by the table: the value of a join is a tuple, and its shape tells the order.
#[test]
fn the_order_of_a_tuple_breaks_commutativity_and_associativity_for_values() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |_cx: asupersync::Scope| {
        let (one, two) = (async || 1, async || 2);
        assert_eq!(join!(one(), two()), (1, 2));
        assert_eq!(join!(two(), one()), (2, 1), "swapped with the arms");
        let nested = join!(one(), async { join!(two(), one()) });
        assert_eq!(nested, (1, (2, 1)));
        let nested = join!(async { join!(one(), two()) }, one());
        assert_eq!(nested, ((1, 2), 1));
    });
}

#[test]
fn either_arm_of_a_race_can_win() {
    let both = BTreeSet::from([Severity::Ok, Severity::Err]);
    let (a, b) = (Leaf(0, Severity::Ok), Leaf(2, Severity::Err));
    assert_eq!(
        all_ends(&race(&a, &b)),
        both,
        "or the laws would say nothing"
    );
    // And a law that does not hold is seen not to.
    assert_ne!(all_ends(&race(&a, &b)), all_ends(&join(&a, &b)));
}

#[test]
fn join_distributes_over_race() {
    for a in &leaves() {
        let (b, c) = (&Leaf(1, Severity::Ok), &Leaf(1, Severity::Panicked));
        seem_same(&join(a, &race(b, c)), &race(&join(a, b), &join(a, c)));
    }
    // Some thirteen thousand schedules on the right.
    let [ok, err, _, panicked] = &soon();
    same(
        &join(err, &race(ok, panicked)),
        &race(&join(err, ok), &join(err, panicked)),
    );
}

#[test]
fn nested_timeouts_obey_the_smaller() {
    for (a, b, f) in [(1, 2, 3), (2, 1, 3), (2, 3, 1), (3, 3, 3), (5, 4, 9)] {
        let f = &Sleep(f);
        same(&timeout(a, &timeout(b, f)), &timeout(a.min(b), f));
    }
    for a in &leaves() {
        same(&timeout(3, a), a);
        same(&timeout(3, &Never), &Leaf(0, Severity::Cancelled));
    }
}

/// Where both are due at one instant, the body's value is kept and the race's goes
/// to the lower index: the arm that is the body.
#[test]
fn a_timeout_is_a_race_with_a_sleep() {
    for (d, f) in [(1, 2), (2, 1), (5, 9), (9, 5)] {
        let f = &Sleep(f);
        same(&timeout(d, f), &race(f, &Elapse(d)));
    }
    for f in &leaves() {
        same(&timeout(3, f), &race(f, &Elapse(3)));
    }
    same(&timeout(3, &Never), &race(&Never, &Elapse(3)));
    // Inside of others, with three arms altogether.
    let [ok, err, ..] = &soon();
    for f in [&Sleep(1), &Sleep(3), ok] {
        let (timed, raced) = (timeout(2, f), race(f, &Elapse(2)));
        same(&join(&timed, err), &join(&raced, err));
    }
    seem_same(
        &race(&timeout(2, &Sleep(1)), err),
        &race(&race(&Sleep(1), &Elapse(2)), err),
    );
}

#[test]
fn ties_break_commutativity_for_values() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |cx: asupersync::Scope| {
        let first = race!(&cx, |_s| async { "a" }, |_s| async { "b" }).await;
        let swapped = race!(&cx, |_s| async { "b" }, |_s| async { "a" }).await;
        assert_eq!(first.unwrap().value, "a");
        assert_eq!(swapped.unwrap().value, "b", "the lower index wins a tie");
    });
}

#[test]
fn a_timeout_keeps_a_value_that_a_race_gives_away() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |cx: asupersync::Scope| {
        let second = Duration::from_secs(1);
        // Both are due at the same instant, and the body does not look whether it was asked to stop.
        let deaf = async |cx: &Cx| {
            let _ = cx.cleanup().sleep(second).await;
            "value"
        };
        let timed = cx.timeout(second, async |s| deaf(&s).await).await;
        assert_eq!(timed.unwrap(), "value");
        let raced = race!(
            &cx,
            |s| async { s.sleep(second).await.map_or("stopped", |()| "elapsed") },
            |s| deaf(s),
        );
        assert_eq!(raced.await.unwrap().value, "elapsed");
    });
}
