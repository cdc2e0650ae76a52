//! Which machine, system and compiler a table was made with.

use crate::allocations::Allocator;
use std::process::Command;

/// One line each.
pub fn description() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = processor();
    let system = std::fs::read_to_string("/proc/version").unwrap_or_default();
    let system: Vec<&str> = system.split_whitespace().take(3).collect();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    vec![
        ("processor", format!("{model}, {cores} cores")),
        (
            "system",
            if system.is_empty() {
                std::env::consts::OS.into()
            } else {
                system.join(" ")
            },
        ),
        ("compiler", compiler()),
        ("profile", "release, thin LTO, one codegen unit".into()),
        ("allocator", Allocator::BUILT.name().into()),
        ("load when it began", load.into()),
    ]
}

/// The processor's name.
pub fn processor() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown", |(_, model)| model).to_owned()
}

/// The compiler's version.
pub fn compiler() -> String {
    let rust = Command::new("rustc").arg("--version").output();
    rust.map_or_else(
        |_| "unknown".into(),
        |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
    )
}
