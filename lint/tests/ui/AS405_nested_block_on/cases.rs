use tokio::runtime::{Handle, Runtime};

async fn nested(runtime: &Runtime) {
    runtime.block_on(async {}); //~ AS405
    Handle::current().block_on(async {}); //~ AS405
    futures::executor::block_on(async {}); //~ AS405
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || handle.block_on(async {})).await.unwrap();
}

fn outermost(runtime: &Runtime) {
    runtime.block_on(async {});
}
