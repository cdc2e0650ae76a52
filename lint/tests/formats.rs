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

/// The schema of OASIS as the crate of the types ships it: constraints such as `minItems` are no part of types.
#[test]
fn sarif_satisfies_its_schema() {
    let schema = sarif_schema();
    for broken in [false, true] {
        let document: Value = serde_json::from_str(&report("sarif", broken)).unwrap();
        assert_eq!(violations(&document, &schema), [] as [String; 0]);
    }
    // The check sees what is wrong: an unknown property, a missing one, a number too small, a word that is none of a list.
    let document: Value = serde_json::from_str(&report("sarif", false)).unwrap();
    let region = "/runs/0/results/0/locations/0/physicalLocation/region";
    for (place, value) in [
        ("/runs/0/surprise", Value::from(1)),
        ("/version", Value::Null),
        (&format!("{region}/startLine"), Value::from(0)),
        ("/runs/0/results/0/level", Value::from("fatal")),
        ("/runs/0/tool/driver/name", Value::from(1)),
        (
            "/runs/0/results/0/locations/0/physicalLocation",
            Value::from("src"),
        ),
    ] {
        let mut wrong = document.clone();
        let (parent, key) = place.rsplit_once('/').unwrap();
        let object = wrong.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            object.remove(key);
        } else {
            object.insert(key.to_owned(), value);
        }
        assert_eq!(violations(&wrong, &schema).len(), 1, "{place}");
    }
}

fn sarif_schema() -> Value {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .other_options(["--offline".to_owned(), "--locked".to_owned()])
        .exec()
        .unwrap();
    let mut packages = metadata.packages.iter();
    let types = packages.find(|package| *package.name == *"serde-sarif");
    let schema = types
        .unwrap()
        .manifest_path
        .with_file_name("src/schema.json");
    serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap()
}

/// What of a document its schema forbids, for the words that the schema of SARIF uses, but `pattern` and `format`.
fn violations(document: &Value, schema: &Value) -> Vec<String> {
    const CHECKED: &[&str] = &[
        "$ref",
        "type",
        "enum",
        "required",
        "properties",
        "additionalProperties",
        "items",
        "minItems",
        "uniqueItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
    ];
    const SAID: &[&str] = &[
        "description",
        "default",
        "pattern",
        "format",
        "$schema",
        "$id",
        "title",
        "definitions",
    ];
    fn check(value: &Value, rule: &Value, root: &Value, place: &str, out: &mut Vec<String>) {
        let Value::Object(words) = rule else {
            if *rule == Value::Bool(false) {
                out.push(format!("{place}: not allowed"));
            }
            return;
        };
        let mut wrong = |what: &str| out.push(format!("{place}: {what}"));
        for word in words.keys() {
            let known = CHECKED.contains(&word.as_str()) || SAID.contains(&word.as_str());
            assert!(known, "the check does not know `{word}`");
        }
        if let Some(reference) = rule["$ref"].as_str() {
            let target = root.pointer(&reference[1..]).unwrap();
            return check(value, target, root, place, out);
        }
        let is = |name: &str| match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            other => panic!("the check does not know the type `{other}`"),
        };
        if let Some(name) = rule["type"].as_str()
            && !is(name)
        {
            return wrong(&format!("no {name}"));
        }
        if rule["enum"]
            .as_array()
            .is_some_and(|list| !list.contains(value))
        {
            wrong("none of the list");
        }
        let number = value.as_f64();
        let beyond = |word: &str, less: bool| match (number, rule[word].as_f64()) {
            (Some(number), Some(bound)) => (number < bound) == less && number != bound,
            _ => false,
        };
        if beyond("minimum", true) || beyond("maximum", false) {
            wrong("out of bounds");
        }
        for word in ["anyOf", "oneOf"] {
            let Some(choices) = rule[word].as_array() else {
                continue;
            };
            let fits = |choice: &&Value| {
                let mut inner = Vec::new();
                check(value, choice, root, place, &mut inner);
                inner.is_empty()
            };
            let count = choices.iter().filter(fits).count();
            if count == 0 || (word == "oneOf" && count > 1) {
                wrong(word);
            }
        }
        if let Some(list) = value.as_array() {
            let least = rule["minItems"].as_u64().unwrap_or(0);
            if (list.len() as u64) < least {
                wrong("too few");
            }
            let repeated = (1..list.len()).any(|at| list[..at].contains(&list[at]));
            if repeated && rule["uniqueItems"] == Value::Bool(true) {
                wrong("one twice");
            }
            for (at, item) in list.iter().enumerate() {
                check(item, &rule["items"], root, &format!("{place}/{at}"), out);
            }
        } else if let Some(object) = value.as_object() {
            for name in rule["required"].as_array().into_iter().flatten() {
                if !object.contains_key(name.as_str().unwrap()) {
                    wrong(&format!("no {name}"));
                }
            }
            for (name, item) in object {
                let of_name = rule["properties"].get(name);
                let rule = of_name.unwrap_or(&rule["additionalProperties"]);
                check(item, rule, root, &format!("{place}/{name}"), out);
            }
        }
    }
    let mut out = Vec::new();
    check(document, schema, schema, "", &mut out);
    out
}

