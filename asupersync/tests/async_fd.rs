//! Descriptors of the system that a program brings along.
#![cfg(target_os = "linux")]

mod worlds;

use asupersync::io::unix::{AsyncFd, Interest, Ready, set_nonblocking};
use asupersync::io::{self as aio, ReadExt, WriteExt};
use asupersync::types::cancel::reason_in;
use asupersync::types::obligation::ObligationKind;
use asupersync::types::policy::CleanupPolicy;
use asupersync::{CancelKind, CapSet, Cx, LabConfig, LabRuntime, RegionOptions, Runtime, Scope};
use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use worlds::current_thread;

/// In both flavours of the runtime.
fn on_threads(body: impl AsyncFn(Scope)) {
    current_thread(async |scope| body(scope).await);
    let many = Runtime::builder().worker_threads(3).build().unwrap();
    many.block_on(async |scope| body(scope).await).unwrap();
}

/// Polls once.
async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|task| Poll::Ready(pin!(&mut *future).poll(task))).await
}

/// A descriptor that a system call has just made.
fn made(fd: RawFd) -> File {
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: nobody else knows it.
    File::from(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn eventfd() -> File {
    // SAFETY: a plain system call.
    made(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })
}

fn add(mut eventfd: &File, n: u64) {
    eventfd.write_all(&n.to_ne_bytes()).unwrap();
}

/// Takes the counter of an eventfd, or the expirations of a timerfd.
fn take(mut counter: &File) -> io::Result<u64> {
    let mut word = [0; 8];
    counter.read_exact(&mut word)?;
    Ok(u64::from_ne_bytes(word))
}

/// A non-blocking pipe.
fn pipe() -> (io::PipeReader, io::PipeWriter) {
    let (read, write) = io::pipe().unwrap();
    set_nonblocking(&read, true).unwrap();
    set_nonblocking(&write, true).unwrap();
    (read, write)
}

fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

#[test]
fn an_eventfd_wakes_whoever_waits() {
    on_threads(async |cx: Scope| {
        let fd = Arc::new(AsyncFd::new(&cx, eventfd()).unwrap());
        let mine = Arc::clone(&fd);
        let waiter = cx.spawn(async move |cx: Cx| {
            let mut sum = 0;
            while sum < 10 {
                sum += mine.async_io(&cx, Interest::READABLE, take).await.unwrap();
            }
            sum
        });
        for _ in 0..10 {
            add(fd.get_ref(), 1);
            cx.yield_now().await.unwrap();
        }
        assert_eq!(waiter.await.into_result().unwrap(), 10);
        let nothing = fd.try_io(Interest::READABLE, take).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn every_waiter_hears_of_an_event_and_one_gets_it() {
    on_threads(async |cx: Scope| {
        let fd = Arc::new(AsyncFd::with_interest(&cx, eventfd(), Interest::READABLE).unwrap());
        let left = Arc::new(AtomicUsize::new(0));
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let (fd, left) = (Arc::clone(&fd), Arc::clone(&left));
                cx.spawn(async move |cx: Cx| {
                    let n = fd.async_io(&cx, Interest::READABLE, take).await.unwrap();
                    left.fetch_add(1, Ordering::SeqCst);
                    n
                })
            })
            .collect();
        for served in 0..4 {
            worlds::until(&cx, || left.load(Ordering::SeqCst) == served).await;
            add(fd.get_ref(), 7);
        }
        for waiter in waiters {
            assert_eq!(waiter.await.into_result().unwrap(), 7);
        }
    });
}

#[test]
fn a_timerfd_becomes_readable() {
    on_threads(async |cx: Scope| {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: a plain system call.
        let timer = made(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) });
        let fd = AsyncFd::with_interest(&cx, timer, Interest::READABLE).unwrap();
        let mut early = fd.readable(&cx);
        assert!(once(&mut early).await.is_pending(), "it is not set");
        let soon = libc::timespec {
            tv_sec: 0,
            tv_nsec: 2_000_000,
        };
        let spec = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: soon,
        };
        let none = std::ptr::null_mut();
        // SAFETY: the pointer is valid, and the other may be null.
        let set = unsafe { libc::timerfd_settime(fd.as_raw_fd(), 0, &raw const spec, none) };
        assert_eq!(set, 0);
        let mut guard = early.await.unwrap();
        assert!(guard.ready().is_readable());
        assert_eq!(guard.try_io(|fd| take(fd.get_ref())).unwrap().unwrap(), 1);
        assert!(guard.try_io(|fd| take(fd.get_ref())).is_err());
    });
}

