//! Operations cost no more instructions than `counts.json` says. The counts are
//! those of the release profile, so this builds the program once more.

use std::io::Write;
use std::process::Command;

#[test]
fn no_operation_has_become_dearer() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--release", "--locked", "--quiet"])
        .args(["--package", "asupersync-benches", "--", "--gate"])
        .output()
        .expect("cargo runs this test");
    let said = String::from_utf8_lossy(&output.stdout);
    if said.starts_with("skipped: ") {
        // Past the harness, which shows nothing of a test that passes.
        let _ = write!(std::io::stderr(), "{said}");
    }
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.starts_with("skipped: ") || said.contains("spawn-join"),
        "{said}"
    );
}
