//! Primitives against naive models, their futures polled by hand.
//!
//! A model says what each poll gives and who must have been woken: a future that
//! could go on and was not woken since it was last polled is a lost wake.

use asupersync::channel::rpc::{self, CallError, Reply, TryRecvError, rpc};
use asupersync::sync::{
    AcquireError, Barrier, BarrierError, Health, InitError, Loan, Notified, Notify, OnceCell, Pool,
    ReadGuard, RwLock, SetError, WriteGuard,
};
use asupersync::{Cx, LabConfig, LabRuntime, Scope};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

mod by_hand;
use by_hand::Count;

/// A future polled by hand, and how its waits stand.
struct Polled<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    count: Arc<Count>,
    waker: Waker,
    /// Wakes at its last poll; `None` before the first.
    seen: Option<usize>,
}

impl<'a, T> Polled<'a, T> {
    fn new(future: impl Future<Output = T> + 'a) -> Self {
        let (count, waker) = Count::new();
        Polled {
            future: Box::pin(future),
            count,
            waker,
            seen: None,
        }
    }

    fn poll(&mut self, other_waker: bool) -> Poll<T> {
        if other_waker {
            (self.count, self.waker) = Count::new();
        }
        let polled = self
            .future
            .as_mut()
            .poll(&mut Context::from_waker(&self.waker));
        self.seen = Some(self.count.get());
        polled
    }

    /// Panics unless it was woken exactly when it could go on.
    #[track_caller]
    fn check(&self, can_go_on: bool) {
        if let Some(seen) = self.seen {
            assert_eq!(self.count.get() > seen, can_go_on, "woken, can go on");
        }
    }
}

/// Runs steps in a lab that allows promises to be dropped: what a dropped one
/// does is what the models are about.
fn in_lab(body: impl AsyncFnOnce(&Cx)) {
    let config = LabConfig::default().strict(false);
    LabRuntime::new(config).run(async |scope: Scope| body(&scope).await);
}

/// Asks the task to cancel, and chooses those that wait one after the other, from
/// either end.
fn asked(cx: &Cx, waits: usize) -> impl Iterator<Item = usize> {
    cx.scope().expect("the root's body").cancel("enough");
    (0..waits)
        .rev()
        .map(|left| if left % 2 == 0 { 0 } else { left })
}

/// Takes one of those alive, if there is any.
fn choose(who: usize, len: usize) -> Option<usize> {
    who.checked_rem(len)
}

#[derive(Clone, Debug)]
enum Told {
    Create,
    Enable(usize),
    Poll(usize, bool),
    Drop(usize),
    One,
    Last,
    All,
}

fn told() -> impl Strategy<Value = Told> {
    let n = any::<usize>;
    prop_oneof![
        4 => Just(Told::Create),
        3 => n().prop_map(Told::Enable),
        6 => (n(), any::<bool>()).prop_map(|(who, other)| Told::Poll(who, other)),
        3 => n().prop_map(Told::Drop),
        4 => Just(Told::One),
        2 => Just(Told::Last),
        1 => Just(Told::All),
    ]
}

/// Where a wait for a notification is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Wait {
    /// Created in this round, and neither enabled nor polled.
    New(usize),
    InLine,
    /// As the last in line, or as the first.
    Chosen(bool),
    Everyone,
}

struct Listener<'a> {
    wait: Polled<'a, bool>,
    /// The future that `wait` polls.
    notified: Rc<RefCell<Notified<'a>>>,
    place: Wait,
    /// When it joined the line.
    joined: usize,
}

impl<'a> Listener<'a> {
    fn new(notified: Notified<'a>, round: usize) -> Self {
        let notified = Rc::new(RefCell::new(notified));
        let polled = notified.clone();
        let wait = poll_fn(move |task| {
            let mut notified = polled.borrow_mut();
            Pin::new(&mut *notified)
                .poll(task)
                .map(|ended| ended.is_ok())
        });
        Listener {
            wait: Polled::new(wait),
            notified,
            place: Wait::New(round),
            joined: 0,
        }
    }
}

