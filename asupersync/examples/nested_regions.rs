//! Regions in regions: the inner one is at rest before the code behind it runs.

use asupersync::{Cx, RegionError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[asupersync::main]
async fn main(cx: &Cx) -> Result<(), RegionError> {
    for line in build(cx).await? {
        println!("{line}");
    }
    Ok(())
}

/// Compiles three files, then links them, while a task reports beside it.
pub(crate) async fn build(cx: &Cx) -> Result<Vec<String>, RegionError> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let say = |log: &Mutex<Vec<String>>, line: String| log.lock().expect("no panic").push(line);
    cx.region(async |outer| {
        let beside = log.clone();
        outer.spawn(async move |cx: Cx| {
            // Longer than all of the rest: the outer region waits for it at its end.
            let _ = cx.sleep(Duration::from_millis(50)).await;
            say(&beside, "reported".into());
        });
        outer
            .region(async |inner| {
                for file in ["a", "b", "c"] {
                    let log = log.clone();
                    inner.spawn(async move |cx: Cx| {
                        let _ = cx.sleep(Duration::from_millis(1)).await;
                        say(&log, format!("compiled {file}"));
                    });
                }
            })
            .await?;
        // All three have ended here, whatever became of their handles.
        say(&log, "linked".into());
        Ok::<_, RegionError>(())
    })
    .await??;
    let log = log.lock().expect("no panic").clone();
    Ok(log)
}