#[test]
fn inotify_tells_of_a_file() {
    on_threads(async |cx: Scope| {
        let dir = tempfile::tempdir().unwrap();
        // SAFETY: a plain system call.
        let inotify = made(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) });
        let path = std::ffi::CString::new(dir.path().to_str().unwrap()).unwrap();
        // SAFETY: the path ends with a zero byte.
        let watch =
            unsafe { libc::inotify_add_watch(inotify.as_raw_fd(), path.as_ptr(), libc::IN_CREATE) };
        assert!(watch >= 0);
        let mut fd = AsyncFd::with_interest(&cx, inotify, Interest::READABLE).unwrap();
        let created = dir.path().join("a-file");
        let make = cx.spawn(async move |_: Cx| drop(File::create(created).unwrap()));
        let mut events = [0; 512];
        // A file can be read: the descriptor is a stream.
        let n = fd.read(&cx, &mut events).await.unwrap();
        make.await.into_result().unwrap();
        let told = String::from_utf8_lossy(&events[..n]);
        assert!(told.contains("a-file"), "{told:?}");
    });
}

#[test]
fn readiness_lasts_until_it_is_cleared_and_comes_back_with_the_next_event() {
    on_threads(async |cx: Scope| {
        let (read, mut write) = pipe();
        let fd = AsyncFd::with_interest(&cx, read, Interest::READABLE).unwrap();
        assert!(once(&mut fd.readable(&cx)).await.is_pending());
        write.write_all(b"ab").unwrap();
        drop(fd.readable(&cx).await.unwrap());
        // Nobody said that it is over.
        let Poll::Ready(Ok(mut guard)) = once(&mut fd.readable(&cx)).await else {
            panic!("it is known to be readable");
        };
        guard.retain_ready();
        let mut byte = [0];
        let read = guard.try_io(|fd| fd.get_ref().read(&mut byte)).unwrap();
        assert_eq!((read.unwrap(), byte), (1, *b"a"));
        // Cleared with a byte left: edge-triggered, so nothing is announced.
        guard.clear_ready();
        let mut again = fd.readable(&cx);
        assert!(once(&mut again).await.is_pending());
        // The next event is, and both bytes are there.
        write.write_all(b"c").unwrap();
        let mut guard = again.await.unwrap();
        let mut buf = [0; 8];
        let n = guard.try_io(|fd| fd.get_ref().read(&mut buf)).unwrap();
        assert_eq!(&buf[..n.unwrap()], b"bc");
        let blocked = guard.try_io(|fd| fd.get_ref().read(&mut buf)).unwrap_err();
        assert!(blocked.to_string().contains("wait"), "{blocked}");
        assert!(once(&mut fd.readable(&cx)).await.is_pending());
    });
}

#[test]
fn what_comes_after_a_guard_was_made_is_not_cleared_with_it() {
    current_thread(async |cx: Scope| {
        let (read, mut write) = pipe();
        let fd = AsyncFd::with_interest(&cx, read, Interest::READABLE).unwrap();
        write.write_all(b"a").unwrap();
        let mut guard = fd.readable(&cx).await.unwrap();
        let mut buf = [0; 8];
        let n = guard.try_io(|fd| fd.get_ref().read(&mut buf)).unwrap();
        assert_eq!(n.unwrap(), 1);
        write.write_all(b"b").unwrap();
        // The reactor hears of it while another descriptor is waited for.
        let (other, mut bell) = pipe();
        let other = AsyncFd::with_interest(&cx, other, Interest::READABLE).unwrap();
        bell.write_all(b"!").unwrap();
        other.readable(&cx).await.unwrap().clear_ready();
        guard.clear_ready();
        let mut guard = fd.readable(&cx).await.unwrap();
        let n = guard.try_io(|fd| fd.get_ref().read(&mut buf)).unwrap();
        assert_eq!(&buf[..n.unwrap()], b"b");
    });
}

#[test]
fn the_end_of_the_other_side_is_told_and_stays() {
    on_threads(async |cx: Scope| {
        let (here, there) = pair();
        let fd = AsyncFd::new(&cx, here).unwrap();
        let mut guard = fd.ready(&cx, Interest::WRITABLE).await.unwrap();
        assert_eq!(guard.ready(), Ready::WRITABLE);
        guard.clear_ready_matching(Ready::WRITABLE);
        assert!(once(&mut fd.writable(&cx)).await.is_pending());
        drop(there);
        let asked = Interest::READABLE | Interest::WRITABLE;
        let mut guard = fd.ready(&cx, asked).await.unwrap();
        while !guard.ready().is_read_closed() {
            guard = fd.ready(&cx, asked).await.unwrap();
        }
        assert!(guard.ready().is_readable());
        guard.clear_ready();
        let mut guard = fd.readable(&cx).await.unwrap();
        let n = guard.try_io(|fd| fd.get_ref().read(&mut [0; 8]));
        assert_eq!(n.unwrap().unwrap(), 0);
    });
}