/// Whoever is first in line is chosen, or last, or the permit is kept.
fn choose_one(waits: &mut [Listener<'_>], permit: &mut bool, last: bool) {
    let line = waits.iter_mut().filter(|w| w.place == Wait::InLine);
    let chosen = if last {
        line.max_by_key(|w| w.joined)
    } else {
        line.min_by_key(|w| w.joined)
    };
    match chosen {
        Some(chosen) => chosen.place = Wait::Chosen(last),
        None => *permit = true,
    }
}

fn notify(steps: Vec<Told>) {
    in_lab(async |cx| {
        let notify = Notify::new();
        let (mut permit, mut rounds, mut joined) = (false, 0, 0);
        let mut waits: Vec<Listener<'_>> = Vec::new();
        for step in steps {
            match step {
                Told::Create => waits.push(Listener::new(notify.notified(cx), rounds)),
                Told::Enable(who) => {
                    let Some(at) = choose(who, waits.len()) else {
                        continue;
                    };
                    let wait = &mut waits[at];
                    let told = match wait.place {
                        Wait::New(round) if round == rounds => {
                            joined += 1;
                            wait.joined = joined;
                            let told = std::mem::take(&mut permit);
                            wait.place = if told {
                                Wait::Chosen(false)
                            } else {
                                Wait::InLine
                            };
                            told
                        }
                        Wait::InLine => false,
                        Wait::New(_) | Wait::Chosen(_) | Wait::Everyone => true,
                    };
                    assert_eq!(wait.notified.borrow_mut().enable(), told);
                }
                Told::Poll(who, other) => {
                    let Some(at) = choose(who, waits.len()) else {
                        continue;
                    };
                    let wait = &mut waits[at];
                    let ready = match wait.place {
                        Wait::New(round) => round != rounds || std::mem::take(&mut permit),
                        Wait::InLine => false,
                        Wait::Chosen(_) | Wait::Everyone => true,
                    };
                    let ended = wait.wait.poll(other) == Poll::Ready(true);
                    assert_eq!(ended, ready, "{:?}", wait.place);
                    if ready {
                        waits.swap_remove(at);
                    } else if let Wait::New(_) = wait.place {
                        joined += 1;
                        (wait.place, wait.joined) = (Wait::InLine, joined);
                    }
                }
                Told::Drop(who) => {
                    let Some(at) = choose(who, waits.len()) else {
                        continue;
                    };
                    let place = waits.swap_remove(at).place;
                    if let Wait::Chosen(last) = place {
                        choose_one(&mut waits, &mut permit, last);
                    }
                }
                Told::One => {
                    notify.notify_one();
                    choose_one(&mut waits, &mut permit, false);
                }
                Told::Last => {
                    notify.notify_last();
                    choose_one(&mut waits, &mut permit, true);
                }
                Told::All => {
                    notify.notify_waiters();
                    rounds += 1;
                    let line = waits.iter_mut().filter(|w| w.place == Wait::InLine);
                    line.for_each(|w| w.place = Wait::Everyone);
                }
            }
            for wait in &waits {
                let told = matches!(wait.place, Wait::Chosen(_) | Wait::Everyone);
                wait.wait.check(told);
            }
            let in_line = waits.iter().filter(|w| w.place == Wait::InLine).count();
            let now = notify.statistics();
            assert_eq!((now.permit, now.waiting), (permit, in_line));
        }
        // Asked to cancel: who was chosen and has not noticed passes it on.
        for at in asked(cx, waits.len()) {
            let mut wait = waits.swap_remove(at);
            assert_eq!(
                wait.wait.poll(false),
                Poll::Ready(false),
                "{:?}",
                wait.place
            );
            if let Wait::Chosen(last) = wait.place {
                choose_one(&mut waits, &mut permit, last);
            }
        }
        let now = notify.statistics();
        assert_eq!((now.permit, now.waiting), (permit, 0));
    });
}

#[derive(Clone, Debug)]
enum Meet {
    Create,
    Poll(usize, bool),
    Drop(usize),
}

fn meet() -> impl Strategy<Value = Meet> {
    let n = any::<usize>;
    prop_oneof![
        4 => Just(Meet::Create),
        6 => (n(), any::<bool>()).prop_map(|(who, other)| Meet::Poll(who, other)),
        1 => n().prop_map(Meet::Drop),
    ]
}

/// Where a wait at a barrier is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Met {
    New,
    Waits,
    Ended(bool),
}

