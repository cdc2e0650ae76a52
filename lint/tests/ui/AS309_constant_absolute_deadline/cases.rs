use asupersync::{Budget, Cancelled, Cx, Time};
use std::time::Duration;

const LIMIT: Time = Time::from_nanos(1);

async fn constants(cx: &Cx) -> Result<Budget, Cancelled> {
    cx.sleep_until(Time::from_nanos(5_000_000_000)).await?; //~ AS309
    cx.sleep_until(LIMIT).await?; //~ AS309
    Ok(Budget::new().with_deadline(Time::from_nanos(5 * 1_000_000_000))) //~ AS309
}

async fn from_now(cx: &Cx, due: Time, nanos: u64) -> Result<Budget, Cancelled> {
    cx.sleep_until(cx.now() + Duration::from_secs(5)).await?;
    cx.sleep_until(due).await?;
    cx.sleep_until(Time::from_nanos(nanos)).await?;
    cx.sleep_until(Time::MAX).await?;
    Ok(Budget::new().with_deadline(cx.now()))
}
