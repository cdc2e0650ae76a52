//! Connecting to the first address that answers.

use super::back_off::{BackOff, ROOM};
use crate::cx::Cx;
use crate::io::{Operation, explain};
use crate::time::Sleep;
use crate::world::net::Options;
use crate::world::{Addr, Stream};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long an address may keep silent before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// Tries addresses in order, each beside the silent ones before it; the first
/// connection wins and the other attempts are dropped, which closes them.
pub(super) struct Connect<'a> {
    cx: &'a Cx,
    options: Options,
    untried: VecDeque<Addr>,
    attempts: Vec<(Addr, Arc<dyn Stream>)>,
    /// Until when the next address waits.
    stagger: Option<Sleep<'a>>,
    /// Runs while the listener, which is of this host, has no room.
    full: BackOff<'a>,
    last_error: Option<io::Error>,
    operation: Operation,
}

impl<'a> Connect<'a> {
    pub(super) fn new<A: Into<Addr>>(cx: &'a Cx, addrs: Vec<A>, options: Options) -> Self {
        Connect {
            cx,
            options,
            untried: addrs.into_iter().map(Into::into).collect(),
            attempts: Vec::new(),
            stagger: None,
            full: BackOff::new(ROOM),
            last_error: None,
            operation: Operation::default(),
        }
    }
}

impl Future for Connect<'_> {
    type Output = io::Result<Arc<dyn Stream>>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Connect {
            cx,
            options,
            untried,
            attempts,
            stagger,
            full,
            last_error,
            operation,
        } = self.get_mut();
        let cx = *cx;
        operation.poll(cx, task, |task| {
            loop {
                ready!(full.poll(task))?;
                let tried = attempts.len();
                let mut connected = None;
                attempts.retain(|(addr, stream)| {
                    if connected.is_some() {
                        return true;
                    }
                    match stream.poll_connected(task) {
                        Poll::Pending => true,
                        Poll::Ready(Ok(())) => {
                            connected = Some(Arc::clone(stream));
                            true
                        }
                        Poll::Ready(Err(e)) => {
                            *last_error = Some(refused(addr, e));
                            false
                        }
                    }
                });
                if let Some(stream) = connected {
                    attempts.clear();
                    return Poll::Ready(Ok(stream));
                }
                // A refusal lets the next address go at once.
                let waited = match stagger {
                    Some(sleep) if attempts.len() == tried && tried > 0 => {
                        Pin::new(sleep).poll(task).is_ready()
                    }
                    _ => true,
                };
                if waited && let Some(addr) = untried.pop_front() {
                    match cx.world().net().connect(&addr, options) {
                        Ok(stream) => attempts.push((addr, stream)),
                        // Of a host elsewhere it would say that something is used up here.
                        Err(e)
                            if addr.host().is_none() && e.kind() == io::ErrorKind::WouldBlock =>
                        {
                            full.begin(cx);
                            untried.push_front(addr);
                            continue;
                        }
                        Err(e) => *last_error = Some(refused(&addr, e)),
                    }
                    *stagger = (!untried.is_empty()).then(|| cx.pause(STAGGER));
                    continue;
                }
                if attempts.is_empty() && untried.is_empty() {
                    let nothing = || io::Error::from(io::ErrorKind::InvalidInput);
                    return Poll::Ready(Err(last_error.take().unwrap_or_else(nothing)));
                }
                return Poll::Pending;
            }
        })
    }
}

fn refused(addr: &Addr, e: io::Error) -> io::Error {
    explain(format!("cannot connect to {addr}"), e, "")
}
