//! The system port: pipes and other descriptors, by the reactor.

use super::reactor::{Reactor, Registered};
use crate::world::{Descriptor, Direction, System};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

pub(super) struct Descriptors {
    reactor: Arc<Reactor>,
}

impl Descriptors {
    pub(super) fn new(reactor: Arc<Reactor>) -> Self {
        Descriptors { reactor }
    }
}

impl System for Descriptors {
    fn watch(&self, file: File) -> io::Result<Box<dyn Descriptor>> {
        Ok(Box::new(Watched(self.reactor.register(file)?)))
    }
}

struct Watched(Registered<File>);

impl Descriptor for Watched {
    fn file(&self) -> &File {
        self.0.socket()
    }

    fn poll_io(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        operation: &mut dyn FnMut(&File) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let ready = match direction {
            Direction::Read => self.0.read(),
            Direction::Write => self.0.write(),
        };
        // Whether a pipe is drained by a short read is not for us to know; the
        // next call finds out.
        ready.poll_io(cx, || operation(self.0.socket()), |_| false)
    }
}
