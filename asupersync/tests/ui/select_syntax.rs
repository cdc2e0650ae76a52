use asupersync::select;
use std::future::ready;

async fn wait() {
    select! {}
    select! { biased; }
    select! { () = ready(()) }
    select! { () => {} }
    select! { () = ready(()) => 1 () = ready(()) => 2 }
    select! { else => 1, () = ready(()) => 2 }
    select! { () = ready(()), unless false => 2 }
    select! { n = ready(1) => n, s = ready("s") => s };
}

fn main() {
    let _ = wait;
}
