//! The edits around an operation whose result has changed: what was a bare value may now be a cancellation, what was an `Option` is
//! a `Result`, what was a `Result` is an `Outcome`.

use super::{Planner, Written};
use crate::flow::bare;
use crate::model::{Entry, FnId, FrameId, FrameKind, Shape, SiteId, Usage};
use crate::rules::{Family, Fix};
use asupersync_source::edit::Edit;
use asupersync_source::load::{FileId, ident_text};
use asupersync_source::resolve::Namespace;
use syn::{Expr, GenericArgument, Pat, PathArguments, ReturnType, Type};

/// How code leaves when its task is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// `?`: the error type takes `Cancelled`.
    Try,
    /// `return`: nothing is returned.
    Return,
    /// `.unwrap()`: a test fails.
    Unwrap,
    /// There is no way out.
    None,
}

impl<'p> Planner<'_, 'p> {
    /// How the code at a frame leaves.
    pub(super) fn exit(&self, frame: FrameId) -> Exit {
        for at in self.model().outwards(frame) {
            match self.model().frame(at).kind {
                FrameKind::Async(block) => {
                    return if Self::is_unit_block(&block.block) && !returns_value(&block.block) {
                        Exit::Return
                    } else {
                        Exit::None
                    };
                }
                FrameKind::Closure(_) | FrameKind::MacroBlock | FrameKind::Sealed => {
                    return Exit::None;
                }
                FrameKind::Function(id) => return self.function_exit(id),
                _ => {}
            }
        }
        Exit::None
    }

    /// Whether the function at a frame returns a `Result` of an I/O error.
    pub(super) fn returns_io_error(&self, frame: FrameId) -> bool {
        let Some(id) = self.frame_function(frame) else {
            return false;
        };
        let ReturnType::Type(_, ty) = &self.model().function(id).sig.output else {
            return false;
        };
        let Type::Path(path) = &**ty else {
            return false;
        };
        match self.input.facts.path(&path.path) {
            Some("std::io::Result" | "tokio::io::Result") => true,
            Some("std::result::Result") => {
                path.path
                    .segments
                    .last()
                    .is_some_and(|last| match &last.arguments {
                        PathArguments::AngleBracketed(list) => list.args.iter().any(|argument| {
                            matches!(argument, GenericArgument::Type(Type::Path(error))
                            if self.input.facts.path(&error.path) == Some("std::io::Error"))
                        }),
                        _ => false,
                    })
            }
            _ => false,
        }
    }

    fn function_exit(&self, id: FnId) -> Exit {
        let function = self.model().function(id);
        match &function.sig.output {
            ReturnType::Default if function.is_test => Exit::Unwrap,
            ReturnType::Default if matches!(function.entry, Entry::Tokio(_)) => Exit::Return,
            ReturnType::Default => Exit::Return,
            ReturnType::Type(_, ty) => {
                if matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
                    return Exit::Return;
                }
                match self.result_error(ty, 0) {
                    Some(true) => Exit::Try,
                    _ if function.is_test => Exit::Unwrap,
                    _ => Exit::None,
                }
            }
        }
    }

    /// Whether a type is a `Result` whose error takes `Cancelled`; none where it is no `Result`.
    fn result_error(&self, ty: &Type, depth: usize) -> Option<bool> {
        const ALIASES: usize = 8;
        let Type::Path(path) = ty else { return None };
        let found = self.input.facts.path(&path.path)?;
        match found {
            "std::io::Result" | "tokio::io::Result" | "anyhow::Result" | "eyre::Result" => {
                return Some(true);
            }
            _ => {}
        }
        if found == "std::result::Result" {
            let PathArguments::AngleBracketed(list) = &path.path.segments.last()?.arguments else {
                return Some(false);
            };
            let error = list.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            return Some(
                error
                    .into_iter()
                    .nth(1)
                    .is_some_and(|error| self.takes_cancelled(error, 0)),
            );
        }
        if depth < ALIASES
            && let Some(asupersync_source::resolve::Definition::Alias(alias)) =
                self.input.index.definition(found, Namespace::Type)
        {
            return self.result_error(alias, depth + 1);
        }
        None
    }

    fn takes_cancelled(&self, error: &Type, depth: usize) -> bool {
        const ALIASES: usize = 8;
        let Type::Path(path) = error else {
            return false;
        };
        let Some(found) = self.input.facts.path(&path.path) else {
            return false;
        };
        match found {
            "std::io::Error" | "anyhow::Error" | "eyre::Report" => return true,
            "std::boxed::Box" => {
                let Some(last) = path.path.segments.last() else {
                    return false;
                };
                let PathArguments::AngleBracketed(list) = &last.arguments else {
                    return false;
                };
                return list.args.iter().any(|argument| {
                    matches!(argument, GenericArgument::Type(Type::TraitObject(_)))
                });
            }
            _ => {}
        }
        if depth < ALIASES
            && let Some(asupersync_source::resolve::Definition::Alias(alias)) =
                self.input.index.definition(found, Namespace::Type)
        {
            return self.takes_cancelled(alias, depth + 1);
        }
        false
    }

    /// Rewrites an operation that can now fail, and what is around it; `then` is given the `Cx` as it is to be written.
    pub(super) fn fallible(&mut self, id: SiteId, fix: Fix, then: impl FnOnce(&mut Self, &str)) {
        let site = self.model().site(id);
        let file = site.file;
        let written = self.cx(site.frame);
        let is_method = matches!(site.shape, crate::model::Shape::Method(_));
        let plain = if is_method {
            written.argument.clone()
        } else {
            written.receiver.clone()
        };
        if fix != Fix::Fallible {
            then(self, &plain);
            return;
        }
        let patient = patient(&written);
        let exit = self.exit(site.frame);
        let chosen = if exit == Exit::None { patient } else { plain };
        let Some(awaited) = site.awaited else {
            if let Usage::Arm { branch, call } = site.usage {
                self.fallible_arm(id, call, branch);
            } else if site.family == Family::Notify {
                self.refuse(id, "the notification is not awaited where it stands");
            }
            then(self, &chosen);
            return;
        };
        let range = self.file(file).range(awaited);
        let is_unit = !site.item.ends_with("::tick");
        match (site.usage, exit) {
            (Usage::Statement | Usage::Value | Usage::Ignored(_), Exit::Try | Exit::Unwrap) => {
                let suffix = if exit == Exit::Try { "?" } else { ".unwrap()" };
                self.edit(file, Edit::insert(range.end, suffix).ranked(9));
            }
            (Usage::Statement, Exit::Return) => {
                self.return_if_cancelled(file, range.start..range.end, true)
            }
            (Usage::Ignored(local), Exit::Return) => {
                let start = self.file(file).range(local).start;
                self.delete(file, start..range.start);
                self.return_if_cancelled(file, range.start..range.end, true);
            }
            (Usage::Value, Exit::Return) if is_unit => {
                self.return_if_cancelled(file, range.start..range.end, false);
            }
            (Usage::Statement, Exit::None) => {
                self.edit(file, Edit::insert(range.start, "let _ = ").ranked(-9));
            }
            (Usage::Ignored(_), Exit::None) => {}
            (Usage::Value, Exit::None) if is_unit => {
                self.edit(file, Edit::insert(range.start, "{ let _ = ").ranked(-9));
                self.edit(file, Edit::insert(range.end, "; }").ranked(9));
            }
            (Usage::Tried, _) => {}
            _ => {
                self.refuse(id, "cancellation has no way out of this expression");
                return;
            }
        }
        then(self, &chosen);
    }

    /// A wait for a lock hands out the guard: cancellation leaves the function where it can leave with an error, else the wait
    /// does not end early and cannot fail.
    pub(super) fn guard(&mut self, id: SiteId, then: impl FnOnce(&mut Self, &str)) {
        let site = self.model().site(id);
        let Some(awaited) = site.awaited else {
            if matches!(site.usage, Usage::Arm { .. }) {
                self.fallible(id, Fix::Fallible, then);
            } else {
                self.refuse(id, "it is not awaited where it stands");
            }
            return;
        };
        let (file, frame) = (site.file, site.frame);
        let written = self.cx(frame);
        // These have error types of their own, which no I/O error is made of.
        let foreign =
            matches!(site.family, Family::Mutex | Family::Barrier) && self.returns_io_error(frame);
        let (chosen, suffix) = match self.exit(frame) {
            Exit::Try if !foreign => (written.argument, "?"),
            Exit::Unwrap => (written.argument, ".unwrap()"),
            _ => (patient(&written), ".unwrap()"),
        };
        let end = self.file(file).range(awaited).end;
        self.edit(file, Edit::insert(end, suffix).ranked(1));
        then(self, &chosen);
    }

    /// `if .. .is_err() { return; }` around an awaited expression.
    fn return_if_cancelled(
        &mut self,
        file: FileId,
        range: std::ops::Range<usize>,
        statement: bool,
    ) {
        self.edit(file, Edit::insert(range.start, "if ").ranked(-9));
        let text = &self.file(file).text;
        let own_line = text[self.line_start(file, range.start)..range.start]
            .trim()
            .is_empty();
        if statement && text[range.end..].starts_with(';') {
            let indent = self.indent(file, range.start);
            let deeper = self.deeper(file, range.start);
            let body = if own_line {
                format!(".is_err() {{\n{deeper}return;\n{indent}}}")
            } else {
                ".is_err() { return; }".to_owned()
            };
            self.replace(file, range.end..range.end + 1, body);
        } else {
            self.edit(
                file,
                Edit::insert(range.end, ".is_err() { return; }").ranked(9),
            );
        }
    }

    /// In a `select!` arm, cancellation must not look like the operation having ended.
    fn fallible_arm(&mut self, id: SiteId, call: &'p syn::Macro, branch: usize) {
        let file = self.model().site(id).file;
        let Some(arm) = self.arm(file, call, branch) else {
            return;
        };
        let range = self.file(file).range(&arm.pat);
        match &arm.pat {
            Pat::Wild(_) => self.replace(file, range, "Ok(_)"),
            Pat::Ident(_) | Pat::Tuple(_) => {
                let text = self.file(file).slice(range.clone()).to_owned();
                self.replace(file, range, format!("Ok({text})"));
            }
            pat if self.option_pattern(file, pat, false) => {
                self.option_pattern(file, pat, true);
            }
            _ => self.refuse(id, "the pattern of this arm is not known"),
        }
    }

    /// A loop that consumes a channel waits through the cleanup view.
    pub(super) fn drain(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Some(drain) = site.drain else { return };
        let Some(before) = drain.before else { return };
        let nested = self
            .model()
            .outwards(site.frame)
            .skip(1)
            .take_while(|at| !matches!(self.model().frame(*at).kind, FrameKind::Body(_)))
            .any(|at| {
                matches!(self.model().frame(at).kind, FrameKind::Drain(outer)
                    if outer != id && self.decision.rewrites(outer))
            });
        if nested {
            return;
        }
        let file = site.file;
        let name = self.name(site.frame);
        let indent = self.indent(file, before);
        self.edit(
            file,
            Edit::insert(before, format!("let {name} = {name}.cleanup();\n{indent}")).ranked(-8),
        );
    }

    /// Whether a loop around a receive goes on whatever the error is.
    pub(super) fn goes_on_for_ever(&self, id: SiteId) -> bool {
        let site = self.model().site(id);
        let Usage::Match(matched) = site.usage else {
            return false;
        };
        let looped = self
            .model()
            .outwards(site.frame)
            .take_while(|at| !matches!(self.model().frame(*at).kind, FrameKind::Function(_)))
            .any(|at| {
                matches!(
                    self.model().frame(at).kind,
                    FrameKind::Loop(_) | FrameKind::Drain(_)
                )
            });
        looped
            && matched.arms.iter().any(|arm| {
                arm.guard.is_none() && takes_any_error(&arm.pat) && !may_leave(&arm.body)
            })
    }

    /// `Some` and `None` around a receive become `Ok` and `Err`.
    pub(super) fn option_to_result(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let file = site.file;
        if let Usage::Arm { branch, call } = site.usage {
            let Some(arm) = self.arm(file, call, branch) else {
                return;
            };
            match &arm.pat {
                Pat::Wild(_) => {}
                Pat::Ident(ident) if !is_none(&arm.pat) => {
                    let name = ident_text(&ident.ident);
                    let mutable = if ident.mutability.is_some() {
                        "mut "
                    } else {
                        ""
                    };
                    self.prefix_handler(
                        file,
                        &arm.handler,
                        &format!("let {mutable}{name} = {name}.ok();"),
                    );
                }
                pat if self.option_pattern(file, pat, false) => {
                    self.option_pattern(file, pat, true);
                }
                _ => self.refuse(id, "the pattern of this arm is not known"),
            }
            return;
        }
        let range = match (site.awaited, site.shape) {
            (Some(awaited), _) => self.file(file).range(awaited),
            (None, Shape::Method(call)) if site.item.ends_with("::blocking_recv") => {
                self.file(file).range(call)
            }
            _ => {
                self.refuse(id, "the receive is not awaited where it stands");
                return;
            }
        };
        let end = range.end;
        let fallback =
            |planner: &mut Self| planner.edit(file, Edit::insert(end, ".ok()").ranked(2));
        match site.usage {
            Usage::WhileLet(_, pat) | Usage::IfLet(pat) | Usage::LetElse(pat) => {
                if self.option_pattern(file, pat, false) {
                    self.option_pattern(file, pat, true);
                } else {
                    fallback(self);
                }
            }
            Usage::Match(matched) => {
                if matched
                    .arms
                    .iter()
                    .all(|arm| self.option_pattern(file, &arm.pat, false))
                {
                    for arm in &matched.arms {
                        self.option_pattern(file, &arm.pat, true);
                    }
                } else {
                    fallback(self);
                }
            }
            Usage::Method(call) => {
                let range = self.file(file).span_range(call.method.span());
                match ident_text(&call.method).as_str() {
                    "unwrap" | "expect" => {}
                    "is_some" => self.replace(file, range, "is_ok"),
                    "is_none" => self.replace(file, range, "is_err"),
                    _ => fallback(self),
                }
            }
            Usage::Statement => self.edit(file, Edit::insert(range.start, "let _ = ").ranked(-9)),
            Usage::Ignored(_) => {}
            Usage::Tried | Usage::Value | Usage::Arm { .. } => fallback(self),
        }
    }

    /// Rewrites a pattern over an `Option`, or says whether that can be done.
    fn option_pattern(&mut self, file: FileId, pat: &Pat, write: bool) -> bool {
        match pat {
            Pat::TupleStruct(tuple) if tuple.path.is_ident("Some") => {
                if write {
                    let range = self.file(file).range(&tuple.path);
                    self.replace(file, range, "Ok");
                }
                true
            }
            _ if is_none(pat) => {
                if write {
                    let range = self.file(file).range(pat);
                    self.replace(file, range, "Err(_)");
                }
                true
            }
            Pat::Wild(_) => true,
            Pat::Or(or) => or
                .cases
                .iter()
                .all(|case| self.option_pattern(file, case, write)),
            Pat::Paren(inner) => self.option_pattern(file, &inner.pat, write),
            _ => false,
        }
    }

    /// What a task came to is folded into a `Result`.
    pub(super) fn outcome(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let file = site.file;
        if let Usage::Arm { branch, call } = site.usage {
            let Some(arm) = self.arm(file, call, branch) else {
                return;
            };
            match &arm.pat {
                Pat::Wild(_) => {}
                Pat::Ident(ident) => {
                    let name = ident_text(&ident.ident);
                    self.prefix_handler(
                        file,
                        &arm.handler,
                        &format!("let {name} = {name}.into_result();"),
                    );
                }
                _ => self.refuse(id, "the pattern of this arm is not known"),
            }
            return;
        }
        let Some(awaited) = site.awaited else {
            self.refuse(id, "the handle is not awaited where it stands");
            return;
        };
        match site.usage {
            Usage::Statement | Usage::Ignored(_) => {}
            _ => {
                let end = self.file(file).range(awaited).end;
                self.edit(file, Edit::insert(end, ".into_result()").ranked(1));
            }
        }
    }

    /// Puts a statement before what a `select!` arm does.
    fn prefix_handler(&mut self, file: FileId, handler: &'p Expr, statement: &str) {
        match handler {
            Expr::Block(block) if block.label.is_none() => {
                let at = self.block_start(file, &block.block);
                let inner = &self.file(file).text[at..];
                let text = if inner
                    .trim_start_matches([' ', '\t', '\r'])
                    .starts_with('\n')
                {
                    format!("\n{}{statement}", self.deeper(file, at))
                } else {
                    format!(" {statement}")
                };
                self.insert(file, at, text);
            }
            other => {
                let range = self.file(file).range(other);
                self.edit(
                    file,
                    Edit::insert(range.start, format!("{{ {statement} ")).ranked(-3),
                );
                self.edit(file, Edit::insert(range.end, " }").ranked(3));
            }
        }
    }
}

