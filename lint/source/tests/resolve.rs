//! What calls mean: each case is a source text and the callees that must be found in it, in order.

use asupersync_source::load::Project;
use asupersync_source::resolve::Index;
use asupersync_source::walk::{self, Cursor, Visitor};

struct Callees {
    found: Vec<String>,
    crates: &'static [&'static str],
}

impl<'p> Visitor<'p> for Callees {
    fn expr(&mut self, cursor: &Cursor<'_, 'p>, expr: &'p syn::Expr) {
        if !matches!(expr, syn::Expr::Call(_) | syn::Expr::MethodCall(_)) {
            return;
        }
        if let Some(callee) = cursor.callee(expr) {
            let first = callee.path.split("::").next().unwrap_or_default();
            if self.crates.contains(&first) {
                self.found.push(callee.path);
            }
        }
    }
}

/// Checks the tokio, std::time, std::thread and local callees of a text.
fn check(text: &str, expected: &[&str]) {
    let project = Project::from_source("demo.rs", text).unwrap();
    let index = Index::new(&project);
    let mut callees = Callees {
        found: Vec::new(),
        crates: &["tokio", "demo", "tokio_util", "futures"],
    };
    for target in &project.targets {
        walk::walk(&index, target, &mut callees);
    }
    assert_eq!(callees.found, expected, "in\n{text}");
}

#[test]
fn imports_aliases_globs_and_reexports() {
    check(
        "use tokio::task::spawn as go; fn f() { go(async {}); }",
        &["tokio::task::spawn"],
    );
    check(
        "use tokio::time::*; async fn f() { sleep(D).await; }",
        &["tokio::time::sleep"],
    );
    check(
        "use tokio as t; fn f() { t::spawn(async {}); }",
        &["tokio::task::spawn"],
    );
    check(
        "mod rt { pub use tokio::task::*; } use rt::spawn; fn f() { spawn(async {}); rt::spawn_blocking(|| 1); }",
        &["tokio::task::spawn", "tokio::task::spawn_blocking"],
    );
    check(
        "extern crate tokio as tk; fn f() { tk::spawn(async {}); }",
        &["tokio::task::spawn"],
    );
    check(
        "mod a { pub mod b { pub use super::super::rt as c; } } mod rt { pub use tokio::spawn as go; } fn f() { a::b::c::go(async {}); }",
        &["tokio::task::spawn"],
    );
    check(
        "type H = tokio::runtime::Handle; fn f() { H::current().spawn(async {}); }",
        &[
            "tokio::runtime::Handle::spawn",
            "tokio::runtime::Handle::current",
        ],
    );
    check(
        "fn f() { { use tokio::spawn; spawn(async {}); } }",
        &["tokio::task::spawn"],
    );
}

#[test]
fn names_that_are_not_what_they_seem() {
    check("fn spawn(x: u8) {} fn f() { spawn(1); }", &["demo::spawn"]);
    check(
        "use tokio::spawn; fn f() { let spawn = |x: u8| (); spawn(1); }",
        &[],
    );
    check(
        "use tokio::spawn; fn f() { fn spawn(x: u8) {} spawn(1); }",
        &[],
    );
    check(
        "mod tokio { pub fn spawn(x: u8) {} } fn f() { tokio::spawn(1); }",
        &["demo::tokio::spawn"],
    );
    // A cycle of re-exports ends.
    check(
        "mod a { pub use super::b::*; } mod b { pub use super::a::*; } use a::spawn; fn f() { spawn(1); }",
        &[],
    );
}

