//! The second reading: statements, patterns and expressions, and the places their values flow between.

use super::known::is_receive;
use super::{Builder, Flow, Use, member_name};
use crate::facts::key;
use crate::model::{Drain, FnId, FrameId, FrameKind, PlaceId, SiteId, Usage};
use asupersync_source::load::ident_text;
use asupersync_source::macros::MacroBody;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Item, Pat, Stmt};

impl<'p> Builder<'_, 'p> {
    pub(super) fn body(&mut self, id: FnId, block: &'p Block) {
        let scopes = std::mem::take(&mut self.scopes);
        let generics = self.own_generics.get(&id).cloned().unwrap_or_default();
        self.generics.push(generics);
        let sig = self.model.function(id).sig;
        let frame_before = self.frame;
        self.frame = FrameId(0);
        self.within(FrameKind::Function(id), |builder| {
            builder.scoped(|builder| {
                for (at, input) in sig.inputs.iter().enumerate() {
                    let place = builder.parameters[id.0][at];
                    match input {
                        syn::FnArg::Receiver(_) => {
                            builder
                                .scopes
                                .last_mut()
                                .map(|scope| scope.insert("self".to_owned(), place));
                        }
                        syn::FnArg::Typed(typed) => builder.pattern(&typed.pat, Some(place)),
                    }
                }
                let returned = builder.returns[id.0];
                builder.async_returns.push(returned);
                let flow = builder.block(block);
                builder.link(flow, Some(returned));
                builder.async_returns.pop();
            });
        });
        self.frame = frame_before;
        self.generics.pop();
        self.scopes = scopes;
    }

    pub(super) fn block(&mut self, block: &'p Block) -> Flow {
        self.statements(&block.stmts)
    }

    pub(super) fn statements(&mut self, stmts: &'p [Stmt]) -> Flow {
        self.scoped(|builder| {
            let mut last = None;
            let before = builder.statement;
            for stmt in stmts {
                builder.statement = builder.range(stmt).start;
                last = builder.stmt(stmt);
            }
            builder.statement = before;
            last
        })
    }

    pub(super) fn stmt(&mut self, stmt: &'p Stmt) -> Flow {
        match stmt {
            Stmt::Local(local) => {
                let place = self.model.places.fresh();
                if let Pat::Type(typed) = &local.pat {
                    self.seed(place, &typed.ty);
                }
                if let Some(init) = &local.init {
                    let usage = if matches!(local.pat, Pat::Wild(_)) {
                        Usage::Ignored(local)
                    } else if init.diverge.is_some() {
                        Usage::LetElse(&local.pat)
                    } else {
                        Usage::Value
                    };
                    let flow = self.expr(&init.expr, Use::of(usage));
                    self.link(flow, Some(place));
                    if let Some((_, diverge)) = &init.diverge {
                        self.expr(diverge, Use::value());
                    }
                }
                self.pattern(&local.pat, Some(place));
                None
            }
            Stmt::Expr(expr, semi) => {
                let usage = if semi.is_some() {
                    Usage::Statement
                } else {
                    Usage::Value
                };
                let flow = self.expr(expr, Use::of(usage));
                if semi.is_some() { None } else { flow }
            }
            Stmt::Macro(call) => {
                let usage = if call.semi_token.is_some() {
                    Usage::Statement
                } else {
                    Usage::Value
                };
                self.macro_call(&call.mac, Use::of(usage))
            }
            Stmt::Item(_) => None,
        }
    }

    pub(super) fn pattern(&mut self, pat: &'p Pat, flow: Flow) {
        match pat {
            Pat::Ident(ident) => {
                let place = self.model.places.fresh();
                self.link(flow, Some(place));
                if let Some(scope) = self.scopes.last_mut() {
                    scope.insert(ident_text(&ident.ident), place);
                }
                self.model.bindings.insert(place, ident);
                if let Some((_, inner)) = &ident.subpat {
                    self.pattern(inner, flow);
                }
            }
            Pat::TupleStruct(tuple) => {
                let owner = self.pattern_path(&tuple.path);
                for (at, element) in tuple.elems.iter().enumerate() {
                    let inner = match &owner {
                        Some(owner) => self.named.get(&format!("{owner}::{at}")).copied(),
                        None => flow,
                    };
                    self.pattern(element, inner.or(flow.filter(|_| owner.is_none())));
                }
            }
            Pat::Struct(fields) => {
                let owner = self.pattern_path(&fields.path);
                for field in &fields.fields {
                    let name = member_name(&field.member);
                    let inner = match &owner {
                        Some(owner) => self.named.get(&format!("{owner}::{name}")).copied(),
                        None => flow,
                    };
                    self.pattern(&field.pat, inner);
                }
            }
            Pat::Path(path) => {
                self.pattern_path(&path.path);
            }
            Pat::Tuple(tuple) => tuple.elems.iter().for_each(|part| self.pattern(part, flow)),
            Pat::Slice(slice) => slice.elems.iter().for_each(|part| self.pattern(part, flow)),
            Pat::Or(or) => or.cases.iter().for_each(|part| self.pattern(part, flow)),
            Pat::Paren(inner) => self.pattern(&inner.pat, flow),
            Pat::Reference(inner) => self.pattern(&inner.pat, flow),
            Pat::Type(typed) => self.pattern(&typed.pat, flow),
            _ => {}
        }
    }

    /// The local struct or variant that a pattern names.
    pub(super) fn pattern_path(&mut self, path: &'p syn::Path) -> Option<String> {
        let found = self.facts.path(path)?.to_owned();
        if asupersync_source::known::is_prefix("tokio", &found) {
            self.occurrence(path, path.segments.len(), &found, None, None);
            if let Some(noted) = self.model.occurrences.last_mut() {
                noted.is_pattern = true;
            }
            return None;
        }
        self.index
            .is_local(&found)
            .then(|| self.index.dealias(&found))
    }

    pub(super) fn arguments(&mut self, args: &'p Punctuated<Expr, syn::Token![,]>) -> Vec<Flow> {
        args.iter()
            .map(|argument| self.expr(argument, Use::value()))
            .collect()
    }

    pub(super) fn join(&mut self, flows: impl IntoIterator<Item = Flow>) -> Flow {
        let mut joined = None;
        for flow in flows.into_iter().flatten() {
            match joined {
                None => joined = Some(flow),
                Some(first) => self.model.places.union(first, flow),
            }
        }
        joined
    }

    pub(super) fn expr(&mut self, expr: &'p Expr, usage: Use<'p>) -> Flow {
        let value = Use::value();
        match expr {
            Expr::Path(path) => self.value_path(path),
            Expr::Call(call) => self.call(expr, call, usage),
            Expr::MethodCall(call) => self.method_call(expr, call, usage),
            Expr::Await(awaited) => {
                let inner = Use {
                    usage: usage.usage,
                    awaited: Some(awaited),
                };
                let flow = self.expr(&awaited.base, inner);
                self.awaited(&awaited.base, flow, inner);
                flow
            }
            Expr::Try(tried) => self.expr(&tried.expr, Use::of(Usage::Tried)),
            Expr::Paren(inner) => self.expr(&inner.expr, usage),
            Expr::Group(inner) => self.expr(&inner.expr, usage),
            Expr::Reference(inner) => self.expr(&inner.expr, value),
            Expr::Unary(inner) => self.expr(&inner.expr, value),
            Expr::Field(field) => self.field(field),
            Expr::Index(index) => {
                self.expr(&index.index, value);
                self.expr(&index.expr, value)
            }
            Expr::Cast(cast) => {
                self.expr(&cast.expr, value);
                None
            }
            Expr::Block(block) => self.block(&block.block),
            Expr::Unsafe(block) => self.block(&block.block),
            Expr::Async(block) => self.async_block(block),
            Expr::Closure(closure) => self.closure(closure),
            Expr::If(branch) => self.scoped(|builder| {
                builder.condition(&branch.cond);
                let then = builder.block(&branch.then_branch);
                let otherwise = branch
                    .else_branch
                    .as_ref()
                    .and_then(|(_, otherwise)| builder.expr(otherwise, value));
                builder.join([then, otherwise])
            }),
            Expr::Match(matched) => {
                let scrutinee = self.expr(&matched.expr, Use::of(Usage::Match(matched)));
                let mut flows = Vec::new();
                let before = self.statement;
                for arm in &matched.arms {
                    self.statement = self.range(arm).start;
                    let flow = self.scoped(|builder| {
                        builder.pattern(&arm.pat, scrutinee);
                        if let Some((_, guard)) = &arm.guard {
                            builder.expr(guard, value);
                        }
                        builder.expr(&arm.body, value)
                    });
                    flows.push(flow);
                }
                self.statement = before;
                self.join(flows)
            }
            Expr::While(looped) => {
                self.within(FrameKind::Loop(expr), |builder| {
                    builder.scoped(|builder| {
                        match &*looped.cond {
                            Expr::Let(cond) => {
                                let used = Use::of(Usage::WhileLet(looped, &cond.pat));
                                builder.consuming(expr, used, &cond.expr, &cond.pat);
                            }
                            other => builder.condition(other),
                        }
                        builder.block(&looped.body);
                    });
                });
                None
            }
            Expr::Loop(looped) => self.within(FrameKind::Loop(expr), |builder| {
                builder.block(&looped.body);
                None
            }),
            Expr::ForLoop(looped) => {
                let flow = self.expr(&looped.expr, value);
                self.within(FrameKind::Loop(expr), |builder| {
                    builder.scoped(|builder| {
                        builder.pattern(&looped.pat, flow);
                        builder.block(&looped.body);
                    });
                });
                None
            }
            Expr::Let(bound) => {
                let flow = self.expr(&bound.expr, Use::of(Usage::IfLet(&bound.pat)));
                self.pattern(&bound.pat, flow);
                None
            }
            Expr::Struct(literal) => self.struct_literal(literal),
            Expr::Tuple(tuple) => {
                let flows: Vec<Flow> = tuple
                    .elems
                    .iter()
                    .map(|part| self.expr(part, value))
                    .collect();
                self.gather(flows)
            }
            Expr::Array(array) => {
                let flows: Vec<Flow> = array
                    .elems
                    .iter()
                    .map(|part| self.expr(part, value))
                    .collect();
                self.gather(flows)
            }
            Expr::Repeat(repeat) => {
                self.expr(&repeat.len, value);
                self.expr(&repeat.expr, value)
            }
            Expr::Return(returned) => {
                if let Some(inner) = &returned.expr {
                    let flow = self.expr(inner, value);
                    let target = self.async_returns.last().copied();
                    self.link(flow, target);
                }
                None
            }
            Expr::Break(broken) => {
                if let Some(inner) = &broken.expr {
                    self.expr(inner, value);
                }
                None
            }
            Expr::Assign(assign) => {
                let right = self.expr(&assign.right, value);
                let left = self.expr(&assign.left, value);
                self.link(left, right);
                None
            }
            Expr::Binary(binary) => {
                let left = self.expr(&binary.left, value);
                let right = self.expr(&binary.right, value);
                // `instant + duration` is an instant again.
                if matches!(binary.op, syn::BinOp::Add(_) | syn::BinOp::AddAssign(_)) {
                    left
                } else {
                    // Instants are compared with and subtracted from their like.
                    let clock = |builder: &Self, flow: Flow| {
                        flow.is_some_and(|place| {
                            builder
                                .model
                                .places
                                .seen(place)
                                .contains("tokio::time::Instant")
                        })
                    };
                    if clock(self, left) || clock(self, right) {
                        self.link(left, right);
                    }
                    None
                }
            }
            Expr::Range(range) => {
                for side in [&range.start, &range.end].into_iter().flatten() {
                    self.expr(side, value);
                }
                None
            }
            Expr::Macro(call) => self.macro_call(&call.mac, usage),
            Expr::Const(block) => {
                self.within(FrameKind::Sealed, |builder| builder.block(&block.block))
            }
            Expr::TryBlock(block) => self.block(&block.block),
            Expr::Yield(inner) => {
                if let Some(inner) = &inner.expr {
                    self.expr(inner, value);
                }
                None
            }
            _ => None,
        }
    }

    /// A place that holds all of several values.
    pub(super) fn gather(&mut self, flows: Vec<Flow>) -> Flow {
        if flows.iter().all(Option::is_none) {
            return None;
        }
        let place = self.model.places.fresh();
        for flow in flows {
            self.link(Some(place), flow);
        }
        Some(place)
    }

    pub(super) fn condition(&mut self, expr: &'p Expr) {
        match expr {
            Expr::Let(_) => {
                self.expr(expr, Use::value());
            }
            Expr::Binary(binary) => {
                self.condition(&binary.left);
                self.condition(&binary.right);
            }
            other => {
                self.expr(other, Use::value());
            }
        }
    }

    /// The head of `while let`, which may consume a channel.
    pub(super) fn consuming(
        &mut self,
        looped: &'p Expr,
        used: Use<'p>,
        source: &'p Expr,
        pat: &'p Pat,
    ) {
        let first = self.model.sites.len();
        let flow = self.expr(source, used);
        self.mark_drain(first, looped);
        self.pattern(pat, flow);
    }

    /// Says of the receives among the sites since `first` that they are the heads of a loop.
    pub(super) fn mark_drain(&mut self, first: usize, looped: &'p Expr) {
        let start = self.range(looped).start;
        let before = (self.statement == start).then_some(start);
        for at in first..self.model.sites.len() {
            let site = &mut self.model.sites[at];
            if matches!(site.usage, Usage::WhileLet(..)) && is_receive(&site.item) {
                site.drain = Some(Drain { before });
                self.model.frames[self.frame.0].kind = FrameKind::Drain(SiteId(at));
            }
        }
    }

    pub(super) fn value_path(&mut self, path: &'p syn::ExprPath) -> Flow {
        if let Some(name) = path.path.get_ident() {
            let name = ident_text(name);
            if let Some(local) = self.scopes.iter().rev().find_map(|scope| scope.get(&name)) {
                return Some(*local);
            }
        }
        let found = self.facts.path(&path.path)?.to_owned();
        if asupersync_source::known::is_prefix("tokio", &found) {
            // A tokio function or constant as a value: nothing rewrites that.
            let place = self.model.places.fresh();
            self.occurrence(
                &path.path,
                path.path.segments.len(),
                &found,
                Some(place),
                None,
            );
            return Some(place);
        }
        if !self.index.is_local(&found) {
            return None;
        }
        if let Some(functions) = self.model.by_path.get(&found).cloned() {
            for id in functions {
                let function = &mut self.model.functions[id.0];
                function
                    .fixed
                    .get_or_insert_with(|| "it is passed along as a value".to_owned());
            }
            return None;
        }
        if let Some(place) = self.named.get(&found) {
            return Some(*place);
        }
        let place = self.model.places.fresh();
        self.model.places.see(place, &found);
        Some(place)
    }

    pub(super) fn field(&mut self, field: &'p syn::ExprField) -> Flow {
        let base = self.expr(&field.base, Use::value());
        let name = member_name(&field.member);
        let mut ty = self.facts.ty(&field.base).cloned();
        while let Some(current) = ty {
            if let Some(path) = current.path()
                && let Some(place) = self.named.get(&format!("{path}::{name}"))
            {
                return Some(*place);
            }
            ty = current.dereferenced(self.index);
        }
        if let Some(base) = base {
            let candidates: Vec<PlaceId> = self
                .model
                .places
                .seen(base)
                .iter()
                .filter_map(|owner| self.named.get(&format!("{owner}::{name}")).copied())
                .collect();
            if let [only] = candidates.as_slice() {
                return Some(*only);
            }
        }
        // A field name that only one struct has.
        let suffix = format!("::{name}");
        let numbered = matches!(field.member, syn::Member::Unnamed(_));
        let mut with_name = self
            .named
            .iter()
            .filter(|(path, _)| path.ends_with(&suffix))
            .map(|(_, place)| *place);
        match (with_name.next(), with_name.next()) {
            (Some(only), None) if !numbered => Some(only),
            _ => base,
        }
    }

    pub(super) fn struct_literal(&mut self, literal: &'p syn::ExprStruct) -> Flow {
        let owner = self
            .facts
            .path(&literal.path)
            .map(|found| self.index.dealias(found));
        for field in &literal.fields {
            let flow = self.expr(&field.expr, Use::value());
            if let Some(owner) = &owner {
                let name = member_name(&field.member);
                let place = self.named.get(&format!("{owner}::{name}")).copied();
                self.link(flow, place);
            }
        }
        if let Some(rest) = &literal.rest {
            self.expr(rest, Use::value());
        }
        let place = self.model.places.fresh();
        if let Some(owner) = owner.filter(|owner| self.index.is_local(owner)) {
            let ty = self.adt_of(&owner);
            self.model.places.see(place, &ty);
        }
        Some(place)
    }

    /// The type that a struct or variant path builds.
    pub(super) fn adt_of(&self, path: &str) -> String {
        use asupersync_source::resolve::{Definition, Namespace};
        if let Some((owner, _)) = path.rsplit_once("::")
            && let Some(Definition::Enum(_)) = self.index.definition(owner, Namespace::Type)
        {
            return owner.to_owned();
        }
        path.to_owned()
    }

    pub(super) fn async_block(&mut self, block: &'p syn::ExprAsync) -> Flow {
        self.within(FrameKind::Async(block), |builder| {
            let value = builder.model.places.fresh();
            builder.async_returns.push(value);
            let flow = builder.block(&block.block);
            builder.link(flow, Some(value));
            builder.async_returns.pop();
            Some(value)
        })
    }

    pub(super) fn closure(&mut self, closure: &'p syn::ExprClosure) -> Flow {
        self.within(FrameKind::Closure(closure), |builder| {
            builder.scoped(|builder| {
                let value = builder.model.places.fresh();
                builder.async_returns.push(value);
                for input in &closure.inputs {
                    let place = builder.model.places.fresh();
                    if let Pat::Type(typed) = input {
                        builder.seed(place, &typed.ty);
                    }
                    builder.pattern(input, Some(place));
                }
                if let syn::ReturnType::Type(_, ty) = &closure.output {
                    builder.seed(value, ty);
                }
                let flow = builder.expr(&closure.body, Use::value());
                builder.link(flow, Some(value));
                builder.async_returns.pop();
                Some(value)
            })
        })
    }
}