fn barrier(size: usize, steps: Vec<Meet>) {
    in_lab(async |cx| {
        let barrier = Barrier::new(size);
        let mut waits: Vec<(Polled<'_, Result<bool, BarrierError>>, Met)> = Vec::new();
        // Arrivals of this generation, and whether one of them has left.
        let (mut arrived, mut broken) = (0, false);
        for step in steps {
            match step {
                Meet::Create => {
                    let wait = barrier.wait(cx);
                    let wait = async move { wait.await.map(|passed| passed.is_leader()) };
                    waits.push((Polled::new(wait), Met::New));
                }
                Meet::Poll(who, other) => {
                    let Some(at) = choose(who, waits.len()) else {
                        continue;
                    };
                    let arrives = waits[at].1 == Met::New;
                    arrived += usize::from(arrives);
                    let last = arrived == size;
                    let expected = match waits[at].1 {
                        Met::New if broken => Some(Err(BarrierError::Broken)),
                        Met::New if last => Some(Ok(true)),
                        Met::New | Met::Waits => None,
                        Met::Ended(whole) => {
                            Some(whole.then_some(false).ok_or(BarrierError::Broken))
                        }
                    };
                    let found = match waits[at].0.poll(other) {
                        Poll::Ready(found) => Some(found),
                        Poll::Pending => None,
                    };
                    assert_eq!(found, expected);
                    match found {
                        Some(_) => drop(waits.swap_remove(at)),
                        None => waits[at].1 = Met::Waits,
                    }
                    if arrives && last {
                        let through = waits.iter_mut().filter(|w| w.1 == Met::Waits);
                        through.for_each(|w| w.1 = Met::Ended(true));
                        (arrived, broken) = (0, false);
                    }
                }
                Meet::Drop(who) => {
                    let Some(at) = choose(who, waits.len()) else {
                        continue;
                    };
                    if waits.swap_remove(at).1 == Met::Waits {
                        broken = true;
                        let told = waits.iter_mut().filter(|w| w.1 == Met::Waits);
                        told.for_each(|w| w.1 = Met::Ended(false));
                    }
                }
            }
            for (wait, met) in &waits {
                wait.check(matches!(met, Met::Ended(_)));
            }
            let waiting = waits.iter().filter(|w| w.1 == Met::Waits).count();
            let now = barrier.statistics();
            let found = (now.arrived, now.waiting, now.broken);
            assert_eq!(found, (arrived, waiting, broken));
        }
        // Asked to cancel: the first that leaves breaks the generation.
        for at in asked(cx, waits.len()) {
            let (mut wait, met) = waits.swap_remove(at);
            let Poll::Ready(Err(BarrierError::Cancelled(_))) = wait.poll(false) else {
                panic!("{met:?} goes on");
            };
            broken |= met == Met::Waits;
            if broken {
                let told = waits.iter_mut().filter(|w| w.1 == Met::Waits);
                told.for_each(|w| w.1 = Met::Ended(false));
            }
        }
        let now = barrier.statistics();
        let found = (now.arrived, now.waiting, now.broken);
        assert_eq!(found, (arrived, 0, broken));
    });
}

#[derive(Clone, Debug)]
enum Make {
    Create,
    Poll(usize, bool),
    Drop(usize),
    /// What the initialiser of one gives from now on.
    Decide(usize, bool),
    Set,
    /// Somebody waits for the value who would not make it.
    Watch,
    Look(usize, bool),
    Leave(usize),
}

fn make() -> impl Strategy<Value = Make> {
    let n = any::<usize>;
    prop_oneof![
        5 => Just(Make::Create),
        8 => (n(), any::<bool>()).prop_map(|(who, other)| Make::Poll(who, other)),
        3 => n().prop_map(Make::Drop),
        2 => (n(), prop::bool::weighted(0.2)).prop_map(|(who, ok)| Make::Decide(who, ok)),
        1 => Just(Make::Set),
        2 => Just(Make::Watch),
        4 => (n(), any::<bool>()).prop_map(|(who, other)| Make::Look(who, other)),
        1 => n().prop_map(Make::Leave),
    ]
}

/// Where a caller of `get_or_try_init` is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Making {
    New,
    InLine,
    /// It may begin, and does not know yet.
    Granted,
    Makes,
}

type Made = Result<u32, InitError<()>>;

struct Maker<'a> {
    call: Polled<'a, Made>,
    name: u32,
    place: Making,
    joined: usize,
    verdict: Rc<Cell<Option<Result<u32, ()>>>>,
}

