//! Types as far as syntax carries them, enough to tell which method a call means.
//!
//! References are stripped, lifetimes and const arguments dropped. What cannot be told is [`Ty::Unknown`], never a guess, with
//! one exception: `Foreign::new(..)` of a crate outside the table is taken to return `Foreign`.

use crate::known;
use crate::resolve::Index;
use syn::{GenericArgument, PathArguments, ReturnType, Type, TypeParamBound};

/// The deepest nesting of a type that is read; deeper parts are unknown.
const DEPTH: usize = 16;

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ty {
    /// Not known.
    Unknown,
    /// A struct, enum, trait object or primitive with its type arguments.
    Path {
        /// Absolute canonical path.
        path: String,
        /// Its type arguments in order.
        arguments: Vec<Ty>,
    },
    /// A tuple; the empty one is unit.
    Tuple(Vec<Ty>),
    /// Something that can be awaited, with its output.
    Future(Box<Ty>),
    /// An array or slice.
    List(Box<Ty>),
}

impl Ty {
    /// A type without arguments.
    pub fn named(path: &str) -> Ty {
        Ty::Path {
            path: path.to_owned(),
            arguments: Vec::new(),
        }
    }

    /// Its path, where it has one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Ty::Path { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Its type arguments; an array has its element.
    pub fn arguments(&self) -> &[Ty] {
        match self {
            Ty::Path { arguments, .. } => arguments,
            Ty::List(element) => std::slice::from_ref(element),
            _ => &[],
        }
    }

    pub(crate) fn argument(&self, at: usize) -> Ty {
        self.arguments().get(at).cloned().unwrap_or(Ty::Unknown)
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Ty::Unknown
    }

    /// What `.await` yields.
    pub fn awaited(&self) -> Ty {
        let result = |inner: Ty, error: &str| Ty::Path {
            path: "std::result::Result".to_owned(),
            arguments: vec![inner, Ty::named(error)],
        };
        match self {
            Ty::Future(output) => (**output).clone(),
            Ty::Path { path, .. } => match path.as_str() {
                "tokio::task::JoinHandle" => result(self.argument(0), "tokio::task::JoinError"),
                "async_std::task::JoinHandle" => self.argument(0),
                "asupersync::TaskHandle" => Ty::Path {
                    path: "asupersync::Outcome".to_owned(),
                    arguments: vec![self.argument(0)],
                },
                "tokio::sync::oneshot::Receiver" => {
                    result(self.argument(0), "tokio::sync::oneshot::error::RecvError")
                }
                "tokio::time::Timeout" => {
                    result(self.argument(0).awaited(), "tokio::time::error::Elapsed")
                }
                "tokio::time::Sleep"
                | "tokio::sync::futures::Notified"
                | "tokio::sync::futures::OwnedNotified" => Ty::Tuple(Vec::new()),
                path if known::derefs_to_argument(path) => self.argument(0).awaited(),
                _ => Ty::Unknown,
            },
            _ => Ty::Unknown,
        }
    }

    /// What `?` yields.
    pub fn tried(&self) -> Ty {
        match self.path() {
            // `io::Result<T>`, `anyhow::Result<T>` and the like put the value first too.
            Some(path) if path.ends_with("::Result") || path == "std::option::Option" => {
                self.argument(0)
            }
            _ => Ty::Unknown,
        }
    }

    /// What `for x in` and indexing yield.
    pub fn element(&self) -> Ty {
        match self {
            Ty::List(element) => (**element).clone(),
            Ty::Path { path, .. } => match path.as_str() {
                "std::vec::Vec"
                | "std::collections::VecDeque"
                | "std::collections::HashSet"
                | "std::collections::BTreeSet"
                | "std::iter::Iterator"
                | "std::option::Option" => self.argument(0),
                "std::collections::HashMap" | "std::collections::BTreeMap" => {
                    Ty::Tuple(vec![self.argument(0), self.argument(1)])
                }
                path if known::derefs_to_argument(path) => self.argument(0).element(),
                _ => Ty::Unknown,
            },
            _ => Ty::Unknown,
        }
    }

    /// What `value[index]` yields.
    pub fn indexed(&self) -> Ty {
        match self.path() {
            Some("std::collections::HashMap" | "std::collections::BTreeMap") => self.argument(1),
            _ => self.element(),
        }
    }

    /// The type a smart pointer or guard stands for, one step.
    pub fn dereferenced(&self, index: &Index<'_>) -> Option<Ty> {
        let path = self.path()?;
        if known::derefs_to_argument(path) {
            return Some(self.argument(0));
        }
        if path == "asupersync::Scope" {
            return Some(Ty::named("asupersync::Cx"));
        }
        index.deref(path)
    }

    /// Replaces `Self`.
    pub(crate) fn with_self(self, this: &Ty) -> Ty {
        match self {
            Ty::Path { path, .. } if path == "Self" => this.clone(),
            Ty::Path { path, arguments } => Ty::Path {
                path,
                arguments: arguments
                    .into_iter()
                    .map(|part| part.with_self(this))
                    .collect(),
            },
            Ty::Tuple(parts) => {
                Ty::Tuple(parts.into_iter().map(|part| part.with_self(this)).collect())
            }
            Ty::Future(output) => Ty::Future(Box::new(output.with_self(this))),
            Ty::List(element) => Ty::List(Box::new(element.with_self(this))),
            Ty::Unknown => Ty::Unknown,
        }
    }

    /// What a call of a function of the loaded source returns; a future for an `async fn`.
    pub(crate) fn returned(module: &str, sig: &syn::Signature, index: &Index<'_>) -> Ty {
        let output = match &sig.output {
            ReturnType::Default => Ty::Tuple(Vec::new()),
            ReturnType::Type(_, ty) => index.ty(module, ty),
        };
        if sig.asyncness.is_some() {
            Ty::Future(Box::new(output))
        } else {
            output
        }
    }

