//! A point of a walk and what it can answer: what a path means there, what a call calls, what type an expression has.
//!
//! * Scopes follow the language: a binding holds from the statement after its `let`, items and imports of a block in all of it,
//!   and a nested `fn` sees the items around it but not the locals.
//! * A variable's type is inferred when it is asked for, as seen from its declaration: most are never asked about.
//! * An answer is absent rather than guessed, except that a method of unknown receiver is taken to be that of a trait in scope,
//!   which [`Via::TraitInScope`] says.

use crate::known::{self, Known, Supply};
use crate::load::{FileId, SourceFile, Target, ident_text};
use crate::macros::{MacroBody, Select};
use crate::resolve::{Definition, FnDef, Import, Index, Names, Namespace, segments};
use crate::types::Ty;
use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::rc::Rc;
use syn::{Block, Expr, GenericArgument, Item, Member, Pat, PathArguments, Signature, Stmt};

/// How many smart pointers and guards a method call looks through.
const DEREF_STEPS: usize = 8;

/// What encloses a point, from [`Cursor::ancestors`].
#[derive(Clone, Copy)]
pub enum Node<'p> {
    /// A function or method.
    Function {
        /// Its signature.
        sig: &'p Signature,
        /// Its body.
        block: &'p Block,
    },
    /// A statement of a block; `stmts[at + 1..]` follows it.
    Stmt {
        /// All statements of the block.
        stmts: &'p [Stmt],
        /// Which one.
        at: usize,
    },
    /// An expression; which part of it the child is, the child's address tells.
    Expr(&'p Expr),
    /// The future of a `select!` arm.
    SelectFuture {
        /// The macro call.
        call: &'p syn::Macro,
        /// Its body.
        select: &'p Select,
        /// Which arm.
        branch: usize,
    },
    /// A handler of a `select!` arm, or of `else` (then `branch` is none).
    SelectHandler {
        /// The macro call.
        call: &'p syn::Macro,
        /// Its body.
        select: &'p Select,
        /// Which arm.
        branch: Option<usize>,
    },
    /// The guard of a `select!` arm.
    SelectGuard {
        /// The macro call.
        call: &'p syn::Macro,
    },
    /// An expression in the body of any other macro call.
    MacroExpr(&'p syn::Macro),
    /// Statements in the body of a macro call.
    MacroStmts(&'p syn::Macro),
    /// The arms of a `macro_rules!`.
    MacroDefinition(&'p syn::Macro),
    /// A constant, static or other item that holds an expression.
    Item(&'p Item),
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callee {
    /// Absolute canonical path; for a method the type or trait that has it, and its name.
    pub path: String,
    /// How that is known.
    pub via: Via,
}

/// How a callee was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// By its path.
    Path,
    /// By the type of the receiver.
    Receiver,
    /// The receiver's type is unknown; a trait in scope has a method of this name.
    TraitInScope,
}

pub(crate) struct Scope<'p> {
    pub(crate) names: Names<'p>,
    /// In the order of declaration; a later one hides an earlier one of its name.
    locals: Vec<(String, Rc<Binding<'p>>)>,
    pub(crate) generics: HashMap<String, Ty>,
    /// The scope of a function's parameters: locals further out are not visible.
    pub(crate) is_function: bool,
}

impl Scope<'_> {
    pub(crate) fn new(is_function: bool) -> Self {
        Scope {
            names: Names::default(),
            locals: Vec::new(),
            generics: HashMap::new(),
            is_function,
        }
    }
}

/// What one pattern binds.
struct Binding<'p> {
    pat: &'p Pat,
    origin: Origin<'p>,
    /// What the declaration sees: the scopes up to its own, and of that one the locals before it.
    view: View,
    types: OnceCell<Vec<(String, Ty)>>,
}

/// Where the value that a pattern is matched against comes from.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'p> {
    Unknown,
    /// A parameter of this type.
    Annotated(&'p syn::Type),
    Local(&'p syn::Local),
    Value(&'p Expr),
    /// What iterating yields.
    Element(&'p Expr),
    /// What awaiting yields.
    Output(&'p Expr),
    /// What a method passes to its closure.
    Passed(&'p syn::ExprMethodCall),
}

/// How much of the scopes is looked at.
#[derive(Clone, Copy)]
struct View {
    scopes: usize,
    /// Of the last of these.
    locals: usize,
}

impl View {
    const ALL: View = View {
        scopes: usize::MAX,
        locals: usize::MAX,
    };
}

/// A point of a walk.
pub struct Cursor<'i, 'p> {
    pub(crate) index: &'i Index<'p>,
    pub(crate) target: &'p Target,
    pub(crate) file_id: FileId,
    pub(crate) file: &'p SourceFile,
    pub(crate) module: String,
    pub(crate) self_ty: Option<Ty>,
    pub(crate) nodes: Vec<Node<'p>>,
    pub(crate) scopes: Vec<Scope<'p>>,
    /// How many of the nodes are definitions of macros.
    pub(crate) definitions: usize,
    view: Cell<View>,
}

impl<'i, 'p> Cursor<'i, 'p> {
    pub(crate) fn new(
        index: &'i Index<'p>,
        target: &'p Target,
        module: &'p crate::load::Module,
    ) -> Self {
        Cursor {
            index,
            target,
            file_id: module.file,
            file: index.project.file(module.file),
            module: module.path.join("::"),
            self_ty: None,
            nodes: Vec::new(),
            scopes: Vec::new(),
            definitions: 0,
            view: Cell::new(View::ALL),
        }
    }

    /// The index that answers.
    pub fn index(&self) -> &'i Index<'p> {
        self.index
    }

    /// The target being walked.
    pub fn target(&self) -> &'p Target {
        self.target
    }

    /// The file the point is in.
    pub fn file(&self) -> &'p SourceFile {
        self.file
    }

    /// Its number.
    pub fn file_id(&self) -> FileId {
        self.file_id
    }

    /// The absolute path of the module.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// The type of `self`, in an impl or trait.
    pub fn self_ty(&self) -> Option<&Ty> {
        self.self_ty.as_ref()
    }

    /// What encloses the point, innermost first. In [`Visitor::expr`] the first is the parent of the expression.
    pub fn ancestors(&self) -> impl Iterator<Item = Node<'p>> {
        self.nodes.iter().rev().copied()
    }

    /// The same, outermost first.
    pub fn nodes(&self) -> &[Node<'p>] {
        &self.nodes
    }

    /// Whether the point is in an arm of a `macro_rules!`.
    pub fn in_macro_definition(&self) -> bool {
        self.definitions > 0
    }

    /// The definition of the function the point is in.
    pub fn enclosing_function(&self) -> Option<&FnDef<'p>> {
        let sig = self.ancestors().find_map(|node| match node {
            Node::Function { sig, .. } => Some(sig),
            _ => None,
        })?;
        let owner = self.self_ty.as_ref().and_then(Ty::path);
        let path = format!(
            "{}::{}",
            owner.unwrap_or(&self.module),
            ident_text(&sig.ident)
        );
        self.index
            .function(&path)
            .filter(|found| std::ptr::eq(found.sig, sig))
    }

    /// The type of a local variable, if there is one of this name; it may be unknown.
    pub fn local(&self, name: &str) -> Option<&Ty> {
        for scope in self.visible() {
            let locals = self.locals_of(scope);
            if let Some((_, binding)) = locals.iter().rev().find(|(local, _)| local == name) {
                let types = binding.types.get_or_init(|| self.types_of(binding));
                let found = types.iter().rev().find(|(local, _)| local == name);
                return Some(found.map_or(&Ty::Unknown, |(_, ty)| ty));
            }
            if scope.is_function {
                return None;
            }
        }
        None
    }

    /// Adds what a pattern binds to the innermost scope.
    pub(crate) fn declare(&mut self, pat: &'p Pat, origin: Origin<'p>) {
        let mut names = Vec::new();
        bound_names(pat, &mut names);
        let scopes = self.scopes.len();
        let Some(scope) = self.scopes.last_mut() else {
            return;
        };
        let binding = Rc::new(Binding {
            pat,
            origin,
            view: View {
                scopes,
                locals: scope.locals.len(),
            },
            types: OnceCell::new(),
        });
        let declared = names.into_iter().map(|name| (name, Rc::clone(&binding)));
        scope.locals.extend(declared);
    }

    /// The types a pattern gives its names, as they are at the declaration.
    fn types_of(&self, binding: &Binding<'p>) -> Vec<(String, Ty)> {
        let before = self.view.replace(binding.view);
        let ty = match binding.origin {
            Origin::Unknown => Ty::Unknown,
            Origin::Annotated(ty) => self.type_named(ty),
            Origin::Local(local) => self.type_of_local(local),
            Origin::Value(expr) => self.type_of(expr),
            Origin::Element(expr) => self.type_of(expr).element(),
            Origin::Output(expr) => self.awaited(&self.type_of(expr)),
            Origin::Passed(call) => self.passed_to_closure(call),
        };
        let mut types = Vec::new();
        self.bind(binding.pat, &ty, &mut types);
        self.view.set(before);
        types
    }

    fn type_of_local(&self, local: &syn::Local) -> Ty {
        match (&local.pat, &local.init) {
            (Pat::Type(typed), Some(init)) => match self.type_named(&typed.ty) {
                // `let x: Vec<_>`: the annotation may say less than the value.
                Ty::Unknown => self.type_of(&init.expr),
                annotated => annotated,
            },
            (Pat::Type(typed), None) => self.type_named(&typed.ty),
            (_, Some(init)) => self.type_of(&init.expr),
            (_, None) => Ty::Unknown,
        }
    }

    /// The first parameter of a closure that is an argument of a call.
    fn passed_to_closure(&self, call: &syn::ExprMethodCall) -> Ty {
        let receiver = self.type_of(&call.receiver);
        match receiver.path() {
            Some(
                "std::option::Option"
                | "std::result::Result"
                | "std::iter::Iterator"
                | "std::vec::Vec",
            ) => receiver.argument(0),
            _ => Ty::Unknown,
        }
    }

    /// The scopes looked at, innermost first.
    fn visible(&self) -> impl Iterator<Item = &Scope<'p>> {
        let count = self.view.get().scopes.min(self.scopes.len());
        self.scopes[..count].iter().rev()
    }

    fn locals_of<'s>(&self, scope: &'s Scope<'p>) -> &'s [(String, Rc<Binding<'p>>)] {
        let View { scopes, locals } = self.view.get();
        let is_last = scopes
            .checked_sub(1)
            .and_then(|last| self.scopes.get(last))
            .is_some_and(|last| std::ptr::eq(last, scope));
        if is_last {
            &scope.locals[..locals.min(scope.locals.len())]
        } else {
            &scope.locals
        }
    }

    /// The absolute canonical path a path means here; none for a local variable and for what is not known.
    pub fn resolve(&self, path: &syn::Path, namespace: Namespace) -> Option<String> {
        self.resolve_segments(&segments(path), path.leading_colon.is_some(), namespace)
    }

    /// The same for a path in an expression, `<T as Trait>::name` included.
    pub fn resolve_value(&self, path: &syn::ExprPath) -> Option<String> {
        let Some(qself) = &path.qself else {
            return self.resolve(&path.path, Namespace::Value);
        };
        if qself.position > 0 {
            return self.resolve(&path.path, Namespace::Value);
        }
        let ty = self.type_named(&qself.ty);
        let rest = segments(&path.path).join("::");
        Some(known::canonical_of(format!("{}::{rest}", ty.path()?)))
    }

    fn resolve_segments(
        &self,
        segments: &[String],
        global: bool,
        namespace: Namespace,
    ) -> Option<String> {
        let first = segments.first()?;
        let canonical = known::canonical_of;
        if global {
            return self
                .index
                .path(&self.module, segments, true, namespace, 0)
                .map(canonical);
        }
        let first_space = if segments.len() == 1 {
            namespace
        } else {
            Namespace::Type
        };
        if first == "Self" {
            let mut path = self.self_ty.as_ref()?.path()?.to_owned();
            for segment in &segments[1..] {
                path = format!("{path}::{segment}");
            }
            return Some(canonical(path));
        }
        let mut sees_locals = true;
        for scope in self.visible() {
            if sees_locals
                && segments.len() == 1
                && namespace == Namespace::Value
                && self.locals_of(scope).iter().any(|(name, _)| name == first)
            {
                return None;
            }
            if scope.is_function {
                sees_locals = false;
            }
            if scope.names.items.contains_key(first) {
                return None;
            }
            if segments.len() > 1
                && let Some(ty) = scope.generics.get(first)
            {
                return Some(format!("{}::{}", ty.path()?, segments[1..].join("::")));
            }
            if scope.names.imports.is_empty() {
                continue;
            }
            let found = self
                .index
                .search(&scope.names, &self.module, first, first_space, 0);
            if let Some(found) = found {
                // Continue from what the name means, through local modules and aliases.
                let mut full: Vec<String> = found.split("::").map(str::to_owned).collect();
                full.extend_from_slice(&segments[1..]);
                let through = self.continue_from(&found, &segments[1..], namespace);
                return Some(canonical(through.unwrap_or_else(|| full.join("::"))));
            }
        }
        self.index
            .path(&self.module, segments, false, namespace, 0)
            .map(canonical)
    }

    fn continue_from(&self, start: &str, rest: &[String], namespace: Namespace) -> Option<String> {
        if !self.index.is_local(start) {
            return None;
        }
        let mut path = start.to_owned();
        for (at, name) in rest.iter().enumerate() {
            let space = if at + 1 == rest.len() {
                namespace
            } else {
                Namespace::Type
            };
            path = if self.index.names(&path).is_some() {
                self.index.lookup(&path, name, space, 0)?
            } else {
                format!("{}::{name}", self.index.dealias(&path))
            };
        }
        Some(path)
    }

    /// Whether what a path means may have another last name than the path: an import renames it.
    pub fn may_be_renamed(&self, name: &str) -> bool {
        let in_blocks = self.visible().flat_map(|scope| &scope.names.imports);
        self.index.is_rename(name) || in_blocks.filter_map(Import::renamed).any(|own| own == name)
    }

    /// The type a type expression names here.
    pub fn type_named(&self, ty: &syn::Type) -> Ty {
        let resolve = |segments: &[String], global: bool| {
            if let [only] = segments
                && !global
            {
                for scope in self.visible() {
                    if let Some(ty) = scope.generics.get(only) {
                        return ty.path().map(str::to_owned);
                    }
                }
            }
            self.resolve_segments(segments, global, Namespace::Type)
        };
        let ty = Ty::of_syntax(ty, &resolve, self.index);
        match &self.self_ty {
            Some(this) => ty.with_self(this),
            None => ty,
        }
    }

    /// What a call or method call calls, or which function a path passed as a value is; none where that is not known.
    pub fn callee(&self, expr: &Expr) -> Option<Callee> {
        match expr {
            Expr::Call(call) => match bare(&call.func) {
                Expr::Path(path) => self.path_callee(path),
                _ => None,
            },
            Expr::MethodCall(call) => self.method_callee(call).map(|(callee, _)| callee),
            Expr::Path(path) => self.path_callee(path),
            _ => None,
        }
    }

    fn path_callee(&self, path: &syn::ExprPath) -> Option<Callee> {
        let resolved = self.resolve_value(path)?;
        // A provided method of a local trait is found through the type that implements it.
        let found = resolved
            .rsplit_once("::")
            .and_then(|(owner, name)| self.index.method(owner, name));
        Some(Callee {
            path: found.map_or(resolved, |def| def.path.clone()),
            via: Via::Path,
        })
    }

    fn method_callee(&self, call: &syn::ExprMethodCall) -> Option<(Callee, Ty)> {
        let name = ident_text(&call.method);
        let receiver = self.type_of(&call.receiver);
        let by_receiver = |path: String, result: Ty| {
            let via = Via::Receiver;
            Some((Callee { path, via }, result))
        };
        let arguments = || self.argument_types(&call.args, &name);
        let known = Known::get();
        let mut this = receiver.clone();
        for _ in 0..DEREF_STEPS {
            if let Ty::List(element) = &this {
                this = Ty::Path {
                    path: "std::vec::Vec".to_owned(),
                    arguments: vec![(**element).clone()],
                };
            }
            let Some(path) = this.path() else { break };
            if let Some(def) = self.index.method(path, &name) {
                let result = Ty::returned(&def.module, def.sig, self.index).with_self(&this);
                return by_receiver(def.path.clone(), result);
            }
            let full = format!("{path}::{name}");
            if let Some(template) = known.result(&full) {
                let arguments = arguments();
                let result = template.fill(&Supply {
                    this: Some(&this),
                    receiver: Some(&receiver),
                    arguments: &arguments,
                    turbofish: &[],
                });
                return by_receiver(full, result);
            }
            match this.dereferenced(self.index) {
                Some(next) => this = next,
                None => break,
            }
        }
        let standard = receiver
            .path()
            .is_some_and(|path| known::is_prefix("std", path) && !known::derefs_to_argument(path));
        if !standard {
            for of in known.traits_with(&name) {
                if self.trait_in_scope(of) {
                    let path = format!("{of}::{name}");
                    let result = known.result(&path).map_or(Ty::Unknown, |template| {
                        template.fill(&Supply {
                            this: Some(&receiver),
                            receiver: Some(&receiver),
                            ..Supply::default()
                        })
                    });
                    let via = if receiver.is_unknown() {
                        Via::TraitInScope
                    } else {
                        Via::Receiver
                    };
                    return Some((Callee { path, via }, result));
                }
            }
        }
        // A foreign type with no such method in the table: the path is known, the result is not.
        let path = receiver.path()?;
        if self.index.is_local(path) || known.exists(path) || !path.contains("::") {
            return None;
        }
        by_receiver(format!("{path}::{name}"), Ty::Unknown)
    }

    /// Whether a trait is imported here.
    pub fn trait_in_scope(&self, wanted: &str) -> bool {
        self.visible().any(|scope| {
            self.index
                .trait_in_scope(&scope.names, &self.module, wanted)
        }) || self
            .index
            .names(&self.module)
            .is_some_and(|names| self.index.trait_in_scope(names, &self.module, wanted))
    }

    fn argument_types<'e>(
        &self,
        arguments: impl IntoIterator<Item = &'e Expr>,
        callee: &str,
    ) -> Vec<Ty> {
        // Only some results depend on arguments; the rest is not worth the walk.
        let depends = [
            "new",
            "spawn",
            "timeout",
            "channel",
            "split",
            "from",
            "pin",
            "with_capacity",
            "spawn_local",
            "timeout_at",
            "take",
            "replace",
            "ready",
            "unconstrained",
            "const_new",
            "spawn_on",
        ];
        if !depends.contains(&callee) {
            return Vec::new();
        }
        arguments.into_iter().map(|one| self.type_of(one)).collect()
    }

    /// The type of an expression, as far as it can be told.
    pub fn type_of(&self, expr: &Expr) -> Ty {
        match expr {
            Expr::Path(path) => self.type_of_path(path),
            Expr::Paren(inner) => self.type_of(&inner.expr),
            Expr::Group(inner) => self.type_of(&inner.expr),
            Expr::Reference(inner) => self.type_of(&inner.expr),
            Expr::Unary(unary) => match unary.op {
                syn::UnOp::Deref(_) => {
                    let ty = self.type_of(&unary.expr);
                    ty.dereferenced(self.index).unwrap_or(ty)
                }
                _ => self.type_of(&unary.expr),
            },
            Expr::Await(inner) => self.awaited(&self.type_of(&inner.base)),
            Expr::Try(inner) => self.type_of(&inner.expr).tried(),
            Expr::Call(call) => self.type_of_call(call),
            Expr::MethodCall(call) => self
                .method_callee(call)
                .map_or_else(|| self.combinator(call), |(_, result)| result),
            Expr::Field(field) => self.type_of_field(field),
            Expr::Struct(literal) => match self.resolve(&literal.path, Namespace::Type) {
                Some(path) => Ty::named(&self.index.dealias(&path)),
                None => Ty::Unknown,
            },
            Expr::Tuple(tuple) => {
                Ty::Tuple(tuple.elems.iter().map(|part| self.type_of(part)).collect())
            }
            Expr::Array(array) => Ty::List(Box::new(
                array
                    .elems
                    .first()
                    .map_or(Ty::Unknown, |first| self.type_of(first)),
            )),
            Expr::Repeat(repeat) => Ty::List(Box::new(self.type_of(&repeat.expr))),
            Expr::Index(index) => self.type_of(&index.expr).indexed(),
            Expr::Async(block) => Ty::Future(Box::new(self.type_of_block(&block.block))),
            Expr::Block(block) => self.type_of_block(&block.block),
            Expr::Unsafe(block) => self.type_of_block(&block.block),
            Expr::Cast(cast) => self.type_named(&cast.ty),
            Expr::Lit(literal) => match &literal.lit {
                syn::Lit::Str(_) => Ty::named("str"),
                syn::Lit::Bool(_) => Ty::named("bool"),
                syn::Lit::Char(_) => Ty::named("char"),
                _ => Ty::Unknown,
            },
            Expr::Macro(call) => self.type_of_macro(&call.mac),
            _ => Ty::Unknown,
        }
    }

    /// What awaiting a value of a type yields; looks through the loaded source's wrappers.
    pub fn awaited(&self, ty: &Ty) -> Ty {
        let mut ty = ty.clone();
        for _ in 0..DEREF_STEPS {
            let output = ty.awaited();
            if !output.is_unknown() {
                return output;
            }
            match ty.dereferenced(self.index) {
                Some(next) => ty = next,
                None => break,
            }
        }
        Ty::Unknown
    }

    fn type_of_block(&self, block: &Block) -> Ty {
        // Locals of the block are not in scope here, so only a lone tail can be told.
        match block.stmts.as_slice() {
            [] => Ty::Tuple(Vec::new()),
            [Stmt::Expr(tail, None)] => self.type_of(tail),
            [.., Stmt::Expr(_, Some(_))] => Ty::Tuple(Vec::new()),
            _ => Ty::Unknown,
        }
    }

    fn type_of_path(&self, path: &syn::ExprPath) -> Ty {
        if path.qself.is_none()
            && let Some(name) = path.path.get_ident()
        {
            if name == "self" {
                return self.self_ty.clone().unwrap_or(Ty::Unknown);
            }
            if let Some(ty) = self.local(&ident_text(name)) {
                return ty.clone();
            }
        }
        let Some(resolved) = self.resolve_value(path) else {
            return Ty::Unknown;
        };
        match self.index.definition(&resolved, Namespace::Value) {
            Some(Definition::Value(ty)) => {
                let module = resolved.rsplit_once("::").map_or("", |(module, _)| module);
                self.index.ty(module, ty)
            }
            Some(Definition::Struct(_)) => Ty::named(&resolved),
            _ => Ty::Unknown,
        }
    }

    fn type_of_call(&self, call: &syn::ExprCall) -> Ty {
        let Expr::Path(path) = bare(&call.func) else {
            return Ty::Unknown;
        };
        let Some(Callee { path: resolved, .. }) = self.path_callee(path) else {
            return Ty::Unknown;
        };
        if let Some(def) = self.index.function(&resolved) {
            let result = Ty::returned(&def.module, def.sig, self.index);
            return match &def.self_ty {
                Some(this) => result.with_self(this),
                None => result,
            };
        }
        let (owner, name) = resolved.rsplit_once("::").unwrap_or(("", &resolved));
        let first = || {
            call.args
                .first()
                .map_or(Ty::Unknown, |first| self.type_of(first))
        };
        match resolved.as_str() {
            "std::option::Option::Some" | "std::result::Result::Ok" => {
                return Ty::Path {
                    path: owner.to_owned(),
                    arguments: vec![first()],
                };
            }
            _ => {}
        }
        if let Some(Definition::Struct(_)) = self.index.definition(&resolved, Namespace::Value) {
            return Ty::named(&resolved);
        }
        if let Some(Definition::Enum(_)) = self.index.definition(owner, Namespace::Type) {
            return Ty::named(owner);
        }
        if let Some(template) = Known::get().result(&resolved) {
            let turbofish = |at: usize| self.turbofish(path, at);
            let this = Ty::Path {
                path: owner.to_owned(),
                arguments: turbofish(1),
            };
            let arguments = self.argument_types(&call.args, name);
            return template.fill(&Supply {
                this: Some(&this),
                receiver: None,
                arguments: &arguments,
                turbofish: &turbofish(0),
            });
        }
        // `Arc::clone(&x)` and the like.
        if name == "clone" {
            return first();
        }
        let is_type = owner
            .rsplit("::")
            .next()
            .is_some_and(|last| last.starts_with(char::is_uppercase));
        if is_type && matches!(name, "new" | "default") {
            return Ty::named(owner);
        }
        Ty::Unknown
    }

    /// The generic arguments written at a segment, counted from the last.
    fn turbofish(&self, path: &syn::ExprPath, from_last: usize) -> Vec<Ty> {
        let Some(segment) = path.path.segments.iter().rev().nth(from_last) else {
            return Vec::new();
        };
        let PathArguments::AngleBracketed(list) = &segment.arguments else {
            return Vec::new();
        };
        list.args
            .iter()
            .filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(self.type_named(ty)),
                _ => None,
            })
            .collect()
    }

    /// Methods that every type has, or that keep the receiver's type.
    fn combinator(&self, call: &syn::ExprMethodCall) -> Ty {
        match ident_text(&call.method).as_str() {
            "clone" | "as_ref" | "as_mut" | "borrow" | "borrow_mut" | "by_ref" | "to_owned"
            | "into" | "fuse" => self.type_of(&call.receiver),
            _ => Ty::Unknown,
        }
    }

    fn type_of_field(&self, field: &syn::ExprField) -> Ty {
        let name = match &field.member {
            Member::Named(name) => ident_text(name),
            Member::Unnamed(at) => at.index.to_string(),
        };
        let mut base = self.type_of(&field.base);
        for _ in 0..DEREF_STEPS {
            if let (Ty::Tuple(parts), Member::Unnamed(at)) = (&base, &field.member) {
                return parts.get(at.index as usize).cloned().unwrap_or(Ty::Unknown);
            }
            let Some(path) = base.path() else { break };
            if let Some(ty) = self.field_type(path, &name) {
                return ty;
            }
            if let Some(template) = Known::get().result(&format!("{path}::.{name}")) {
                return template.fill(&Supply {
                    this: Some(&base),
                    ..Supply::default()
                });
            }
            match base.dereferenced(self.index) {
                Some(next) => base = next,
                None => break,
            }
        }
        Ty::Unknown
    }

    /// The declared type of a field of a struct of the loaded source.
    pub fn field_type(&self, struct_path: &str, name: &str) -> Option<Ty> {
        let Definition::Struct(fields) = self.index.definition(struct_path, Namespace::Type)?
        else {
            return None;
        };
        let module = struct_path.rsplit_once("::")?.0;
        fields
            .iter()
            .enumerate()
            .find(|(at, field)| match &field.ident {
                Some(ident) => ident_text(ident) == name,
                None => at.to_string() == name,
            })
            .map(|(_, field)| self.index.ty(module, &field.ty))
    }

    fn type_of_macro(&self, call: &syn::Macro) -> Ty {
        let Some(name) = call.path.segments.last() else {
            return Ty::Unknown;
        };
        match name.ident.to_string().as_str() {
            "vec" => match self.file.macro_body(call) {
                Some(MacroBody::Exprs(exprs)) => Ty::Path {
                    path: "std::vec::Vec".to_owned(),
                    arguments: exprs
                        .first()
                        .map(|first| self.type_of(first))
                        .into_iter()
                        .collect(),
                },
                _ => Ty::Unknown,
            },
            "format" => Ty::named("std::string::String"),
            "span" | "trace_span" | "debug_span" | "info_span" | "warn_span" | "error_span" => {
                Ty::named("tracing::Span")
            }
            "pin" => match self.file.macro_body(call) {
                Some(MacroBody::Exprs(exprs)) => exprs
                    .first()
                    .map_or(Ty::Unknown, |first| self.type_of(first)),
                _ => Ty::Unknown,
            },
            _ => Ty::Unknown,
        }
    }

    fn bind(&self, pat: &Pat, ty: &Ty, out: &mut Vec<(String, Ty)>) {
        match pat {
            Pat::Ident(ident) => {
                out.push((ident_text(&ident.ident), ty.clone()));
                if let Some((_, inner)) = &ident.subpat {
                    self.bind(inner, ty, out);
                }
            }
            Pat::Type(typed) => self.bind(&typed.pat, &self.type_named(&typed.ty), out),
            Pat::Reference(inner) => self.bind(&inner.pat, ty, out),
            Pat::Paren(inner) => self.bind(&inner.pat, ty, out),
            Pat::Tuple(tuple) => {
                let rest = tuple
                    .elems
                    .iter()
                    .position(|part| matches!(part, Pat::Rest(_)));
                for (at, part) in tuple.elems.iter().enumerate() {
                    let element = match ty {
                        Ty::Tuple(parts) => match rest {
                            // Counted from the end behind `..`.
                            Some(rest) if at > rest => {
                                (parts.len() + at).checked_sub(tuple.elems.len())
                            }
                            _ => Some(at),
                        }
                        .and_then(|at| parts.get(at)),
                        _ => None,
                    };
                    self.bind(part, element.unwrap_or(&Ty::Unknown), out);
                }
            }
            Pat::TupleStruct(pattern) => {
                let name = pattern
                    .path
                    .segments
                    .last()
                    .map(|last| last.ident.to_string());
                let carries = matches!(name.as_deref(), Some("Some" | "Ok"));
                let inner = if carries {
                    ty.tried()
                } else if name.as_deref() == Some("Err") {
                    ty.arguments().get(1).cloned().unwrap_or(Ty::Unknown)
                } else {
                    Ty::Unknown
                };
                let fields = self.resolve(&pattern.path, Namespace::Type);
                for (at, part) in pattern.elems.iter().enumerate() {
                    let of_struct = fields
                        .as_deref()
                        .and_then(|path| self.field_type(path, &at.to_string()));
                    self.bind(part, &of_struct.unwrap_or_else(|| inner.clone()), out);
                }
            }
            Pat::Struct(pattern) => {
                let path = self.resolve(&pattern.path, Namespace::Type);
                for field in &pattern.fields {
                    let name = match &field.member {
                        Member::Named(name) => ident_text(name),
                        Member::Unnamed(at) => at.index.to_string(),
                    };
                    let ty = path
                        .as_deref()
                        .and_then(|path| self.field_type(path, &name));
                    self.bind(&field.pat, &ty.unwrap_or(Ty::Unknown), out);
                }
            }
            Pat::Slice(slice) => {
                let element = ty.element();
                for part in &slice.elems {
                    self.bind(part, &element, out);
                }
            }
            Pat::Or(or) => {
                for case in &or.cases {
                    self.bind(case, ty, out);
                }
            }
            _ => {}
        }
    }
}

