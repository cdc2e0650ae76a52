use asupersync::{combine::drop_ok, select};
use std::future::ready;

async fn wait() {
    select! {}
    select! { biased; }
    select! { () = ready(()) }
    select! { () => {} }
    select! { () = ready(()) => 1 () = ready(()) => 2 }
    select! { else => 1, () = ready(()) => 2 }
    select! { () = ready(()), unless false => 2 }
    select! { n = drop_ok(ready(1)) => n, s = drop_ok(ready("s")) => s };
}

fn main() {
    let _ = wait;
}
