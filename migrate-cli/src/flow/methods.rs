//! Method calls: those whose meaning is known where they stand, and those that the flow of values explains later.

use super::known::{combines_futures, is_guard, is_of_std_trait, is_receive, results_of};
use super::{Builder, Flow, Pending, ROUNDS, Use};
use crate::model::{Drain, Escape, FUTURES, FrameKind, Shape, Usage};
use crate::rules::{self, Family, Op};
use asupersync_source::load::ident_text;
use syn::Expr;

impl<'p> Builder<'_, 'p> {
    pub(super) fn method_call(
        &mut self,
        expr: &'p Expr,
        call: &'p syn::ExprMethodCall,
        usage: Use<'p>,
    ) -> Flow {
        let receiver = self.expr(&call.receiver, Use::of(Usage::Method(call)));
        let result = self.model.places.fresh();
        if let Some(turbofish) = &call.turbofish {
            for argument in &turbofish.args {
                if let syn::GenericArgument::Type(ty) = argument {
                    self.seed(result, ty);
                }
            }
        }
        let moved = has_moved(expr, &ident_text(&call.method));
        let callee = self
            .facts
            .callee(expr)
            .filter(|callee| !moved || !asupersync_source::known::is_prefix("tokio", callee))
            .map(str::to_owned);
        if callee.as_deref() == Some("tokio::runtime::Runtime::block_on") {
            return self.block_on(call, receiver, usage);
        }
        let arguments: Vec<Flow> = self.arguments(&call.args);
        let at = self.point(usage);
        let pending = Pending {
            call,
            expr,
            receiver,
            arguments,
            result,
            at,
            passed: false,
        };
        match callee {
            Some(callee) if self.resolve_method(&pending, &callee) => {}
            Some(callee) if !self.index.is_local(&callee) => {
                self.pass_through(&pending);
                // A trait of another crate on a value of ours: it may take tokio's types only.
                let foreign = !asupersync_source::known::is_prefix("std", &callee)
                    && !asupersync_source::known::is_prefix("tokio", &callee);
                let known = self.is_tokio_value(&call.receiver);
                if foreign
                    && (known || combines_futures(&callee))
                    && let Some(place) = receiver
                {
                    self.model.escapes.push(Escape {
                        place,
                        reason: format!("`{callee}` takes tokio's types"),
                        families: if known { &[] } else { FUTURES },
                    });
                }
                if combines_futures(&callee) {
                    for place in pending.arguments.iter().copied().flatten() {
                        self.model.escapes.push(Escape {
                            place,
                            reason: format!("it is passed to `{callee}`"),
                            families: FUTURES,
                        });
                    }
                }
            }
            _ => self.pending.push(pending),
        }
        Some(result)
    }

    pub(super) fn block_on(
        &mut self,
        call: &'p syn::ExprMethodCall,
        receiver: Flow,
        usage: Use<'p>,
    ) -> Flow {
        let range = self.range(call);
        let site = self.push_site(
            "tokio::runtime::Runtime::block_on",
            Shape::Method(call),
            range,
            self.point(usage),
            receiver,
            Family::Runtime,
        );
        self.body_argument(site, call.args.first())
    }

    /// Links a method call to what it calls; false where that is neither the program's nor tokio's.
    pub(super) fn resolve_method(&mut self, pending: &Pending<'p>, callee: &str) -> bool {
        if let Some(functions) = self.model.by_path.get(callee).cloned() {
            let mut flows = vec![None];
            flows.extend(pending.arguments.iter().copied());
            let before = (self.file, self.frame);
            (self.file, self.frame) = (pending.at.file, pending.at.frame);
            let has_receiver = functions
                .iter()
                .any(|id| self.model.function(*id).sig.receiver().is_some());
            if has_receiver {
                let place = self.local_call(pending.expr, &functions, &flows);
                self.model.places.union(place, pending.result);
            }
            (self.file, self.frame) = before;
            return has_receiver;
        }
        if asupersync_source::known::is_prefix("tokio", callee) {
            self.tokio_method(pending, callee);
            return true;
        }
        false
    }

    pub(super) fn tokio_method(&mut self, pending: &Pending<'p>, callee: &str) {
        let name = ident_text(&pending.call.method);
        let owner = callee.rsplit_once("::").map_or(callee, |(owner, _)| owner);
        let on_file = self.method_of_file(pending, &name);
        let callee = on_file.as_deref().unwrap_or(callee);
        let entry = rules::lookup(callee).or_else(|| rules::method_of(owner, &name));
        let item = entry.map_or(callee, |(_, item)| item.path);
        if entry.is_none() && is_of_std_trait(&name) {
            self.pass_through(pending);
            return;
        }
        let family = rules::family_of(item)
            .or_else(|| rules::family_of(owner))
            .unwrap_or(Family::Free);
        let range = self.project.file(pending.at.file).range(pending.call);
        let site = self.push_site(
            item,
            Shape::Method(pending.call),
            range,
            pending.at,
            pending.receiver,
            family,
        );
        for ty in results_of(item) {
            self.model.places.see(pending.result, ty);
        }
        let carries = match entry.map(|(_, item)| item.op) {
            Some(Op::Method { carries, .. }) => carries,
            Some(_) => false,
            None => true,
        };
        if carries {
            self.link(Some(pending.result), pending.receiver);
        }
        if matches!(
            name.as_str(),
            "send" | "try_send" | "connect" | "duration_since" | "saturating_duration_since"
        ) {
            for flow in pending.arguments.iter().copied() {
                self.link(flow, pending.receiver);
            }
        }
        if let Usage::WhileLet(looped, _) = pending.at.usage.usage
            && is_receive(item)
            && self.model.sites[site.0].drain.is_none()
            && let FrameKind::Loop(expr) = self.model.frame(pending.at.frame).kind
            && matches!(expr, Expr::While(found) if std::ptr::eq(found, looped))
        {
            let start = self.project.file(pending.at.file).range(expr).start;
            let before = (pending.at.statement == start).then_some(start);
            self.model.sites[site.0].drain = Some(Drain { before });
            self.model.frames[pending.at.frame.0].kind = FrameKind::Drain(site);
        }
    }

    /// The rule's item where a file has a method of its own for one of a trait's.
    fn method_of_file(&self, pending: &Pending<'p>, name: &str) -> Option<String> {
        let is_file = match self
            .facts
            .ty(&pending.call.receiver)
            .and_then(|ty| ty.path())
        {
            Some(known) => known == rules::FILE,
            None => pending.receiver.is_some_and(|place| {
                let seen = self.model.places.seen(place);
                seen.contains(rules::FILE) && !seen.iter().any(|ty| rules::takes_streams(ty))
            }),
        };
        let own = format!("{}::{name}", rules::FILE);
        (is_file && rules::lookup(&own).is_some()).then_some(own)
    }

    pub(super) fn pass_through(&mut self, pending: &Pending<'p>) {
        self.link(Some(pending.result), pending.receiver);
        for flow in pending.arguments.iter().copied() {
            self.link(flow, Some(pending.result));
        }
    }

    /// Resolves what is left by the types seen at receivers, until nothing new is seen.
    pub(super) fn settle(&mut self) {
        for _ in 0..ROUNDS {
            let mut left = Vec::new();
            let mut progress = false;
            for mut pending in std::mem::take(&mut self.pending) {
                match self.guess(&pending) {
                    Some(callee) if self.resolve_method(&pending, &callee) => progress = true,
                    _ => {
                        if !pending.passed {
                            pending.passed = true;
                            progress = true;
                            self.pass_through(&pending);
                        }
                        left.push(pending);
                    }
                }
            }
            self.pending = left;
            if !progress {
                break;
            }
        }
        for (base, flow, at) in std::mem::take(&mut self.pending_awaits) {
            if let Some(item) = self.awaitable(base, flow) {
                self.awaited_site(item, base, flow, at);
            }
        }
        // A method that no rule names, on what is known to be tokio's.
        for pending in std::mem::take(&mut self.pending) {
            let name = ident_text(&pending.call.method);
            let known = self
                .facts
                .ty(&pending.call.receiver)
                .and_then(|ty| ty.path())
                .is_some_and(|path| {
                    asupersync_source::known::is_prefix("tokio", path) && !is_guard(path)
                });
            if known
                && !is_of_std_trait(&name)
                && let Some(place) = pending.receiver
            {
                self.model.escapes.push(Escape {
                    place,
                    reason: format!("`{name}` has no rule"),
                    families: &[],
                });
            }
        }
    }

    pub(super) fn guess(&self, pending: &Pending<'p>) -> Option<String> {
        let name = ident_text(&pending.call.method);
        let seen = self.model.places.seen(pending.receiver?);
        let arity = pending.call.args.len() + 1;
        let moved = has_moved(pending.expr, &name);
        // What the type of the receiver says goes before what was seen where it flows.
        let known = self
            .facts
            .ty(&pending.call.receiver)
            .and_then(|ty| ty.path())
            .and_then(|ty| rules::method_of(ty, &name));
        if let Some((_, item)) = known.filter(|_| !moved) {
            return Some(item.path.to_owned());
        }
        let mut found: Vec<String> = Vec::new();
        for ty in seen {
            if ty.starts_with("tokio::") {
                if !moved && let Some((_, item)) = rules::method_of(ty, &name) {
                    found.push(item.path.to_owned());
                }
                continue;
            }
            if let Some(def) = self.index.method(ty, &name)
                && def.sig.inputs.len() == arity
            {
                found.push(def.path.clone());
            }
        }
        found.sort();
        found.dedup();
        match found.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }
}

/// Whether a method call has moved already: it passes a `Cx`, which no method of tokio's takes. Poll functions take a
/// `Context`, which has the same name.
fn has_moved(expr: &Expr, name: &str) -> bool {
    !name.starts_with("poll_") && crate::decide::passed_cx(expr).is_some()
}
