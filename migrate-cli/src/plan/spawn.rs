//! The edits of forms that run a future or closure: spawns, `timeout`, `block_on`.

use super::{Planner, SourceKey};
use crate::decide;
use crate::flow::bare;
use crate::model::{Shape, SiteId};
use asupersync_source::edit::Edit;
use asupersync_source::load::{FileId, ident_text};
use std::collections::BTreeSet;
use syn::Expr;

/// How a body is wrapped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrap {
    /// It outlives the caller: `async move |cx|`, with borrowed arguments computed before.
    Owned,
    /// It runs within the caller: `async |cx|`.
    Borrowed,
}

impl<'p> Planner<'_, 'p> {
    pub(super) fn spawn(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Call(call) = site.shape else {
            return;
        };
        let file = site.file;
        let written = self.cx(site.frame).receiver;
        let callee = self.file(file).range(&call.func);
        let verb = if decide::nobody_waits(self.model(), id) {
            "spawn_daemon"
        } else {
            "spawn"
        };
        self.replace(file, callee, format!("{written}.{verb}"));
        let Some(body) = call.args.first() else {
            return;
        };
        if site.detached && !self.is_used(SourceKey::Body(id)) {
            self.drop_when_asked(id, file, body);
        } else {
            self.wrap(id, file, body, Wrap::Owned);
        }
    }

    /// A detached task in which nothing answers cancellation is dropped when it is asked to stop, as tokio drops it when the
    /// runtime ends.
    fn drop_when_asked(&mut self, id: SiteId, file: FileId, body: &'p Expr) {
        let name = self.name(self.model().site(id).frame);
        let range = self.file(file).range(body);
        let (open, close) = match bare(body) {
            Expr::Async(_) | Expr::Path(_) => (
                format!("async move |{name}| {name}.cancellable("),
                ").await".to_owned(),
            ),
            // The future is made here, as before.
            _ => (
                "{ let task = ".to_owned(),
                format!("; async move |{name}| {name}.cancellable(task).await }}"),
            ),
        };
        self.edit(file, Edit::insert(range.start, open).ranked(-6));
        self.edit(file, Edit::insert(range.end, close).ranked(6));
    }

    pub(super) fn spawn_blocking(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Call(call) = site.shape else {
            return;
        };
        let file = site.file;
        let written = self.cx(site.frame).receiver;
        let callee = self.file(file).range(&call.func);
        self.replace(file, callee, format!("{written}.spawn_blocking"));
        let Some(work) = call.args.first() else {
            return;
        };
        let parameter = self.parameter(id, site.frame);
        match bare(work) {
            Expr::Closure(closure) if closure.inputs.is_empty() => {
                let at = self.file(file).range(&closure.or1_token).end;
                self.insert(file, at, parameter);
            }
            Expr::Path(_) => {
                let range = self.file(file).range(work);
                self.edit(
                    file,
                    Edit::insert(range.start, format!("move |{parameter}| ")).ranked(-2),
                );
                self.edit(file, Edit::insert(range.end, "()").ranked(2));
            }
            _ => self.refuse(id, "the work is neither a closure nor a function"),
        }
    }

    pub(super) fn timeout(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Call(call) = site.shape else {
            return;
        };
        let file = site.file;
        let written = self.cx(site.frame).receiver;
        let callee = self.file(file).range(&call.func);
        if decide::timeout_drains(self.model(), id) {
            self.replace(file, callee, format!("{written}.timeout"));
            if let Some(work) = call.args.iter().nth(1) {
                if let Some(passed) = decide::passed_cx(work) {
                    // The operation has moved before; its `Cx` becomes the one of the timeout's region.
                    let name = self.name(site.frame);
                    let range = self.file(file).range(passed.argument);
                    self.replace(file, range, format!("&{name}"));
                    self.used.insert(SourceKey::Body(id));
                }
                self.wrap(id, file, work, Wrap::Borrowed);
            }
        } else {
            self.replace(file, callee, format!("{written}.timeout_drop"));
        }
    }

    pub(super) fn block_on(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Method(call) = site.shape else {
            return;
        };
        let file = site.file;
        if let Some(work) = call.args.first() {
            if self.captures_whole_variables(file) {
                self.borrow_apart(id, &call.receiver, work);
            }
            self.wrap(id, file, work, Wrap::Borrowed);
        }
        let end = self.file(file).range(call).end;
        let text = ".expect(\"the root region ended without a panic\")";
        self.insert(file, end, text);
    }

    /// Before edition 2021 a closure that names `a.b` captures all of `a`.
    fn captures_whole_variables(&self, file: FileId) -> bool {
        self.package_of(file).is_some_and(|package| {
            matches!(
                self.input.project.packages[package].edition.as_str(),
                "2015" | "2018"
            )
        })
    }

    /// `a.rt.block_on(a.inner.get(key))`: the part of `a` that the future is made from is borrowed by a statement before, so that
    /// the closure does not capture the part that runs it.
    fn borrow_apart(&mut self, id: SiteId, runtime: &'p Expr, work: &'p Expr) {
        let Expr::MethodCall(call) = bare(work) else {
            return;
        };
        let (Some(one), Some(other)) = (root(runtime), root(&call.receiver)) else {
            return;
        };
        let Expr::Field(field) = bare(&call.receiver) else {
            return;
        };
        let syn::Member::Named(name) = &field.member else {
            return;
        };
        if one != other {
            return;
        }
        let callee = self
            .model()
            .calls
            .iter()
            .find(
                |found| matches!(found.expr, Expr::MethodCall(found) if std::ptr::eq(found, call)),
            )
            .map(|found| found.callee);
        let Some(receiver) = callee.and_then(|callee| self.model().function(callee).sig.receiver())
        else {
            return;
        };
        let borrow = match (&receiver.reference, &receiver.mutability) {
            (Some(_), Some(_)) => "&mut ",
            (Some(_), None) => "&",
            (None, _) => "",
        };
        let site = self.model().site(id);
        let file = site.file;
        let name = ident_text(name);
        let range = self.file(file).range(&*call.receiver);
        let text = self.file(file).slice(range.clone()).to_owned();
        let indent = self.indent(file, site.statement);
        let statement = format!("let {name} = {borrow}{text};\n{indent}");
        self.edit(file, Edit::insert(site.statement, statement).ranked(-9));
        self.replace(file, range, name);
    }

    /// Makes a future the body of an async closure that takes a `Cx`.
    fn wrap(&mut self, id: SiteId, file: FileId, body: &'p Expr, wrap: Wrap) {
        let frame = self.model().site(id).frame;
        let parameter = self.parameter(id, frame);
        let keyword = match wrap {
            Wrap::Owned => "async move",
            Wrap::Borrowed => "async",
        };
        if let Expr::Async(block) = bare(body) {
            let start = self.file(file).range(&block.async_token).start;
            let end = match &block.capture {
                Some(token) => self.file(file).range(token).end,
                None => self.file(file).range(&block.async_token).end,
            };
            let keyword = if block.capture.is_some() {
                "async move"
            } else {
                keyword
            };
            self.replace(file, start..end, format!("{keyword} |{parameter}|"));
            if self.by_reference.contains(&id) {
                let at = self.block_start(file, &block.block);
                let indent = self.deeper(file, at);
                let multiline = self.file(file).text[at..]
                    .trim_start_matches([' ', '\t', '\r'])
                    .starts_with('\n');
                let text = if multiline {
                    format!("\n{indent}let {parameter} = &{parameter};")
                } else {
                    format!(" let {parameter} = &{parameter};")
                };
                self.insert(file, at, text);
            }
            return;
        }
        let range = self.file(file).range(body);
        let uses = self.is_used(SourceKey::Body(id));
        if wrap == Wrap::Owned && !uses && !matches!(bare(body), Expr::Path(_)) {
            // The future is made here, as before, and only awaited over there.
            self.edit(file, Edit::insert(range.start, "{ let task = ").ranked(-6));
            let close = format!("; async move |{parameter}| task.await }}");
            self.edit(file, Edit::insert(range.end, close).ranked(6));
            return;
        }
        let hoisted = if wrap == Wrap::Owned {
            self.hoist(file, body)
        } else {
            Vec::new()
        };
        let inner = if self.by_reference.contains(&id) {
            self.by_reference_inline(&parameter)
        } else {
            (String::new(), String::new())
        };
        if hoisted.is_empty() {
            let open = format!("{keyword} |{parameter}| {}", inner.0);
            self.edit(file, Edit::insert(range.start, open).ranked(-6));
            self.edit(
                file,
                Edit::insert(range.end, format!(".await{}", inner.1)).ranked(6),
            );
            return;
        }
        let indent = self.indent(file, range.start);
        let deeper = self.deeper(file, range.start);
        let mut open = String::from("{\n");
        for (name, value) in &hoisted {
            open.push_str(&format!("{deeper}let {name} = {value};\n"));
        }
        open.push_str(&format!("{deeper}{keyword} |{parameter}| {}", inner.0));
        self.edit(file, Edit::insert(range.start, open).ranked(-6));
        self.edit(
            file,
            Edit::insert(range.end, format!(".await{}\n{indent}}}", inner.1)).ranked(6),
        );
    }

    fn by_reference_inline(&self, parameter: &str) -> (String, String) {
        (
            format!("{{ let {parameter} = &{parameter}; "),
            " }".to_owned(),
        )
    }

    /// Arguments of a call that are more than a name are computed before the task, as they were.
    fn hoist(&mut self, file: FileId, body: &'p Expr) -> Vec<(String, String)> {
        let args = match bare(body) {
            Expr::Call(call) => &call.args,
            Expr::MethodCall(call) => &call.args,
            _ => return Vec::new(),
        };
        let mut taken = BTreeSet::new();
        let mut hoisted = Vec::new();
        for argument in args {
            if matches!(bare(argument), Expr::Path(_) | Expr::Lit(_)) {
                continue;
            }
            let base = match bare(argument) {
                Expr::MethodCall(call) => match bare(&call.receiver) {
                    Expr::Path(path) => path.path.get_ident().map(ident_text),
                    Expr::Field(field) => match &field.member {
                        syn::Member::Named(name) => Some(ident_text(name)),
                        syn::Member::Unnamed(_) => None,
                    },
                    _ => None,
                },
                _ => None,
            };
            let mut name = base
                .filter(|name| name != "self")
                .unwrap_or_else(|| "argument".to_owned());
            while !taken.insert(name.clone()) {
                name.push_str("_too");
            }
            let range = self.file(file).range(argument);
            let value = self.file(file).slice(range.clone()).to_owned();
            // Only what no rule touches can be moved as text.
            let touched = self.model().sites.iter().any(|site| {
                site.file == file && range.start <= site.range.start && site.range.end <= range.end
            });
            if touched {
                continue;
            }
            self.replace(file, range, name.clone());
            hoisted.push((name, value));
        }
        hoisted
    }
}

/// The variable that a chain of fields starts with.
fn root(expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::Path(path) => path.path.get_ident().map(ident_text),
        Expr::Field(field) => root(&field.base),
        _ => None,
    }
}
