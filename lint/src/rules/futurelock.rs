//! AS206 `futurelock`: waiting for what a future that nobody polls may hold.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::Level;
use crate::point::{Flag, Point, What};
use crate::shape::{Scan, Seen, Step, bound_name, called_name, is_spawn_like, last_segment};
use asupersync_source::load::SourceFile;
use asupersync_source::macros::{MacroBody, Select};
use asupersync_source::walk::{Cursor, Node, bare};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::Visit;
use syn::{Expr, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS206",
    name: "futurelock",
    level: Level::Deny,
    heard: Heard::Everywhere,
    summary: "a handler waits for what a future of another branch, polled by reference, may hold",
    what: "Flags a `select!` in which one branch polls `&mut future` and the handler of another awaits a lock, permit or channel place that the future waits for or holds too. Both uses are followed to a variable or field through `clone`.",
    why: "While a handler runs, no branch is polled. If the future has got the lock, or is next in its queue, it keeps it and cannot go on; the handler waits for it, and neither ever ends.",
    example: r#"use std::time::Duration;

async fn run(state: &tokio::sync::Mutex<u32>) {
    let slow = async {
        let mut guard = state.lock().await;
        *guard += 1;
    };
    tokio::pin!(slow);
    tokio::select! {
        _ = &mut slow => {}
        _ = tokio::time::sleep(Duration::from_secs(1)) => {
            *state.lock().await += 1;
        }
    }
}"#,
    instead: r#"use std::time::Duration;

async fn run(state: &tokio::sync::Mutex<u32>) {
    let slow = async {
        let mut guard = state.lock().await;
        *guard += 1;
    };
    let late = tokio::select! {
        _ = slow => false,
        _ = tokio::time::sleep(Duration::from_secs(1)) => true,
    };
    if late {
        *state.lock().await += 1;
    }
}"#,
    asks: &[Ask::Points(check)],
};

/// Waits in a queue, by method: all of them without arguments but the last two.
const QUEUES: &[&str] = &[
    "lock",
    "lock_owned",
    "read",
    "read_owned",
    "write",
    "write_owned",
    "acquire",
    "acquire_owned",
    "acquire_many",
    "acquire_many_owned",
    "reserve",
    "reserve_many",
    "reserve_owned",
    "send",
];

/// Types of this kind may be waited for by whatever function they are handed to.
const SHARED: &[&str] = &[
    "tokio::sync::Mutex",
    "tokio::sync::RwLock",
    "tokio::sync::Semaphore",
    "tokio::sync::mpsc::Sender",
];

fn check(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let What::Select(select) = point.what else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (at, branch) in select.branches.iter().enumerate() {
        let Some(name) = polled_by_reference(&branch.future) else {
            continue;
        };
        let Some((init, aliases)) = origin(point.cursor, &name) else {
            continue;
        };
        let finder = Finder {
            cursor: point.cursor,
            aliases: &aliases,
        };
        let held = finder.resources(init);
        if !held.is_empty() {
            found.extend(finder.conflicts(select, at, &name, &held));
        }
    }
    found
}

/// `&mut name` or `name.as_mut()`.
fn polled_by_reference(future: &Expr) -> Option<String> {
    match bare(future) {
        Expr::Reference(reference) if reference.mutability.is_some() => {
            crate::shape::name_of(&reference.expr)
        }
        Expr::MethodCall(call) if call.method == "as_mut" => crate::shape::name_of(&call.receiver),
        _ => None,
    }
}

/// What the variable was made from, and which variables are clones of which.
fn origin<'p>(cursor: &Cursor<'_, 'p>, name: &str) -> Option<(&'p Expr, BTreeMap<String, String>)> {
    let mut init = None;
    let mut aliases = BTreeMap::new();
    for node in cursor.ancestors() {
        match node {
            Node::Stmt { stmts, at } => {
                for stmt in stmts[..at].iter().rev() {
                    let Some((bound, value)) = binding(cursor.file(), stmt) else {
                        continue;
                    };
                    if bound == name {
                        init = init.or(Some(value));
                    } else if let Some(of) = cloned(cursor.file(), value) {
                        aliases.entry(bound).or_insert(of);
                    }
                }
            }
            Node::Function { .. } | Node::Item(_) => break,
            _ => {}
        }
    }
    let init = init?;
    // A task is polled by the runtime, whatever this one does.
    if is_spawn_like(bare(init)) {
        return None;
    }
    Some((init, aliases))
}

/// The variable a statement binds, and its value: `let name = value;` or `pin! { let name = value; }`.
fn binding<'p>(file: &'p SourceFile, stmt: &'p Stmt) -> Option<(String, &'p Expr)> {
    let local = match stmt {
        Stmt::Local(local) => local,
        Stmt::Macro(call) => match file.macro_body(&call.mac)? {
            MacroBody::Stmts(stmts) => match stmts.as_slice() {
                [Stmt::Local(local), ..] => local,
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    };
    Some((bound_name(&local.pat)?, &local.init.as_ref()?.expr))
}

/// What a value is a clone of: `x.clone()`, `Arc::clone(&x)`.
fn cloned(file: &SourceFile, value: &Expr) -> Option<String> {
    match bare(value) {
        Expr::MethodCall(call) if call.method == "clone" => text(file, &call.receiver),
        Expr::Call(call) if called_name(bare(value)).as_deref() == Some("clone") => {
            text(file, call.args.first()?)
        }
        _ => None,
    }
}

/// A variable or field as it is written, without references, calls of `clone` and the like; none for anything else.
fn text(file: &SourceFile, expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        Expr::Field(field) => {
            let base = text(file, &field.base)?;
            Some(format!("{base}.{}", &file.text[file.range(&field.member)]))
        }
        Expr::Reference(reference) => text(file, &reference.expr),
        Expr::Unary(unary) => text(file, &unary.expr),
        Expr::MethodCall(call)
            if matches!(
                call.method.to_string().as_str(),
                "clone" | "as_ref" | "borrow"
            ) =>
        {
            text(file, &call.receiver)
        }
        _ => None,
    }
}

struct Finder<'c, 'i, 'p> {
    cursor: &'c Cursor<'i, 'p>,
    aliases: &'c BTreeMap<String, String>,
}