/// The right to make the value goes to the first in line.
fn grant(makers: &mut [Maker<'_>]) {
    let line = makers.iter_mut().filter(|m| m.place == Making::InLine);
    if let Some(first) = line.min_by_key(|m| m.joined) {
        first.place = Making::Granted;
    }
}

fn once_cell(steps: Vec<Make>) {
    in_lab(async |cx| {
        let cell = OnceCell::new();
        let mut makers: Vec<Maker<'_>> = Vec::new();
        let mut watchers: Vec<Polled<'_, Option<u32>>> = Vec::new();
        let (mut made, mut names, mut joined) = (None, 0, 0);
        for step in steps {
            match step {
                Make::Create => {
                    names += 1;
                    let verdict = Rc::<Cell<Option<Result<u32, ()>>>>::default();
                    let (of, cell) = (verdict.clone(), &cell);
                    let call = async move {
                        let init =
                            async || poll_fn(|_| of.get().map_or(Poll::Pending, Poll::Ready)).await;
                        cell.get_or_try_init(cx, init).await.copied()
                    };
                    let (call, name) = (Polled::new(call), names);
                    makers.push(Maker {
                        call,
                        name,
                        place: Making::New,
                        joined: 0,
                        verdict,
                    });
                }
                Make::Decide(who, ok) => {
                    if let Some(at) = choose(who, makers.len()) {
                        let name = makers[at].name;
                        makers[at].verdict.set(Some(ok.then_some(name).ok_or(())));
                    }
                }
                Make::Poll(who, other) => {
                    let Some(at) = choose(who, makers.len()) else {
                        continue;
                    };
                    let taken = makers
                        .iter()
                        .any(|m| matches!(m.place, Making::Granted | Making::Makes));
                    let maker = &mut makers[at];
                    let begins = match maker.place {
                        Making::New => made.is_none() && !taken,
                        Making::InLine => false,
                        Making::Granted | Making::Makes => true,
                    };
                    let expected = match (made, begins) {
                        (Some(value), _) => Some(Ok(value)),
                        (None, true) => maker.verdict.get().map(|v| v.map_err(InitError::Failed)),
                        (None, false) => None,
                    };
                    let found = match maker.call.poll(other) {
                        Poll::Ready(found) => Some(found),
                        Poll::Pending => None,
                    };
                    assert_eq!(found, expected, "{:?}", maker.place);
                    match found {
                        None if begins => maker.place = Making::Makes,
                        None => {
                            if maker.place == Making::New {
                                joined += 1;
                                (maker.place, maker.joined) = (Making::InLine, joined);
                            }
                        }
                        Some(result) => {
                            makers.swap_remove(at);
                            match result {
                                Ok(value) => made = Some(value),
                                Err(_) => grant(&mut makers),
                            }
                        }
                    }
                }
                Make::Drop(who) => {
                    let Some(at) = choose(who, makers.len()) else {
                        continue;
                    };
                    let place = makers.swap_remove(at).place;
                    if matches!(place, Making::Granted | Making::Makes) {
                        grant(&mut makers);
                    }
                }
                Make::Set => {
                    let taken = makers
                        .iter()
                        .any(|m| matches!(m.place, Making::Granted | Making::Makes));
                    let expected = match made {
                        Some(_) => Err(SetError::AlreadyInitialized(0)),
                        None if taken => Err(SetError::Initializing(0)),
                        None => Ok(()),
                    };
                    assert_eq!(cell.set(0), expected);
                    made = made.or(expected.is_ok().then_some(0));
                }
                Make::Watch => {
                    let value = cell.wait(cx);
                    watchers.push(Polled::new(async move { value.await.ok().copied() }));
                }
                Make::Look(who, other) => {
                    if let Some(at) = choose(who, watchers.len()) {
                        let expected = made.map_or(Poll::Pending, |made| Poll::Ready(Some(made)));
                        assert_eq!(watchers[at].poll(other), expected);
                        if expected.is_ready() {
                            drop(watchers.swap_remove(at));
                        }
                    }
                }
                Make::Leave(who) => {
                    if let Some(at) = choose(who, watchers.len()) {
                        drop(watchers.swap_remove(at));
                    }
                }
            }
            assert_eq!(cell.get().copied(), made);
            for maker in &makers {
                // What an initialiser waits for is its own affair.
                if maker.place != Making::Makes {
                    let done = maker.place == Making::InLine && made.is_some();
                    maker.call.check(done || maker.place == Making::Granted);
                }
            }
            let in_line = makers.iter().filter(|m| m.place == Making::InLine).count();
            // Once the value is there, those that were told are still in line until they look.
            assert_eq!(cell.statistics().waiting, in_line);
            watchers.iter().for_each(|w| w.check(made.is_some()));
            let looked = watchers.iter().filter(|w| w.seen.is_some()).count();
            let watching = if made.is_none() { looked } else { 0 };
            assert_eq!(cell.statistics().watching, watching);
        }
        for at in asked(cx, watchers.len()) {
            assert_eq!(watchers.swap_remove(at).poll(false), Poll::Ready(None));
        }
        assert_eq!(cell.statistics().watching, 0);
        // Asked to cancel: who waits for another leaves, and who was granted the turn
        // hands it on; who makes the value is not interrupted, but sees it fail here.
        for at in asked(cx, makers.len()) {
            let mut maker = makers.swap_remove(at);
            if maker.place == Making::Makes {
                maker.verdict.set(Some(Err(())));
            }
            let ended = maker.call.poll(false);
            let expected = match maker.place {
                Making::Makes => matches!(ended, Poll::Ready(Err(InitError::Failed(())))),
                _ if made.is_some() => ended.is_ready(),
                _ => matches!(ended, Poll::Ready(Err(InitError::Cancelled(_)))),
            };
            assert!(expected, "{:?}: {ended:?}", maker.place);
        }
        assert_eq!(cell.get().copied(), made);
        let now = cell.statistics();
        assert_eq!((now.waiting, now.initializing), (0, false));
    });
}

#[derive(Clone, Debug)]
enum Ask {
    Call,
    Poll(usize, bool),
    Drop(usize),
    Recv,
    Answer(usize),
    Decline(usize),
    Forget(usize),
    Close,
    Gone,
}

fn ask() -> impl Strategy<Value = Ask> {
    let n = any::<usize>;
    prop_oneof![
        8 => Just(Ask::Call),
        12 => (n(), any::<bool>()).prop_map(|(who, other)| Ask::Poll(who, other)),
        4 => n().prop_map(Ask::Drop),
        8 => Just(Ask::Recv),
        4 => n().prop_map(Ask::Answer),
        2 => n().prop_map(Ask::Decline),
        2 => n().prop_map(Ask::Forget),
        1 => Just(Ask::Close),
        1 => Just(Ask::Gone),
    ]
}

/// Where a call is.
#[derive(Clone, PartialEq, Debug)]
enum Call {
    New,
    /// In line for a place in the queue.
    InLine,
    /// It has a place, and does not know yet.
    Granted,
    /// With the server, or in its queue.
    Asked,
    Answered(Result<u32, CallError>),
}

struct Caller<'a> {
    call: Polled<'a, Result<u32, CallError>>,
    name: u32,
    place: Call,
    joined: usize,
}