/// The second reading: bodies.
pub(super) struct Bodies<'b, 'a, 'p> {
    pub(super) builder: &'b mut Builder<'a, 'p>,
}

impl<'p> Bodies<'_, '_, 'p> {
    fn function(&mut self, sig: &'p syn::Signature, block: &'p Block) {
        if let Some(id) = self.builder.by_signature.get(&key(sig)).copied() {
            self.builder.body(id, block);
        }
        visit::visit_block(self, block);
    }

    fn constant(&mut self, path: &syn::Ident, expr: &'p Expr) {
        let path = format!("{}::{}", self.builder.module, ident_text(path));
        let place = self.builder.named(&path);
        self.builder.frame = FrameId(0);
        let flow = self.builder.expr(expr, Use::value());
        self.builder.link(flow, Some(place));
    }
}

impl<'p> Visit<'p> for Bodies<'_, '_, 'p> {
    fn visit_item_mod(&mut self, item: &'p syn::ItemMod) {
        let inner = format!("{}::{}", self.builder.module, ident_text(&item.ident));
        let before = std::mem::replace(&mut self.builder.module, inner);
        visit::visit_item_mod(self, item);
        self.builder.module = before;
    }

    fn visit_item_fn(&mut self, item: &'p syn::ItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'p syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'p syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
    }

    fn visit_item_const(&mut self, item: &'p syn::ItemConst) {
        self.constant(&item.ident, &item.expr);
    }

    fn visit_item_static(&mut self, item: &'p syn::ItemStatic) {
        self.constant(&item.ident, &item.expr);
    }

    fn visit_item_macro(&mut self, item: &'p syn::ItemMacro) {
        let body = self.builder.source().macro_body(&item.mac);
        if let Some(body @ MacroBody::Definition(_)) = body {
            self.builder.statement = self.builder.range(item).start;
            self.builder.frame = FrameId(0);
            self.builder.in_definition = true;
            self.builder.macro_body(&item.mac, body);
            self.builder.in_definition = false;
        }
        visit::visit_item_macro(self, item);
    }

    // Expressions are read with the function or constant they stand in; here only items inside blocks are looked for.
    fn visit_macro(&mut self, call: &'p syn::Macro) {
        if let Some(MacroBody::Items(items)) = self.builder.source().macro_body(call) {
            items.iter().for_each(|item: &Item| self.visit_item(item));
        }
    }
}
