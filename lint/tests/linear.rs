//! The syntactic engine's work grows with the source as its length does, and stays near what it is now.
//!
//! Allocations stand for work: they are the same in every run and on every machine, and whatever reads a file twice, or infers a
//! type for every expression, makes more of them. The count is a thread's own.

#[path = "../../asupersync/tests/counting/mod.rs"]
mod counting;

use asupersync_lint::{Options, lint_paths, lint_source};
use std::fs;
use std::path::PathBuf;

/// Code of the kind services are made of: calls through imports, chains, locals, a `select!`, a spawn that is found.
const PART: &str = r#"
mod part_N {
    use std::collections::HashMap;
    use std::sync::Arc;
    use tokio::sync::{Mutex, mpsc};

    /// What is served.
    pub struct Service {
        state: Arc<Mutex<HashMap<String, u64>>>,
        jobs: mpsc::Sender<u64>,
    }

    impl Service {
        pub async fn count(&self, key: &str) -> Option<u64> {
            let mut state = self.state.lock().await;
            let count = state.entry(key.to_owned()).or_default();
            *count += 1;
            if *count > 10 {
                println!("often: {key} {count}");
            }
            state.get(key).copied()
        }

        pub async fn run(self, mut events: mpsc::Receiver<String>) -> std::io::Result<()> {
            loop {
                tokio::select! {
                    event = events.recv() => {
                        let Some(event) = event else { return Ok(()) };
                        let parts: Vec<&str> = event.split(',').map(str::trim).collect();
                        for part in parts.iter().filter(|part| !part.is_empty()) {
                            self.count(part).await;
                        }
                    }
                    _ = self.jobs.closed() => return Ok(()),
                }
            }
        }
    }

    pub fn start(service: Service, events: mpsc::Receiver<String>) {
        tokio::spawn(service.run(events));
    }
}
"#;

fn allocations_per_line(parts: usize) -> f64 {
    let numbered = |n: usize| PART.replace("part_N", &format!("part_{n}"));
    let text: String = (0..parts).map(numbered).collect();
    let before = counting::so_far();
    let report = lint_source("service.rs", &text, &Options::default()).unwrap();
    let made = counting::so_far() - before;
    assert_eq!(report.findings.len(), parts);
    made as f64 / text.lines().count() as f64
}

#[test]
fn work_is_linear_and_bounded() {
    // Tables that are made once.
    allocations_per_line(1);
    let [few, many] = [40, 160].map(allocations_per_line);
    println!("allocations per line: {few:.1} of 40 parts, {many:.1} of 160");
    assert!(many < 1.05 * few, "{few:.1} of 40 parts, {many:.1} of 160");
    // A twelfth more than now; a type inferred for every variable would take more.
    assert!(many < MOST_PER_LINE, "{many:.1}");
}

/// Modules that import everything of one another: a search that follows each way through them would not end.
#[test]
fn globs_of_globs_are_followed_once() {
    const MODULES: usize = 24;
    let globs: String = (0..MODULES)
        .map(|n| format!("    pub use super::m{n}::*;\n"))
        .collect();
    let module = |n: usize| {
        format!(
            "mod m{n} {{\n{globs}    pub async fn f(io: impl Sized) {{ io.read_exact(&mut [0]).await; }}\n}}\n"
        )
    };
    let text: String = (0..MODULES).map(module).collect();
    let before = counting::so_far();
    lint_source("globs.rs", &text, &Options::default()).unwrap();
    let made = counting::so_far() - before;
    println!("{made} allocations");
    assert!(made < 1_000_000, "{made}");
}

/// A hook before a commit names every file that changed: their package is read once.
#[test]
fn many_files_of_a_package_cost_what_the_package_does() {
    const FILES: usize = 12;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir(root.join("src")).unwrap();
    let manifest = "[package]\nname = \"many\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[dependencies]\ntokio = \"1\"\n[workspace]\n";
    fs::write(root.join("Cargo.toml"), manifest).unwrap();
    let modules: String = (0..FILES).map(|n| format!("mod file_{n};\n")).collect();
    fs::write(root.join("src/lib.rs"), modules).unwrap();
    let mut paths = Vec::new();
    for n in 0..FILES {
        let path = root.join(format!("src/file_{n}.rs"));
        fs::write(&path, PART).unwrap();
        paths.push(path);
    }
    let count = |paths: &[PathBuf]| {
        let before = counting::so_far();
        let report = lint_paths(paths, &Options::default()).unwrap();
        assert_eq!(report.findings.len(), FILES);
        counting::so_far() - before
    };
    let package = [root.to_owned()];
    count(&package);
    let (whole, each) = (count(&package), count(&paths));
    println!("{whole} allocations for the package, {each} for its files");
    assert!(each < whole + whole / 5, "{whole} and {each}");
}

const MOST_PER_LINE: f64 = 115.0;
