//! Effects in two phases: whatever happens in between, all of them happen or none.

use asupersync::lab::{Inject, Injector, LabFailure, Points};
use asupersync::types::event::Event;
use asupersync::types::obligation::{AbortCause, ObligationKind, Resolution};
use asupersync::{Cancelled, Cx, Effect, LabConfig, LabRuntime, Scope, Stage, Staged, TaskHandle};
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod worlds;
use worlds::{everywhere, in_lab};

/// An account, and what of it is set aside for withdrawals that are not committed yet.
#[derive(Debug, Default)]
struct Account {
    balance: u64,
    set_aside: u64,
    /// Commits and rollbacks, in order.
    log: Vec<String>,
}

type Shared = Arc<Mutex<Account>>;

fn account(balance: u64) -> Shared {
    Arc::new(Mutex::new(Account {
        balance,
        ..Account::default()
    }))
}

/// Why a movement cannot be reserved.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0} are missing")]
    Short(u64),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Moves money out of an account, or into it.
struct Movement {
    account: Shared,
    out: bool,
    amount: u64,
}

struct Ready {
    account: Shared,
    out: bool,
    amount: u64,
}

impl Movement {
    fn out(account: &Shared, amount: u64) -> Self {
        let account = account.clone();
        Movement {
            account,
            out: true,
            amount,
        }
    }

    fn into(account: &Shared, amount: u64) -> Self {
        Movement {
            out: false,
            ..Movement::out(account, amount)
        }
    }
}

impl Effect for Movement {
    type Staged = Ready;
    type Error = Refusal;

    async fn reserve(&self, cx: &Cx) -> Result<Ready, Refusal> {
        cx.yield_now().await?;
        if self.out {
            let mut account = self.account.lock().unwrap();
            let free = account.balance - account.set_aside;
            if free < self.amount {
                return Err(Refusal::Short(self.amount - free));
            }
            account.set_aside += self.amount;
        }
        Ok(Ready {
            account: self.account.clone(),
            out: self.out,
            amount: self.amount,
        })
    }
}

impl Staged for Ready {
    fn commit(self) {
        let mut account = self.account.lock().unwrap();
        if self.out {
            account.set_aside -= self.amount;
            account.balance -= self.amount;
        } else {
            account.balance += self.amount;
        }
        account.log.push(format!("commit {}", self.amount));
    }

    fn rollback(self) {
        let mut account = self.account.lock().unwrap();
        if self.out {
            account.set_aside -= self.amount;
        }
        account.log.push(format!("rollback {}", self.amount));
    }
}

/// Called between the steps of a transfer, with the number of the gap.
type Between<'a> = &'a (dyn Fn(u32) + Sync);

async fn transfer(
    cx: &Cx,
    from: &Shared,
    to: &Shared,
    amount: u64,
    between: Between<'_>,
) -> Result<(), Refusal> {
    between(0);
    let stage = cx.stage().reserve(&Movement::out(from, amount)).await?;
    between(1);
    let stage = stage.reserve(&Movement::into(to, amount)).await?;
    between(2);
    cx.yield_now().await?;
    between(3);
    stage.commit()?;
    between(4);
    Ok(())
}

/// Both movements happened, or neither; tells which, and that nothing is set aside any more.
fn settled(from: &Shared, to: &Shared) -> bool {
    let (from, to) = (from.lock().unwrap(), to.lock().unwrap());
    assert_eq!((from.set_aside, to.set_aside), (0, 0), "{from:?} {to:?}");
    match (from.balance, to.balance) {
        (100, 0) => false,
        (40, 60) => true,
        half => panic!("half a transfer: {half:?}, {from:?}, {to:?}"),
    }
}

