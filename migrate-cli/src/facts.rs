//! Resolve: what every path, call and receiver of the source means, read once from the shared library.
//!
//! * Facts are keyed by the address of the syntax node, so a file that several targets contain is described once, as the first
//!   of them sees it.
//! * What the library does not know is absent here; nothing is guessed.

use asupersync_source::resolve::{Index, Namespace};
use asupersync_source::types::Ty;
use asupersync_source::walk::{self, Cursor, Node, Place, Visitor};
use std::collections::{HashMap, HashSet};
use syn::Expr;

/// The address of a syntax node.
pub(crate) fn key<T>(node: &T) -> usize {
    std::ptr::from_ref(node).addr()
}

/// What the shared library knows of the source.
#[derive(Default)]
pub(crate) struct Facts {
    callees: HashMap<usize, String>,
    types: HashMap<usize, Ty>,
    paths: HashMap<usize, String>,
    functions: HashMap<usize, FunctionFact>,
    in_definition: HashSet<usize>,
}

/// Where a function stands.
#[derive(Clone, Debug)]
pub(crate) struct FunctionFact {
    /// Its absolute path.
    pub(crate) path: String,
    /// The path of its `Self` type.
    pub(crate) owner: Option<String>,
}

impl Facts {
    /// Reads every target of the index's project.
    pub(crate) fn read(index: &Index<'_>) -> Facts {
        let mut facts = Facts::default();
        for target in &index.project.targets {
            walk::walk(index, target, &mut facts);
        }
        facts
    }

    /// What a call or method call calls.
    pub(crate) fn callee(&self, expr: &Expr) -> Option<&str> {
        self.callees.get(&key(expr)).map(String::as_str)
    }

    /// The type of a receiver, an awaited expression or the base of a field.
    pub(crate) fn ty(&self, expr: &Expr) -> Option<&Ty> {
        self.types.get(&key(expr))
    }

    /// What a path means where it stands.
    pub(crate) fn path(&self, path: &syn::Path) -> Option<&str> {
        self.paths.get(&key(path)).map(String::as_str)
    }

    /// Where a function stands.
    pub(crate) fn function(&self, sig: &syn::Signature) -> Option<&FunctionFact> {
        self.functions.get(&key(sig))
    }

    /// Whether a macro call is, or stands in, the definition of a macro.
    pub(crate) fn is_in_definition(&self, call: &syn::Macro) -> bool {
        self.in_definition.contains(&key(call))
    }

    fn note_type(&mut self, cursor: &Cursor<'_, '_>, expr: &Expr) {
        if self.types.contains_key(&key(expr)) {
            return;
        }
        let ty = cursor.type_of(expr);
        if !ty.is_unknown() {
            self.types.insert(key(expr), ty);
        }
    }

    fn note_function(&mut self, cursor: &Cursor<'_, '_>, sig: &syn::Signature) {
        let owner = cursor.self_ty().and_then(Ty::path).map(str::to_owned);
        let of = owner.clone().unwrap_or_else(|| cursor.module().to_owned());
        let path = format!("{of}::{}", asupersync_source::load::ident_text(&sig.ident));
        self.functions
            .entry(key(sig))
            .or_insert(FunctionFact { path, owner });
    }
}

impl<'p> Visitor<'p> for Facts {
    fn item(&mut self, cursor: &Cursor<'_, 'p>, item: &'p syn::Item) {
        // A required trait method has no body, so no `function` call announces it.
        if let syn::Item::Trait(item) = item {
            let owner = format!(
                "{}::{}",
                cursor.module(),
                asupersync_source::load::ident_text(&item.ident)
            );
            for member in &item.items {
                if let syn::TraitItem::Fn(function) = member {
                    let name = asupersync_source::load::ident_text(&function.sig.ident);
                    self.functions
                        .entry(key(&function.sig))
                        .or_insert(FunctionFact {
                            path: format!("{owner}::{name}"),
                            owner: Some(owner.clone()),
                        });
                }
            }
        }
    }

    fn function(&mut self, cursor: &Cursor<'_, 'p>, sig: &'p syn::Signature, _: &'p syn::Block) {
        self.note_function(cursor, sig);
    }

    fn expr(&mut self, cursor: &Cursor<'_, 'p>, expr: &'p Expr) {
        match expr {
            Expr::Call(_) | Expr::MethodCall(_) => {
                if let Some(callee) = cursor.callee(expr) {
                    self.callees.entry(key(expr)).or_insert(callee.path);
                }
                match expr {
                    Expr::MethodCall(call) => self.note_type(cursor, &call.receiver),
                    Expr::Call(call) => call
                        .args
                        .iter()
                        .for_each(|argument| self.note_type(cursor, argument)),
                    _ => {}
                }
            }
            Expr::Await(base) => self.note_type(cursor, &base.base),
            Expr::Field(field) => self.note_type(cursor, &field.base),
            _ => {}
        }
    }

    fn macro_call(&mut self, cursor: &Cursor<'_, 'p>, call: &'p syn::Macro) {
        let defines = |node: Node<'_>| matches!(node, Node::MacroDefinition(_));
        if call.path.is_ident("macro_rules") || cursor.ancestors().any(defines) {
            self.in_definition.insert(key(call));
        }
    }

    fn path(&mut self, cursor: &Cursor<'_, 'p>, path: &'p syn::Path, place: Place) {
        let find = |namespace| cursor.resolve(path, namespace);
        let found = match place {
            Place::Value => find(Namespace::Value),
            Place::Type => find(Namespace::Type).or_else(|| find(Namespace::Value)),
            Place::Pattern => find(Namespace::Value).or_else(|| find(Namespace::Type)),
            Place::Macro => find(Namespace::Macro),
        };
        if let Some(found) = found {
            self.paths.entry(key(path)).or_insert(found);
        }
    }

    fn attribute(&mut self, cursor: &Cursor<'_, 'p>, attribute: &'p syn::Attribute) {
        let path = attribute.path();
        if let Some(found) = cursor.resolve(path, Namespace::Macro) {
            self.paths.entry(key(path)).or_insert(found);
        }
    }
}
