//! Tests get a context only where they use one; a paused clock needs the lab.

fn main() {}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use tokio::time;

    #[tokio::test]
    async fn waits() {
        time::sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test]
    async fn adds() {
        assert_eq!(1 + 1, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn long() {
        time::sleep(Duration::from_secs(3600)).await;
    }

    #[tokio::test]
    async fn moves_the_clock() {
        time::pause();

        time::advance(Duration::from_secs(5)).await;
    }

    // Decoy: not tokio's attribute.
    #[test]
    fn plain() {
        assert!("tokio::test".starts_with("tokio"));
    }
}
