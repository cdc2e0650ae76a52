use std::cell::RefCell;
use std::rc::Rc;

async fn fetch() -> u32 {
    1
}

struct Counter {
    total: Rc<RefCell<u32>>,
}

impl Counter {
    async fn held(&self) {
        let mut total = self.total.borrow_mut(); //~ AS502
        *total += fetch().await;
    }

    async fn read(&self) -> u32 {
        let total = self.total.borrow(); //~ AS502
        fetch().await + *total
    }
}

async fn ended(counter: &Counter, changes: &tokio::sync::watch::Receiver<u32>) {
    let more = fetch().await;
    *counter.total.borrow_mut() += more;
    let total = counter.total.borrow();
    println!("{total}");
    drop(total);
    fetch().await;
    let seen = *changes.borrow();
    fetch().await;
    drop(seen);
    let taken = counter.total.take();
    fetch().await;
    drop(taken);
}
