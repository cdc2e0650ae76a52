//! AS212 `control_flow_across_region`: leaving a region's body past children that still run.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::Level;
use crate::point::{Flag, Point};
use crate::shape::{Scan, Seen, Step, bound_name, called_name, name_of};
use asupersync_source::walk::bare;
use std::collections::BTreeSet;
use syn::visit::Visit;
use syn::{Expr, Pat, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS212",
    name: "control_flow_across_region",
    level: Level::Warn,
    heard: Heard::Everywhere,
    summary: "`?` or `return` out of a region's body while children still run; a `yield` in one",
    what: "Flags, in the body given to `region`, a `?` or `return` behind a `spawn` whose task was not awaited, unless the region is cancelled or closed in the body. Also flags a `yield` of a generator inside of a region's body. `try_region` says what happens to the children and is left alone.",
    why: "`region` takes the value of its body as it is: an `Err` cancels nobody, and the caller waits for children that nobody wants any more, perhaps for ever. A `yield` leaves the region open for as long as the consumer pleases.",
    example: r#"use asupersync::{Cx, RegionError};

async fn run(cx: &Cx) -> Result<std::io::Result<u32>, RegionError> {
    cx.region(async |scope| {
        scope.spawn(async |cx| serve(&cx).await);
        let number = load()?;
        Ok(number)
    })
    .await
}
async fn serve(_: &Cx) {}
fn load() -> std::io::Result<u32> {
    Ok(1)
}"#,
    instead: r#"use asupersync::{Cx, TryRegionError};

async fn run(cx: &Cx) -> Result<u32, TryRegionError<std::io::Error>> {
    cx.try_region(async |scope| {
        scope.spawn(async |cx| serve(&cx).await);
        let number = load()?;
        Ok(number)
    })
    .await
}
async fn serve(_: &Cx) {}
fn load() -> std::io::Result<u32> {
    Ok(1)
}"#,
    asks: &[Ask::Points(check)],
};

fn check(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let Some(expr) = point.expr() else {
        return Vec::new();
    };
    let arguments = match expr {
        Expr::MethodCall(call) if call.method == "region" => &call.args,
        Expr::Call(call) => &call.args,
        _ => return Vec::new(),
    };
    // Asked first: few calls take a closure, and what one calls is a longer question.
    let Some(Expr::Closure(body)) = arguments.last().map(bare) else {
        return Vec::new();
    };
    if matches!(expr, Expr::Call(_)) && !opens_region(point, expr) {
        return Vec::new();
    }
    let Some(Pat::Ident(scope)) = body.inputs.first().map(|input| match input {
        Pat::Type(typed) => &*typed.pat,
        other => other,
    }) else {
        return Vec::new();
    };
    // `async |scope| {..}` or `|scope| async move {..}`
    let block = match bare(&body.body) {
        Expr::Block(block) => &block.block,
        Expr::Async(block) => &block.block,
        _ => return Vec::new(),
    };
    let mut walk = Body {
        point,
        scope: scope.ident.to_string(),
        live: BTreeSet::new(),
        unnamed: false,
        told: false,
        flags: Vec::new(),
    };
    walk.stmts(&block.stmts);
    walk.flags
}

fn opens_region(point: &Point<'_, '_, '_>, expr: &Expr) -> bool {
    let callee = point.cursor.callee(expr);
    callee.is_some_and(|callee| {
        matches!(
            callee.path.as_str(),
            "asupersync::Region::open" | "asupersync::Region::open_with"
        )
    })
}

/// A walk through a region's body in source order.
struct Body<'a, 'c, 'i, 'p> {
    point: &'a Point<'c, 'i, 'p>,
    scope: String,
    /// Handles of children that were not awaited yet.
    live: BTreeSet<String>,
    /// A child without a handle runs until the region ends.
    unnamed: bool,
    /// The body cancels or closes the region.
    told: bool,
    flags: Vec<Flag>,
}