#[test]
fn receivers() {
    check(
        "struct S { rt: std::sync::Arc<tokio::runtime::Handle> } impl S { fn f(&self) { self.rt.spawn(async {}); } }",
        &["tokio::runtime::Handle::spawn"],
    );
    check(
        "fn f(h: &tokio::runtime::Handle) { let g = h.clone(); g.spawn(async {}); }",
        &[
            "tokio::runtime::Handle::clone",
            "tokio::runtime::Handle::spawn",
        ],
    );
    check(
        "use tokio::sync::mpsc; async fn f() { let (tx, mut rx) = mpsc::channel::<u8>(1); tx.send(1).await; while let Some(x) = rx.recv().await {} }",
        &[
            "tokio::sync::mpsc::channel",
            "tokio::sync::mpsc::Sender::send",
            "tokio::sync::mpsc::Receiver::recv",
        ],
    );
    check(
        "struct W(tokio::runtime::Runtime); impl std::ops::Deref for W { type Target = tokio::runtime::Runtime; fn deref(&self) -> &tokio::runtime::Runtime { &self.0 } } fn f(w: W) { w.spawn(async {}); }",
        &["tokio::runtime::Runtime::spawn"],
    );
    check(
        "use tokio::net::TcpListener; async fn f() -> std::io::Result<()> { let l = TcpListener::bind(\"a\").await?; let (s, _) = l.accept().await?; let (r, w) = s.into_split(); Ok(()) }",
        &[
            "tokio::net::TcpListener::bind",
            "tokio::net::TcpListener::accept",
            "tokio::net::TcpStream::into_split",
        ],
    );
    check(
        "fn h() -> Result<tokio::runtime::Handle, ()> { todo!() } fn f() { if let Ok(h) = h() { h.spawn(async {}); } }",
        &["demo::h", "tokio::runtime::Handle::spawn"],
    );
    check(
        "fn f(v: Vec<Option<tokio::task::JoinHandle<()>>>) { for h in v { if let Some(h) = h { h.abort(); } } }",
        &["tokio::task::JoinHandle::abort"],
    );
    check(
        "trait Rt { fn rt(&self) -> tokio::runtime::Handle; } fn f<T: Rt>(x: &T) { x.rt().spawn(async {}); }",
        &["tokio::runtime::Handle::spawn", "demo::Rt::rt"],
    );
    check(
        "use tokio::sync::Mutex; struct S { q: Mutex<tokio::task::JoinSet<()>> } async fn f(s: S) { s.q.lock().await.join_next().await; }",
        &[
            "tokio::task::JoinSet::join_next",
            "tokio::sync::Mutex::lock",
        ],
    );
    check(
        "fn f(h: Option<tokio::runtime::Handle>) { h.map(|h| h.spawn(async {})); }",
        &["tokio::runtime::Handle::spawn"],
    );
    check(
        "use tokio::io::AsyncReadExt as _; async fn f(s: impl tokio::io::AsyncRead) { s.read_exact(&mut b).await; }",
        &["tokio::io::AsyncReadExt::read_exact"],
    );
    check(
        "use std::io::Read; fn f(s: X) { s.read_exact(&mut b); }",
        &[],
    );
    check(
        "fn f(h: tokio::runtime::Handle) { <tokio::runtime::Handle>::spawn(&h, async {}); }",
        &["tokio::runtime::Handle::spawn"],
    );
}

#[test]
fn macro_bodies() {
    check(
        "use tokio::time::sleep; async fn f() { tokio::select! { _ = sleep(D) => { tokio::spawn(g()); } else => tokio::spawn(async {}), } }",
        &[
            "tokio::time::sleep",
            "tokio::task::spawn",
            "tokio::task::spawn",
        ],
    );
    check(
        "async fn f(mut rx: tokio::sync::mpsc::Receiver<tokio::runtime::Handle>) { tokio::select! { biased; Some(h) = rx.recv(), if true => { h.spawn(async {}); } } }",
        &[
            "tokio::sync::mpsc::Receiver::recv",
            "tokio::runtime::Handle::spawn",
        ],
    );
    check(
        "async fn f() { tokio::join!(tokio::time::sleep(D), async { tokio::spawn(g()); }); println!(\"{}\", tokio::task::id()); }",
        &[
            "tokio::time::sleep",
            "tokio::task::spawn",
            "tokio::task::id",
        ],
    );
    check(
        "cfg_if::cfg_if! { if #[cfg(unix)] { fn a() { tokio::spawn(g()); } } else { fn b() { tokio::spawn(g()); } } }",
        &["tokio::task::spawn", "tokio::task::spawn"],
    );
    check(
        "macro_rules! go { ($e:expr) => { tokio::spawn($e); }; }",
        &["tokio::task::spawn"],
    );
    check(
        "fn f() { json!({ \"a\": tokio::task::id(), \"b\": [tokio::task::id()] }); }",
        &["tokio::task::id", "tokio::task::id"],
    );
}
