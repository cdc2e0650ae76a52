//! The whole way, on a sample service: lint it, rewrite it, build it, run it
//! under load, stop it by SIGTERM, and put the same source in the lab.
//!
//! | module | what it holds |
//! |---|---|
//! | [`sandbox`] | the folder and the processes, which do not outlive the demo |
//! | [`load`] | the clients, and what counts as a lost message |
//!
//! Everything the demo prints is measured in that very run.

mod load;
pub mod sandbox;

use crate::{Dependency, Error, Options};
use load::{Crowd, Tally};
use sandbox::{Guarded, Sandbox};
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The service, as people write it.
const SAMPLE: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("../../sample/Cargo.toml")),
    ("src/main.rs", include_str!("../../sample/src/main.rs")),
    ("src/lib.rs", include_str!("../../sample/src/lib.rs")),
    ("src/hub.rs", include_str!("../../sample/src/hub.rs")),
    ("src/idle.rs", include_str!("../../sample/src/idle.rs")),
    ("src/motd.rs", include_str!("../../sample/src/motd.rs")),
    (
        "src/session.rs",
        include_str!("../../sample/src/session.rs"),
    ),
];
/// The program that runs the migrated service in the lab.
const LAB: [(&str, &str); 2] = [
    ("Cargo.toml", include_str!("../../fixtures/lab/Cargo.toml")),
    ("src/main.rs", include_str!("../../fixtures/lab/main.rs")),
];
/// The versions this checkout was tested with, so that the sample builds with them too.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// How long a server may take to end after SIGTERM, far above its cleanup budget.
const PATIENCE: Duration = Duration::from_secs(20);

/// How the demo goes about it.
#[derive(Clone, Debug)]
pub struct Demo {
    /// The checkout that has the runtime under `asupersync`.
    pub checkout: PathBuf,
    /// Clients that talk at the same time.
    pub clients: usize,
    /// How long they talk before SIGTERM.
    pub talk: Duration,
    /// Whether to colour the output.
    pub colour: bool,
}

