//! A framework's context around a `Cx`: handlers see the request, and waits still take the `Cx`.

use asupersync::{Cancelled, CapSet, Cx, TimeoutError};
use std::time::Duration;

#[asupersync::main]
async fn main(cx: &Cx) -> Result<(), TimeoutError> {
    println!("{}", handle(cx, "Ann").await?);
    Ok(())
}

/// What a handler is given. It borrows the context of the task that serves the
/// request, so it cannot outlive it.
pub(crate) struct RequestContext<'a> {
    cx: &'a Cx,
    user: &'a str,
}

impl RequestContext<'_> {
    /// The context of the request's task; also by dereference.
    fn user(&self) -> &str {
        self.user
    }
}

impl std::ops::Deref for RequestContext<'_> {
    type Target = Cx;

    fn deref(&self) -> &Cx {
        self.cx
    }
}

/// Serves one request: in a second, and without touching files or the network.
pub(crate) async fn handle(cx: &Cx, user: &str) -> Result<String, TimeoutError> {
    let served = cx.timeout(Duration::from_secs(1), async |scope| {
        let cx = scope.restrict(CapSet::ALL.without(CapSet::FS.with(CapSet::NET)));
        greet(&RequestContext { cx: &cx, user }).await
    });
    Ok(served.await??)
}

async fn greet(request: &RequestContext<'_>) -> Result<String, Cancelled> {
    request.sleep(Duration::from_millis(1)).await?;
    Ok(format!("good day, {}", request.user()))
}
