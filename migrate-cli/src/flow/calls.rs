//! Calls by path: of the program's functions, of tokio's, and of code outside.

use super::known::{combines_futures, is_of_tokio_library, results_of};
use super::{Builder, Flow, Point, Use, bare, stripped};
use crate::model::{
    BYTES, Call, Escape, FUTURES, FnId, FrameKind, PlaceId, STREAMS, Shape, SiteId, Usage,
};
use crate::rules::{self, Family, Form, Op};
use asupersync_source::load::ident_text;
use syn::Expr;
use syn::punctuated::Punctuated;

impl<'p> Builder<'_, 'p> {
    pub(super) fn call(&mut self, expr: &'p Expr, call: &'p syn::ExprCall, usage: Use<'p>) -> Flow {
        let Expr::Path(path) = bare(&call.func) else {
            let callee = self.expr(&call.func, Use::value());
            let flows = self.arguments(&call.args);
            let joined = self.join(flows);
            return self.join([callee, joined]);
        };
        let local = path.path.get_ident().and_then(|name| {
            let name = ident_text(name);
            self.scopes
                .iter()
                .rev()
                .find_map(|scope| scope.get(&name))
                .copied()
        });
        if local.is_some() {
            let flows = self.arguments(&call.args);
            let joined = self.join(flows);
            return self.join([local, joined]);
        }
        let callee = self
            .facts
            .callee(expr)
            .or_else(|| self.facts.path(&path.path))
            .map(str::to_owned)
            .or_else(|| self.nested_function(&path.path));
        let Some(callee) = callee else {
            let flows = self.arguments(&call.args);
            return self.gather(flows);
        };
        if let Some(functions) = self.model.by_path.get(&callee).cloned() {
            let flows = self.arguments(&call.args);
            return Some(self.local_call(expr, &functions, &flows));
        }
        if asupersync_source::known::is_prefix("tokio", &callee) {
            return self.tokio_call(call, &path.path, &callee, usage);
        }
        let flows = self.arguments(&call.args);
        if self.index.is_local(&callee) {
            let owner = self.index.dealias(&callee);
            let mut is_constructor = false;
            for (at, flow) in flows.iter().enumerate() {
                if let Some(place) = self.named.get(&format!("{owner}::{at}")).copied() {
                    is_constructor = true;
                    self.link(*flow, Some(place));
                }
            }
            let place = self.model.places.fresh();
            let ty = self.adt_of(&owner);
            self.model.places.see(place, &ty);
            if !is_constructor {
                let joined = self.join(flows);
                self.link(Some(place), joined);
            }
            return Some(place);
        }
        if matches!(callee.as_str(), "std::mem::drop" | "std::mem::forget") {
            return None;
        }
        if !asupersync_source::known::is_prefix("std", &callee) {
            self.escape(&flows, &call.args, &callee);
        }
        self.gather(flows)
    }

    pub(super) fn nested_function(&self, path: &syn::Path) -> Option<String> {
        let name = ident_text(path.get_ident()?);
        let path = format!("{}::{name}", self.module);
        self.model.by_path.contains_key(&path).then_some(path)
    }

    pub(super) fn escape(
        &mut self,
        flows: &[Flow],
        args: &'p Punctuated<Expr, syn::Token![,]>,
        callee: &str,
    ) {
        for (flow, argument) in flows.iter().zip(args) {
            let families: &[Family] = if self.is_byte_stream(argument) {
                BYTES
            } else if self.is_tokio_value(argument) {
                &[]
            } else if is_of_tokio_library(callee) {
                STREAMS
            } else {
                FUTURES
            };
            if let Some(place) = flow
                && (families != FUTURES || combines_futures(callee))
            {
                self.model.escapes.push(Escape {
                    place: *place,
                    reason: format!("it is passed to `{callee}`, which takes tokio's types"),
                    families,
                });
            }
        }
    }

    /// Whether an expression is known to be a socket or another stream of tokio's, which holds nothing else of it.
    fn is_byte_stream(&self, expr: &Expr) -> bool {
        self.facts
            .ty(expr)
            .or_else(|| self.facts.ty(stripped(expr)))
            .is_some_and(|ty| match ty {
                asupersync_source::types::Ty::Path { path, arguments } => {
                    arguments.is_empty() && rules::family_of(path) == Some(Family::Io)
                }
                _ => false,
            })
    }

    /// Whether an expression is known to be, or to hold, a value of tokio's.
    pub(super) fn is_tokio_value(&self, expr: &Expr) -> bool {
        fn holds(ty: &asupersync_source::types::Ty) -> bool {
            use asupersync_source::types::Ty;
            match ty {
                Ty::Path { path, arguments } => {
                    asupersync_source::known::is_prefix("tokio", path)
                        || arguments.iter().any(holds)
                }
                Ty::Tuple(parts) => parts.iter().any(holds),
                Ty::List(element) => holds(element),
                Ty::Future(_) | Ty::Unknown => false,
            }
        }
        self.facts
            .ty(expr)
            .or_else(|| self.facts.ty(stripped(expr)))
            .is_some_and(holds)
    }

    pub(super) fn local_call(
        &mut self,
        expr: &'p Expr,
        functions: &[FnId],
        flows: &[Flow],
    ) -> PlaceId {
        let result = self.model.places.fresh();
        for id in functions {
            for (at, flow) in flows.iter().enumerate() {
                let place = self.parameters[id.0].get(at).copied();
                self.link(*flow, place);
            }
            self.model.places.union(result, self.returns[id.0]);
            self.model.calls.push(Call {
                callee: *id,
                expr,
                file: self.file,
                frame: self.frame,
            });
        }
        result
    }

    pub(super) fn tokio_call(
        &mut self,
        call: &'p syn::ExprCall,
        path: &'p syn::Path,
        callee: &str,
        usage: Use<'p>,
    ) -> Flow {
        let result = self.model.places.fresh();
        let family = rules::family_of(callee).unwrap_or(Family::Free);
        let range = self.range(call);
        let site = self.push_site(
            callee,
            Shape::Call(call),
            range,
            self.point(usage),
            Some(result),
            family,
        );
        for ty in results_of(callee) {
            self.model.places.see(result, ty);
        }
        let entry = rules::lookup(callee);
        let form = self.model.site(site).form();
        // `Type::function`: the type is named too, and moves with the value.
        let owner = callee.rsplit_once("::").map(|(owner, _)| owner);
        let of_type = owner.filter(|owner| {
            owner
                .rsplit("::")
                .next()
                .is_some_and(|name| name.starts_with(|first: char| first.is_uppercase()))
        });
        match (entry.map(|(_, item)| item.op), of_type) {
            (Some(Op::Associated { .. }) | None, Some(owner)) if path.segments.len() > 1 => {
                self.occurrence(path, path.segments.len() - 1, owner, Some(result), None);
            }
            // What no value ties to others moves by itself.
            (Some(Op::Function { .. }), _) if family == Family::Free => {
                self.occurrence(path, path.segments.len(), callee, None, Some(site));
            }
            (Some(Op::Function { .. }), _) => {
                self.occurrence(path, path.segments.len(), callee, Some(result), None);
            }
            (None, _) => {
                self.occurrence(path, path.segments.len(), callee, Some(result), None);
            }
            _ => self.occurrence(path, path.segments.len(), callee, None, Some(site)),
        }
        match form {
            Some(Form::Spawn) => {
                self.model.sites[site.0].detached =
                    matches!(usage.usage, Usage::Statement | Usage::Ignored(_))
                        && usage.awaited.is_none();
                if !self.model.sites[site.0].detached {
                    self.model.sites[site.0].family = Family::Join;
                    self.model.places.see(result, "tokio::task::JoinHandle");
                }
                let flow = self.body_argument(site, call.args.first());
                self.link(flow, Some(result));
                Some(result)
            }
            Some(Form::SpawnBlocking) => {
                self.model.sites[site.0].family = Family::Join;
                self.model.places.see(result, "tokio::task::JoinHandle");
                let flow = self.body_argument(site, call.args.first());
                self.link(flow, Some(result));
                Some(result)
            }
            Some(Form::Timeout) => {
                if let Some(duration) = call.args.first() {
                    self.expr(duration, Use::value());
                }
                call.args
                    .iter()
                    .skip(1)
                    .map(|body| self.body_argument(site, Some(body)))
                    .next()
                    .flatten()
            }
            _ => {
                let flows = self.arguments(&call.args);
                if matches!(
                    family,
                    Family::Io
                        | Family::Clock
                        | Family::Interval
                        | Family::RwLock
                        | Family::Mutex
                        | Family::Watch
                        | Family::OnceCell
                ) {
                    for flow in flows {
                        self.link(flow, Some(result));
                    }
                } else if rules::lookup(callee).is_none() {
                    let joined = self.join(flows);
                    self.link(joined, Some(result));
                }
                Some(result)
            }
        }
    }

    /// The future or closure that a form gives a `Cx` of its own.
    pub(super) fn body_argument(&mut self, site: SiteId, argument: Option<&'p Expr>) -> Flow {
        let argument = argument?;
        self.within(FrameKind::Body(site), |builder| {
            let flow = builder.expr(argument, Use::value());
            builder.awaited_by_form(argument, flow);
            flow
        })
    }

    /// A form that awaits a handle or receiver passed to it is no awaited site of its own: the family cannot move.
    pub(super) fn awaited_by_form(&mut self, argument: &'p Expr, flow: Flow) {
        if let Some(item) = self.awaitable(argument, flow) {
            self.model.escapes.push(Escape {
                place: flow.unwrap_or_else(|| self.model.places.fresh()),
                reason: format!("`{item}` is passed on as a future"),
                families: &[],
            });
        }
    }

    /// The pseudo-item for awaiting an expression that is a handle or a receiver.
    pub(super) fn awaitable(&self, expr: &'p Expr, flow: Flow) -> Option<&'static str> {
        const HANDLE: &str = "tokio::task::JoinHandle";
        const RECEIVER: &str = "tokio::sync::oneshot::Receiver";
        let inner = stripped(expr);
        match self
            .facts
            .ty(expr)
            .or_else(|| self.facts.ty(inner))
            .and_then(|ty| ty.path())
        {
            Some(HANDLE) => return Some("tokio::task::JoinHandle::await"),
            Some(RECEIVER) => return Some("tokio::sync::oneshot::Receiver::await"),
            Some(_) => return None,
            None => {}
        }
        if !matches!(inner, Expr::Path(_) | Expr::Field(_) | Expr::Index(_)) {
            return None;
        }
        let seen = self.model.places.seen(flow?);
        match (seen.contains(HANDLE), seen.contains(RECEIVER)) {
            (true, false) => Some("tokio::task::JoinHandle::await"),
            (false, true) => Some("tokio::sync::oneshot::Receiver::await"),
            _ => None,
        }
    }

    pub(super) fn awaited(&mut self, base: &'p Expr, flow: Flow, usage: Use<'p>) {
        let at = self.point(usage);
        match self.awaitable(base, flow) {
            Some(item) => self.awaited_site(item, base, flow, at),
            // What flows here may come to be known later.
            None if self.facts.ty(base).is_none() => self.pending_awaits.push((base, flow, at)),
            None => {}
        }
    }

    pub(super) fn awaited_site(&mut self, item: &str, base: &'p Expr, flow: Flow, at: Point<'p>) {
        let family = rules::family_of(item).unwrap_or(Family::Free);
        let source = self.project.file(at.file);
        let range = at
            .usage
            .awaited
            .map_or_else(|| source.range(base), |awaited| source.range(awaited));
        self.push_site(item, Shape::Awaited(base), range, at, flow, family);
    }
}
