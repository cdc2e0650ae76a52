//! Walking a target with the scope in force at every point, macro bodies included.
//!
//! * A [`Visitor`] is told of every item, function, expression, macro call and path, in source order. It gets a [`Cursor`], which
//!   answers what a path means there ([`Cursor::resolve`]), what a call calls ([`Cursor::callee`]), what type an expression has
//!   ([`Cursor::type_of`]) and what encloses the point ([`Cursor::ancestors`]).
//! * The bodies of `select!`, `join!`, `println!` and of `macro_rules!` arms are walked like other code; the enclosing
//!   [`Node`] says which it is.

pub use crate::cursor::{Callee, Cursor, Node, Via, bare};

use crate::cursor::{Origin, Scope};
use crate::load::{Target, ident_text};
use crate::macros::{MacroBody, Select};
use crate::resolve::{Index, Names, Namespace};
use crate::types::{self, Ty};
use std::collections::HashMap;
use syn::visit::{self, Visit};
use syn::{Block, Expr, FnArg, Item, Pat, Signature, Stmt};

/// Where a path stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A value: the callee of a call, a function passed along, a constant.
    Value,
    /// A type, bound, trait of an impl, or struct literal.
    Type,
    /// A pattern.
    Pattern,
    /// The name of a macro call.
    Macro,
}