impl Body<'_, '_, '_, '_> {
    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match stmt {
                Stmt::Local(local) => {
                    let Some(init) = &local.init else { continue };
                    let name = bound_name(&local.pat);
                    match name {
                        Some(name) if self.spawns(&init.expr) => {
                            self.live.insert(name);
                        }
                        _ => self.expr(&init.expr),
                    }
                }
                Stmt::Expr(expr, _) if self.spawns(expr) => self.unnamed = true,
                Stmt::Expr(expr, _) => self.expr(expr),
                Stmt::Item(_) | Stmt::Macro(_) => {}
            }
        }
    }

    /// A child that the end of the region does not cancel by itself.
    fn spawns(&self, expr: &Expr) -> bool {
        match bare(expr) {
            Expr::MethodCall(call) => {
                let on_scope = name_of(&call.receiver).is_some_and(|name| name == self.scope);
                on_scope
                    && matches!(
                        call.method.to_string().as_str(),
                        "spawn" | "try_spawn" | "spawn_blocking"
                    )
            }
            _ => false,
        }
    }

    fn expr(&mut self, expr: &Expr) {
        let file = self.point.file();
        let mut leaving = Vec::new();
        let mut yields = Vec::new();
        let mut joined = Vec::new();
        let mut started = false;
        let mut told = false;
        let mut see = |seen: Seen<'_>| {
            let Seen::Expr(expr) = seen else {
                return Step::Into;
            };
            match expr {
                Expr::Closure(_) | Expr::Async(_) => return Step::Over,
                Expr::Try(attempt) => {
                    let end = file.range(attempt).end;
                    leaving.push(end - 1..end);
                }
                Expr::Return(back) => {
                    let start = file.range(back).start;
                    leaving.push(start..start + "return".len());
                }
                Expr::Yield(_) => yields.push(file.range(expr)),
                Expr::Await(wait) => joined.extend(name_of(&wait.base)),
                Expr::MethodCall(call) => {
                    let on_scope = name_of(&call.receiver).is_some_and(|name| name == self.scope);
                    let name = call.method.to_string();
                    started |= on_scope && matches!(name.as_str(), "spawn" | "try_spawn");
                    told |= on_scope && matches!(name.as_str(), "cancel" | "close");
                    if name == "join" {
                        joined.extend(name_of(&call.receiver));
                    }
                }
                Expr::Call(call) if called_name(expr).is_some_and(|name| name.contains("join")) => {
                    joined.extend(call.args.iter().filter_map(name_of));
                }
                _ => {}
            }
            Step::Into
        };
        Scan::new(file, &mut see).visit_expr(expr);
        for name in joined {
            self.live.remove(&name);
        }
        self.told |= told;
        if (self.unnamed || !self.live.is_empty()) && !self.told {
            self.flags.extend(leaving.into_iter().map(|range| Flag {
                range,
                verdict: leaves(),
            }));
        }
        self.flags.extend(yields.into_iter().map(|range| Flag {
            range,
            verdict: yields_inside(),
        }));
        self.unnamed |= started;
    }
}

fn leaves() -> Verdict {
    Verdict {
        message: "the region's body is left while children still run".to_owned(),
        label: "nobody tells the children".to_owned(),
        why: "an `Err` of the body cancels no child of a plain `region`: the caller waits until they end by themselves"
            .to_owned(),
        help: "use `try_region`, whose children are cancelled by the body's `Err`, or `scope.cancel(..)` first"
            .to_owned(),
        fix: None,
    }
}

fn yields_inside() -> Verdict {
    Verdict {
        message: "a generator yields while a region is open".to_owned(),
        label: "the region stays open for as long as the consumer pleases".to_owned(),
        why: "a consumer that stops polling leaves the children running, or suspended, with nobody in charge"
            .to_owned(),
        help: "send through a channel from a task of the region, and let the stream receive".to_owned(),
        fix: None,
    }
}