/// The names that [`Cursor::bind`] gives types, in its order.
fn bound_names(pat: &Pat, out: &mut Vec<String>) {
    match pat {
        Pat::Ident(ident) => {
            out.push(ident_text(&ident.ident));
            if let Some((_, inner)) = &ident.subpat {
                bound_names(inner, out);
            }
        }
        Pat::Type(typed) => bound_names(&typed.pat, out),
        Pat::Reference(inner) => bound_names(&inner.pat, out),
        Pat::Paren(inner) => bound_names(&inner.pat, out),
        Pat::Tuple(tuple) => tuple.elems.iter().for_each(|part| bound_names(part, out)),
        Pat::TupleStruct(pattern) => {
            pattern.elems.iter().for_each(|part| bound_names(part, out));
        }
        Pat::Struct(pattern) => {
            let fields = pattern.fields.iter();
            fields.for_each(|field| bound_names(&field.pat, out));
        }
        Pat::Slice(slice) => slice.elems.iter().for_each(|part| bound_names(part, out)),
        Pat::Or(or) => or.cases.iter().for_each(|case| bound_names(case, out)),
        _ => {}
    }
}

/// An expression without the parentheses and groups around it.
pub fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) => bare(&inner.expr),
        Expr::Group(inner) => bare(&inner.expr),
        other => other,
    }
}
