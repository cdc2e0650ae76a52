//! `select!`: which arm is taken, what the others lose, and what handlers may do.

use asupersync::channel::{mpsc, oneshot};
use asupersync::combine::{DropOk, drop_ok};
use asupersync::{CancelKind, Cancelled, Cx, Scope, select};
use std::cell::Cell;
use std::future::{Ready, pending, ready};
use std::time::Duration;

mod worlds;
use worlds::{everywhere, in_lab};

/// A value that may be lost.
fn at_hand<T>(value: T) -> DropOk<Ready<T>> {
    drop_ok(ready(value))
}

#[test]
fn the_ready_arm_is_taken_and_the_others_lose_nothing() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(1);
        let (_idle, mut silent) = mpsc::channel::<u8>(1);
        tx.send(&cx, 1).await.unwrap();
        let got = select! {
            v = rx.recv(&cx) => v.unwrap(),
            v = silent.recv(&cx) => v.unwrap(),
        };
        assert_eq!(got, 1);
    });
}

#[test]
fn a_loop_with_random_winners_loses_no_message() {
    const EACH: u32 = 50_000;
    let rounds = Cell::new(0u32);
    worlds::current_thread(async |cx: Scope| {
        let (tx_a, mut rx_a) = mpsc::channel(3);
        let (tx_b, mut rx_b) = mpsc::channel(3);
        let (tx_out, mut rx_out) = mpsc::channel::<()>(1);
        for tx in [tx_a, tx_b] {
            drop(cx.spawn(async move |cx| {
                for n in 0..EACH {
                    tx.send(&cx, n).await.unwrap();
                }
            }));
        }
        let (mut next_a, mut next_b, mut reserved) = (0, 0, 0);
        let mut open = (true, true);
        while open != (false, false) {
            rounds.set(rounds.get() + 1);
            select! {
                v = rx_a.recv(&cx), if open.0 => match v {
                    Ok(n) => { assert_eq!(n, next_a); next_a += 1; }
                    Err(_) => open.0 = false,
                },
                v = rx_b.recv(&cx), if open.1 => match v {
                    Ok(n) => { assert_eq!(n, next_b); next_b += 1; }
                    Err(_) => open.1 = false,
                },
                permit = tx_out.reserve(&cx) => {
                    permit.unwrap().abort();
                    reserved += 1;
                }
            }
        }
        assert_eq!((next_a, next_b), (EACH, EACH));
        assert!(reserved > 1000, "all three arms take part");
        assert_eq!(tx_out.statistics().reserved, 0);
        assert_eq!(rx_out.try_recv(), Err(mpsc::TryRecvError::Empty));
    });
    assert!(rounds.get() > 100_000, "{} rounds", rounds.get());
}

/// The same under many schedules, with fewer messages.
#[test]
fn a_loop_in_the_lab_loses_no_message() {
    const EACH: u32 = 40;
    in_lab(async |cx: Scope| {
        let (tx, mut rx) = mpsc::channel(2);
        let (tx_out, mut out) = mpsc::channel::<u32>(1);
        cx.spawn(async move |cx: Cx| {
            for n in 0..EACH {
                tx.send(&cx, n).await.unwrap();
                if n % 7 == 0 {
                    cx.sleep(Duration::from_millis(5)).await.unwrap();
                }
            }
        });
        let reader = cx.spawn(async move |cx: Cx| {
            let mut seen = Vec::new();
            while let Ok(n) = out.recv(&cx).await {
                seen.push(n);
            }
            seen
        });
        let (mut waiting, mut ticks) = (std::collections::VecDeque::new(), 0);
        let (mut open, mut sent) = (true, 0);
        while open || !waiting.is_empty() {
            select! {
                got = rx.recv(&cx), if open => match got {
                    Ok(n) => waiting.push_back(n),
                    Err(_) => open = false,
                },
                place = tx_out.reserve(&cx), if !waiting.is_empty() => {
                    place.unwrap().send(waiting.pop_front().unwrap()).unwrap();
                    sent += 1;
                }
                slept = cx.sleep(Duration::from_millis(2)) => {
                    slept.unwrap();
                    ticks += 1;
                }
            }
        }
        drop(tx_out);
        let seen = reader.await.into_result().unwrap();
        assert_eq!(seen, (0..EACH).collect::<Vec<_>>());
        assert!(sent == EACH && ticks > 0, "each arm had its turns: {ticks}");
    });
}