impl Demo {
    /// Fifty clients for a second and a half.
    pub fn new(checkout: impl Into<PathBuf>) -> Self {
        Demo {
            checkout: checkout.into(),
            clients: 50,
            talk: Duration::from_millis(1500),
            colour: false,
        }
    }
}

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The runtime's source is not where it should be.
    #[error("{} has no asupersync/Cargo.toml; pass the checkout with --checkout", .0.display())]
    NoCheckout(PathBuf),
    /// The rewrite failed.
    #[error(transparent)]
    Rewrite(#[from] Error),
    /// The lint failed.
    #[error(transparent)]
    Lint(#[from] asupersync_lint::LintError),
    /// A program did not build.
    #[error("{what} does not build:\n{said}")]
    Build {
        /// What was built.
        what: &'static str,
        /// What cargo said.
        said: String,
    },
    /// A server did not do what servers do.
    #[error("{server}: {what}")]
    Server {
        /// Which one.
        server: &'static str,
        /// What it did.
        what: String,
    },
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn on(what: &'static str) -> impl FnOnce(io::Error) -> DemoError {
    move |source| DemoError::Io { what, source }
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Messages the original lost.
    pub lost_before: usize,
    /// Messages the migrated service lost.
    pub lost_after: usize,
    /// Tasks alive after its region had closed.
    pub orphans: u64,
    /// Whether the lab found nothing at a shutdown at every await point.
    pub lab_clean: bool,
}

impl Verdict {
    /// Whether the migrated service keeps its promises.
    pub fn is_ok(&self) -> bool {
        self.lost_after == 0 && self.orphans == 0 && self.lab_clean
    }
}

/// Runs the demo and prints as it goes.
pub fn run(demo: &Demo, out: &mut impl Write) -> Result<Verdict, DemoError> {
    let start = Instant::now();
    if !demo.checkout.join("asupersync/Cargo.toml").is_file() {
        return Err(DemoError::NoCheckout(demo.checkout.clone()));
    }
    let sandbox = Sandbox::new().map_err(on("cannot prepare"))?;
    let stage = Stage {
        demo,
        sandbox: &sandbox,
    };
    let say = &mut Speaker { out, step: 0 };

    say.step("The service: a chat over TCP on tokio, as people write it")?;
    let lines: usize = SAMPLE.iter().map(|(_, text)| text.lines().count()).sum();
    let original = stage.unpack("original", &SAMPLE)?;
    say.line(&format!(
        "{} files, {lines} lines, in {}",
        SAMPLE.len(),
        original.display()
    ))?;

    say.step("Lint: cargo asupersync-lint")?;
    say.text(&stage.lint(&original)?)?;

    say.step("Rewrite: asupersync-migrate rewrite --review --write")?;
    let migrated = stage.unpack("migrated", &SAMPLE)?;
    say.text(&stage.rewrite(&migrated)?)?;

    say.step("Build both, and the lab program")?;
    let lab = stage.unpack("lab", &LAB)?;
    let before = stage.build("the original", &original, "chat")?;
    let after = stage.build("the migrated service", &migrated, "chat")?;
    let lab = stage.build("the lab program", &lab, "chat-lab")?;
    say.line(&format!(
        "built after {:.0} s",
        start.elapsed().as_secs_f64()
    ))?;

    say.step(&format!(
        "Before: {} clients talk, then SIGTERM",
        demo.clients
    ))?;
    let lost_before = stage.serve("the original", &before, say)?.tally.lost;

    say.step(&format!(
        "After: {} clients talk, then SIGTERM",
        demo.clients
    ))?;
    let served = stage.serve("the migrated service", &after, say)?;
    let orphans = say_report(say, &served)?;

    say.step("Lab: the same source, virtual time and network, a cancellation at every await")?;
    let lab_clean = stage.lab(&lab, say)?;

    let verdict = Verdict {
        lost_before,
        lost_after: served.tally.lost,
        orphans,
        lab_clean,
    };
    say.line("")?;
    say.line(&format!(
        "messages lost at SIGTERM: {lost_before} before, {} after; orphans: {orphans}; {:.0} s in all",
        verdict.lost_after,
        start.elapsed().as_secs_f64()
    ))?;
    Ok(verdict)
}

/// Prints, with numbered steps.
struct Speaker<'a, W> {
    out: &'a mut W,
    step: usize,
}

impl<W: Write> Speaker<'_, W> {
    fn step(&mut self, title: &str) -> Result<(), DemoError> {
        self.step += 1;
        let number = self.step;
        writeln!(self.out, "\n== {number}/7 {title}").map_err(on("cannot print"))
    }

    fn line(&mut self, text: &str) -> Result<(), DemoError> {
        writeln!(self.out, "{text}").map_err(on("cannot print"))
    }

    fn text(&mut self, text: &str) -> Result<(), DemoError> {
        self.line(text.trim_end())?;
        self.out.flush().map_err(on("cannot print"))
    }
}

/// What a server and its clients had to say.
struct Served {
    tally: Tally,
    /// The line the runtime prints about its root region.
    report: Option<serde_json::Value>,
}

struct Stage<'a> {
    demo: &'a Demo,
    sandbox: &'a Sandbox,
}