/// What is kept of the server's side.
struct Served<'a> {
    callers: Vec<Caller<'a>>,
    /// Who asked, in order; the callers of some are gone.
    queue: VecDeque<u32>,
    capacity: usize,
    closed: bool,
}

impl Served<'_> {
    fn granted(&self) -> usize {
        let granted = |c: &&Caller<'_>| c.place == Call::Granted;
        self.callers.iter().filter(granted).count()
    }

    /// A place has become free.
    fn grant(&mut self) {
        if self.closed || self.queue.len() + self.granted() >= self.capacity {
            return;
        }
        let line = self.callers.iter_mut().filter(|c| c.place == Call::InLine);
        if let Some(first) = line.min_by_key(|c| c.joined) {
            first.place = Call::Granted;
        }
    }

    fn answer(&mut self, name: u32, answer: Result<u32, CallError>) -> bool {
        let caller = self.callers.iter_mut().find(|c| c.name == name);
        caller.is_some_and(|caller| {
            caller.place = Call::Answered(answer);
            true
        })
    }
}

fn calls(capacity: usize, steps: Vec<Ask>, cancels: bool) {
    in_lab(async |cx| {
        let (client, server) = rpc::<u32, u32>(capacity);
        let client = &client;
        let mut server: Option<rpc::Server<u32, u32>> = Some(server);
        let mut served = Served {
            callers: Vec::new(),
            queue: VecDeque::new(),
            capacity,
            closed: false,
        };
        let mut hand: Vec<(u32, Reply<u32>)> = Vec::new();
        let (mut names, mut joined) = (0, 0);
        for step in steps {
            match step {
                Ask::Call => {
                    names += 1;
                    let (name, call) = (names, Polled::new(client.call(cx, names)));
                    served.callers.push(Caller {
                        call,
                        name,
                        place: Call::New,
                        joined: 0,
                    });
                }
                Ask::Poll(who, other) => {
                    let Some(at) = choose(who, served.callers.len()) else {
                        continue;
                    };
                    let room = served.queue.len() + served.granted() < capacity;
                    let closed = served.closed;
                    let caller = &mut served.callers[at];
                    let before = caller.place.clone();
                    caller.place = match &before {
                        // A place that was granted before the end is given back: the question was not put.
                        Call::New | Call::InLine | Call::Granted if closed => {
                            Call::Answered(Err(CallError::Closed))
                        }
                        Call::New if !room => Call::InLine,
                        Call::New | Call::Granted => Call::Asked,
                        place => place.clone(),
                    };
                    match (&before, &caller.place) {
                        (Call::New, Call::InLine) => {
                            joined += 1;
                            caller.joined = joined;
                        }
                        (Call::New | Call::Granted, Call::Asked) => {
                            served.queue.push_back(caller.name)
                        }
                        _ => {}
                    }
                    let found = caller.call.poll(other);
                    match &caller.place {
                        Call::Answered(answer) => {
                            assert_eq!(found, Poll::Ready(answer.clone()), "{before:?}");
                            served.callers.swap_remove(at);
                        }
                        _ => assert_eq!(found, Poll::Pending, "{before:?}"),
                    }
                }
                Ask::Drop(who) => {
                    let Some(at) = choose(who, served.callers.len()) else {
                        continue;
                    };
                    if served.callers.swap_remove(at).place == Call::Granted {
                        served.grant();
                    }
                }
                Ask::Recv => {
                    let Some(server) = &mut server else { continue };
                    let received = server.try_recv(cx);
                    let expected = loop {
                        let Some(name) = served.queue.pop_front() else {
                            break None;
                        };
                        served.grant();
                        if served.callers.iter().any(|c| c.name == name) {
                            break Some(name);
                        }
                    };
                    match (received, expected) {
                        (Ok((name, reply)), expected) => {
                            assert_eq!(Some(name), expected);
                            hand.push((name, reply));
                        }
                        (Err(e), None) => {
                            let over = served.closed && served.granted() == 0;
                            assert_eq!(e == TryRecvError::Closed, over);
                        }
                        (Err(e), Some(name)) => panic!("{name} was not received: {e}"),
                    }
                }
                Ask::Answer(who) | Ask::Decline(who) | Ask::Forget(who) => {
                    let Some(at) = choose(who, hand.len()) else {
                        continue;
                    };
                    let (name, reply) = hand.swap_remove(at);
                    let waits = served.callers.iter().any(|c| c.name == name);
                    assert_eq!(reply.is_closed(), !waits);
                    match step {
                        Ask::Answer(_) => {
                            let sent = reply.send(name * 2);
                            assert_eq!(sent, waits.then_some(()).ok_or(name * 2));
                            served.answer(name, Ok(name * 2));
                        }
                        Ask::Decline(_) => {
                            reply.decline("no");
                            served.answer(name, Err(CallError::Declined("no".into())));
                        }
                        _ => {
                            drop(reply);
                            served.answer(name, Err(CallError::NoReply));
                        }
                    }
                }
                Ask::Close => {
                    if let Some(server) = &mut server {
                        server.close();
                        served.closed = true;
                    }
                }
                Ask::Gone => {
                    if server.take().is_some() {
                        served.closed = true;
                        for name in std::mem::take(&mut served.queue) {
                            served.answer(name, Err(CallError::Closed));
                        }
                    }
                }
            }
            for caller in &served.callers {
                let can = match caller.place {
                    Call::New | Call::Asked => false,
                    Call::InLine => served.closed,
                    Call::Granted | Call::Answered(_) => true,
                };
                caller.call.check(can);
            }
            let now = client.statistics();
            assert_eq!(now.queued, served.queue.len());
            assert_eq!(client.is_closed(), served.closed);
        }
        if cancels {
            // Asked to cancel, every call ends, and takes its question back.
            for at in asked(cx, served.callers.len()) {
                let mut caller = served.callers.swap_remove(at);
                let ended = caller.call.poll(false);
                let cancelled = matches!(ended, Poll::Ready(Err(CallError::Cancelled(_))));
                assert!(cancelled, "{}: {ended:?}", caller.name);
            }
            assert!(
                hand.iter().all(|(_, reply)| reply.is_closed()),
                "nobody waits"
            );
            if let Some(server) = &mut server {
                let left = server.try_recv(cx).map(|(name, _)| name);
                assert!(left.is_err(), "{left:?} was asked by nobody");
                assert_eq!(client.statistics().queued, 0);
            }
            let now = client.statistics();
            assert_eq!((now.reserved, now.waiting), (0, 0), "no place drifts away");
        }
        // However it went on: without a server, every call ends.
        drop((server, hand));
        for mut caller in served.callers {
            assert!(caller.call.poll(false).is_ready(), "{} hangs", caller.name);
        }
    });
}

