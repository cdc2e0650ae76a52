//! Reading Rust source: packages and module trees, name resolution with small type inference, what the compiler says, byte edits.
//!
//! The crate is the part that `cargo asupersync-lint` and `asupersync-migrate` share. It knows nothing of lint rules or rewrites.
//!
//! * [`load`] turns a package, a workspace, a file or a directory into a [`load::Project`]: targets, files with their text and
//!   syntax tree, and what could not be read. One broken file never hides the others.
//! * [`macros`] parses the bodies of macro calls (`select!`, `join!`, `println!`, `cfg_if!`, ..) so that they can be walked like
//!   any other code; the spans of the pieces are positions in the file.
//! * [`resolve`] answers what a path means: uses, aliases, globs, re-exports, `extern crate .. as`, cargo renames.
//! * [`types`] infers the type of an expression as far as annotations, constructors, signatures and the table in [`known`] carry.
//! * [`walk`] visits every item and expression of a target with the scope in force at that point.
//! * [`compiler`] runs `cargo check` or `cargo clippy` and parses its messages.
//! * [`edit`] applies byte-range edits to a file's text.
//!
//! # Positions
//!
//! Every position that leaves this crate is a byte range into [`load::SourceFile::text`], the file exactly as it stands on disk: a
//! byte order mark and a `#!` line count, as does the carriage return of a CRLF line end.
//!
//! # Names
//!
//! An absolute path is the `::`-joined text that starts with a crate: `tokio::sync::mpsc::channel`, `std::time::Instant::now`,
//! `my_lib::net::Client::connect`. Renamed dependencies appear under their real name and re-exports under one canonical name
//! ([`known::canonical`]): `tokio::spawn` is `tokio::task::spawn`, `core::..` and `alloc::..` are `std::..`. A target that is not
//! a library has its kind in its crate segment (`bin:server`, `test:smoke`), since its name may equal the library's.
//!
//! # Example
//!
//! ```
//! use asupersync_source::{load::Project, resolve::Index, walk::{self, Cursor, Visitor}};
//!
//! struct Spawns(Vec<String>);
//! impl<'p> Visitor<'p> for Spawns {
//!     fn expr(&mut self, cursor: &Cursor<'_, 'p>, expr: &'p syn::Expr) {
//!         if let syn::Expr::Call(_) | syn::Expr::MethodCall(_) = expr {
//!             self.0.extend(cursor.callee(expr).map(|callee| callee.path));
//!         }
//!     }
//! }
//!
//! let project = Project::from_source("demo.rs", "use tokio::task as t; fn f() { t::spawn(async {}); }").unwrap();
//! let index = Index::new(&project);
//! let mut spawns = Spawns(Vec::new());
//! for target in &project.targets {
//!     walk::walk(&index, target, &mut spawns);
//! }
//! assert_eq!(spawns.0, ["tokio::task::spawn"]);
//! ```
//!
//! Syntax trees carry spans that live in a table of the thread that parsed them, so a [`load::Project`] is used on one thread.

#![forbid(unsafe_code)]

pub mod compiler;
mod cursor;
pub mod edit;
pub mod known;
pub mod load;
pub mod macros;
pub mod resolve;
pub mod types;
pub mod walk;