#[test]
fn a_transfer_asked_to_cancel_between_any_two_steps_leaves_both_or_neither() {
    // Between the steps of one thread nobody else runs, so the request comes from the gap itself.
    everywhere(async |scope: Scope| {
        for gap in 0..=5 {
            let (from, to) = (account(100), account(0));
            let accounts = (from.clone(), to.clone());
            let body = async move |scope: Scope| {
                let stop = |at| {
                    if at == gap {
                        scope.cancel("between two steps");
                    }
                };
                transfer(&scope, &accounts.0, &accounts.1, 60, &stop).await
            };
            let ended = scope.region_report(Default::default(), body).await.unwrap();
            let result = ended.value.expect("the body returns in time");
            // From the last gap on there is nothing left to stop; gap 5 is never reached.
            assert_eq!(settled(&from, &to), gap >= 4, "gap {gap}");
            assert_eq!(result.is_ok(), gap >= 4, "gap {gap}: {result:?}");
        }
    });
}

async fn transfer_in_a_task(cx: Scope) {
    let (from, to) = (account(100), account(0));
    let accounts = (from.clone(), to.clone());
    let task =
        cx.spawn(async move |cx: Cx| transfer(&cx, &accounts.0, &accounts.1, 60, &|_| ()).await);
    let _ = task.await;
    settled(&from, &to);
}

#[test]
fn a_transfer_survives_every_injection() {
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        let report = Injector::new(LabConfig::default().seed(4))
            .mode(mode)
            .points(Points::All)
            .check(transfer_in_a_task);
        assert!(report.is_ok(), "{report}");
        assert!(report.points >= 4, "{report}");
    }
}

#[test]
fn the_same_injections_find_half_a_transfer() {
    let naive = async |cx: Scope| {
        let (from, to) = (account(100), account(0));
        let accounts = (from.clone(), to.clone());
        let task = cx.spawn(async move |cx: Cx| {
            accounts.0.lock().unwrap().balance -= 60;
            cx.yield_now().await?;
            accounts.1.lock().unwrap().balance += 60;
            Ok::<_, Cancelled>(())
        });
        let _ = task.await;
        settled(&from, &to);
    };
    let report = Injector::new(LabConfig::default().seed(4))
        .points(Points::All)
        .check(naive);
    assert_eq!(report.failures.len(), 1, "{report}");
    assert!(
        report.failures[0].what.contains("half a transfer"),
        "{report}"
    );
}

#[test]
fn a_refusal_rolls_back_what_was_reserved_the_latest_first() {
    everywhere(async |scope: Scope| {
        let (a, b) = (account(5), account(1));
        let mut stage = scope.stage();
        for amount in [1, 2] {
            stage = stage.reserve(&Movement::out(&a, amount)).await.unwrap();
        }
        assert_eq!((stage.len(), stage.is_empty()), (2, false));
        let refused = stage.reserve(&Movement::out(&b, 9)).await.unwrap_err();
        assert_eq!(refused.to_string(), "8 are missing");
        let a = a.lock().unwrap();
        assert_eq!((a.balance, a.set_aside), (5, 0));
        assert_eq!(a.log, ["rollback 2", "rollback 1"]);
    });
}

#[test]
fn effects_are_committed_in_the_order_of_their_reservation() {
    everywhere(async |scope: Scope| {
        let a = account(9);
        let mut stage = scope.stage();
        for amount in [1, 2, 3] {
            stage = stage.reserve(&Movement::out(&a, amount)).await.unwrap();
        }
        stage.commit().unwrap();
        let a = a.lock().unwrap();
        assert_eq!((a.balance, a.set_aside), (3, 0));
        assert_eq!(a.log, ["commit 1", "commit 2", "commit 3"]);
    });
}

/// How the promises of a run's effects were resolved, in order.
fn resolutions(lab: &LabRuntime) -> Vec<Resolution> {
    let resolved = lab
        .trace()
        .events
        .into_iter()
        .filter_map(|e| match e.event {
            Event::ObligationResolved {
                kind: ObligationKind::Effect,
                how,
                ..
            } => Some(how),
            _ => None,
        });
    resolved.collect()
}