    pub(crate) fn of_syntax(
        ty: &Type,
        resolve: &dyn Fn(&[String], bool) -> Option<String>,
        index: &Index<'_>,
    ) -> Ty {
        of_syntax(ty, resolve, index, 0)
    }
}

fn of_syntax(
    ty: &Type,
    resolve: &dyn Fn(&[String], bool) -> Option<String>,
    index: &Index<'_>,
    depth: usize,
) -> Ty {
    if depth > DEPTH {
        return Ty::Unknown;
    }
    let recur = |ty: &Type| of_syntax(ty, resolve, index, depth + 1);
    match ty {
        Type::Reference(reference) => recur(&reference.elem),
        Type::Ptr(pointer) => recur(&pointer.elem),
        Type::Paren(inner) => recur(&inner.elem),
        Type::Group(inner) => recur(&inner.elem),
        Type::Tuple(tuple) => Ty::Tuple(tuple.elems.iter().map(recur).collect()),
        Type::Array(array) => Ty::List(Box::new(recur(&array.elem))),
        Type::Slice(slice) => Ty::List(Box::new(recur(&slice.elem))),
        Type::TraitObject(object) => bounds(object.bounds.iter(), resolve, index, depth),
        Type::ImplTrait(object) => bounds(object.bounds.iter(), resolve, index, depth),
        Type::Path(path) if path.qself.is_none() => named(&path.path, resolve, index, depth),
        _ => Ty::Unknown,
    }
}

fn named(
    path: &syn::Path,
    resolve: &dyn Fn(&[String], bool) -> Option<String>,
    index: &Index<'_>,
    depth: usize,
) -> Ty {
    if path.is_ident("Self") {
        return Ty::named("Self");
    }
    let segments = crate::resolve::segments(path);
    let arguments = path.segments.last().map_or_else(Vec::new, |last| {
        type_arguments(&last.arguments, resolve, index, depth)
    });
    if let Some(found) = resolve(&segments, path.leading_colon.is_some()) {
        let found = known::canonical_of(found);
        if let Some((module, alias)) = index.alias(&found) {
            // The alias' own parameters are not substituted; a plain alias has none.
            return if depth > DEPTH / 2 {
                Ty::Unknown
            } else {
                match index.ty(module, alias) {
                    Ty::Path {
                        path,
                        arguments: own,
                    } if own.iter().any(Ty::is_unknown) => Ty::Path {
                        path,
                        arguments: substituted(own, arguments),
                    },
                    other => other,
                }
            };
        }
        return Ty::Path {
            path: known_alias(&found).to_owned(),
            arguments,
        };
    }
    match segments.as_slice() {
        [only] if is_primitive(only) => Ty::named(only),
        _ => Ty::Unknown,
    }
}

/// `type Result<T> = std::result::Result<T, Error>`: unknown arguments are the alias' parameters, in order.
fn substituted(own: Vec<Ty>, given: Vec<Ty>) -> Vec<Ty> {
    let mut given = given.into_iter();
    own.into_iter()
        .map(|part| {
            if part.is_unknown() {
                given.next().unwrap_or(Ty::Unknown)
            } else {
                part
            }
        })
        .collect()
}

fn known_alias(path: &str) -> &str {
    match path {
        "std::io::Result" | "tokio::io::Result" => "std::result::Result",
        other => other,
    }
}

fn is_primitive(name: &str) -> bool {
    matches!(
        name,
        "bool"
            | "char"
            | "str"
            | "u8"
            | "u16"
            | "u32"
            | "u64"
            | "u128"
            | "usize"
            | "i8"
            | "i16"
            | "i32"
            | "i64"
            | "i128"
            | "isize"
            | "f32"
            | "f64"
    )
}

fn type_arguments(
    arguments: &PathArguments,
    resolve: &dyn Fn(&[String], bool) -> Option<String>,
    index: &Index<'_>,
    depth: usize,
) -> Vec<Ty> {
    let PathArguments::AngleBracketed(list) = arguments else {
        return Vec::new();
    };
    list.args
        .iter()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(of_syntax(ty, resolve, index, depth + 1)),
            _ => None,
        })
        .collect()
}

/// `dyn Trait + Send`, `impl Future<Output = T>`: the future, else the first trait that is no marker.
fn bounds<'b>(
    bounds: impl Iterator<Item = &'b TypeParamBound>,
    resolve: &dyn Fn(&[String], bool) -> Option<String>,
    index: &Index<'_>,
    depth: usize,
) -> Ty {
    let mut first = Ty::Unknown;
    for bound in bounds {
        let TypeParamBound::Trait(bound) = bound else {
            continue;
        };
        let Some(last) = bound.path.segments.last() else {
            continue;
        };
        if last.ident == "Future"
            && let PathArguments::AngleBracketed(list) = &last.arguments
        {
            let output = list.args.iter().find_map(|argument| match argument {
                GenericArgument::AssocType(pair) if pair.ident == "Output" => {
                    Some(of_syntax(&pair.ty, resolve, index, depth + 1))
                }
                _ => None,
            });
            return Ty::Future(Box::new(output.unwrap_or(Ty::Unknown)));
        }
        if is_marker(&last.ident.to_string()) || !first.is_unknown() {
            continue;
        }
        first = named(&bound.path, resolve, index, depth + 1);
    }
    first
}

pub(crate) fn is_marker(name: &str) -> bool {
    matches!(
        name,
        "Send" | "Sync" | "Unpin" | "Sized" | "Clone" | "Copy" | "Debug" | "Display" | "Default"
    )
}
