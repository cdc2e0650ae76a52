//! A random stream per task, each split from its starter's.
//!
//! Invariants:
//!
//! 1. the stream of a task is a function of the seed, of the streams above it,
//!    and of how many tasks its starter had started before: not of ids, times,
//!    or what anybody drew;
//! 2. a stream is kept from the task's start to its end.

use crate::math::rng::{Rng, absorb, hash};
use crate::types::event::Event;
use crate::types::id::TaskId;
use std::collections::BTreeMap;

/// The streams of the tasks alive.
pub(super) struct Streams {
    /// From which the streams of the runs' bodies are split.
    root: u64,
    runs: u64,
    running: Option<TaskId>,
    tasks: BTreeMap<TaskId, Stream>,
}

struct Stream {
    key: u64,
    /// Tasks started so far.
    started: u64,
    /// Made at the first draw: few tasks ever draw.
    rng: Option<Rng>,
}

impl Streams {
    pub(super) fn new(seed: u64) -> Self {
        Streams {
            root: absorb(hash(b"tasks"), seed),
            runs: 0,
            running: None,
            tasks: BTreeMap::new(),
        }
    }

    pub(super) fn on(&mut self, event: &Event) {
        match *event {
            Event::TaskPolled { task } => self.running = Some(task),
            Event::TaskSpawned { task, .. } => {
                // Whoever starts a task is running; a body that is not listed yet is a run's.
                let key = match self.running {
                    Some(starter) => {
                        let starter = self.of(starter);
                        starter.started += 1;
                        absorb(starter.key, starter.started)
                    }
                    None => self.next_run(),
                };
                self.tasks.insert(task, Stream::new(key));
            }
            Event::TaskCompleted { task, .. } => {
                self.tasks.remove(&task);
                self.running = self.running.filter(|r| *r != task);
            }
            _ => {}
        }
    }

    pub(super) fn draw(&mut self, task: TaskId) -> u64 {
        let stream = self.of(task);
        // The label keeps what a task draws apart from what it hands on.
        let rng = || Rng::stream(stream.key, "draws");
        stream.rng.get_or_insert_with(rng).next_u64()
    }

    /// The stream of a task; that of a run's body is made when first asked for.
    fn of(&mut self, task: TaskId) -> &mut Stream {
        if !self.tasks.contains_key(&task) {
            let key = self.next_run();
            self.tasks.insert(task, Stream::new(key));
        }
        self.tasks.get_mut(&task).expect("inserted above")
    }

    fn next_run(&mut self) -> u64 {
        self.runs += 1;
        absorb(self.root, self.runs)
    }
}

impl Stream {
    const fn new(key: u64) -> Self {
        Stream {
            key,
            started: 0,
            rng: None,
        }
    }
}
