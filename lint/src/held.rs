//! What is held over an `.await`.

use crate::shape::{
    Scan, Seen, Step, any_in_expr, bound_name, called_name, is_name, mentions, names_in,
    names_word, suspends,
};
use asupersync_source::load::SourceFile;
use asupersync_source::walk::bare;
use syn::visit::{self, Visit};
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
/// variable by value. What is bound from an expression that names the variable may borrow from it, and counts as the variable.
pub(crate) fn held(file: &SourceFile, name: &str, consumers: &[&str], rest: &[Stmt]) -> Held {
    let names = derived(file, name, rest);
    let mentioned = |expr: &Expr| names.iter().any(|name| mentions(file, expr, name));
    let mut first = None;
    let mut used_later = false;
    let mut see = |seen: Seen<'_>| {
        if first.is_some() {
            used_later |= match seen {
                Seen::Expr(expr) => names.iter().any(|name| is_name(expr, name)),
                Seen::Macro(call) => names.iter().any(|name| names_word(call, name)),
            };
            return Step::Into;
        }
        match seen {
            Seen::Expr(Expr::Closure(_) | Expr::Async(_)) => Step::Over,
            Seen::Expr(Expr::Await(wait)) => {
                if gives_away(file, &wait.base, name) {
                    return Step::Stop;
                }
                first = Some(mentioned(&wait.base) || is_lock(&wait.base));
                Step::Over
            }
            // Only uses through a method, field, index, dereference or reference leave a value where it is.
            Seen::Expr(Expr::Call(call)) if call.args.iter().any(|arg| is_name(arg, name)) => {
                Step::Stop
            }
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
                first = Some(names.iter().any(|name| names_word(call, name)));
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
                used_later |= mentioned(expr) && any_in_expr(file, expr, suspends);
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

/// Taking a second lock or permit while one is held is a decision about order, not an oversight.
fn is_lock(expr: &Expr) -> bool {
    called_name(bare(expr)).is_some_and(|name| {
        let base = name.strip_suffix("_owned").unwrap_or(&name);
        matches!(base, "lock" | "read" | "write" | "acquire" | "reserve")
    })
}

/// The variable, and every name bound from an expression that mentions one of them.
fn derived(file: &SourceFile, name: &str, rest: &[Stmt]) -> Vec<String> {
    struct Names<'f> {
        file: &'f SourceFile,
        names: Vec<String>,
    }
    impl Names<'_> {
        fn bind(&mut self, pat: &Pat, from: &Expr) {
            if self
                .names
                .iter()
                .any(|name| mentions(self.file, from, name))
            {
                self.names.extend(names_in(pat));
            }
        }
    }
    impl<'ast> Visit<'ast> for Names<'_> {
        fn visit_local(&mut self, local: &'ast syn::Local) {
            if let Some(init) = &local.init {
                self.bind(&local.pat, &init.expr);
            }
            visit::visit_local(self, local);
        }
        fn visit_expr_let(&mut self, condition: &'ast syn::ExprLet) {
            self.bind(&condition.pat, &condition.expr);
            visit::visit_expr_let(self, condition);
        }
        fn visit_expr_for_loop(&mut self, lap: &'ast syn::ExprForLoop) {
            self.bind(&lap.pat, &lap.expr);
            visit::visit_expr_for_loop(self, lap);
        }
        fn visit_expr_match(&mut self, switch: &'ast syn::ExprMatch) {
            for arm in &switch.arms {
                self.bind(&arm.pat, &switch.expr);
            }
            visit::visit_expr_match(self, switch);
        }
    }
    let mut found = Names {
        file,
        names: vec![name.to_owned()],
    };
    rest.iter().for_each(|stmt| found.visit_stmt(stmt));
    found.names
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