#[test]
fn urgent_data_are_waited_for_by_themselves() {
    on_threads(async |cx: Scope| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        let both = Interest::READABLE | Interest::PRIORITY;
        let fd = AsyncFd::with_interest(&cx, server, both).unwrap();
        (&client).write_all(b"plain").unwrap();
        fd.readable(&cx).await.unwrap().retain_ready();
        assert!(
            once(&mut fd.ready(&cx, Interest::PRIORITY))
                .await
                .is_pending()
        );
        // SAFETY: the pointer is valid for one byte.
        let sent =
            unsafe { libc::send(client.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
        assert_eq!(sent, 1);
        let guard = fd.ready(&cx, Interest::PRIORITY).await.unwrap();
        assert!(guard.ready().is_priority(), "{guard:?}");
    });
}

#[test]
fn a_descriptor_that_can_be_read_and_written_is_a_stream() {
    on_threads(async |cx: Scope| {
        let (here, there) = pair();
        let mut here = AsyncFd::new(&cx, here).unwrap();
        let there = AsyncFd::new(&cx, there).unwrap();
        // More than the system keeps, so both wait in turn.
        let text = vec![7; 1 << 20];
        let expected = text.clone();
        let (mut read, mut write) = aio::split(there);
        let echo = cx.spawn(async move |cx: Cx| aio::copy(&cx, &mut read, &mut write).await);
        let sent = text.clone();
        let (mut back, mut to) = aio::split(here);
        let send = cx.spawn(async move |cx: Cx| {
            to.write_all(&cx, &sent).await.unwrap();
            to.flush(&cx).await.unwrap();
            to
        });
        let mut all = vec![0; expected.len()];
        back.read_exact(&cx, &mut all).await.unwrap();
        assert_eq!(all, expected);
        here = back.reunite(send.await.into_result().unwrap()).unwrap();
        drop(here.into_inner());
        let copied = echo.await.into_result().unwrap();
        assert_eq!(copied.unwrap(), expected.len() as u64);
    });
}

#[test]
fn an_operation_may_change_what_it_works_on() {
    on_threads(async |cx: Scope| {
        let (read, mut write) = pipe();
        let mut fd = AsyncFd::with_interest(&cx, read, Interest::READABLE).unwrap();
        let mut buf = [0; 4];
        write.write_all(b"abcd").unwrap();
        let n = fd.async_io_mut(&cx, Interest::READABLE, |pipe| pipe.read(&mut buf));
        assert_eq!((n.await.unwrap(), &buf), (4, b"abcd"));
        assert!(fd.get_mut().read(&mut buf).is_err());
    });
}

#[test]
fn a_wait_that_is_dropped_or_cancelled_takes_nothing() {
    current_thread(async |cx: Scope| {
        for dropped_after in 0..4 {
            let (read, mut write) = pipe();
            let fd = Arc::new(AsyncFd::with_interest(&cx, read, Interest::READABLE).unwrap());
            {
                let mut buf = [0; 4];
                let mut wait = fd.readable(&cx);
                let mut read = fd.async_io(&cx, Interest::READABLE, |mut pipe| pipe.read(&mut buf));
                for _ in 0..dropped_after {
                    assert!(once(&mut wait).await.is_pending());
                    assert!(once(&mut read).await.is_pending());
                }
                // Ready, and dropped before it is polled again.
                write.write_all(b"a").unwrap();
                let (bell, mut ring) = pipe();
                let bell = AsyncFd::with_interest(&cx, bell, Interest::READABLE).unwrap();
                ring.write_all(b"!").unwrap();
                drop(bell.readable(&cx).await.unwrap());
            }
            let waiting = Arc::clone(&fd);
            let cancelled = cx.spawn(async move |cx: Cx| {
                waiting.readable(&cx).await.unwrap().clear_ready();
                // Nothing more comes: this waits until it is asked to stop.
                let e = waiting.readable(&cx).await.unwrap_err();
                reason_in(&e).map(|reason| reason.kind)
            });
            cx.yield_now().await.unwrap();
            cx.yield_now().await.unwrap();
            cancelled.cancel("enough");
            let kind = cancelled.await.into_result().unwrap();
            assert_eq!(kind, Some(CancelKind::User));
            // It is all still there.
            let mut buf = [0; 4];
            let n = fd.get_ref().read(&mut buf).unwrap();
            assert_eq!(&buf[..n], b"a");
            assert_eq!(Arc::strong_count(&fd), 1);
        }
    });
}

#[test]
fn a_cancelled_wait_says_so() {
    current_thread(async |cx: Scope| {
        cx.region(async |scope| {
            let (read, _write) = pipe();
            let fd = AsyncFd::with_interest(&scope, read, Interest::READABLE).unwrap();
            let mut wait = fd.readable(&scope);
            assert!(once(&mut wait).await.is_pending());
            scope.cancel("enough");
            let e = wait.await.unwrap_err();
            assert_eq!(reason_in(&e).unwrap().kind, CancelKind::User);
        })
        .await
        .unwrap();
    });
}

/// What waits for a descriptor is in its task's ledger: the report of a task that
/// had to be dropped says so, and what was dropped in order leaves nothing there.
#[test]
fn the_ledger_shows_a_pending_wait_and_forgets_a_dropped_one() {
    on_threads(async |cx: Scope| {
        for by_operation in [false, true] {
            let options = RegionOptions {
                cleanup: Some(CleanupPolicy::default().capped(Duration::from_millis(5))),
                ..RegionOptions::named("deaf")
            };
            let closed = cx.region_report(options, async |scope: Scope| {
                let begun = Arc::new(AtomicUsize::new(0));
                let waits = Arc::clone(&begun);
                scope.spawn(async move |cx: Cx| {
                    let (pipe, _write) = pipe();
                    let fd = AsyncFd::with_interest(&cx, pipe, Interest::READABLE).unwrap();
                    let early = cx.timeout_drop(Duration::from_micros(10), fd.readable(&cx));
                    assert!(early.await.is_err(), "nobody writes");
                    begun.store(1, Ordering::SeqCst);
                    // Nobody writes, and it does not hear that it should stop.
                    match by_operation {
                        false => drop(fd.readable(cx.cleanup()).await),
                        true => {
                            let read = |mut pipe: &io::PipeReader| pipe.read(&mut [0]);
                            let read = fd.async_io(cx.cleanup(), Interest::READABLE, read);
                            drop(read.await);
                        }
                    }
                });
                worlds::until(&scope, || waits.load(Ordering::SeqCst) == 1).await;
                scope.cancel("enough");
            });
            let report = closed.await.unwrap().report;
            let held: Vec<_> = report.abandoned.iter().map(|a| &a.held[..]).collect();
            assert_eq!(held, [[ObligationKind::IoOp]], "{report:?}");
        }
    });
}

#[test]
fn code_that_polls_by_hand_is_woken() {
    on_threads(async |cx: Scope| {
        let (read, write) = pipe();
        let read = AsyncFd::with_interest(&cx, read, Interest::READABLE).unwrap();
        let write = AsyncFd::with_interest(&cx, write, Interest::WRITABLE).unwrap();
        let reader = cx.spawn(async move |_: Cx| {
            let mut seen = 0;
            loop {
                let mut guard = poll_fn(|task| read.poll_read_ready(task)).await.unwrap();
                let mut buf = [0; 4096];
                match guard.try_io(|fd| fd.get_ref().read(&mut buf)) {
                    Ok(Ok(0)) => return seen,
                    Ok(n) => seen += n.unwrap(),
                    Err(_) => {}
                }
            }
        });
        let (mut left, chunk) = (1 << 20, [1; 10_000]);
        while left > 0 {
            let mut guard = poll_fn(|task| write.poll_write_ready(task)).await.unwrap();
            let most = chunk.len().min(left);
            if let Ok(n) = guard.try_io(|fd| fd.get_ref().write(&chunk[..most])) {
                left -= n.unwrap();
            }
        }
        drop(write);
        assert_eq!(reader.await.into_result().unwrap(), 1 << 20);
    });
}

#[test]
fn a_number_that_is_used_again_hears_nothing_of_its_former_life() {
    /// At a number that no other test takes, since new ones are the lowest free.
    fn far_off(fd: impl AsFd) -> File {
        // SAFETY: a plain system call on a descriptor that is borrowed.
        made(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, 900) })
    }
    current_thread(async |cx: Scope| {
        for _ in 0..50 {
            // An event is on its way when it is taken apart. The other descriptor
            // keeps the old pipe alive, so the system could go on to report it.
            let (old, mut write) = pipe();
            let fd = AsyncFd::with_interest(&cx, far_off(&old), Interest::READABLE).unwrap();
            let number = fd.as_raw_fd();
            write.write_all(b"stale").unwrap();
            drop(fd);
            let (read, mut write) = pipe();
            let fd = AsyncFd::with_interest(&cx, far_off(read), Interest::READABLE).unwrap();
            assert_eq!(fd.as_raw_fd(), number);
            let mut wait = fd.readable(&cx);
            for _ in 0..3 {
                assert!(once(&mut wait).await.is_pending());
                cx.sleep(Duration::from_micros(50)).await.unwrap();
            }
            write.write_all(b"x").unwrap();
            wait.await.unwrap().clear_ready();
            drop(old);
        }
    });
}

