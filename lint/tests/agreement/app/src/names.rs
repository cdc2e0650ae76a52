//! Aliases, globs, re-exports, shadowing.

use helper::jobs;
use helper::prelude::*;
use std::thread as os;
use std::time::{self as clock, Duration};
use tokio::task::spawn as go;
pub(crate) use tokio::{self as t, runtime as r};

type H = r::Handle;

mod inner {
    pub(crate) mod deeper {
        pub(crate) use super::super::t as runtime;
        pub(crate) use crate::names::reexported::*;
    }
}

mod reexported {
    pub(crate) use tokio::task::{spawn as background, spawn_blocking};
}

pub(crate) fn spawns() {
    go(async {}); //~ AS101
    t::spawn(async {}); //~ AS101
    ::tokio::spawn(async {}); //~ AS101
    jobs::spawn(async {}); //~ AS101
    launch(async {}); //~ AS101
    spawn(async {}); //~ AS101
    helper::tokio::task::spawn_local(async {}); //~ AS101
    inner::deeper::runtime::spawn(async {}); //~ AS101
    inner::deeper::background(async {}); //~ AS101
    self::reexported::spawn_blocking(|| ()); //~ AS101
    H::current().spawn(async {}); //~ AS101
    <H>::spawn(&H::current(), async {}); //~ AS101
    {
        use tokio::spawn as local;
        local(async {}); //~ AS101
    }
}

pub(crate) async fn clocks() {
    sleep(Duration::ZERO).await; //~ AS301
    let _ = timeout(Duration::ZERO, async {}).await; //~ AS301
    let start = clock::Instant::now(); //~ AS301
    let _ = start.elapsed(); //~ AS301
    let _ = Instant::now(); //~ AS301
    os::sleep(Duration::ZERO); //~ AS401
}

pub(crate) fn values() {
    [async {}].into_iter().for_each(|body| drop(go(body))); //~ AS101
    let start = go;
    let _ = start(async {}); //~ AS107 clippy
    let now = std::time::SystemTime::now; //~ AS301
    let _ = now();
}
