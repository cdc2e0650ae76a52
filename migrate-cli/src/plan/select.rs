//! The edits of `select!`.

use super::Planner;
use super::results::Exit;
use crate::decide;
use crate::flow::bare;
use crate::model::{Shape, SiteId};
use crate::rules::{Fix, Op, TOKIO_DROP_SAFE};
use asupersync_source::edit::Edit;
use asupersync_source::macros::MacroBody;
use syn::{Expr, Pat};

impl Planner<'_, '_> {
    pub(super) fn select(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Macro(call) = site.shape else {
            return;
        };
        let file = site.file;
        let Some(MacroBody::Select(select)) = self.file(file).macro_body(call) else {
            self.refuse(id, "the arms cannot be read");
            return;
        };
        let mut can_all_miss = true;
        let mut cancellation_hidden = false;
        let mut waits_with_cx = false;
        for arm in &select.branches {
            let operation = decide::operation(self.model(), &arm.future);
            let rewritten = operation.filter(|inner| self.decision.rewrites(*inner));
            let fallible = rewritten.is_some_and(|inner| {
                matches!(
                    self.model().site(inner).op(),
                    Some(
                        Op::OnCx {
                            fix: Fix::Fallible,
                            ..
                        } | Op::Method {
                            fix: Fix::Fallible | Fix::Guard,
                            ..
                        }
                    )
                )
            });
            cancellation_hidden |= fallible;
            waits_with_cx |= rewritten.is_some_and(|inner| decide::needs_cx(self.model(), inner));
            can_all_miss &= fallible || is_refutable(&arm.pat) || arm.guard.is_some();
            if matches!(bare(&arm.future), Expr::Reference(_)) && rewritten.is_none() {
                continue;
            }
            if rewritten.is_some_and(|inner| self.is_rewritten_drop_safe(inner)) {
                continue;
            }
            let range = self.file(file).range(&arm.future);
            // What loses nothing once it has moved loses nothing before; without review it waits for those that need one.
            let harmless = operation.is_some_and(|inner| {
                let item = self.model().site(inner).item.as_str();
                TOKIO_DROP_SAFE.contains(&item)
                    || (self.constraints.review && decide::is_drop_safe(item))
            });
            if !harmless {
                if !self.constraints.review {
                    self.refuse(
                        id,
                        "AM021: an arm may lose something when another wins; run with `--review`",
                    );
                    return;
                }
                let text = self.file(file).slice(range.clone()).to_owned();
                self.plan.unsafe_arms.push((file, range.start, text));
            }
            self.edit(
                file,
                Edit::insert(range.start, "asupersync::combine::drop_ok(").ranked(-7),
            );
            self.edit(file, Edit::insert(range.end, ")").ranked(7));
        }
        if select.otherwise.is_none() && (cancellation_hidden || (can_all_miss && waits_with_cx)) {
            self.cancelled_arm(id);
        }
    }

    /// An arm that leaves when the task is asked to stop, where no other would notice.
    fn cancelled_arm(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let Shape::Macro(call) = site.shape else {
            return;
        };
        let file = site.file;
        let written = self.cx(site.frame).receiver;
        let arm = match self.exit(site.frame) {
            Exit::Try => {
                format!("cancelled = {written}.cancelled() => return Err(cancelled.into()),")
            }
            Exit::Return => format!("_ = {written}.cancelled() => return,"),
            Exit::Unwrap => {
                format!("cancelled = {written}.cancelled() => panic!(\"{{cancelled}}\"),")
            }
            Exit::None => return,
        };
        let Some(MacroBody::Select(select)) = self.file(file).macro_body(call) else {
            return;
        };
        let Some(last) = select.branches.last() else {
            return;
        };
        let first = self.file(file).range(&select.branches[0].pat).start;
        let indent = self.indent(file, first);
        let mut at = self.file(file).range(&last.handler).end;
        let text = &self.file(file).text;
        let rest = text[at..].trim_start();
        let mut comma = ",";
        if rest.starts_with(',') {
            at += text[at..].len() - rest.len() + 1;
            comma = "";
        } else if matches!(last.handler, Expr::Block(_)) {
            comma = "";
        }
        let own_line = text[..first]
            .rfind('\n')
            .is_some_and(|newline| text[newline + 1..first].trim().is_empty());
        let arm = if own_line {
            format!("{comma}\n{indent}{arm}")
        } else {
            format!("{comma} {arm}")
        };
        self.edit(file, Edit::insert(at, arm).ranked(9));
    }
}

fn is_refutable(pat: &Pat) -> bool {
    match pat {
        Pat::Wild(_) | Pat::Rest(_) => false,
        Pat::Ident(ident) => {
            ident.ident == "None"
                || ident
                    .subpat
                    .as_ref()
                    .is_some_and(|(_, inner)| is_refutable(inner))
        }
        Pat::Tuple(tuple) => tuple.elems.iter().any(is_refutable),
        Pat::Type(typed) => is_refutable(&typed.pat),
        Pat::Paren(inner) => is_refutable(&inner.pat),
        _ => true,
    }
}