impl Stage<'_> {
    fn unpack(&self, name: &str, files: &[(&str, &str)]) -> Result<PathBuf, DemoError> {
        let folder = self.sandbox.path().join(name);
        let runtime = self.demo.checkout.join("asupersync");
        std::fs::create_dir_all(folder.join("src")).map_err(on("cannot unpack the sample"))?;
        for (file, text) in files {
            let text = text.replace("ASUPERSYNC", &runtime.to_string_lossy());
            std::fs::write(folder.join(file), text).map_err(on("cannot unpack the sample"))?;
        }
        std::fs::write(folder.join("Cargo.lock"), LOCK).map_err(on("cannot unpack the sample"))?;
        Ok(folder)
    }

    fn lint(&self, folder: &Path) -> Result<String, DemoError> {
        let report = asupersync_lint::lint_paths(
            &[folder.to_owned()],
            &asupersync_lint::Options::default(),
        )?;
        let mut text = String::new();
        for mut finding in report.findings.iter().cloned() {
            // Said once below instead of at each.
            finding.unresolved_types = false;
            let source =
                std::fs::read_to_string(&finding.path).map_err(on("cannot read the sample"))?;
            let shown = asupersync_lint::render::full(&finding, &source, folder, self.demo.colour);
            let _ = writeln!(text, "{shown}\n");
        }
        let denied = report
            .findings
            .iter()
            .filter(|f| f.level == asupersync_lint::Level::Deny)
            .count();
        let _ = writeln!(
            text,
            "{} findings, {denied} of them at deny; by syntax alone, `cargo asupersync-lint` asks the compiler too",
            report.findings.len()
        );
        Ok(text)
    }

    fn rewrite(&self, folder: &Path) -> Result<String, DemoError> {
        let report = crate::rewrite(&Options {
            write: true,
            review: true,
            allow_dirty: true,
            dependency: Dependency::Path(self.demo.checkout.clone()),
            target_dir: Some(self.sandbox.path().join("target")),
            ..Options::new(folder)
        })?;
        Ok(format!(
            "{}\n{}",
            report.diff(self.demo.colour),
            report.table()
        ))
    }

    /// Builds a package in the sandbox and returns its program.
    fn build(
        &self,
        what: &'static str,
        folder: &Path,
        program: &str,
    ) -> Result<PathBuf, DemoError> {
        let target = self.sandbox.path().join("target");
        let mut cargo =
            self.sandbox
                .spawn(std::env::var_os("CARGO").unwrap_or("cargo".into()), |c| {
                    c.args(["build", "--release", "--quiet"])
                        .current_dir(folder)
                        .env("CARGO_TARGET_DIR", &target);
                    c.stdin(Stdio::null())
                        .stdout(Stdio::null())
                        .stderr(Stdio::piped());
                });
        let cargo = cargo.as_mut().map_err(|e| DemoError::Build {
            what,
            said: format!("cannot start cargo: {e}"),
        })?;
        let mut said = String::new();
        if let Some(mut stderr) = cargo.child().stderr.take() {
            stderr
                .read_to_string(&mut said)
                .map_err(on("cannot read what cargo says"))?;
        }
        let status = cargo.child().wait().map_err(on("cannot wait for cargo"))?;
        if !status.success() {
            return Err(DemoError::Build { what, said });
        }
        // The original and the migrated service have the same name, so each is
        // moved out of the way of the next build.
        let built = folder.join(program);
        std::fs::copy(target.join("release").join(program), &built)
            .map_err(on("cannot keep a program"))?;
        Ok(built)
    }

    /// Starts a server, lets the clients talk, sends SIGTERM, and waits for everybody.
    fn serve<W: Write>(
        &self,
        server: &'static str,
        program: &Path,
        say: &mut Speaker<'_, W>,
    ) -> Result<Served, DemoError> {
        let failed = |what: String| DemoError::Server { server, what };
        let mut process = self
            .sandbox
            .spawn(program, |c| {
                c.arg("127.0.0.1:0").env("ASUPERSYNC_REPORT", "json");
                c.stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped());
            })
            .map_err(|e| failed(format!("cannot start: {e}")))?;
        let address =
            listening(&mut process).map_err(|e| failed(format!("does not listen: {e}")))?;
        // What it says is read to the end, so that it never waits for a full pipe.
        let stderr = process.child().stderr.take();
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            let read = stderr.map(|mut s| s.read_to_string(&mut said));
            (said, read)
        });
        let crowd =
            Crowd::connect(address, self.demo.clients).map_err(on("clients cannot connect"))?;
        std::thread::sleep(self.demo.talk);
        let accepted = crowd.accepted();
        let cpu = cpu_seconds(process.child().id()).map_err(on("cannot read /proc"))?;
        let rate = accepted as f64 / self.demo.talk.as_secs_f64();
        let deliveries = accepted as f64 * self.demo.clients as f64;
        let asked = Instant::now();
        process.terminate().map_err(on("cannot send SIGTERM"))?;
        let status = process
            .wait_for(PATIENCE)
            .map_err(on("cannot wait for the server"))?;
        let took = asked.elapsed();
        let Some(status) = status else {
            return Err(failed(format!(
                "did not end within {PATIENCE:?} after SIGTERM"
            )));
        };
        let tally = crowd.compare().map_err(on("a client failed"))?;
        let (said, _) = said.join().unwrap_or_default();
        let report = said
            .lines()
            .rev()
            .find_map(|l| serde_json::from_str(l).ok());
        say.line(&format!(
            "{} clients, {} messages accepted ({rate:.0} a second, {:.1} us of server CPU per delivery); gone {:.1} ms after SIGTERM, {status}",
            tally.clients,
            tally.accepted,
            cpu * 1e6 / deliveries.max(1.0),
            took.as_secs_f64() * 1e3
        ))?;
        say.line(&format!(
            "accepted messages lost: {} (of {} deliveries); connections reset: {}",
            tally.lost, tally.expected, tally.resets
        ))?;
        Ok(Served { tally, report })
    }

    fn lab<W: Write>(&self, program: &Path, say: &mut Speaker<'_, W>) -> Result<bool, DemoError> {
        let mut process = self
            .sandbox
            .spawn(program, |c| {
                // The service's own complaints about cancelled sessions are not the result.
                c.stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null());
            })
            .map_err(on("cannot start the lab program"))?;
        let mut found = String::new();
        if let Some(mut stdout) = process.child().stdout.take() {
            stdout
                .read_to_string(&mut found)
                .map_err(on("cannot read what the lab found"))?;
        }
        let status = process
            .child()
            .wait()
            .map_err(on("cannot wait for the lab program"))?;
        say.text(&found)?;
        Ok(status.success() && found.contains("SIGTERM at every await"))
    }
}