/// Is told of what a walk meets. Every method has an empty default.
#[allow(unused_variables, reason = "the defaults ignore what implementors use")]
pub trait Visitor<'p> {
    /// An item, before what is inside it.
    fn item(&mut self, cursor: &Cursor<'_, 'p>, item: &'p Item) {}
    /// A function or method with a body, before its body; its parameters are in scope.
    fn function(&mut self, cursor: &Cursor<'_, 'p>, sig: &'p Signature, block: &'p Block) {}
    /// After the body.
    fn leave_function(&mut self, cursor: &Cursor<'_, 'p>, sig: &'p Signature, block: &'p Block) {}
    /// A statement, before what is inside it.
    fn stmt(&mut self, cursor: &Cursor<'_, 'p>, stmt: &'p Stmt) {}
    /// An expression, before what is inside it.
    fn expr(&mut self, cursor: &Cursor<'_, 'p>, expr: &'p Expr) {}
    /// After what is inside it.
    fn leave_expr(&mut self, cursor: &Cursor<'_, 'p>, expr: &'p Expr) {}
    /// A macro call in any position, before its body.
    fn macro_call(&mut self, cursor: &Cursor<'_, 'p>, call: &'p syn::Macro) {}
    /// A path. For `<T as Trait>::name`, the whole path.
    fn path(&mut self, cursor: &Cursor<'_, 'p>, path: &'p syn::Path, place: Place) {}
    /// An attribute.
    fn attribute(&mut self, cursor: &Cursor<'_, 'p>, attribute: &'p syn::Attribute) {}
}

/// Walks every file of a target.
pub fn walk<'p>(index: &Index<'p>, target: &'p Target, visitor: &mut dyn Visitor<'p>) {
    for module in &target.modules {
        walk_module(index, target, module, visitor);
    }
}

/// Walks one file of a target.
pub fn walk_module<'p>(
    index: &Index<'p>,
    target: &'p Target,
    module: &'p crate::load::Module,
    visitor: &mut dyn Visitor<'p>,
) {
    let cursor = Cursor::new(index, target, module);
    let file = cursor.file;
    let mut walker = Walker {
        cursor,
        visitor,
        place: Place::Type,
    };
    walker.visit_file(&file.ast);
}

struct Walker<'i, 'p, 'v> {
    cursor: Cursor<'i, 'p>,
    visitor: &'v mut dyn Visitor<'p>,
    place: Place,
}

impl<'p> Walker<'_, 'p, '_> {
    fn within(&mut self, node: Node<'p>, then: impl FnOnce(&mut Self)) {
        self.cursor.nodes.push(node);
        then(self);
        self.cursor.nodes.pop();
    }

    fn scoped(&mut self, then: impl FnOnce(&mut Self)) {
        self.cursor.scopes.push(Scope::new(false));
        then(self);
        self.cursor.scopes.pop();
    }

    fn at(&mut self, place: Place, then: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.place, place);
        then(self);
        self.place = before;
    }

    fn generics(&mut self, generics: &'p syn::Generics) {
        let mut found: HashMap<String, Ty> = HashMap::new();
        let mut bound =
            |cursor: &Cursor<'_, 'p>, name: String, bounds: Vec<&'p syn::TypeParamBound>| {
                for bound in bounds {
                    let syn::TypeParamBound::Trait(bound) = bound else {
                        continue;
                    };
                    let marker = bound
                        .path
                        .segments
                        .last()
                        .is_none_or(|last| types::is_marker(&last.ident.to_string()));
                    if marker || found.contains_key(&name) {
                        continue;
                    }
                    if let Some(path) = cursor.resolve(&bound.path, Namespace::Type)
                        && cursor.index.is_local(&path)
                    {
                        found.insert(name.clone(), Ty::named(&path));
                    }
                }
            };
        for param in generics.type_params() {
            bound(
                &self.cursor,
                ident_text(&param.ident),
                param.bounds.iter().collect(),
            );
        }
        for predicate in generics
            .where_clause
            .iter()
            .flat_map(|clause| &clause.predicates)
        {
            if let syn::WherePredicate::Type(predicate) = predicate
                && let syn::Type::Path(path) = &predicate.bounded_ty
                && let Some(name) = path.path.get_ident()
            {
                bound(
                    &self.cursor,
                    ident_text(name),
                    predicate.bounds.iter().collect(),
                );
            }
        }
        if let Some(scope) = self.cursor.scopes.last_mut() {
            scope.generics = found;
        }
    }

    fn body(&mut self, sig: &'p Signature, block: &'p Block) {
        self.cursor.scopes.push(Scope::new(true));
        self.generics(&sig.generics);
        for input in &sig.inputs {
            if let FnArg::Typed(typed) = input {
                self.cursor
                    .declare(&typed.pat, Origin::Annotated(&typed.ty));
            }
        }
        self.visit_signature(sig);
        self.visitor.function(&self.cursor, sig, block);
        self.within(Node::Function { sig, block }, |walker| {
            walker.visit_block(block)
        });
        self.visitor.leave_function(&self.cursor, sig, block);
        self.cursor.scopes.pop();
    }

    fn stmts(&mut self, stmts: &'p [Stmt]) {
        let macros = self.cursor.index.project.macros(self.cursor.file_id);
        let mut names = Names::default();
        for stmt in stmts {
            match stmt {
                Stmt::Item(item) => names.add_item(item, macros),
                Stmt::Macro(call) => {
                    if let Some(MacroBody::Items(items)) = macros.get(&call.mac) {
                        names.add(items, macros);
                    }
                }
                _ => {}
            }
        }
        self.scoped(|walker| {
            if let Some(scope) = walker.cursor.scopes.last_mut() {
                scope.names = names;
            }
            for at in 0..stmts.len() {
                walker.within(Node::Stmt { stmts, at }, |walker| {
                    walker.visit_stmt(&stmts[at])
                });
            }
        });
    }

    fn macro_body(&mut self, call: &'p syn::Macro, body: &'p MacroBody) {
        match body {
            MacroBody::Select(select) => self.select(call, select),
            MacroBody::Exprs(exprs) => {
                for expr in exprs {
                    self.within(Node::MacroExpr(call), |walker| walker.visit_expr(expr));
                }
            }
            MacroBody::Stmts(stmts) => {
                self.within(Node::MacroStmts(call), |walker| walker.stmts(stmts));
            }
            MacroBody::Items(items) => items.iter().for_each(|item| self.visit_item(item)),
            MacroBody::Definition(arms) => {
                self.cursor.definitions += 1;
                self.within(Node::MacroDefinition(call), |walker| {
                    for arm in arms {
                        walker.macro_body(call, arm);
                    }
                });
                self.cursor.definitions -= 1;
            }
            MacroBody::Pieces(pieces) => {
                for piece in pieces {
                    self.macro_body(call, piece);
                }
            }
        }
    }

    fn select(&mut self, call: &'p syn::Macro, select: &'p Select) {
        for (branch, arm) in select.branches.iter().enumerate() {
            let future = Node::SelectFuture {
                call,
                select,
                branch,
            };
            self.within(future, |walker| walker.visit_expr(&arm.future));
            if let Some(guard) = &arm.guard {
                self.within(Node::SelectGuard { call }, |walker| {
                    walker.visit_expr(guard)
                });
            }
            let handler = Node::SelectHandler {
                call,
                select,
                branch: Some(branch),
            };
            self.scoped(|walker| {
                walker.visit_pat(&arm.pat);
                walker.cursor.declare(&arm.pat, Origin::Output(&arm.future));
                walker.within(handler, |walker| walker.visit_expr(&arm.handler));
            });
        }
        if let Some(otherwise) = &select.otherwise {
            let handler = Node::SelectHandler {
                call,
                select,
                branch: None,
            };
            self.within(handler, |walker| walker.visit_expr(otherwise));
        }
    }

    /// Where a closure's first parameter comes from: the call it is passed to.
    fn closure_input(&self, closure: &syn::ExprClosure) -> Origin<'p> {
        let Some(Node::Expr(Expr::MethodCall(call))) = self.cursor.ancestors().nth(1) else {
            return Origin::Unknown;
        };
        let is_argument = call.args.iter().any(|argument| {
            matches!(bare(argument), Expr::Closure(found) if std::ptr::eq(found, closure))
        });
        let passes_value = PASSES_VALUE.iter().any(|name| call.method == name);
        if is_argument && passes_value {
            Origin::Passed(call)
        } else {
            Origin::Unknown
        }
    }
}

