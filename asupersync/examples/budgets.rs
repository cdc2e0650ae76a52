//! A deadline for the work, a budget for the cleanup, and a report on who kept to neither.

use asupersync::types::policy::CleanupPolicy;
use asupersync::{Budget, Cx, RegionError, RegionOptions, RegionReport};
use std::time::Duration;

const WORK: Duration = Duration::from_millis(20);
const CLEANUP: Duration = Duration::from_millis(300);

#[asupersync::main]
async fn main(cx: &Cx) -> Result<(), RegionError> {
    println!("{}", bounded(cx).await?);
    Ok(())
}

/// Three tasks that would go on for ever, under a deadline.
pub(crate) async fn bounded(cx: &Cx) -> Result<RegionReport, RegionError> {
    let options = RegionOptions {
        // All that is inside is asked to cancel at this instant,
        budget: Budget::new().with_timeout(cx.now(), WORK),
        // and what has not ended so much later is dropped.
        cleanup: Some(CleanupPolicy::default().capped(CLEANUP)),
        ..RegionOptions::named("bounded")
    };
    let body = async |scope: asupersync::Scope| {
        scope.task().name("prompt").spawn(async |cx: Cx| {
            cx.cancelled().await;
        });
        scope.task().name("tidy").spawn(async |cx: Cx| {
            cx.cancelled().await;
            // Cleaning up may wait too, through the view that is made for it.
            let _ = cx.cleanup().sleep(CLEANUP / 3).await;
        });
        scope.task().name("deaf").spawn(async |_cx| {
            std::future::pending::<()>().await;
        });
    };
    Ok(cx.region_report(options, body).await?.report)
}
