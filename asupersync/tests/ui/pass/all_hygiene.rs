//! All macros, where everything that a careless one would name means something else.
#![allow(dead_code, non_camel_case_types, non_upper_case_globals)]

mod core {}
mod std {}
struct Ok(u8);
struct Err(u8);
struct Some(u8);
enum Result {}
enum Option {}
enum Poll {}
enum Vec {}
struct Scope;
struct Region;
struct Pin;
struct Future;

use asupersync::{Cx, join, join_all, race, scope, select, spawn, try_join};

macro_rules! first_of {
    ($cx:expr, $($arm:expr),*) => { race!($cx, $(|s| async move { let _ = s; $arm }),*).await };
}

async fn program(cx: &Cx) -> u32 {
    // Names of the macros' own, and those that a parameter usually has.
    let (__scope, __task, __cx, __f0, __f1, __v0, _0) = (1, 2, 4, 8, 16, 32, 64);
    let (scope, task, future, name) = (128, 256, 512, 1024);
    let all = __scope + __task + __cx + __f0 + __f1 + __v0 + _0 + scope + task + future + name;

    let (a, b) = join!(async { __f0 + __scope }, async { __f1 });
    assert_eq!((a, b), (9, 16));
    let c = join_all!((0..2).map(|_| async { __f0 }));
    assert_eq!(c, [8, 8]);
    let d = try_join!(cx, |s| async { fine(s, __v0 + __task) }, |__f1| async {
        fine(__f1, _0)
    });
    assert_eq!(d.await.ok(), ::core::option::Option::Some((34, 64)));
    let e = scope!(cx, "named", |s| {
        let f = spawn!(s, "one", async move { __cx + future });
        let g = spawn!(s, "two", |cx| async move {
            cx.yield_now().await.ok();
            __f0 + name
        });
        f.await.into_result().unwrap() + g.await.into_result().unwrap() + scope
    });
    assert_eq!(e.await.ok(), ::core::option::Option::Some(1676));
    let won = first_of!(cx, __task, __task);
    assert_eq!(won.ok().map(|w| w.value), ::core::option::Option::Some(2));
    let mut ready = ::std::pin::pin!(async { __v0 });
    select! {
        n = &mut ready => assert_eq!(n, 32),
    }
    all
}

fn fine(_: &::asupersync::Scope, n: u32) -> ::core::result::Result<u32, ::std::fmt::Error> {
    ::core::result::Result::Ok(n)
}

#[asupersync::main(flavor = "current_thread")]
async fn main(__scope: &Cx) {
    assert_eq!(program(__scope).await, 2047);
}
