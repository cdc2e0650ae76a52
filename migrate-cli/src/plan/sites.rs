//! The edits of calls, method calls and the smaller forms.

use super::Planner;
use super::results::patient;
use crate::flow::stripped;
use crate::model::{FrameId, FrameKind, Shape, SiteId, Usage};
use crate::rules::{Fix, Form, Op};
use asupersync_source::edit::Edit;
use asupersync_source::load::ident_text;
use syn::{Expr, Pat};

impl<'p> Planner<'_, 'p> {
    pub(super) fn site(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Some(op) = site.op() else { return };
        if !matches!(site.form(), Some(Form::Main | Form::Test)) {
            self.plan.uses_runtime.insert(site.file);
        }
        match op {
            Op::Path(_) | Op::Kept(_) => {}
            Op::Function { cx, extra, .. } => {
                if let Shape::Call(call) = site.shape {
                    self.call_arguments(id, call, cx, extra);
                }
            }
            Op::Associated { cx } => {
                if let Shape::Call(call) = site.shape {
                    self.call_arguments(id, call, cx, None);
                }
            }
            Op::OnCx { name, extra, fix } => {
                let Shape::Call(call) = site.shape else {
                    return;
                };
                self.fallible(id, fix, |planner, written| {
                    let file = planner.model().site(id).file;
                    let callee = planner.file(file).range(&call.func);
                    planner.replace(file, callee, format!("{written}.{name}"));
                    if let Some(extra) = extra {
                        planner.append(id, call, extra);
                    }
                });
            }
            Op::Method { name, cx, fix, .. } => {
                let Shape::Method(call) = site.shape else {
                    return;
                };
                if let Some(name) = name {
                    let range = self.file(site.file).span_range(call.method.span());
                    self.replace(site.file, range, name);
                }
                let insert = move |planner: &mut Self, written: &str| {
                    if cx {
                        planner.method_argument(id, call, written);
                    }
                };
                match fix {
                    // A signal is an `Option`, which is mostly not looked at.
                    Fix::Fallible
                        if site.item == "tokio::signal::unix::Signal::recv"
                            && !matches!(
                                site.usage,
                                Usage::Statement | Usage::Ignored(_) | Usage::Arm { .. }
                            ) =>
                    {
                        let written = self.cx(site.frame).argument;
                        insert(self, &written);
                        self.option_to_result(id);
                    }
                    Fix::Fallible => self.fallible(id, fix, insert),
                    Fix::Guard => self.guard(id, insert),
                    _ => {
                        if site.item == "tokio::sync::broadcast::Receiver::recv"
                            && self.goes_on_for_ever(id)
                        {
                            self.refuse(id, "an arm goes on after any error, which it would do for ever once the task is asked to stop: leave for `RecvError::Closed`");
                            return;
                        }
                        if site.item == "tokio::sync::oneshot::Receiver::blocking_recv" {
                            self.make_mutable(id);
                        }
                        let written = self.cx(site.frame).argument;
                        if site.item.starts_with("tokio::io::") && self.is_file(id) {
                            if written.ends_with("cleanup()") || self.is_in_drain(site.frame) {
                                self.refuse(id, "a file is no stream in the cleanup view: read and write it by its own methods");
                                return;
                            }
                            let end = self.file(site.file).range(&*call.receiver).end;
                            self.edit(
                                site.file,
                                Edit::insert(end, format!(".io({written})")).ranked(-1),
                            );
                        }
                        insert(self, &written);
                        if fix == Fix::OptionToResult {
                            self.drain(id);
                            self.option_to_result(id);
                        } else if fix == Fix::Sure {
                            let end = self.file(site.file).range(call).end;
                            self.edit(site.file, Edit::insert(end, ".unwrap()").ranked(1));
                        }
                    }
                }
            }
            Op::Form(form) => self.form(id, form),
        }
    }

    fn form(&mut self, id: SiteId, form: Form) {
        match form {
            Form::Main | Form::Test => self.entry(id),
            Form::Spawn => self.spawn(id),
            Form::SpawnBlocking => self.spawn_blocking(id),
            Form::Timeout => self.timeout(id),
            Form::AwaitHandle => self.outcome(id),
            Form::Abort => self.abort(id),
            Form::AwaitOneshot => self.await_oneshot(id),
            Form::Select => self.select(id),
            Form::Join => {}
            Form::Pin => self.pin(id),
            Form::Elapsed => self.elapsed(id),
            Form::BlockOn => self.block_on(id),
            Form::RuntimeBuilder => self.runtime_builder(id),
            Form::RuntimeNew => {
                if let Shape::Call(call) = self.model().site(id).shape {
                    let file = self.model().site(id).file;
                    let range = self.file(file).range(call);
                    self.replace(file, range, "asupersync::Runtime::builder().build()");
                }
            }
            Form::RuntimeBuild => self.runtime_build(id),
            Form::Dropped => {
                if let Shape::Method(call) = self.model().site(id).shape {
                    let file = self.model().site(id).file;
                    let start = self.file(file).range(&*call.receiver).end;
                    let end = self.file(file).range(call).end;
                    self.delete(file, start..end);
                }
            }
            Form::CtrlC => self.ctrl_c(id),
            Form::SendTo => self.send_to(id),
            Form::Acquire => self.acquire(id),
            Form::PauseClock => self.pause_clock(id),
            Form::AdvanceClock => self.advance_clock(id),
        }
    }

    /// Whether what a method is called on is a file.
    fn is_file(&self, id: SiteId) -> bool {
        let model = self.model();
        let place = model.site(id).place;
        place.is_some_and(|place| model.places.seen(place).contains(crate::rules::FILE))
    }

    /// Whether the `Cx` at a frame is the one of a loop that drains.
    fn is_in_drain(&self, frame: FrameId) -> bool {
        self.model()
            .outwards(frame)
            .take_while(|at| !matches!(self.model().frame(*at).kind, FrameKind::Body(_)))
            .any(|at| {
                matches!(self.model().frame(at).kind, FrameKind::Drain(site) if self.decision.rewrites(site))
            })
    }

    fn call_arguments(
        &mut self,
        id: SiteId,
        call: &'p syn::ExprCall,
        cx: bool,
        extra: Option<&str>,
    ) {
        let site = self.model().site(id);
        let file = site.file;
        if cx {
            let written = self.cx(site.frame).argument;
            let source = self.file(file);
            let open = source.span_range(call.paren_token.span.open()).start;
            let args: Vec<_> = call
                .args
                .iter()
                .map(|argument| source.range(argument))
                .collect();
            self.insert_argument(file, open, args.into_iter(), &written);
        }
        if let Some(extra) = extra {
            self.append(id, call, extra);
        }
    }

    fn append(&mut self, id: SiteId, call: &'p syn::ExprCall, extra: &str) {
        let file = self.model().site(id).file;
        let source = self.file(file);
        let close = source.span_range(call.paren_token.span.close()).start;
        let last = call.args.last().map(|argument| source.range(argument));
        self.append_argument(file, close, last, extra);
    }

    fn method_argument(&mut self, id: SiteId, call: &'p syn::ExprMethodCall, written: &str) {
        let file = self.model().site(id).file;
        let source = self.file(file);
        let open = source.span_range(call.paren_token.span.open()).start;
        let args: Vec<_> = call
            .args
            .iter()
            .map(|argument| source.range(argument))
            .collect();
        self.insert_argument(file, open, args.into_iter(), written);
    }

    fn abort(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Method(call) = site.shape else {
            return;
        };
        let file = site.file;
        let range = self.file(file).span_range(call.method.span());
        self.replace(file, range, "cancel");
        self.method_argument(id, call, "asupersync::CancelKind::User");
    }

    /// `receiver.await` becomes `receiver.recv(cx).await`, which takes the receiver by reference.
    fn await_oneshot(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Awaited(base) = site.shape else {
            return;
        };
        let file = site.file;
        let written = self.cx(site.frame).argument;
        let inner = stripped(base);
        let (whole, inner_range) = (self.file(file).range(base), self.file(file).range(inner));
        if whole.start < inner_range.start {
            self.delete(file, whole.start..inner_range.start);
        }
        self.edit(
            file,
            Edit::insert(inner_range.end, format!(".recv({written})")).ranked(-1),
        );
        if whole.end > inner_range.end {
            self.delete(file, inner_range.end..whole.end);
        }
        if matches!(inner, Expr::Path(_)) {
            let by_reference = matches!(base, Expr::Reference(_)) || whole != inner_range;
            if !by_reference {
                self.make_mutable(id);
            }
        }
    }

    /// Makes the local variable that an operation is called on mutable: it is taken by reference now.
    fn make_mutable(&mut self, id: SiteId) {
        let site = self.model().site(id);
        if let Some(place) = site.place
            && let Some(ident) = self.model().bindings.get(&place)
            && ident.mutability.is_none()
            && ident.by_ref.is_none()
        {
            let at = self.file(site.file).span_range(ident.ident.span()).start;
            if self.made_mutable.insert((site.file, at)) {
                self.insert(site.file, at, "mut ");
            }
        }
    }

    fn elapsed(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Method(call) = site.shape else {
            return;
        };
        let file = site.file;
        let written = self.cx(site.frame).receiver;
        let receiver = self.file(file).range(&*call.receiver);
        let end = self.file(file).range(call).end;
        self.edit(
            file,
            Edit::insert(receiver.start, format!("{written}.now().since(")).ranked(-5),
        );
        self.replace(file, receiver.end..end, ")");
    }

    /// `tokio::pin!(a, b);` becomes a shadowing `let` for each.
    fn pin(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Macro(call) = site.shape else {
            return;
        };
        let file = site.file;
        let Some(asupersync_source::macros::MacroBody::Exprs(exprs)) =
            self.file(file).macro_body(call)
        else {
            self.refuse(id, "`pin!` with a `let` inside");
            return;
        };
        let names: Vec<String> = exprs
            .iter()
            .filter_map(|expr| match expr {
                Expr::Path(path) => path.path.get_ident().map(ident_text),
                _ => None,
            })
            .collect();
        let text = &self.file(file).text;
        let range = self.file(file).range(call);
        if names.len() != exprs.len()
            || !matches!(site.usage, Usage::Statement)
            || !text[range.end..].starts_with(';')
        {
            self.refuse(id, "`pin!` of more than names");
            return;
        }
        let indent = self.indent(file, range.start);
        let lets: Vec<String> = names
            .iter()
            .map(|name| format!("let mut {name} = std::pin::pin!({name});"))
            .collect();
        self.replace(
            file,
            range.start..range.end + 1,
            lets.join(&format!("\n{indent}")),
        );
    }

    fn runtime_builder(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Call(call) = site.shape else {
            return;
        };
        let file = site.file;
        let range = self.file(file).range(call);
        let text = if site.item.ends_with("current_thread") {
            "asupersync::Runtime::builder().current_thread()"
        } else {
            "asupersync::Runtime::builder()"
        };
        self.replace(file, range, text);
    }

    /// What tokio reports as an I/O error stays one where the function can return nothing else.
    fn runtime_build(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Method(call) = site.shape else {
            return;
        };
        if matches!(site.usage, Usage::Tried) && self.returns_io_error(site.frame) {
            let end = self.file(site.file).range(call).end;
            self.insert(site.file, end, ".map_err(std::io::Error::other)");
        }
    }

    /// The signal cannot fail, so what handled its error goes.
    fn ctrl_c(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Call(call) = site.shape else {
            return;
        };
        let file = site.file;
        let written = self.cx(site.frame).receiver;
        let range = self.file(file).range(call);
        let usage = site.usage;
        if let Some(awaited) = site.awaited {
            let end = self.file(file).range(awaited).end;
            match usage {
                Usage::Statement | Usage::Ignored(_) => {}
                Usage::Tried => self.delete(file, end..end + 1),
                Usage::Method(method)
                    if matches!(ident_text(&method.method).as_str(), "unwrap" | "expect") =>
                {
                    let after = self.file(file).range(method).end;
                    self.delete(file, end..after);
                }
                _ => {
                    self.refuse(id, "what `ctrl_c` returned is looked at");
                    return;
                }
            }
        } else if let Usage::Arm { branch, call } = usage {
            let wild = self
                .arm(file, call, branch)
                .is_some_and(|arm| matches!(arm.pat, Pat::Wild(_)));
            if !wild {
                self.refuse(id, "what `ctrl_c` returned is looked at");
                return;
            }
        }
        self.replace(file, range, format!("{written}.shutdown_signal()"));
    }

    /// A datagram goes to one address, by value.
    fn send_to(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Method(call) = site.shape else {
            return;
        };
        let file = site.file;
        match call.args.iter().nth(1) {
            Some(Expr::Lit(_) | Expr::Tuple(_)) => {
                self.refuse(
                    id,
                    "`send_to` takes one `SocketAddr`: resolve the name first",
                );
                return;
            }
            Some(Expr::Reference(to)) => {
                let start = self.file(file).range(to).start;
                let end = self.file(file).range(&*to.expr).start;
                self.delete(file, start..end);
            }
            _ => {}
        }
        let written = self.cx(site.frame).argument;
        self.method_argument(id, call, &written);
    }

    /// All ways to a permit take the number. One that is taken for granted is waited for without an early end.
    fn acquire(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Method(call) = site.shape else {
            return;
        };
        let file = site.file;
        let range = self.file(file).span_range(call.method.span());
        self.replace(file, range, ident_text(&call.method).replace("_many", ""));
        let granted = site.awaited.is_some()
            && matches!(site.usage, Usage::Method(method)
                if matches!(ident_text(&method.method).as_str(), "unwrap" | "expect"));
        let written = self.cx(site.frame);
        let written = if granted {
            patient(&written)
        } else {
            written.argument
        };
        match call.args.first() {
            None => self.method_argument(id, call, &format!("{written}, 1")),
            Some(number) => {
                if !matches!(number, Expr::Lit(_)) {
                    let range = self.file(file).range(number);
                    self.insert(file, range.start, "(");
                    self.insert(file, range.end, ") as usize");
                }
                self.method_argument(id, call, &written);
            }
        }
    }

    fn pause_clock(&mut self, id: SiteId) {
        let site = self.model().site(id);
        if !self.is_lab_test(site.frame) {
            self.refuse(id, "the clock is paused outside a test");
            return;
        }
        let file = site.file;
        let text = &self.file(file).text;
        let mut range = site.range.clone();
        let line = self.line_start(file, range.start);
        if !text[range.end..].starts_with(';') || !text[line..range.start].trim().is_empty() {
            self.refuse(id, "`pause` is no statement of its own");
            return;
        }
        range.end += 1;
        // The whole line goes, and an empty line after it.
        let rest = &text[range.end..];
        let line_end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        if rest[..line_end].trim().is_empty() {
            range.start = line;
            range.end += line_end;
            let next = &text[range.end..];
            let next_end = next.find('\n').map_or(next.len(), |at| at + 1);
            if next[..next_end].trim().is_empty() {
                range.end += next_end;
            }
        }
        self.delete(file, range);
    }

    fn advance_clock(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Call(call) = site.shape else {
            return;
        };
        if !self.is_lab_test(site.frame) {
            self.refuse(
                id,
                "the clock is moved outside a test that can run in the lab",
            );
            return;
        }
        self.fallible(id, Fix::Fallible, |planner, written| {
            let file = planner.model().site(id).file;
            let callee = planner.file(file).range(&call.func);
            planner.replace(file, callee, format!("{written}.sleep"));
        });
    }

    /// The arm of a `select!`.
    pub(super) fn arm(
        &self,
        file: asupersync_source::load::FileId,
        call: &'p syn::Macro,
        branch: usize,
    ) -> Option<&'p asupersync_source::macros::SelectBranch> {
        match self.file(file).macro_body(call)? {
            asupersync_source::macros::MacroBody::Select(select) => select.branches.get(branch),
            _ => None,
        }
    }
}
