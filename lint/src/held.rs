//! What is held over an `.await`.

use crate::shape::{
    Scan, Seen, Step, any_in_expr, bound_name, called_name, is_name, mentions, suspends,
};
use asupersync_source::load::SourceFile;
use asupersync_source::walk::bare;
use syn::visit::Visit;
use syn::{Expr, Pat, Stmt};

/// How a variable stands to the awaits behind its `let`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Dropped or given away before the first await, or there is none.
    No,
    /// Alive at an await that does not name it, and never used from there on: it could have gone before.
    Idle,
    /// Alive at an await that does not name it, and used later.
    Spanning,
    /// The first await after it names it.
    Used,
}

/// How the variable that a pattern binds is held over the statements behind it. `consumers` are the methods that take the
/// variable by value.
pub(crate) fn held(file: &SourceFile, name: &str, consumers: &[&str], rest: &[Stmt]) -> Held {
    let mut first = None;
    let mut used_later = false;
    let mut see = |seen: Seen<'_>| {
        if first.is_some() {
            used_later |= match seen {
                Seen::Expr(expr) => is_name(expr, name),
                Seen::Macro(call) => crate::shape::names_word(call, name),
            };
            return Step::Into;
        }
        match seen {
            Seen::Expr(Expr::Closure(_) | Expr::Async(_)) => Step::Over,
            Seen::Expr(Expr::Await(wait)) => {
                if gives_away(file, &wait.base, name) {
                    return Step::Stop;
                }
                first = Some(mentions(file, &wait.base, name));
                Step::Over
            }
            Seen::Expr(Expr::Call(call)) if call.args.iter().any(|arg| is_name(arg, name)) => {
                Step::Stop
            }
            // `return guard`, `let other = guard`, `Some(guard)` and the like are moves; only uses through a method, field,
            // index, dereference or reference leave it where it is.
            Seen::Expr(Expr::MethodCall(call))
                if call.args.iter().any(|arg| is_name(arg, name)) =>
            {
                Step::Stop
            }
            Seen::Expr(Expr::MethodCall(call))
                if is_name(&call.receiver, name)
                    && consumers.contains(&call.method.to_string().as_str())
                    && !call.args.iter().any(|arg| any_in_expr(file, arg, suspends)) =>
            {
                Step::Stop
            }
            Seen::Expr(Expr::Return(back))
                if back.expr.as_ref().is_some_and(|expr| is_name(expr, name)) =>
            {
                Step::Stop
            }
            Seen::Macro(call) if suspends(seen) => {
                first = Some(crate::shape::names_word(call, name));
                Step::Over
            }
            // `*guard += wait().await`, `guard.insert(wait().await)`: what stands first is used last.
            Seen::Expr(
                expr @ (Expr::Binary(_)
                | Expr::Assign(_)
                | Expr::MethodCall(_)
                | Expr::Call(_)
                | Expr::Struct(_)
                | Expr::Tuple(_)
                | Expr::Index(_)),
            ) => {
                used_later |= mentions(file, expr, name) && any_in_expr(file, expr, suspends);
                Step::Into
            }
            _ => Step::Into,
        }
    };
    let mut scan = Scan::new(file, &mut see);
    for stmt in rest {
        // Shadowed or moved: what happens to the new owner is another question.
        if let Stmt::Local(local) = stmt {
            let moved = local
                .init
                .as_ref()
                .is_some_and(|init| is_name(&init.expr, name));
            if moved {
                break;
            }
            scan.visit_stmt(stmt);
            if bound_name(&local.pat).as_deref() == Some(name) {
                break;
            }
            continue;
        }
        scan.visit_stmt(stmt);
    }
    match (first, used_later) {
        (None, _) => Held::No,
        (Some(true), _) => Held::Used,
        (Some(false), true) => Held::Spanning,
        (Some(false), false) => Held::Idle,
    }
}

/// Whether an expression moves the variable: passes it by value to a call.
fn gives_away(file: &SourceFile, expr: &Expr, name: &str) -> bool {
    let mut found = false;
    let mut see = |seen: Seen<'_>| {
        if let Seen::Expr(Expr::Call(_) | Expr::MethodCall(_)) = seen
            && let Seen::Expr(call) = seen
        {
            let arguments = match call {
                Expr::Call(call) => &call.args,
                Expr::MethodCall(call) => &call.args,
                _ => return Step::Into,
            };
            found |= arguments.iter().any(|arg| is_name(arg, name));
        }
        Step::Into
    };
    Scan::new(file, &mut see).visit_expr(expr);
    found
}

/// The variable of `let name = ..`, with the part of the pattern that binds it.
pub(crate) fn guard_name(pat: &Pat) -> Option<(String, &syn::PatIdent)> {
    match pat {
        Pat::Ident(ident) => Some((ident.ident.to_string(), ident)),
        Pat::Type(typed) => guard_name(&typed.pat),
        // `let Ok(guard) = lock.lock() else { .. }`
        Pat::TupleStruct(wrapped) if wrapped.elems.len() == 1 => guard_name(&wrapped.elems[0]),
        _ => None,
    }
}

/// Whether an expression is a lock of std by its shape alone: `lock.lock().unwrap()`, not awaited.
pub(crate) fn is_std_lock(init: &Expr) -> bool {
    let Expr::MethodCall(unwrapped) = bare(init) else {
        return false;
    };
    let unwraps = matches!(
        unwrapped.method.to_string().as_str(),
        "unwrap" | "expect" | "unwrap_or_else"
    );
    let Expr::MethodCall(locked) = bare(&unwrapped.receiver) else {
        return false;
    };
    unwraps
        && locked.args.is_empty()
        && called_name(bare(&unwrapped.receiver)).as_deref() == Some("lock")
}