/// Processor time that a process has used, all threads, user and system.
fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name is in parentheses and may hold anything; utime and stime are the
    // 12th and 13th fields behind it (proc_pid_stat(5)).
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Option<u64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|f| f.parse::<u64>().ok())
        .sum();
    let ticks = ticks.ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is {stat:?}")))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Reads the line in which a server says where it listens.
fn listening(process: &mut Guarded<'_>) -> io::Result<SocketAddr> {
    let stdout = process.child().stdout.take();
    let mut lines = BufReader::new(stdout.ok_or_else(|| io::Error::other("no standard output"))?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let address = line
        .trim()
        .strip_prefix("listening on ")
        .and_then(|a| a.parse().ok());
    address.ok_or_else(|| io::Error::other(format!("it said {line:?}")))
}

/// Prints what the runtime said about its root region; returns the orphans.
fn say_report<W: Write>(say: &mut Speaker<'_, W>, served: &Served) -> Result<u64, DemoError> {
    let missing = |what: &str| DemoError::Server {
        server: "the migrated service",
        what: format!("its region report has no {what}"),
    };
    let report = served
        .report
        .as_ref()
        .ok_or_else(|| missing("line of JSON"))?;
    let number = |key: &str| report.get(key).and_then(serde_json::Value::as_u64);
    let drained = number("drained").ok_or_else(|| missing("drained"))?;
    let orphans = number("orphans").ok_or_else(|| missing("orphans"))?;
    let took = report
        .get("drain_ms")
        .and_then(serde_json::Value::as_f64)
        .ok_or_else(|| missing("drain_ms"))?;
    let count = |key: &str| {
        report
            .get(key)
            .and_then(serde_json::Value::as_array)
            .map_or(0, Vec::len)
    };
    say.line("region report:")?;
    say.line(&format!("  tasks drained   {drained} in {took:.1} ms"))?;
    say.line(&format!("  orphans         {orphans}"))?;
    say.line(&format!("  messages lost   {}", served.tally.lost))?;
    say.line(&format!("  abandoned       {}", count("abandoned")))?;
    say.line(&format!("  leaked promises {}", count("leaks")))?;
    say.line(&format!(
        "  reason          {}",
        report
            .get("reason")
            .and_then(|r| r.as_str())
            .unwrap_or("none")
    ))?;
    Ok(orphans)
}
