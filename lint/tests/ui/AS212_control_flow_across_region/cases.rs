use asupersync::{Cx, RegionError, TryRegionError};

async fn serve(_: &Cx) {}

fn load() -> std::io::Result<u32> {
    Ok(1)
}

type Loaded = Result<std::io::Result<u32>, RegionError>;

async fn left(cx: &Cx) -> Loaded {
    cx.region(async |scope| {
        scope.spawn(async |cx| serve(&cx).await);
        if load()? > 1 { //~ AS212
            return Ok(2); //~ AS212
        }
        Ok(1)
    })
    .await
}

async fn one_of_two(cx: &Cx) -> Loaded {
    cx.region(|scope| async move {
        let first = scope.spawn(async |_| 1);
        let second = scope.spawn(async |_| 2);
        let one = first.await.into_result().unwrap();
        let number = load()?; //~ AS212
        let two = second.await.into_result().unwrap();
        Ok(number + one + two)
    })
    .await
}

async fn told(cx: &Cx) -> Loaded {
    cx.region(async |scope| {
        let early = load()?;
        let task = scope.spawn(async |_| 1);
        let one = task.await.into_result().unwrap();
        let number = load()?;
        scope.spawn_daemon(async |cx| serve(&cx).await);
        let more = load()?;
        scope.spawn(async |cx| serve(&cx).await);
        scope.cancel("no longer wanted");
        let last = load()?;
        Ok(early + one + number + more + last)
    })
    .await
}

async fn tried(cx: &Cx) -> Result<u32, TryRegionError<std::io::Error>> {
    cx.try_region(async |scope| {
        scope.spawn(async |cx| serve(&cx).await);
        Ok(load()?)
    })
    .await
}

struct Map;

impl Map {
    fn region(&self, body: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        body(1)
    }
}

fn of_that_name(map: &Map) -> Option<u32> {
    map.region(|number| {
        let more = Some(number)?;
        Some(more)
    })
}
