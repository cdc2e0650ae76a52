//! The formats of other tools, read back with what reads such files.

use serde_json::Value;
use serde_sarif::sarif::Sarif;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Two equal findings, one warning, and a path with a blank in it; `broken` adds a module that does not parse.
fn report(format: &str, broken: bool) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    let name = "[package]\nname = \"service\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\ntokio = \"1\"\n[workspace]\n[lib]\npath = \"a root.rs\"\n";
    file("Cargo.toml", name);
    let bad = if broken { "mod bad;\n" } else { "" };
    file("bad.rs", "fn {");
    file(
        "a root.rs",
        &format!(
            "{bad}pub async fn run() {{\n    tokio::spawn(async {{}});\n    tokio::spawn(async {{}});\n    tokio::time::sleep(std::time::Duration::ZERO).await;\n}}\n"
        ),
    );
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_cargo-asupersync-lint")))
        .args(["--engine", "syn", "-A", "AS301", "--format", format])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(if broken { 2 } else { 1 }));
    String::from_utf8(output.stdout).unwrap()
}

/// The types are generated from the published schema: what they do not know, or want and do not find, is wrong.
#[test]
fn sarif_is_what_its_schema_says() {
    for broken in [false, true] {
        let text = report("sarif", broken);
        let value: Value = serde_json::from_str(&text).unwrap();
        let typed: Sarif = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap(), value);

        let run = &typed.runs[0];
        let results = run.results.as_ref().unwrap();
        let rules = run.tool.driver.rules.as_ref().unwrap();
        assert_eq!(results.len(), 3);
        for result in results {
            let rule = &rules[usize::try_from(result.rule_index.unwrap()).unwrap()];
            assert_eq!(Some(&rule.id), result.rule_id.as_ref());
        }
        let place = &value["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20root.rs");
        let prints = |at: usize| value["runs"][0]["results"][at]["partialFingerprints"].clone();
        assert_ne!(prints(0), prints(1));
        let fix =
            &value["runs"][0]["results"][2]["fixes"][0]["artifactChanges"][0]["replacements"][0];
        assert_eq!(fix["insertedContent"]["text"], "tokio::task::yield_now()");
        assert_eq!(fix["deletedRegion"]["startColumn"], 5);
        let invocation = &run.invocations.as_ref().unwrap()[0];
        assert_eq!(invocation.execution_successful, !broken);
    }
}

#[test]
fn gitlab_has_what_code_quality_asks_for() {
    let issues: Vec<Value> = serde_json::from_str(&report("gitlab", false)).unwrap();
    assert_eq!(issues.len(), 3);
    let mut prints: Vec<&str> = Vec::new();
    for issue in &issues {
        assert!(issue["description"].is_string() && issue["check_name"].is_string());
        assert!(issue["location"]["lines"]["begin"].is_u64());
        assert_eq!(issue["location"]["path"], "a root.rs");
        prints.push(issue["fingerprint"].as_str().unwrap());
    }
    assert_eq!(issues[0]["severity"], "major");
    assert_eq!(issues[2]["severity"], "minor");
    prints.dedup();
    assert_eq!(prints.len(), 3);
}

#[test]
fn junit_reads_back() {
    let report = quick_junit::Report::deserialize_from_str(&report("junit", true)).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (4, 2, 1));
    assert_eq!(report.test_suites[0].name.as_str(), "a root.rs");
}

#[test]
fn github_has_a_command_per_finding() {
    let text = report("github", false);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].starts_with(
            "::error file=a root.rs,line=2,endLine=2,col=5,endColumn=17,title=AS101 detached_spawn::the task"
        ),
        "{text}"
    );
    assert!(lines[2].starts_with("::warning file=a root.rs,line=4,"));
}