#[test]
fn what_cannot_be_registered_is_explained_and_given_back() {
    current_thread(async |cx: Scope| {
        let code = |e: &io::Error| aio::os_error(e);
        // The same one twice.
        let shared = Arc::new(pipe().0);
        let first = AsyncFd::with_interest(&cx, Arc::clone(&shared), Interest::READABLE).unwrap();
        let twice = AsyncFd::try_new(&cx, Arc::clone(&shared)).unwrap_err();
        let (inner, e) = twice.into_parts();
        assert!(Arc::ptr_eq(&inner, &shared));
        assert_eq!(
            (e.kind(), code(&e)),
            (io::ErrorKind::AlreadyExists, Some(libc::EEXIST))
        );
        assert!(e.to_string().contains("register a duplicate"), "{e}");
        // It was not disturbed, and can be registered again when it is over.
        drop(first.into_inner());
        drop(AsyncFd::with_interest(&cx, inner, Interest::READABLE).unwrap());
        // A duplicate is another.
        let duplicate = shared.try_clone().unwrap();
        let _both = (
            AsyncFd::with_interest(&cx, shared, Interest::READABLE).unwrap(),
            AsyncFd::with_interest(&cx, duplicate, Interest::READABLE).unwrap(),
        );
        // What is always ready.
        let e = AsyncFd::new(&cx, tempfile::tempfile().unwrap()).unwrap_err();
        assert_eq!(
            (e.kind(), code(&e)),
            (io::ErrorKind::PermissionDenied, Some(libc::EPERM))
        );
        assert!(e.to_string().contains("use `fs`"), "{e}");
        // SAFETY: not so: that there is no such descriptor is what is tested.
        let closed = unsafe { BorrowedFd::borrow_raw(1_000_000) };
        let e = AsyncFd::new(&cx, closed).unwrap_err();
        assert_eq!(code(&e), Some(libc::EBADF));
        assert!(e.to_string().contains("closed"), "{e}");
        // What it was not registered for.
        let (read, _write) = pipe();
        let fd = AsyncFd::with_interest(&cx, read, Interest::READABLE).unwrap();
        let e = fd.writable(&cx).await.unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::InvalidInput);
        assert!(e.to_string().contains("WRITABLE") && e.to_string().contains("with_interest"));
        let e = fd.try_io(Interest::PRIORITY, |_| Ok(())).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::InvalidInput);
        // What a context may not do.
        let narrow = cx.restrict(CapSet::ALL.without(CapSet::NET));
        let e = AsyncFd::new(&narrow, eventfd()).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::PermissionDenied);
        assert!(e.to_string().contains("NET"), "{e}");
    });
}

#[test]
fn the_lab_has_no_descriptors_and_says_what_to_do() {
    LabRuntime::new(LabConfig::default()).run(async |cx: Scope| {
        let e = AsyncFd::new(&cx, eventfd()).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::Unsupported);
        let says = e.to_string();
        assert!(
            says.contains("descriptors") && says.contains("stand-in"),
            "{says}"
        );
    });
}

#[test]
fn an_interest_that_nobody_has_in_anything_is_refused() {
    current_thread(async |cx: Scope| {
        let fd = AsyncFd::new(&cx, eventfd()).unwrap();
        let nothing = Interest::READABLE.without(Interest::READABLE);
        let e = fd.ready(&cx, nothing).await.unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            format!("{:?}", Interest::READABLE | Interest::PRIORITY),
            "READABLE|PRIORITY"
        );
        assert_eq!(fd.as_fd().as_raw_fd(), fd.get_ref().as_raw_fd());
    });
}
