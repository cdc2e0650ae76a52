async fn ask() -> u32 {
    42
}

#[cfg(test)]
mod tests {
    use super::ask;
    use tokio::sync::{mpsc, oneshot};

    #[tokio::test]
    async fn dropped() {
        tokio::spawn(async { //~ AS108
            assert_eq!(ask().await, 42);
        });
        let _ = tokio::spawn(async { assert!(ask().await == 42) }); //~ AS108
    }

    #[tokio::test]
    async fn dropped_with_its_scope() {
        let asking = tokio::spawn(async { //~ AS108
            if ask().await != 42 {
                panic!("another answer");
            }
        });
        println!("{}", asking.is_finished());
    }

    #[tokio::test]
    async fn waits_only_for_the_end() {
        let (done, mut ended) = mpsc::channel::<()>(1);
        tokio::spawn(async move { //~ AS108
            assert_eq!(ask().await, 42);
            drop(done);
        });
        assert!(ended.recv().await.is_none());
    }

    #[tokio::test]
    async fn awaited() {
        let asking = tokio::spawn(async { assert_eq!(ask().await, 42) });
        asking.await.unwrap();
    }

    #[tokio::test]
    async fn heard_of() {
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            assert_eq!(ask().await, 42);
            let _ = answer.send(());
        });
        answered.await.unwrap();
    }

    #[tokio::test]
    async fn of_a_closure() {
        tokio::spawn(serve(|number| assert_eq!(number, 42)));
    }

    async fn serve(check: impl Fn(u32)) {
        check(ask().await);
    }
}

fn what_ships() {
    tokio::spawn(async { //~ AS101
        assert_eq!(ask().await, 42);
    });
}
