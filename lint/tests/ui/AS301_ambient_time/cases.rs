use std::time::{Duration, SystemTime};
use tokio::time;

async fn clocks(started: std::time::Instant) {
    let now = std::time::Instant::now(); //~ AS301
    let wall = SystemTime::now(); //~ AS301
    let passed = started.elapsed(); //~ AS301
    let later = time::Instant::now() + Duration::from_secs(1); //~ AS301
    time::sleep(Duration::from_secs(1)).await; //~ AS301
    time::sleep_until(later).await; //~ AS301
    let mut ticks = time::interval(passed); //~ AS301
    ticks.tick().await;
    drop((now, wall));
}

fn blocking() {
    std::thread::sleep(Duration::from_secs(1)); //~ AS301
}

async fn beside_a_context(cx: &asupersync::Cx) -> Result<(), asupersync::Cancelled> {
    let now = tokio::time::Instant::now(); //~ AS301
    time::sleep(Duration::from_secs(1)).await; //~ AS301
    drop(now);
    Ok(())
}

struct Clock(Duration);

impl Clock {
    fn now(&self) -> Duration {
        self.0
    }

    fn elapsed(&self) -> Duration {
        self.0
    }
}

async fn the_context_tells(clock: &Clock) {
    let started = clock.now();
    let passed = clock.elapsed();
    let limit = Duration::from_secs(1);
    drop((started, passed, limit));
}
