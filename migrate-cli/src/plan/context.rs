//! Where a `Cx` comes from at a point, how it is written there, and what the functions that pass it on look like.

use super::{Planner, SourceKey, Written};
use crate::decide::{self, Source};
use crate::flow::bare;
use crate::model::{Entry, FnId, FrameId, FrameKind, Shape, SiteId, given_to};
use crate::rules::{Family, Form, Op, needs_no_runtime};
use asupersync_source::edit::Edit;
use syn::visit::Visit;
use syn::{Expr, ReturnType, Stmt};

impl<'p> Planner<'_, 'p> {
    /// Packages in which something stays that needs a tokio runtime.
    pub(super) fn find_boundaries(&mut self) {
        self.boundary.extend(self.input.tokio_libraries);
        for id in self.decision.held.keys() {
            let site = self.model().site(*id);
            let inert = matches!(site.form(), Some(Form::Main | Form::Test))
                || needs_no_runtime(&site.item)
                || (site.family == Family::Mpsc || site.family == Family::Oneshot)
                || site.item.ends_with("::error");
            if !inert && let Some(package) = self.package_of(site.file) {
                self.boundary.insert(package);
            }
        }
        // A function of tokio's that is passed along as a value.
        for occurrence in &self.model().occurrences {
            let is_function = occurrence.site.is_none()
                && occurrence.used == occurrence.path.segments.len()
                && occurrence
                    .item
                    .rsplit("::")
                    .next()
                    .is_some_and(|name| name.starts_with(|first: char| first.is_lowercase()));
            let is_called = self
                .model()
                .sites
                .iter()
                .any(|site| site.item == occurrence.item);
            if is_function
                && !is_called
                && !needs_no_runtime(&occurrence.item)
                && crate::rules::lookup(&occurrence.item)
                    .is_none_or(|(_, item)| !matches!(item.op, Op::Path(_)))
                && let Some(package) = self.package_of(occurrence.file)
            {
                self.boundary.insert(package);
            }
        }
    }

    /// Notes every use of a `Cx` and what lies between it and its source.
    pub(super) fn find_uses(&mut self) {
        let mut points: Vec<FrameId> = Vec::new();
        for id in self.model().site_ids() {
            if self.decision.rewrites(id) && decide::needs_cx(self.model(), id) {
                points.push(self.model().site(id).frame);
            }
        }
        for call in &self.model().calls {
            if self.decision.coloured.contains(&call.callee) {
                points.push(call.frame);
            }
        }
        for frame in points {
            self.note_use(frame);
        }
    }

    pub(super) fn note_use(&mut self, frame: FrameId) {
        let Ok(source) = self.decision.source(self.model(), self.constraints, frame) else {
            return;
        };
        self.used.insert(source.into());
        let (mut captured, mut deferred) = (false, false);
        for at in self.model().outwards(frame) {
            match self.model().frame(at).kind {
                FrameKind::Async(block) => {
                    if self.is_body_of(block, source) {
                        continue;
                    }
                    captured |= block.capture.is_some();
                    deferred = true;
                }
                FrameKind::Closure(closure) => {
                    captured |= closure.capture.is_some();
                    deferred = true;
                }
                FrameKind::MacroBlock => {
                    captured = true;
                    deferred = true;
                }
                FrameKind::Body(site) if source == Source::Body(site) => break,
                FrameKind::Function(_) => break,
                _ => {}
            }
        }
        match source {
            Source::Body(site) if captured => {
                self.by_reference.insert(site);
            }
            Source::Function(id) if deferred && self.returns_something_lazy(id) => {
                self.cloned.insert(id);
            }
            _ => {}
        }
    }

    /// Whether an async block is itself the body that a form hands a `Cx`.
    fn is_body_of(&self, block: &syn::ExprAsync, source: Source) -> bool {
        let Source::Body(site) = source else {
            return false;
        };
        self.body_argument(site).is_some_and(
            |argument| matches!(bare(argument), Expr::Async(found) if std::ptr::eq(found, block)),
        )
    }

    /// The future or closure of a form.
    pub(super) fn body_argument(&self, site: SiteId) -> Option<&'p Expr> {
        let at = usize::from(self.model().site(site).form() == Some(Form::Timeout));
        match self.model().site(site).shape {
            Shape::Call(call) => call.args.iter().nth(at),
            Shape::Method(call) => call.args.iter().nth(at),
            _ => None,
        }
    }

    /// A plain function whose result is polled or called after it has returned.
    fn returns_something_lazy(&self, id: FnId) -> bool {
        let sig = self.model().function(id).sig;
        if sig.asyncness.is_some() {
            return false;
        }
        struct Lazy(bool);
        impl<'ast> Visit<'ast> for Lazy {
            fn visit_type_impl_trait(&mut self, _: &'ast syn::TypeImplTrait) {
                self.0 = true;
            }
            fn visit_type_trait_object(&mut self, _: &'ast syn::TypeTraitObject) {
                self.0 = true;
            }
        }
        let mut lazy = Lazy(false);
        if let ReturnType::Type(_, ty) = &sig.output {
            lazy.visit_type(ty);
        }
        lazy.0
    }

    /// The name a function's `Cx` gets.
    pub(super) fn name(&self, frame: FrameId) -> String {
        for at in self.model().outwards(frame) {
            if let FrameKind::Closure(closure) = self.model().frame(at).kind
                && let Some(given) = given_to(closure)
            {
                return given.name;
            }
        }
        match self.frame_function(frame) {
            Some(id) => self.function_name(id).to_owned(),
            None => "cx".to_owned(),
        }
    }

    pub(super) fn function_name(&self, id: FnId) -> &str {
        let function = self.model().function(id);
        if let Some(given) = &function.given {
            return &given.name;
        }
        let text = self.file(function.file).slice(function.range.clone());
        if mentions(text, "cx") { "acx" } else { "cx" }
    }

    /// How the `Cx` is written at a frame.
    pub(super) fn cx(&self, frame: FrameId) -> Written {
        let name = self.name(frame);
        let plain = |owned: bool| Written {
            argument: if owned {
                format!("&{name}")
            } else {
                name.clone()
            },
            receiver: name.clone(),
        };
        let mut draining = false;
        let done = |written: Written, draining: bool| {
            if draining {
                let text = format!("{}.cleanup()", written.receiver);
                Written {
                    argument: text.clone(),
                    receiver: text,
                }
            } else {
                written
            }
        };
        let source = self.decision.source(self.model(), self.constraints, frame);
        for at in self.model().outwards(frame) {
            match self.model().frame(at).kind {
                FrameKind::Drain(site) if self.decision.rewrites(site) => {
                    match self.model().site(site).drain {
                        Some(drain) if drain.before.is_some() => {
                            return done(plain(false), draining);
                        }
                        _ => draining = true,
                    }
                }
                FrameKind::Body(site) if source == Ok(Source::Body(site)) => {
                    let owned = self.model().site(site).form() != Some(Form::SpawnBlocking)
                        && !self.by_reference.contains(&site);
                    return done(plain(owned), draining);
                }
                FrameKind::Closure(closure) if given_to(closure).is_some() => {
                    return done(plain(true), draining);
                }
                FrameKind::Function(id) => {
                    let given = self.model().function(id).given.as_ref();
                    let owned = self.cloned.contains(&id) || given.is_some_and(|given| given.owned);
                    return done(plain(owned), draining);
                }
                _ => {}
            }
        }
        done(plain(false), draining)
    }

    pub(super) fn is_used(&self, source: SourceKey) -> bool {
        self.used.contains(&source)
    }

    /// Passes the `Cx` at every call of a function that takes one.
    pub(super) fn calls(&mut self) {
        let mut done = std::collections::BTreeSet::new();
        for call in &self.model().calls {
            if !self.decision.coloured.contains(&call.callee) {
                continue;
            }
            let file = call.file;
            let range = self.file(file).range(call.expr);
            if !done.insert((file, range.start, range.end)) {
                continue;
            }
            let written = self.cx(call.frame).argument;
            let source = self.file(file);
            match call.expr {
                Expr::Call(inner) => {
                    let open = source.span_range(inner.paren_token.span.open()).start;
                    let has_receiver = self.model().function(call.callee).sig.receiver().is_some();
                    let args: Vec<_> = inner
                        .args
                        .iter()
                        .map(|argument| source.range(argument))
                        .collect();
                    if has_receiver {
                        if let Some(first) = args.first() {
                            self.edit(
                                file,
                                Edit::insert(first.end, format!(", {written}")).ranked(1),
                            );
                        }
                    } else {
                        self.insert_argument(file, open, args.into_iter(), &written);
                    }
                }
                Expr::MethodCall(inner) => {
                    let open = source.span_range(inner.paren_token.span.open()).start;
                    let args: Vec<_> = inner
                        .args
                        .iter()
                        .map(|argument| source.range(argument))
                        .collect();
                    self.insert_argument(file, open, args.into_iter(), &written);
                }
                _ => {}
            }
        }
    }

    /// Gives every coloured function its parameter.
    pub(super) fn signatures(&mut self) {
        for id in self.decision.coloured.clone() {
            let function = self.model().function(id);
            if !matches!(function.entry, Entry::Called) {
                continue;
            }
            let file = function.file;
            let name = self.function_name(id).to_owned();
            let name = name.as_str();
            let ty = self.type_name(file, function.range.start, "asupersync::Cx");
            // An alternative or implementation that has no use for it.
            let used = function.block.is_none() || self.is_used(SourceKey::Function(id));
            let unused = if used { "" } else { "_" };
            let parameter = format!("{unused}{name}: &{ty}");
            let source = self.file(file);
            let sig = function.sig;
            let open = source.span_range(sig.paren_token.span.open()).start;
            let mut inputs = sig.inputs.iter();
            if sig.receiver().is_some() {
                let receiver = inputs.next().map(|input| source.range(input));
                match (receiver, inputs.next()) {
                    (Some(receiver), None) => {
                        self.insert(file, receiver.end, format!(", {parameter}"));
                    }
                    (Some(_), Some(next)) => {
                        let next = source.range(next);
                        self.insert_argument(file, open, std::iter::once(next), &parameter);
                    }
                    _ => {}
                }
            } else {
                let inputs: Vec<_> = sig.inputs.iter().map(|input| source.range(input)).collect();
                self.insert_argument(file, open, inputs.into_iter(), &parameter);
            }
            if self.cloned.contains(&id)
                && let Some(block) = function.block
            {
                let open = source.span_range(block.brace_token.span.open()).end;
                let indent =
                    self.deeper(file, function.range.start.max(self.line_start(file, open)));
                self.insert(
                    file,
                    open,
                    format!("\n{indent}let {name} = {name}.clone();"),
                );
            }
            self.plan.uses_runtime.insert(file);
            self.tracing_attribute(id, name);
        }
    }

    /// `#[instrument]` records every parameter; a `Cx` is none of its business.
    pub(super) fn tracing_attribute(&mut self, id: FnId, name: &str) {
        let function = self.model().function(id);
        let file = function.file;
        for attribute in function.attrs {
            let path = attribute.path();
            if path
                .segments
                .last()
                .is_none_or(|last| last.ident != "instrument")
            {
                continue;
            }
            match &attribute.meta {
                syn::Meta::Path(path) => {
                    let end = self.file(file).range(path).end;
                    self.insert(file, end, format!("(skip({name}))"));
                }
                syn::Meta::List(list) => {
                    let mut trees = list.tokens.clone().into_iter();
                    let mut placed = false;
                    while let Some(tree) = trees.next() {
                        let proc_macro2::TokenTree::Ident(word) = &tree else {
                            continue;
                        };
                        if word == "skip_all" {
                            placed = true;
                            break;
                        }
                        if word == "skip"
                            && let Some(proc_macro2::TokenTree::Group(group)) = trees.next()
                        {
                            let close = self.file(file).span_range(group.span_close()).start;
                            let text = if group.stream().is_empty() {
                                name.to_owned()
                            } else {
                                format!(", {name}")
                            };
                            self.insert(file, close, text);
                            placed = true;
                            break;
                        }
                    }
                    if !placed {
                        let close = self
                            .file(file)
                            .span_range(list.delimiter.span().close())
                            .start;
                        let text = if list.tokens.is_empty() {
                            format!("skip({name})")
                        } else {
                            format!(", skip({name})")
                        };
                        self.insert(file, close, text);
                    }
                }
                syn::Meta::NameValue(_) => {}
            }
        }
    }

    /// Whether what a form runs uses a `Cx`, and so how its parameter is called.
    pub(super) fn parameter(&self, site: SiteId, frame: FrameId) -> String {
        let name = self.name(frame);
        if self.is_used(SourceKey::Body(site)) {
            name
        } else {
            format!("_{name}")
        }
    }

    /// The byte after the opening brace of a block.
    pub(super) fn block_start(
        &self,
        file: asupersync_source::load::FileId,
        block: &syn::Block,
    ) -> usize {
        self.file(file)
            .span_range(block.brace_token.span.open())
            .end
    }

    /// Whether a rewritten operation of this site loses nothing when dropped.
    pub(super) fn is_rewritten_drop_safe(&self, site: SiteId) -> bool {
        self.decision.rewrites(site) && decide::is_drop_safe(&self.model().site(site).item)
    }

    /// Whether a function or block has no value of its own.
    pub(super) fn is_unit_block(block: &syn::Block) -> bool {
        match block.stmts.last() {
            None => true,
            Some(Stmt::Expr(_, Some(_)) | Stmt::Local(_) | Stmt::Item(_)) => true,
            Some(Stmt::Macro(call)) => call.semi_token.is_some(),
            Some(Stmt::Expr(expr, None)) => match expr {
                Expr::While(_) | Expr::ForLoop(_) | Expr::Loop(_) => true,
                Expr::If(branch) => {
                    Self::is_unit_block(&branch.then_branch)
                        && branch
                            .else_branch
                            .as_ref()
                            .is_none_or(|(_, other)| match &**other {
                                Expr::Block(block) => Self::is_unit_block(&block.block),
                                Expr::If(_) => true,
                                _ => false,
                            })
                }
                _ => false,
            },
        }
    }
}

/// Whether a text has a word.
pub(crate) fn mentions(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let part =
            |letter: Option<char>| letter.is_some_and(|it| it.is_alphanumeric() || it == '_');
        !part(before) && !part(after)
    })
}
