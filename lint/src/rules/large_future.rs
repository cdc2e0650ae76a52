//! AS602 `large_future`: a future of many kilobytes.

use super::{Ask, Heard, Recode, Rule, Verdict};
use crate::finding::{Fix, Level};
use asupersync_source::edit::Edit;

pub(super) static RULE: Rule = Rule {
    code: "AS602",
    name: "large_future",
    level: Level::Allow,
    heard: Heard::OutsideTests,
    summary: "a future larger than `future-size-threshold` (16 KiB without configuration)",
    what: "Flags a future larger than a limit: `future-size-threshold` of the project's `clippy.toml`, 16 KiB by default. This is `clippy::large_futures`; only the compiler knows sizes.",
    why: "A future holds everything that lives over its awaits, and the futures it awaits inside of it. Each move copies all of it, and one kept on a thread's stack may overflow it.",
    example: r#"async fn copy() {
    let mut buffer = [0_u8; 64 * 1024];
    fill(&mut buffer).await;
}
async fn fill(_: &mut [u8]) {}

async fn run() {
    copy().await;
}"#,
    instead: r#"async fn copy() {
    let mut buffer = vec![0_u8; 64 * 1024];
    fill(&mut buffer).await;
}
async fn fill(_: &mut [u8]) {}

async fn run() {
    copy().await;
}"#,
    asks: &[Ask::Lint {
        name: "clippy::large_futures",
        recode: Recode::All {
            verdict,
            fix: |file, range| {
                let future = &file.text[range.clone()];
                Some(Fix::maybe([Edit::replace(
                    range,
                    format!("Box::pin({future})"),
                )]))
            },
            yields_to: &[],
        },
        alone: |_| Vec::new(),
    }],
};

fn verdict(text: &str) -> Verdict {
    // "large future with a size of 65544 bytes"
    let size = text.split(' ').find(|word| word.parse::<u64>().is_ok());
    Verdict {
        message: match size {
            Some(size) => format!("a future of {size} bytes"),
            None => "a large future".to_owned(),
        },
        label: "moved and stored whole".to_owned(),
        why:
            "it holds everything that lives over its awaits; on a thread's stack it may overflow it"
                .to_owned(),
        help: "keep large buffers in a `Vec`, or box the future: `Box::pin(..)`".to_owned(),
        fix: None,
    }
}
