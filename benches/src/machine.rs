//! Which machine, system and compiler a table was made with.

use std::process::Command;

/// One line each.
pub fn description() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown", |(_, model)| model);
    let system = std::fs::read_to_string("/proc/version").unwrap_or_default();
    let system: Vec<&str> = system.split_whitespace().take(3).collect();
    let rust = Command::new("rustc").arg("--version").output();
    let rust = rust.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
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
        ("compiler", rust.unwrap_or_else(|_| "unknown".into())),
        (
            "profile",
            "release, thin LTO, one codegen unit, the system's allocator".into(),
        ),
        ("load when it began", load.into()),
    ]
}