/// Whether a pattern over a `Result` matches every error.
fn takes_any_error(pat: &Pat) -> bool {
    match pat {
        Pat::Wild(_) | Pat::Ident(_) => true,
        Pat::TupleStruct(tuple) if tuple.path.is_ident("Err") => {
            tuple.elems.iter().all(takes_any_error)
        }
        Pat::Or(or) => or.cases.iter().any(takes_any_error),
        Pat::Paren(inner) => takes_any_error(&inner.pat),
        _ => false,
    }
}

/// Whether code may leave the loop or function that it stands in, or looks further at what it was given.
fn may_leave(body: &Expr) -> bool {
    struct Leaves(bool);
    impl<'ast> syn::visit::Visit<'ast> for Leaves {
        fn visit_expr_break(&mut self, _: &'ast syn::ExprBreak) {
            self.0 = true;
        }
        fn visit_expr_return(&mut self, _: &'ast syn::ExprReturn) {
            self.0 = true;
        }
        fn visit_expr_try(&mut self, _: &'ast syn::ExprTry) {
            self.0 = true;
        }
        fn visit_macro(&mut self, call: &'ast syn::Macro) {
            let name = call.path.segments.last().map(|last| last.ident.to_string());
            self.0 |= matches!(
                name.as_deref(),
                Some("panic" | "unreachable" | "todo" | "unimplemented" | "bail")
            );
        }
        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
        fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}
        fn visit_item(&mut self, _: &'ast syn::Item) {}
    }
    let mut leaves = Leaves(false);
    syn::visit::Visit::visit_expr(&mut leaves, body);
    leaves.0
}