/// rust-analyzer and its kin read cargo's lines with the types of this crate.
#[test]
fn an_editor_reads_the_json() {
    use cargo_metadata::diagnostic::DiagnosticLevel;
    let text = report("json", false);
    let messages: Vec<cargo_metadata::Message> =
        cargo_metadata::Message::parse_stream(text.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
    assert_eq!(messages.len(), 3);
    let mut levels = Vec::new();
    for message in &messages {
        let cargo_metadata::Message::CompilerMessage(one) = message else {
            panic!("no message of a compiler: {message:?}");
        };
        assert!(one.target.src_path.ends_with("a root.rs"));
        assert!(
            one.package_id.repr.starts_with("path+file:"),
            "{}",
            one.package_id
        );
        let [span] = &one.message.spans[..] else {
            panic!("one place: {:?}", one.message.spans);
        };
        assert_eq!(
            (span.file_name.as_str(), span.is_primary),
            ("a root.rs", true)
        );
        let marked = &span.text[0];
        let letters: Vec<char> = marked.text.chars().collect();
        let under: String = letters[marked.highlight_start - 1..marked.highlight_end - 1]
            .iter()
            .collect();
        assert!(
            marked.text.len() > under.len() && under.starts_with("tokio::"),
            "{under}"
        );
        assert!(
            one.message
                .code
                .as_ref()
                .unwrap()
                .code
                .starts_with("asupersync::")
        );
        assert!(
            one.message
                .rendered
                .as_ref()
                .unwrap()
                .contains("--> a root.rs:")
        );
        levels.push(one.message.level);
        // A fix is a child with a replacement and how far it may be trusted, from which editors make an action.
        let replaces = |span: &cargo_metadata::diagnostic::DiagnosticSpan| {
            span.suggested_replacement.is_some() && span.suggestion_applicability.is_some()
        };
        let has_fix = one
            .message
            .children
            .iter()
            .any(|child| child.spans.iter().any(replaces));
        assert_eq!(has_fix, one.message.level == DiagnosticLevel::Warning);
    }
    assert_eq!(
        levels,
        [
            DiagnosticLevel::Error,
            DiagnosticLevel::Error,
            DiagnosticLevel::Warning
        ]
    );
}

#[test]
fn fingerprints_stay_when_code_moves() {
    let code = "pub async fn run() {\n    tokio::spawn(async {});\n    std::thread::sleep(std::time::Duration::ZERO);\n}\n";
    let prints = |format: &str, text: &str| -> Vec<Value> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("lib.rs"), text).unwrap();
        let output = Command::new(Path::new(env!("CARGO_BIN_EXE_cargo-asupersync-lint")))
            .args(["--engine", "syn", "--format", format, "lib.rs"])
            .current_dir(directory.path())
            .output()
            .unwrap();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let list = match format {
            "gitlab" => value
                .as_array()
                .unwrap()
                .iter()
                .map(|one| &one["fingerprint"])
                .cloned()
                .collect(),
            _ => value["runs"][0]["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| &one["partialFingerprints"])
                .cloned()
                .collect::<Vec<_>>(),
        };
        assert_eq!(list.len(), 2, "{value}");
        list
    };
    for format in ["gitlab", "sarif"] {
        let before = prints(format, code);
        let moved = format!("// A header.\n\nmod m {{\n{code}}}\n");
        assert_eq!(prints(format, &moved), before, "{format}");
        let changed = code.replace("spawn(async {})", "spawn(async { 1 })");
        assert_ne!(prints(format, &changed), before, "{format}");
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
