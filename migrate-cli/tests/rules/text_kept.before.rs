#![allow(dead_code)]

//! Formatting that no tool would choose, comments in odd places, and code behind `cfg`.

use   std::time::Duration   ;
use tokio::time::{
    // why this one
    sleep,
    Duration as Span,
};

#[cfg(any())]
async fn elsewhere ( ) { sleep(Duration::from_secs(1)).await; }

async fn  odd (a : u32 ,) -> u32 { /* before */ sleep( /* inside */ Span::from_millis(u64::from(a)) /* after */ ) . await ; a }

macro_rules! waits {
    ($span:expr) => {
        tokio::time::sleep($span).await
    };
}

#[ tokio :: main ]
async fn main () {
    let s = "tokio::time::sleep(x).await";  // tokio::spawn(decoy)
    println!("{s} {}", odd(1).await);
    waits!(Duration::from_millis(1));
}