#[test]
fn each_way_to_resolve_an_effect_is_recorded_as_what_it_is() {
    type Resolve = fn(&Cx, asupersync::Reserved<Ready>);
    let cases: [(Resolve, Resolution, bool); 3] = [
        (|cx, r| r.commit(cx), Resolution::Committed, true),
        (
            |_, r| r.rollback(),
            Resolution::Aborted(AbortCause::Explicit),
            true,
        ),
        (
            |_, r| drop(r),
            Resolution::Aborted(AbortCause::Dropped),
            false,
        ),
    ];
    for (resolve, how, in_order) in cases {
        let lab = LabRuntime::new(LabConfig::default());
        let ran = lab.try_run(async |scope: Scope| {
            let a = account(1);
            let reserved = scope.reserve(&Movement::out(&a, 1)).await.unwrap();
            resolve(&scope, reserved);
            scope.yield_now().await.unwrap();
            assert_eq!(a.lock().unwrap().set_aside, 0);
        });
        assert_eq!(resolutions(&lab), [how]);
        assert_eq!(ran.is_ok(), in_order, "{how:?}: {ran:?}");
        if !in_order {
            assert!(matches!(ran, Err(LabFailure::Violation(_))), "{ran:?}");
        }
    }
}

#[test]
fn an_effect_dropped_with_its_cancelled_task_is_rolled_back_in_order() {
    in_lab(async |scope: Scope| {
        let a = account(1);
        let held = a.clone();
        let holder = scope.spawn(async move |cx: Cx| {
            let reserved = cx.reserve(&Movement::out(&held, 1)).await;
            let slept = cx.sleep(Duration::from_secs(1)).await;
            drop(reserved);
            slept
        });
        scope.sleep(Duration::from_millis(1)).await.unwrap();
        assert_eq!(a.lock().unwrap().set_aside, 1);
        holder.cancel("enough");
        assert!(holder.await.into_result().unwrap().is_err());
        assert_eq!(a.lock().unwrap().log, ["rollback 1"]);
    });
}

/// An effect that breaks its word.
struct Explosive;

impl Effect for Explosive {
    type Staged = Armed;
    type Error = Refusal;

    async fn reserve(&self, _cx: &Cx) -> Result<Armed, Refusal> {
        Ok(Armed)
    }
}

struct Armed;

impl Staged for Armed {
    fn commit(self) {
        panic!("it failed after all");
    }

    fn rollback(self) {
        panic!("it cannot even be undone");
    }
}

#[test]
fn a_commit_that_panics_does_not_keep_the_others_from_happening() {
    everywhere(async |scope: Scope| {
        let (from, to) = (account(100), account(0));
        let accounts = (from.clone(), to.clone());
        let body = async move |cx: Cx| {
            let stage = cx.stage().reserve(&Movement::out(&accounts.0, 60)).await;
            let stage = stage.unwrap().reserve(&Explosive).await;
            let last = Movement::into(&accounts.1, 60);
            stage.unwrap().reserve(&last).await.unwrap().commit()
        };
        let opened = scope.region_report(Default::default(), async |scope: Scope| {
            let task: TaskHandle<Result<(), Cancelled>> = scope.spawn(body);
            task.await
        });
        let ended = opened.await.unwrap().value.unwrap();
        assert!(ended.is_panicked(), "{ended:?}");
        assert!(settled(&from, &to));
    });
}

#[test]
fn a_rollback_that_panics_while_unwinding_is_contained() {
    everywhere(async |scope: Scope| {
        let a = account(1);
        let held = a.clone();
        let body = async move |cx: Cx| {
            let stage = cx.stage().reserve(&Movement::out(&held, 1)).await.unwrap();
            let _stage: Stage<'_> = stage.reserve(&Explosive).await.unwrap();
            panic!("with effects reserved");
        };
        let opened = scope.region_report(Default::default(), async |scope: Scope| {
            scope.spawn(body).await
        });
        let ended = opened.await.unwrap().value.unwrap();
        assert!(ended.is_panicked(), "{ended:?}");
        assert_eq!(a.lock().unwrap().log, ["rollback 1"]);
    });
}