/// The `Cx` of a wait that does not end early.
pub(super) fn patient(written: &Written) -> String {
    if written.receiver.ends_with(".cleanup()") {
        written.receiver.clone()
    } else {
        format!("{}.cleanup()", written.receiver)
    }
}

fn is_none(pat: &Pat) -> bool {
    match pat {
        Pat::Ident(ident) => ident.ident == "None" && ident.subpat.is_none(),
        Pat::Path(path) => path.path.is_ident("None"),
        _ => false,
    }
}

/// Whether a block leaves its async block or function with a value somewhere.
fn returns_value(block: &syn::Block) -> bool {
    struct Returns(bool);
    impl<'ast> syn::visit::Visit<'ast> for Returns {
        fn visit_expr_return(&mut self, returned: &'ast syn::ExprReturn) {
            self.0 |= returned.expr.as_ref().is_some_and(
                |value| !matches!(bare(value), Expr::Tuple(tuple) if tuple.elems.is_empty()),
            );
        }
        fn visit_expr_try(&mut self, _: &'ast syn::ExprTry) {
            self.0 = true;
        }
        fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}
        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
        fn visit_item(&mut self, _: &'ast syn::Item) {}
    }
    let mut returns = Returns(false);
    syn::visit::Visit::visit_block(&mut returns, block);
    returns.0
}