#[derive(Clone, Debug)]
enum Lend {
    Create,
    Poll(usize, bool),
    Drop(usize),
    /// Gives one back, which may be broken.
    Return(usize, bool),
    Discard(usize),
    Add,
    Close,
}

fn lend() -> impl Strategy<Value = Lend> {
    let n = any::<usize>;
    prop_oneof![
        10 => Just(Lend::Create),
        14 => (n(), any::<bool>()).prop_map(|(who, other)| Lend::Poll(who, other)),
        5 => n().prop_map(Lend::Drop),
        8 => (n(), prop::bool::weighted(0.2)).prop_map(|(who, broken)| Lend::Return(who, broken)),
        2 => n().prop_map(Lend::Discard),
        3 => Just(Lend::Add),
        1 => Just(Lend::Close),
    ]
}

/// Where somebody who wants to borrow is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Borrow {
    New,
    InLine,
    /// There is a thing for it, and it does not know yet.
    Granted,
}

type Borrower<'a> = (Polled<'a, Result<Loan<u32>, AcquireError>>, Borrow, usize);

/// What is free goes to the first in line.
fn serve(borrowers: &mut [Borrower<'_>], free: &mut usize, closed: bool) {
    while *free > 0 && !closed {
        let line = borrowers.iter_mut().filter(|b| b.1 == Borrow::InLine);
        let Some(first) = line.min_by_key(|b| b.2) else {
            return;
        };
        first.1 = Borrow::Granted;
        *free -= 1;
    }
}

fn pool(things: usize, steps: Vec<Lend>) {
    in_lab(async |cx| {
        let broken = |n: &mut u32| {
            if *n == 0 {
                Health::Broken
            } else {
                Health::Good
            }
        };
        let pool = Pool::with_check(1..=things as u32, broken);
        let (mut free, mut names, mut joined) = (things, things as u32, 0);
        let (mut discarded, mut closed) = (0, false);
        let mut borrowers: Vec<Borrower<'_>> = Vec::new();
        let mut loans: Vec<Loan<u32>> = Vec::new();
        for step in steps {
            match step {
                Lend::Create => {
                    let borrower = Polled::new(pool.get(cx));
                    borrowers.push((borrower, Borrow::New, 0));
                }
                Lend::Poll(who, other) => {
                    let Some(at) = choose(who, borrowers.len()) else {
                        continue;
                    };
                    let line = borrowers.iter().any(|b| b.1 == Borrow::InLine);
                    let (borrower, place, order) = &mut borrowers[at];
                    let gets = match *place {
                        Borrow::Granted => true,
                        Borrow::New => free > 0 && !closed && !line,
                        Borrow::InLine => false,
                    };
                    match borrower.poll(other) {
                        Poll::Ready(Ok(loan)) => {
                            assert!(gets, "{place:?} got {}", *loan);
                            free -= usize::from(*place == Borrow::New);
                            assert!(loans.iter().all(|l| **l != *loan), "lent twice");
                            loans.push(loan);
                            borrowers.swap_remove(at);
                        }
                        Poll::Ready(Err(e)) => {
                            assert!(closed && !gets && e == AcquireError::Closed, "{e}");
                            borrowers.swap_remove(at);
                        }
                        Poll::Pending => {
                            assert!(!gets && !closed, "{place:?}");
                            if *place == Borrow::New {
                                joined += 1;
                                (*place, *order) = (Borrow::InLine, joined);
                            }
                        }
                    }
                }
                Lend::Drop(who) => {
                    let Some(at) = choose(who, borrowers.len()) else {
                        continue;
                    };
                    if borrowers.swap_remove(at).1 == Borrow::Granted {
                        free += 1;
                        serve(&mut borrowers, &mut free, closed);
                    }
                }
                Lend::Return(who, breaks) => {
                    let Some(at) = choose(who, loans.len()) else {
                        continue;
                    };
                    let mut loan = loans.swap_remove(at);
                    if breaks {
                        *loan = 0;
                        discarded += 1;
                    } else {
                        free += 1;
                    }
                    loan.release();
                    serve(&mut borrowers, &mut free, closed);
                }
                Lend::Discard(who) => {
                    let Some(at) = choose(who, loans.len()) else {
                        continue;
                    };
                    loans.swap_remove(at).discard();
                    discarded += 1;
                }
                Lend::Add => {
                    names += 1;
                    pool.add(names);
                    free += 1;
                    serve(&mut borrowers, &mut free, closed);
                }
                Lend::Close => {
                    pool.close();
                    closed = true;
                }
            }
            for (borrower, place, _) in &borrowers {
                borrower.check(*place == Borrow::Granted || closed && *place != Borrow::New);
            }
            let granted = borrowers.iter().filter(|b| b.1 == Borrow::Granted).count();
            let now = pool.statistics();
            assert_eq!((now.idle, now.lent), (free + granted, loans.len()));
            assert_eq!(now.discarded, discarded);
        }
        // Asked to cancel: what somebody was given and has not noticed goes to the next.
        for at in asked(cx, borrowers.len()) {
            let (mut borrower, place, _) = borrowers.swap_remove(at);
            let Poll::Ready(Err(AcquireError::Cancelled(_))) = borrower.poll(false) else {
                panic!("{place:?} goes on");
            };
            if place == Borrow::Granted {
                free += 1;
                serve(&mut borrowers, &mut free, closed);
            }
        }
        drop(loans);
        let now = pool.statistics();
        assert_eq!((now.lent, now.waiting), (0, 0), "everything is back");
    });
}

#[derive(Clone, Debug)]
enum Enter {
    Create { writes: bool },
    Poll(usize, bool),
    Drop(usize),
    Leave(usize),
    Downgrade(usize),
}

fn enter() -> impl Strategy<Value = Enter> {
    let n = any::<usize>;
    prop_oneof![
        9 => prop::bool::weighted(0.4).prop_map(|writes| Enter::Create { writes }),
        12 => (n(), any::<bool>()).prop_map(|(who, other)| Enter::Poll(who, other)),
        5 => n().prop_map(Enter::Drop),
        8 => n().prop_map(Enter::Leave),
        2 => n().prop_map(Enter::Downgrade),
    ]
}

/// Who is inside.
enum Guard<'a> {
    Read(ReadGuard<'a, u32>),
    Write(WriteGuard<'a, u32>),
}

/// Where somebody who wants to get in is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Door {
    New,
    InLine,
    /// Let in, and does not know yet.
    Granted,
}

struct Guest<'a> {
    wait: Polled<'a, Option<Guard<'a>>>,
    writes: bool,
    door: Door,
    joined: usize,
}

