//! Where rules are heard: in what ships, in tests, in packages that the lab can run.

use asupersync_lint::{Level, Options, lint_source};

/// The codes found in a text, with their levels.
fn found(text: &str, options: &Options) -> Vec<(&'static str, usize, Level)> {
    let report = lint_source("demo.rs", text, options).unwrap();
    let place = |one: &asupersync_lint::Finding| (one.rule.code, one.line, one.level);
    report.findings.iter().map(place).collect()
}

const SPAWNS: &str = "\
fn ships() { tokio::spawn(async {}); }
#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn leaves_a_task_behind() { tokio::spawn(async {}); }
    #[tokio::test]
    async fn cannot_fail() { tokio::spawn(async { assert!(false) }); }
}
";

#[test]
fn what_a_test_leaves_behind_is_not_reported_but_what_keeps_it_from_failing_is() {
    assert_eq!(
        found(SPAWNS, &Options::default()),
        [("AS101", 1, Level::Deny), ("AS108", 7, Level::Deny)]
    );
}

#[test]
fn the_level_for_tests_caps_that_of_the_rule_and_never_raises_it() {
    let with = |tests, own: &[(&str, Level)]| Options {
        tests: Some(tests),
        levels: own
            .iter()
            .map(|(code, level)| ((*code).to_owned(), *level))
            .collect(),
        ..Options::default()
    };
    let only = [("AS108", Level::Allow)];
    assert_eq!(
        found(SPAWNS, &with(Level::Warn, &only)),
        [
            ("AS101", 1, Level::Deny),
            ("AS101", 5, Level::Warn),
            ("AS101", 7, Level::Warn)
        ]
    );
    let low = [("AS108", Level::Allow), ("AS101", Level::Warn)];
    let levels: Vec<Level> = found(SPAWNS, &with(Level::Deny, &low))
        .iter()
        .map(|one| one.2)
        .collect();
    assert_eq!(levels, [Level::Warn; 3]);
}

const CLOCK: &str = "\
fn ships() -> std::time::Instant { std::time::Instant::now() }
#[test]
fn measures() { std::time::Instant::now(); }
";

#[test]
fn the_clock_matters_where_a_lab_may_hold_it() {
    let lines = |text: &str, options: &Options| -> Vec<usize> {
        found(text, options).iter().map(|one| one.1).collect()
    };
    let default = Options::default();
    assert!(lines(CLOCK, &default).is_empty());
    let asked = Options {
        levels: vec![("AS301".to_owned(), Level::Warn)],
        ..Options::default()
    };
    assert_eq!(lines(CLOCK, &asked), [1, 3]);
    // A file that names the runtime can run under the lab; its tests do if they name that.
    assert_eq!(lines(&format!("{CLOCK}use asupersync::Cx;"), &default), [1]);
    let under_the_lab = format!("{CLOCK}use asupersync::lab::LabRuntime;");
    assert_eq!(lines(&under_the_lab, &default), [1, 3]);
}