#[test]
fn the_start_is_random_unless_biased() {
    everywhere(async |_cx: Scope| {
        let (mut first, mut second) = (0, 0);
        for _ in 0..1000 {
            select! {
                () = ready(()) => first += 1,
                () = ready(()) => second += 1,
            }
        }
        assert!(first > 300 && second > 300, "{first} {second}");
        for _ in 0..100 {
            select! {
                biased;
                () = pending::<()>() => unreachable!(),
                () = ready(()) => {}
                () = ready(()) => panic!("biased takes the first that is ready"),
            }
        }
    });
}

#[test]
fn the_lab_replays_the_random_starts() {
    let run = |seed| {
        let lab = asupersync::LabRuntime::new(asupersync::LabConfig::default().seed(seed));
        lab.run(async |_cx: Scope| {
            let mut taken = Vec::new();
            for _ in 0..64 {
                taken.push(
                    select! { () = ready(()) => 0, () = ready(()) => 1, () = ready(()) => 2 },
                );
            }
            taken
        })
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn guards_are_looked_at_once_and_before_the_futures() {
    everywhere(async |_cx: Scope| {
        let log = Cell::new(String::new());
        let note = |what: &str| {
            let mut text = log.take();
            text.push_str(what);
            log.set(text);
            true
        };
        let future = |what: &str| {
            note(what);
            ready(())
        };
        select! {
            () = future("c"), if !note("a") => panic!("a false guard disables its arm"),
            () = future("d"), if note("b") => {}
        }
        // All futures are made, those of disabled arms too; they are not polled.
        assert_eq!(log.take(), "abcd");
    });
}

#[test]
fn patterns_that_do_not_match_disable_their_arm() {
    everywhere(async |_cx: Scope| {
        let taken = select! {
            Some(n) = at_hand(None::<u8>) => n,
            Ok(n) | Err(n) = at_hand(Err::<u8, u8>(2)) => n,
        };
        assert_eq!(taken, 2);
        let taken = select! {
            Some(n) = at_hand(None::<u8>) => n,
            else => 9,
        };
        assert_eq!(taken, 9);
        // All kinds of patterns, by value and by reference.
        struct Point {
            x: u8,
            y: (u8, String),
        }
        let text = select! {
            Point { x: 1, .. } = at_hand(Point { x: 0, y: (1, "a".into()) }) => "one".to_owned(),
            Point { x: _, y: (0 | 1, mut s) } = at_hand(Point { x: 0, y: (1, "b".into()) }) => {
                s.push('!');
                s
            }
        };
        assert!(text == "b!", "{text}");
        let word = String::from("stop");
        let n = select! {
            biased;
            Some("go") = at_hand(Some(word.as_str())) => 1,
            Some(&n @ 5..) = at_hand(Some(&4)) => n,
            [first, .., last @ 3] = at_hand([1, 2, 3]) => first + last,
            ref whole = at_hand((1, 2)) => whole.0,
        };
        assert_eq!(n, 4);
        let n = select! { "stop" = at_hand(word.as_str()) => 1, else => 0 };
        assert_eq!(n, 1);
    });
}

#[test]
#[should_panic(expected = "all arms of this `select!` are disabled")]
fn nothing_left_and_no_else_is_a_panic() {
    worlds::current_thread(async |_cx: Scope| {
        select! {
            Some(()) = at_hand(None) => {}
            () = ready(()), if false => {}
        }
    });
}

#[test]
fn handlers_may_use_control_flow_and_await() {
    async fn find(cx: &Cx, mut rx: mpsc::Receiver<u32>) -> Result<u32, mpsc::RecvError> {
        let mut sum = 0;
        'all: loop {
            let step = select! {
                v = rx.recv(cx) => {
                    let v = v?;
                    if v == 0 { continue 'all }
                    if v > 100 { break 'all }
                    if v == 77 { return Ok(77) }
                    // What the arm borrowed is free again.
                    if let Ok(next) = rx.try_recv() { next + v } else { v }
                }
            };
            cx.yield_now().await.map_err(mpsc::RecvError::Cancelled)?;
            sum += step;
        }
        Ok(sum)
    }
    everywhere(async |cx: Scope| {
        for (input, expected) in [
            (vec![1, 2, 0, 3, 4, 101], Ok(10)),
            (vec![0, 77], Ok(77)),
            (vec![0], Err(mpsc::RecvError::Closed)),
        ] {
            let (tx, rx) = mpsc::channel(10);
            input.into_iter().for_each(|n| tx.try_send(n).unwrap());
            drop(tx);
            assert_eq!(find(&cx, rx).await, expected);
        }
    });
}

#[test]
#[expect(
    clippy::just_underscores_and_digits,
    reason = "a name the expansion might use"
)]
fn names_of_the_macro_and_of_the_user_do_not_meet() {
    everywhere(async |_cx: Scope| {
        let (out, f0, f1, value, disabled, pending, task, turn, start) =
            (1, 2, 3, 4, 5, 6, 7, 8, 9);
        let _0 = 10;
        let sum = select! {
            scope = at_hand(out + f0) => scope + f1 + value + disabled + pending + task + turn + start + _0,
            out = std::future::pending::<i32>(), if disabled == 5 => out,
        };
        assert_eq!(sum, 55);
        // And one inside the other.
        let nested = select! {
            a = at_hand(1) => select! { b = at_hand(a + 1) => select! { c = at_hand(b + 1) => a + b + c } },
        };
        assert_eq!(nested, 6);
    });
}

#[test]
fn a_future_kept_by_reference_goes_on_where_it_was() {
    in_lab(async |cx: Scope| {
        let mut work = Box::pin(async {
            for _ in 0..3 {
                cx.sleep(Duration::from_secs(10)).await?;
            }
            Ok::<_, Cancelled>(cx.now())
        });
        let mut ticks = 0;
        let end = loop {
            select! {
                end = &mut work => break end.unwrap(),
                tick = cx.sleep(Duration::from_secs(4)) => { tick.unwrap(); ticks += 1; }
            }
        };
        assert_eq!(end.as_nanos(), 30_000_000_000);
        assert_eq!(ticks, 7);
    });
}

#[test]
fn drop_ok_admits_any_future() {
    everywhere(async |cx: Scope| {
        let (tx, mut rx) = oneshot::channel::<u8>();
        let got = select! {
            () = drop_ok(async { pending().await }) => 0,
            v = rx.recv(&cx), if false => v.unwrap(),
            n = drop_ok(async { cx.yield_now().await.unwrap(); 3 }) => n,
        };
        assert_eq!(got, 3);
        drop(tx);
    });
}

#[test]
fn an_arm_ends_when_its_task_is_cancelled() {
    everywhere(async |cx: Scope| {
        let (started, mut start) = oneshot::channel();
        let task = cx.spawn(async move |cx| {
            let (_tx, mut rx) = mpsc::channel::<u8>(1);
            started.send(()).unwrap();
            select! {
                v = rx.recv(&cx) => v.map(drop).unwrap_err().to_string(),
                _ = cx.sleep(Duration::from_secs(3600)) => "slept".to_owned(),
            }
        });
        start.recv(&cx).await.unwrap();
        task.cancel(CancelKind::User);
        let said = task.await.into_result().unwrap();
        assert!(said == "slept" || said.contains("cancelled"), "{said}");
    });
}

#[test]
fn a_select_is_send_when_its_arms_are() {
    fn check(_: impl Send) {}
    async fn body(cx: &Cx, rx: &mut mpsc::Receiver<u8>) {
        select! {
            _ = rx.recv(cx) => {}
            _ = cx.sleep(Duration::from_secs(1)) => cx.sleep(Duration::ZERO).await.unwrap(),
        }
    }
    everywhere(async |cx: Scope| {
        let (_tx, mut rx) = mpsc::channel(1);
        check(body(&cx, &mut rx));
    });
}
