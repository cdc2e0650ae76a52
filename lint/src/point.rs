//! A point of the source that rules about structure are asked about: a function, a `let`, an expression, a `select!`.

use crate::rules::Verdict;
use crate::shape::last_segment;
use asupersync_source::load::SourceFile;
use asupersync_source::macros::Select;
use asupersync_source::resolve::FnDef;
use asupersync_source::types::Ty;
use asupersync_source::walk::{Cursor, Node};
use std::ops::Range;
use syn::{Block, Expr, Local, Signature, Stmt};

/// A point and what encloses it.
pub(crate) struct Point<'c, 'i, 'p> {
    /// What encloses it; the point itself is not among the ancestors, except that a `let` has its own statement first.
    pub(crate) cursor: &'c Cursor<'i, 'p>,
    pub(crate) what: What<'p>,
}

/// What stands at a point.
#[derive(Clone, Copy)]
pub(crate) enum What<'p> {
    /// A function with a body; its parameters are in scope.
    Function {
        sig: &'p Signature,
        block: &'p Block,
    },
    /// A `let`, with the statements behind it.
    Local { local: &'p Local, rest: &'p [Stmt] },
    /// An expression.
    Expr(&'p Expr),
    /// A `select!`.
    Select(&'p Select),
}

/// What a rule says of a point.
pub(crate) struct Flag {
    /// The bytes it marks.
    pub(crate) range: Range<usize>,
    pub(crate) verdict: Verdict,
}

impl<'p> Point<'_, '_, 'p> {
    pub(crate) fn file(&self) -> &'p SourceFile {
        self.cursor.file()
    }

    /// The expression, if that is what stands here.
    pub(crate) fn expr(&self) -> Option<&'p Expr> {
        match self.what {
            What::Expr(expr) => Some(expr),
            _ => None,
        }
    }

    /// Whether the code is polled: in an async function, block, closure or generator.
    pub(crate) fn is_async(&self) -> bool {
        is_async(self.cursor)
    }
}

/// The definition of a function whose signature stands at a point; none for one nested in another, or where two have the same path.
pub(crate) fn definition<'i, 'p>(
    cursor: &Cursor<'i, 'p>,
    sig: &Signature,
) -> Option<&'i FnDef<'p>> {
    let owner = cursor.self_ty().and_then(Ty::path);
    let path = format!("{}::{}", owner.unwrap_or(cursor.module()), sig.ident);
    let found = cursor.index().function(&path)?;
    std::ptr::eq(found.sig, sig).then_some(found)
}

/// Whether the code around a point is polled. A closure that is not async is not.
pub(crate) fn is_async(cursor: &Cursor<'_, '_>) -> bool {
    for node in cursor.ancestors() {
        match node {
            Node::Function { sig, .. } => return sig.asyncness.is_some(),
            Node::Expr(Expr::Async(_)) => return true,
            Node::Expr(Expr::Closure(closure)) => return closure.asyncness.is_some(),
            Node::MacroStmts(call)
                if matches!(last_segment(&call.path).as_str(), "stream" | "try_stream") =>
            {
                return true;
            }
            Node::Item(_) | Node::MacroDefinition(_) => return false,
            _ => {}
        }
    }
    false
}

/// Whether a loop of the same function, async block or closure comes round to a point again.
pub(crate) fn in_loop(cursor: &Cursor<'_, '_>) -> bool {
    for node in cursor.ancestors() {
        match node {
            Node::Expr(Expr::Loop(_) | Expr::While(_) | Expr::ForLoop(_)) => return true,
            Node::Expr(Expr::Async(_) | Expr::Closure(_))
            | Node::Function { .. }
            | Node::Item(_)
            | Node::MacroDefinition(_) => return false,
            _ => {}
        }
    }
    false
}

/// The variable in scope that is a context of this runtime.
pub(crate) fn context_in_scope(cursor: &Cursor<'_, '_>) -> Option<&'static str> {
    ["cx", "scope"].into_iter().find(|name| {
        cursor
            .local(name)
            .is_some_and(|ty| matches!(ty.path(), Some("asupersync::Cx" | "asupersync::Scope")))
    })
}