/// Methods of options and iterators that give their closure the value.
const PASSES_VALUE: &[&str] = &[
    "map",
    "and_then",
    "for_each",
    "filter",
    "inspect",
    "any",
    "all",
    "find",
    "filter_map",
    "flat_map",
    "is_some_and",
    "is_ok_and",
    "map_or",
    "map_or_else",
    "take_while",
    "skip_while",
    "position",
    "for_each_concurrent",
];

impl<'p> Visit<'p> for Walker<'_, 'p, '_> {
    fn visit_attribute(&mut self, attribute: &'p syn::Attribute) {
        self.visitor.attribute(&self.cursor, attribute);
    }

    fn visit_item(&mut self, item: &'p Item) {
        self.visitor.item(&self.cursor, item);
        match item {
            Item::Const(_) | Item::Static(_) => {
                self.within(Node::Item(item), |walker| visit::visit_item(walker, item));
            }
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_item_mod(&mut self, item: &'p syn::ItemMod) {
        let inner = format!("{}::{}", self.cursor.module, ident_text(&item.ident));
        let module = std::mem::replace(&mut self.cursor.module, inner);
        let scopes = std::mem::take(&mut self.cursor.scopes);
        let self_ty = self.cursor.self_ty.take();
        visit::visit_item_mod(self, item);
        self.cursor.self_ty = self_ty;
        self.cursor.scopes = scopes;
        self.cursor.module = module;
    }

    fn visit_item_impl(&mut self, item: &'p syn::ItemImpl) {
        self.cursor.scopes.push(Scope::new(false));
        self.generics(&item.generics);
        let this = self.cursor.type_named(&item.self_ty);
        let before = self.cursor.self_ty.replace(this);
        visit::visit_item_impl(self, item);
        self.cursor.self_ty = before;
        self.cursor.scopes.pop();
    }

    fn visit_item_trait(&mut self, item: &'p syn::ItemTrait) {
        let this = Ty::named(&format!(
            "{}::{}",
            self.cursor.module,
            ident_text(&item.ident)
        ));
        let before = self.cursor.self_ty.replace(this);
        visit::visit_item_trait(self, item);
        self.cursor.self_ty = before;
    }

    fn visit_item_fn(&mut self, item: &'p syn::ItemFn) {
        item.attrs
            .iter()
            .for_each(|attribute| self.visit_attribute(attribute));
        // A nested function is no method.
        let this = self.cursor.self_ty.take();
        self.body(&item.sig, &item.block);
        self.cursor.self_ty = this;
    }

    fn visit_impl_item_fn(&mut self, item: &'p syn::ImplItemFn) {
        item.attrs
            .iter()
            .for_each(|attribute| self.visit_attribute(attribute));
        self.body(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'p syn::TraitItemFn) {
        item.attrs
            .iter()
            .for_each(|attribute| self.visit_attribute(attribute));
        match &item.default {
            Some(block) => self.body(&item.sig, block),
            None => self.visit_signature(&item.sig),
        }
    }

    fn visit_block(&mut self, block: &'p Block) {
        self.stmts(&block.stmts);
    }

    fn visit_stmt(&mut self, stmt: &'p Stmt) {
        self.visitor.stmt(&self.cursor, stmt);
        visit::visit_stmt(self, stmt);
    }

    fn visit_local(&mut self, local: &'p syn::Local) {
        visit::visit_local(self, local);
        let pat = match &local.pat {
            Pat::Type(typed) => &typed.pat,
            other => other,
        };
        self.cursor.declare(pat, Origin::Local(local));
    }

    fn visit_expr(&mut self, expr: &'p Expr) {
        self.visitor.expr(&self.cursor, expr);
        self.within(Node::Expr(expr), |walker| match expr {
            Expr::If(_) | Expr::While(_) => walker.scoped(|walker| visit::visit_expr(walker, expr)),
            _ => visit::visit_expr(walker, expr),
        });
        self.visitor.leave_expr(&self.cursor, expr);
    }

    fn visit_expr_let(&mut self, expr: &'p syn::ExprLet) {
        visit::visit_expr_let(self, expr);
        self.cursor.declare(&expr.pat, Origin::Value(&expr.expr));
    }

    fn visit_expr_match(&mut self, expr: &'p syn::ExprMatch) {
        self.visit_expr(&expr.expr);
        for arm in &expr.arms {
            self.scoped(|walker| {
                walker.cursor.declare(&arm.pat, Origin::Value(&expr.expr));
                walker.visit_arm(arm);
            });
        }
    }

    fn visit_expr_for_loop(&mut self, expr: &'p syn::ExprForLoop) {
        self.visit_expr(&expr.expr);
        self.scoped(|walker| {
            walker.visit_pat(&expr.pat);
            walker
                .cursor
                .declare(&expr.pat, Origin::Element(&expr.expr));
            walker.visit_block(&expr.body);
        });
    }

    fn visit_expr_closure(&mut self, closure: &'p syn::ExprClosure) {
        let first = self.closure_input(closure);
        self.scoped(|walker| {
            for (at, input) in closure.inputs.iter().enumerate() {
                walker.visit_pat(input);
                let origin = if at == 0 { first } else { Origin::Unknown };
                walker.cursor.declare(input, origin);
            }
            walker.visit_return_type(&closure.output);
            walker.visit_expr(&closure.body);
        });
    }

    fn visit_expr_path(&mut self, path: &'p syn::ExprPath) {
        self.at(Place::Value, |walker| visit::visit_expr_path(walker, path));
    }

    fn visit_type(&mut self, ty: &'p syn::Type) {
        self.at(Place::Type, |walker| visit::visit_type(walker, ty));
    }

    fn visit_pat(&mut self, pat: &'p Pat) {
        self.at(Place::Pattern, |walker| match pat {
            // A constant in a pattern is no value position.
            Pat::Path(path) => visit::visit_expr_path(walker, path),
            _ => visit::visit_pat(walker, pat),
        });
    }

    fn visit_expr_struct(&mut self, literal: &'p syn::ExprStruct) {
        self.at(Place::Type, |walker| {
            visit::visit_expr_struct(walker, literal)
        });
    }

    fn visit_trait_bound(&mut self, bound: &'p syn::TraitBound) {
        self.at(Place::Type, |walker| {
            visit::visit_trait_bound(walker, bound)
        });
    }

    /// The parser makes up the type of a bare `&self`, so there is no such text to visit.
    fn visit_receiver(&mut self, receiver: &'p syn::Receiver) {
        if receiver.colon_token.is_some() {
            visit::visit_receiver(self, receiver);
        }
    }

    fn visit_visibility(&mut self, _: &'p syn::Visibility) {}

    fn visit_path(&mut self, path: &'p syn::Path) {
        self.visitor.path(&self.cursor, path, self.place);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'p syn::Macro) {
        self.visitor.macro_call(&self.cursor, call);
        self.at(Place::Macro, |walker| walker.visit_path(&call.path));
        let file = self.cursor.file;
        if let Some(body) = file.macro_body(call) {
            self.at(Place::Value, |walker| walker.macro_body(call, body));
        }
    }
}