impl<'p> Finder<'_, '_, 'p> {
    /// What a call waits for, or may.
    fn waits_for(&self, call: &Expr) -> Vec<String> {
        let file = self.cursor.file();
        let mut found = Vec::new();
        match call {
            Expr::MethodCall(method) => {
                let name = method.method.to_string();
                if QUEUES.contains(&name.as_str()) && !self.is_other(&name, method) {
                    found.extend(text(file, &method.receiver));
                    return found;
                }
                found.extend(self.shared(method.args.iter()));
            }
            Expr::Call(call) if !is_constructor(&call.func) => {
                found.extend(self.shared(call.args.iter()));
            }
            _ => {}
        }
        found
    }

    /// A method of that name of something that is known to be no queue: `file.read(&mut buffer)`, `socket.send(data)`, `unbounded.send(1)`.
    fn is_other(&self, name: &str, call: &syn::ExprMethodCall) -> bool {
        let wanted = usize::from(matches!(
            name,
            "send" | "acquire_many" | "acquire_many_owned"
        ));
        if call.args.len() != wanted {
            return true;
        }
        let mut ty = self.cursor.type_of(&call.receiver);
        while let Some(next) = ty.dereferenced(self.cursor.index()) {
            ty = next;
        }
        match ty.path() {
            Some(path) => !SHARED.contains(&path),
            // Without a type `send` may be anything.
            None => name == "send",
        }
    }

    /// The arguments that are locks, semaphores or senders.
    fn shared<'e>(&self, arguments: impl Iterator<Item = &'e Expr>) -> Vec<String> {
        arguments
            .filter(|argument| {
                let mut ty = self.cursor.type_of(argument);
                while let Some(next) = ty.dereferenced(self.cursor.index()) {
                    ty = next;
                }
                ty.path().is_some_and(|path| SHARED.contains(&path))
            })
            .filter_map(|argument| text(self.cursor.file(), argument))
            .collect()
    }

    fn original(&self, name: String) -> String {
        let mut name = name;
        // A chain of clones is at most as long as there are clones.
        for _ in 0..self.aliases.len() {
            match self.aliases.get(&name) {
                Some(of) if *of != name => name.clone_from(of),
                _ => break,
            }
        }
        name
    }

    /// Everything an expression may wait for, in nested blocks too.
    fn resources(&self, init: &'p Expr) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut see = |seen: Seen<'p>| {
            if let Seen::Expr(expr) = seen {
                if is_spawn_like(expr) {
                    return Step::Over;
                }
                found.extend(self.waits_for(expr));
            }
            Step::Into
        };
        Scan::new(self.cursor.file(), &mut see).visit_expr(init);
        found.into_iter().map(|name| self.original(name)).collect()
    }

    /// The awaits in other handlers for something in `held`.
    fn conflicts(
        &self,
        select: &'p Select,
        own: usize,
        future: &str,
        held: &BTreeSet<String>,
    ) -> Vec<Flag> {
        let file = self.cursor.file();
        let mut flags = Vec::new();
        let others = select
            .branches
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != own)
            .map(|(_, branch)| &branch.handler)
            .chain(&select.otherwise);
        for handler in others {
            let mut see = |seen: Seen<'p>| {
                let Seen::Expr(expr) = seen else {
                    return Step::Into;
                };
                if matches!(expr, Expr::Closure(_) | Expr::Async(_)) || is_spawn_like(expr) {
                    return Step::Over;
                }
                if let Expr::Await(wait) = expr {
                    let resource = self
                        .waits_for(bare(&wait.base))
                        .into_iter()
                        .find(|name| held.contains(&self.original(name.clone())));
                    if let Some(resource) = resource {
                        flags.push(Flag {
                            range: file.range(bare(&wait.base)),
                            verdict: verdict(&resource, future),
                        });
                    }
                }
                Step::Into
            };
            Scan::new(file, &mut see).visit_expr(handler);
        }
        flags
    }
}

/// `Some(tx)`, `Arc::new(lock)`: nobody waits there.
fn is_constructor(function: &Expr) -> bool {
    match bare(function) {
        Expr::Path(path) => {
            let name = last_segment(&path.path);
            name.starts_with(char::is_uppercase)
                || matches!(name.as_str(), "new" | "clone" | "from" | "drop")
        }
        _ => false,
    }
}

fn verdict(resource: &str, future: &str) -> Verdict {
    Verdict {
        message: format!(
            "waits for `{resource}`, which `{future}` may hold and is not polled to release"
        ),
        label: format!("`{future}` stands still while this handler runs"),
        why: format!(
            "if `{future}` has `{resource}`, or is next in its queue, neither of the two ever goes on"
        ),
        help: format!(
            "end `{future}` first, give it to a task of its own, or do this after the `select!`"
        ),
        fix: None,
    }
}