/// How many are inside, those that do not know it included.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Room {
    readers: usize,
    writer: bool,
}

impl Room {
    fn admits(self, writes: bool) -> bool {
        !self.writer && (!writes || self.readers == 0)
    }

    fn enter(&mut self, writes: bool) {
        self.writer |= writes;
        self.readers += usize::from(!writes);
    }

    fn leave(&mut self, writes: bool) {
        self.writer &= !writes;
        self.readers -= usize::from(!writes);
    }

    /// First come, first served; readers next to each other go together.
    fn serve(&mut self, guests: &mut [Guest<'_>]) {
        loop {
            let line = guests.iter_mut().filter(|g| g.door == Door::InLine);
            match line.min_by_key(|g| g.joined) {
                Some(first) if self.admits(first.writes) => {
                    self.enter(first.writes);
                    first.door = Door::Granted;
                }
                _ => return,
            }
        }
    }
}

fn rwlock(steps: Vec<Enter>) {
    in_lab(async |cx| {
        let lock = RwLock::new(0);
        let lock = &lock;
        let (mut room, mut joined, mut written) = (Room::default(), 0, 0);
        let mut guests: Vec<Guest<'_>> = Vec::new();
        let mut inside: Vec<Guard<'_>> = Vec::new();
        for step in steps {
            match step {
                Enter::Create { writes } => {
                    let wait = Polled::new(async move {
                        if writes {
                            lock.write(cx).await.ok().map(Guard::Write)
                        } else {
                            lock.read(cx).await.ok().map(Guard::Read)
                        }
                    });
                    let (door, joined) = (Door::New, 0);
                    guests.push(Guest {
                        wait,
                        writes,
                        door,
                        joined,
                    });
                }
                Enter::Poll(who, other) => {
                    let Some(at) = choose(who, guests.len()) else {
                        continue;
                    };
                    let line = guests.iter().any(|g| g.door == Door::InLine);
                    let guest = &mut guests[at];
                    let enters = match guest.door {
                        Door::Granted => true,
                        Door::New => !line && room.admits(guest.writes),
                        Door::InLine => false,
                    };
                    match guest.wait.poll(other) {
                        Poll::Ready(guard) => {
                            assert!(enters, "{:?} of {room:?}", guest.door);
                            if guest.door == Door::New {
                                room.enter(guest.writes);
                            }
                            let mut guard = guard.expect("nobody was asked");
                            match &mut guard {
                                Guard::Read(read) => assert_eq!(**read, written),
                                Guard::Write(write) => {
                                    assert_eq!(**write, written);
                                    written += 1;
                                    **write = written;
                                }
                            }
                            inside.push(guard);
                            guests.swap_remove(at);
                        }
                        Poll::Pending => {
                            assert!(!enters, "{:?} of {room:?}", guest.door);
                            if guest.door == Door::New {
                                joined += 1;
                                (guest.door, guest.joined) = (Door::InLine, joined);
                            }
                        }
                    }
                }
                Enter::Drop(who) => {
                    let Some(at) = choose(who, guests.len()) else {
                        continue;
                    };
                    let gone = guests.swap_remove(at);
                    if gone.door == Door::Granted {
                        room.leave(gone.writes);
                    }
                    drop(gone);
                    // Whoever stood behind it may go now.
                    room.serve(&mut guests);
                }
                Enter::Leave(who) => {
                    let Some(at) = choose(who, inside.len()) else {
                        continue;
                    };
                    let gone = inside.swap_remove(at);
                    room.leave(matches!(gone, Guard::Write(_)));
                    drop(gone);
                    room.serve(&mut guests);
                }
                Enter::Downgrade(who) => {
                    let Some(at) = choose(who, inside.len()) else {
                        continue;
                    };
                    let guard = match inside.swap_remove(at) {
                        Guard::Write(write) => {
                            room.leave(true);
                            room.enter(false);
                            Guard::Read(write.downgrade())
                        }
                        read => read,
                    };
                    inside.push(guard);
                    room.serve(&mut guests);
                }
            }
            for guest in &guests {
                guest.wait.check(guest.door == Door::Granted);
            }
            let now = lock.statistics();
            let found = Room {
                readers: now.readers,
                writer: now.writer,
            };
            assert_eq!(found, room);
            let line = guests.iter().filter(|g| g.door == Door::InLine).count();
            assert_eq!(now.waiting, line);
        }
        // Asked to cancel: who was let in and has not noticed lets the next one in.
        for at in asked(cx, guests.len()) {
            let mut guest = guests.swap_remove(at);
            let Poll::Ready(None) = guest.wait.poll(false) else {
                panic!("{:?} goes on", guest.door);
            };
            if guest.door == Door::Granted {
                room.leave(guest.writes);
            }
            room.serve(&mut guests);
        }
        drop(inside);
        let now = lock.statistics();
        assert_eq!((now.readers, now.writer, now.waiting), (0, false, 0));
        assert!(lock.try_write().is_ok(), "everybody has left");
    });
}

proptest! {
    #[test]
    fn a_rwlock_lets_one_writer_in_or_readers_in_the_order_of_the_line(
        steps in prop::collection::vec(enter(), 0..100),
    ) {
        rwlock(steps);
    }

    #[test]
    fn a_pool_lends_each_thing_to_one_in_the_order_of_the_line(
        things in 0usize..4,
        steps in prop::collection::vec(lend(), 0..100),
    ) {
        pool(things, steps);
    }

    #[test]
    fn a_notify_chooses_the_first_in_line_or_keeps_a_permit(
        steps in prop::collection::vec(told(), 0..80),
    ) {
        notify(steps);
    }

    #[test]
    fn a_barrier_lets_a_generation_through_or_breaks_it(
        size in 1usize..5,
        steps in prop::collection::vec(meet(), 0..80),
    ) {
        barrier(size, steps);
    }

    #[test]
    fn a_cell_is_made_by_one_at_a_time_in_the_order_of_the_line(
        steps in prop::collection::vec(make(), 0..80),
    ) {
        once_cell(steps);
    }

    #[test]
    fn a_call_is_answered_once(
        capacity in 1usize..4,
        steps in prop::collection::vec(ask(), 0..100),
        cancels in any::<bool>(),
    ) {
        calls(capacity, steps, cancels);
    }
}
