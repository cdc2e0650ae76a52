//! Every operation that waits publishes its cancel class twice: the table of its
//! module and its own documentation name the same, and what is safe may stand in `select!`.

use asupersync::channel::{ack_queue, broadcast, mpsc, oneshot, rpc, watch};
use asupersync::cx::DropSafe;
use asupersync::io::{BufReadExt, CancelClass, ReadExt, WriteExt};
use asupersync::stream::StreamExt;
use asupersync::{
    Cx, JoinSet, Missed, Scope, Time, combine, fs, io, net, select, signal, stream, sync, time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

mod worlds;

type Table = &'static [(&'static str, CancelClass)];

/// The public operations of a module whose documentation names a class: who has
/// them, if they are of a type, and which class. `strict`: whatever speaks of
/// cancellation names one.
struct Documented {
    found: BTreeMap<(Option<String>, String), String>,
    strict: bool,
}

const CLASSES: [&str; 3] = ["Safe", "Resumable", "Lossy"];

impl Documented {
    fn below(paths: &[&str], strict: bool) -> Self {
        let mut documented = Documented {
            found: BTreeMap::new(),
            strict,
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for path in paths {
            documented.read(&source.join(path));
        }
        documented
    }

    fn read(&mut self, path: &Path) {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap();
            entries.for_each(|entry| self.read(&entry.unwrap().path()));
            return;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let (mut doc, mut owner, mut indent) = (String::new(), None, 0);
        for line in text.lines() {
            let at = line.len() - line.trim_start().len();
            let line = line.trim();
            if let Some(words) = line.strip_prefix("///") {
                doc.push(' ');
                doc += words.trim();
                continue;
            }
            if line.starts_with("impl") {
                (owner, indent) = (Some(implementor(line).to_owned()), at);
            } else if line == "}" && at == indent {
                owner = None;
            }
            // A macro's line says it in what it is given.
            if let Some((before, class)) = line.split_once("*Cancellation.* ")
                && !line.starts_with("//")
            {
                let class = class.trim_end_matches("\";");
                self.note(None, word(before), class, path);
            }
            let (name, made) = match line.split_once("fn ") {
                Some((vis, name)) if ["", "pub ", "pub async "].contains(&vis) => {
                    (word(name), false)
                }
                _ => (word(line), line.contains(": \"") && line.contains("\" -> ")),
            };
            if (made || line.contains("fn ")) && !name.is_empty() {
                let says = doc.split_once("*Cancellation.* ");
                if let Some((_, says)) = says.or_else(|| doc.split_once("# Cancellation ")) {
                    let owner = owner.clone().filter(|_| !made);
                    self.note(owner, name, says, path);
                }
            }
            if !line.starts_with('#') {
                doc.clear();
            }
        }
    }

    fn note(&mut self, owner: Option<String>, name: &str, says: &str, path: &Path) {
        let class = word(says);
        if class == "None" {
            // Without a context there is nothing to be asked.
        } else if CLASSES.contains(&class) {
            let found = self
                .found
                .insert((owner, name.to_owned()), class.to_owned());
            assert!(found.is_none_or(|found| found == class), "{name}: {says}");
        } else {
            assert!(
                !self.strict,
                "{}: `{name}` names no class: {says}",
                path.display()
            );
        }
    }
}

/// The type of an `impl`, without what it is generic over.
fn implementor(line: &str) -> &str {
    let mut depth = 0;
    let after_generics = line.find(|c| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        depth == 0 && c == ' '
    });
    let rest = &line[after_generics.map_or(0, |at| at + 1)..];
    word(rest.split(" for ").last().unwrap())
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Compares a table with the documentation.
fn check(table: Table, documented: &Documented) {
    let mut names = BTreeSet::new();
    let owners: BTreeSet<_> = table
        .iter()
        .filter_map(|(name, _)| name.split_once("::"))
        .collect();
    let owners: BTreeSet<_> = owners.iter().map(|(owner, _)| *owner).collect();
    let mut used = BTreeSet::new();
    for (name, class) in table {
        assert!(names.insert(*name), "`{name}` stands there twice");
        let (owner, method) = match name.split_once("::") {
            Some((owner, method)) => (Some(owner), method),
            None => (None, *name),
        };
        let class = format!("{class:?}");
        let keys = documented.found.iter().filter(|((of, m), says)| {
            // Of several types at once, or of a trait, if nobody in the table is named.
            let shared = of.as_deref().is_none_or(|of| !owners.contains(of));
            m == method && **says == class && (of.as_deref() == owner || shared)
        });
        let keys: Vec<_> = keys.map(|(key, _)| key).collect();
        assert!(
            !keys.is_empty(),
            "the documentation of `{name}` does not say {class}"
        );
        used.extend(keys);
    }
    for key in documented.found.keys() {
        assert!(used.contains(key), "{key:?} is not in the table");
    }
}

#[test]
fn the_tables_and_the_documentation_name_the_same_classes() {
    let modules: [(Table, &[&str]); 13] = [
        (mpsc::CANCEL_CLASS, &["channel/mpsc", "channel/sending.rs"]),
        (oneshot::CANCEL_CLASS, &["channel/oneshot"]),
        (broadcast::CANCEL_CLASS, &["channel/broadcast"]),
        (watch::CANCEL_CLASS, &["channel/watch"]),
        (
            ack_queue::CANCEL_CLASS,
            &["channel/ack_queue", "channel/sending.rs"],
        ),
        (rpc::CANCEL_CLASS, &["channel/rpc"]),
        (sync::CANCEL_CLASS, &["sync"]),
        (io::CANCEL_CLASS, &["io"]),
        (net::CANCEL_CLASS, &["net"]),
        (fs::CANCEL_CLASS, &["fs"]),
        (signal::CANCEL_CLASS, &["signal"]),
        (stream::CANCEL_CLASS, &["stream.rs"]),
        (time::CANCEL_CLASS, &["time"]),
    ];
    for (table, paths) in modules {
        println!("{paths:?}");
        check(table, &Documented::below(paths, paths != ["io"]));
    }
    #[cfg(unix)]
    check(
        asupersync::process::CANCEL_CLASS,
        &Documented::below(&["process"], true),
    );
    check(
        combine::CANCEL_CLASS,
        &Documented::below(&["combine"], false),
    );
    check(
        asupersync::cx::CANCEL_CLASS,
        &Documented::below(&["cx"], false),
    );
}

/// Those that are functions of their own, rather than named futures (names that are
/// looked up, files), stand there through `drop_ok`.
#[test]
fn every_named_safe_wait_may_stand_in_select() {
    fn safe<F: DropSafe>(_: F) {}
    const TIME: Duration = Duration::from_secs(1);
    worlds::current_thread(async |cx: Scope| {
        let cx: &Cx = &cx;
        let (tx, mut rx) = mpsc::channel::<u8>(1);
        safe(tx.reserve(cx));
        safe(tx.closed(cx));
        safe(rx.recv(cx));
        safe(rx.recv_many(cx, &mut Vec::new(), 2));
        safe(mpsc::unbounded_channel::<u8>("a test").0.closed(cx));
        let (mut tx, mut rx) = oneshot::channel::<u8>();
        safe(tx.closed(cx));
        safe(rx.recv(cx));
        safe(broadcast::channel::<u8>(1).1.recv(cx));
        let (tx, mut rx) = watch::channel(0);
        safe(tx.closed(cx));
        safe(rx.changed(cx));
        safe(rx.wait_for(cx, |n| *n == 1));
        let (tx, rx) = ack_queue::ack_queue::<u8>(1, ack_queue::Redelivery::attempts(1));
        safe(tx.reserve(cx));
        safe(tx.closed(cx));
        safe(rx.recv(cx));
        let (client, mut server) = rpc::rpc::<u8, u8>(1);
        safe(client.closed(cx));
        safe(server.recv(cx));

        safe(combine::RateLimit::new(1.try_into().unwrap(), TIME).acquire(cx));

        safe(cx.sleep(TIME));
        safe(cx.sleep_until(cx.now()));
        safe(cx.interval(TIME, Missed::Skip).tick(cx));
        safe(cx.cancelled());
        safe(cx.yield_now());
        safe(cx.linked_exit());
        safe(JoinSet::<()>::new(cx).join_next(cx));
        safe(cx.shutdown_signal());
        safe(futures::stream::pending::<u8>().next(cx));

        let local = "127.0.0.1:0";
        let listener = net::TcpListener::bind(cx, local).await.unwrap();
        safe(listener.accept(cx));
        let at = listener.local_addr().unwrap();
        let mut stream = net::TcpStream::connect(cx, at).await.unwrap();
        let (mut buf, mut bytes) = ([0; 4], Vec::new());
        safe(stream.peek(cx, &mut buf));
        safe(stream.readable(cx));
        safe(stream.writable(cx));
        safe(stream.write_vectored(cx, &[]));
        safe(stream.write_buf(cx, &mut &buf[..]));
        safe(io::BufReader::new(&mut stream).fill_buf(cx));
        safe(io::BufReader::new(&mut stream).split(0).next_segment(cx));
        safe(stream.read(cx, &mut buf));
        safe(stream.read_buf(cx, &mut bytes));
        safe(stream.read_u8(cx));
        safe(stream.read_i8(cx));
        safe(stream.write(cx, &buf));
        safe(stream.write_u8(cx, 1));
        safe(stream.write_i8(cx, 1));
        safe(io::BufReader::new(&mut stream).lines().next_line(cx));
        safe(io::framing::Framed::new(stream, io::framing::Lines::new(9)).next(cx));
        let udp = net::UdpSocket::bind(cx, local).await.unwrap();
        safe(udp.send(cx, &[1]));
        safe(udp.send_to(cx, &[1], at));
        safe(udp.recv(cx, &mut buf));
        safe(udp.recv_from(cx, &mut buf));
        safe(udp.readable(cx));
        safe(udp.peek(cx, &mut buf));
        safe(udp.peek_from(cx, &mut buf));
        #[cfg(unix)]
        {
            let (read, _write) = std::io::pipe().unwrap();
            let mut fd = io::unix::AsyncFd::new(cx, read).unwrap();
            let both = io::unix::Interest::READABLE | io::unix::Interest::WRITABLE;
            safe(fd.readable(cx));
            safe(fd.writable(cx));
            safe(fd.ready(cx, both));
            safe(fd.async_io(cx, both, |_| Ok(())));
            safe(fd.async_io_mut(cx, both, |_| Ok(())));
            let unix = net::UnixDatagram::unbound(cx).unwrap();
            safe(unix.send(cx, &[1]));
            safe(unix.send_to(cx, &[1], "/nowhere"));
            safe(unix.recv(cx, &mut buf));
            safe(unix.recv_from(cx, &mut buf));
            let urgent = signal::SignalKind::from_raw(libc::SIGURG);
            safe(signal::unix(cx, urgent).unwrap().recv(cx));
        }
    });
}

/// Dropped half-way again and again, a tick is late by nothing and none is missing.
#[test]
fn a_tick_in_a_select_is_not_lost() {
    worlds::in_lab(async |cx: Scope| {
        let period = Duration::from_secs(3);
        let mut interval = cx.interval(period, Missed::Burst);
        let (mut ticks, mut others) = (Vec::new(), 0);
        while ticks.len() < 4 {
            select! {
                due = interval.tick(&cx) => {
                    assert_eq!(due.unwrap(), cx.now());
                    ticks.push(cx.now());
                }
                slept = cx.sleep(Duration::from_secs(2)) => {
                    slept.unwrap();
                    others += 1;
                }
            }
        }
        let expected: Vec<_> = (0..4).map(|n| Time::ZERO + n * period).collect();
        assert_eq!(ticks, expected);
        assert_eq!(others, 3);
    });
}
