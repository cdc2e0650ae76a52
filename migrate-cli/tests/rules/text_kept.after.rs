#![allow(dead_code)]

//! Formatting that no tool would choose, comments in odd places, and code behind `cfg`.

use   std::time::Duration   ;
// why this one
use asupersync::Cx;
use std::time::Duration as Span;

#[cfg(any())]
async fn elsewhere (cx: &Cx ) { if cx.sleep(Duration::from_secs(1)).await.is_err() { return; } }

async fn  odd (cx: &Cx, a : u32 ,) -> u32 { /* before */ let _ = cx.cleanup().sleep( /* inside */ Span::from_millis(u64::from(a)) /* after */ ) . await ; a }

macro_rules! waits {
    ($span:expr) => {
        tokio::time::sleep($span).await
    };
}

fn main () -> std::process::ExitCode {
    asupersync_compat::run_main(async |cx| {
        let cx = &cx;
        let s = "tokio::time::sleep(x).await";  // tokio::spawn(decoy)
        println!("{s} {}", odd(cx, 1).await);
        waits!(Duration::from_millis(1));
    })
}
