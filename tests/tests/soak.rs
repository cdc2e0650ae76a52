//! A short soak; the nightly script has the long one.

use std::process::Command;

#[test]
fn nothing_is_left_after_random_programs() {
    let soak = env!("CARGO_BIN_EXE_soak");
    let output = Command::new(soak)
        .args(["--seconds", "8"])
        .output()
        .expect("it was built beside this test");
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && failed.is_empty(), "{failed}");
    assert!(said.contains("nothing alive"), "{said}{failed}");
    println!("{said}");
}

#[test]
fn wrong_arguments_are_refused() {
    for wrong in [&["--seconds"][..], &["--seconds", "x"], &["--fast"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_soak"))
            .args(wrong)
            .output();
        let output = output.expect("it was built beside this test");
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: soak"));
    }
}
