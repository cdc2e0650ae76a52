//! Tests get a context only where they use one; a paused clock needs the lab.

fn main() {}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use asupersync::Cx;

    #[asupersync::test]
    async fn waits(cx: &Cx) {
        cx.sleep(Duration::from_millis(1)).await.unwrap();
    }

    #[asupersync::test]
    async fn adds() {
        assert_eq!(1 + 1, 2);
    }

    #[asupersync::lab_test]
    async fn long(cx: &Cx) {
        cx.sleep(Duration::from_secs(3600)).await.unwrap();
    }

    #[asupersync::lab_test]
    async fn moves_the_clock(cx: &Cx) {
        cx.sleep(Duration::from_secs(5)).await.unwrap();
    }

    // Decoy: not tokio's attribute.
    #[test]
    fn plain() {
        assert!("tokio::test".starts_with("tokio"));
    }
}
