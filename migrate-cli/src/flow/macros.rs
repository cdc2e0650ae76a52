//! Macro calls: the arms of `select!`, lists of expressions, and blocks that a macro makes something of.

use super::{Builder, Flow, Use};
use crate::model::{FrameKind, Shape, Usage};
use crate::rules::Family;
use asupersync_source::macros::{MacroBody, Select};

impl<'p> Builder<'_, 'p> {
    pub(super) fn macro_call(&mut self, call: &'p syn::Macro, usage: Use<'p>) -> Flow {
        let found = self.facts.path(&call.path).map(str::to_owned);
        let definition = self.facts.is_in_definition(call);
        let was = self.in_definition;
        self.in_definition |= definition;
        if let Some(item) = found.filter(|path| asupersync_source::known::is_prefix("tokio", path))
        {
            let range = self.range(call);
            let site = self.push_site(
                &item,
                Shape::Macro(call),
                range,
                self.point(usage),
                None,
                Family::Free,
            );
            self.occurrence(
                &call.path,
                call.path.segments.len(),
                &item,
                None,
                Some(site),
            );
        }
        let flow = self
            .source()
            .macro_body(call)
            .and_then(|body| self.macro_body(call, body));
        self.in_definition = was;
        flow
    }

    pub(super) fn macro_body(&mut self, call: &'p syn::Macro, body: &'p MacroBody) -> Flow {
        match body {
            MacroBody::Select(select) => self.select(call, select),
            // `stream! { while let .. {} }` is a block that happens to be one expression.
            MacroBody::Exprs(exprs) if matches!(call.delimiter, syn::MacroDelimiter::Brace(_)) => {
                self.within(FrameKind::MacroBlock, |builder| {
                    for expr in exprs {
                        builder.expr(expr, Use::value());
                    }
                });
                None
            }
            MacroBody::Exprs(exprs) => {
                let flows: Vec<Flow> = exprs
                    .iter()
                    .map(|expr| self.expr(expr, Use::value()))
                    .collect();
                self.gather(flows)
            }
            MacroBody::Stmts(stmts) => self.within(FrameKind::MacroBlock, |builder| {
                builder.statements(stmts);
                None
            }),
            MacroBody::Pieces(pieces) => {
                for piece in pieces {
                    self.macro_body(call, piece);
                }
                None
            }
            MacroBody::Definition(arms) => {
                self.within(FrameKind::Sealed, |builder| {
                    for arm in arms {
                        builder.macro_body(call, arm);
                    }
                });
                None
            }
            MacroBody::Items(_) => None,
        }
    }

    pub(super) fn select(&mut self, call: &'p syn::Macro, select: &'p Select) -> Flow {
        let mut flows = Vec::new();
        let before = self.statement;
        for (branch, arm) in select.branches.iter().enumerate() {
            self.statement = self.range(&arm.pat).start;
            let usage = Use::of(Usage::Arm { branch, call });
            let output = self.within(FrameKind::SelectFuture, |builder| {
                let flow = builder.expr(&arm.future, usage);
                builder.awaited(&arm.future, flow, usage);
                flow
            });
            if let Some(guard) = &arm.guard {
                self.expr(guard, Use::value());
            }
            let flow = self.scoped(|builder| {
                builder.pattern(&arm.pat, output);
                builder.within(FrameKind::SelectHandler, |builder| {
                    builder.expr(&arm.handler, Use::value())
                })
            });
            flows.push(flow);
        }
        self.statement = before;
        if let Some(otherwise) = &select.otherwise {
            let flow = self.expr(otherwise, Use::value());
            flows.push(flow);
        }
        self.join(flows)
    }
}
