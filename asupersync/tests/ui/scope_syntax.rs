//! What is wrong with a `scope!` or a `spawn!` is said where it is.

use asupersync::{Cx, Scope, scope, spawn};

async fn scopes(cx: &Cx) {
    let _ = scope!(cx).await;
    let _ = scope!(cx, "name", 5).await;
    let _ = scope!(cx, "name", async |s| ()).await;
    let _ = scope!(cx, "name", move |s| ()).await;
}

fn spawns(scope: &Scope) {
    spawn!(scope);
    spawn!(scope, "name", async |cx| ());
    spawn!(scope, "name", || async {});
    spawn!(scope, "name", async {}, 4);
}

fn main() {}
