//! The program as it is typed: arguments, output and exit codes, in `tests/cmd`.

#[test]
fn commands() {
    trycmd::TestCases::new()
        .register_bin(
            "cargo-asupersync-lint",
            std::path::Path::new(env!("CARGO_BIN_EXE_cargo-asupersync-lint")),
        )
        .case("tests/cmd/*.trycmd")
        .case("tests/cmd/*.toml");
}
