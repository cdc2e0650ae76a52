//! What the analysis knows of a program: functions, calls, places that hold values, and the sites that a rule may rewrite.
//!
//! * A *place* is a field, a parameter, a return value, a local binding, a type alias or a constructor call. Places that a value
//!   may flow between form one class; the tokio types and local types seen at any of them belong to all.
//! * A *frame* is a piece of code with its own way to a `Cx`: a function, an async block, a closure, the body of a spawn.
//! * A *site* is one use of tokio that counts: a call, an awaited handle, a macro call or an attribute.
//!
//! Everything borrows from the syntax trees; ids are indices.

use crate::rules::{Family, Form, Item, Op, Rule};
use asupersync_source::load::FileId;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use syn::{Block, Expr, Pat};

/// A place that holds values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PlaceId(pub(crate) usize);

/// A function of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FnId(pub(crate) usize);

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FrameId(pub(crate) usize);

/// A site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SiteId(pub(crate) usize);

/// Classes of places, with what was seen at them.
#[derive(Debug, Default)]
pub(crate) struct Places {
    parents: Vec<usize>,
    seen: Vec<BTreeSet<String>>,
    /// Places whose type can hold nothing of tokio and nothing of the program: what flows through them ties nothing together.
    inert: BTreeSet<usize>,
}

impl Places {
    pub(crate) fn fresh(&mut self) -> PlaceId {
        self.parents.push(self.parents.len());
        self.seen.push(BTreeSet::new());
        PlaceId(self.parents.len() - 1)
    }

    /// The representative of a place's class.
    pub(crate) fn class(&self, place: PlaceId) -> PlaceId {
        let mut at = place.0;
        while self.parents[at] != at {
            at = self.parents[at];
        }
        PlaceId(at)
    }

    pub(crate) fn make_inert(&mut self, place: PlaceId) {
        self.inert.insert(place.0);
    }

    pub(crate) fn union(&mut self, one: PlaceId, other: PlaceId) {
        if self.inert.contains(&one.0) || self.inert.contains(&other.0) {
            return;
        }
        let (one, other) = (self.class(one).0, self.class(other).0);
        if one == other {
            return;
        }
        let (keep, merge) = if self.seen[one].len() >= self.seen[other].len() {
            (one, other)
        } else {
            (other, one)
        };
        self.parents[merge] = keep;
        let moved = std::mem::take(&mut self.seen[merge]);
        self.seen[keep].extend(moved);
    }

    pub(crate) fn see(&mut self, place: PlaceId, path: &str) {
        let class = self.class(place).0;
        self.seen[class].insert(path.to_owned());
    }

    /// The paths of the types seen at a class.
    pub(crate) fn seen(&self, place: PlaceId) -> &BTreeSet<String> {
        &self.seen[self.class(place).0]
    }
}

/// How a function is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// By calls.
    Called,
    /// Through `#[tokio::main]` or `#[tokio::test]`, which is this site.
    Tokio(SiteId),
    /// By the test harness, the language or the linker.
    Foreign,
}

/// A function or method.
pub(crate) struct Function<'p> {
    pub(crate) path: String,
    pub(crate) file: FileId,
    pub(crate) sig: &'p syn::Signature,
    pub(crate) block: Option<&'p Block>,
    pub(crate) attrs: &'p [syn::Attribute],
    pub(crate) public: bool,
    pub(crate) entry: Entry,
    /// Why its signature cannot change, where it cannot.
    pub(crate) fixed: Option<String>,
    /// The functions that have to have the same signature: a local trait's method and its implementations.
    pub(crate) tied: Vec<FnId>,
    /// The whole item, attributes included.
    pub(crate) range: Range<usize>,
    pub(crate) is_test: bool,
    /// The `Cx` it takes already.
    pub(crate) given: Option<Given>,
}

/// A `Cx` that the source already has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) name: String,
    /// It is a value, not a reference.
    pub(crate) owned: bool,
}

/// The `Cx` that an async closure written for the runtime is handed: `async move |cx| ..`.
pub(crate) fn given_to(closure: &syn::ExprClosure) -> Option<Given> {
    closure.asyncness?;
    let name = match closure.inputs.first()? {
        Pat::Ident(ident) => &ident.ident,
        Pat::Type(typed) => match &*typed.pat {
            Pat::Ident(ident) => &ident.ident,
            _ => return None,
        },
        _ => return None,
    };
    let name = name.to_string();
    let usual = matches!(name.as_str(), "cx" | "acx" | "scope");
    (usual && closure.inputs.len() == 1).then_some(Given { name, owned: true })
}

/// A call of a function of the program.
pub(crate) struct Call<'p> {
    pub(crate) callee: FnId,
    pub(crate) expr: &'p Expr,
    pub(crate) file: FileId,
    pub(crate) frame: FrameId,
}

/// What a frame is.
#[derive(Clone, Copy)]
pub(crate) enum FrameKind<'p> {
    Function(FnId),
    /// A constant or static, or anything else that no `Cx` reaches.
    Sealed,
    Async(&'p syn::ExprAsync),
    Closure(&'p syn::ExprClosure),
    /// Statements inside a macro that makes something of them.
    MacroBlock,
    /// The argument of a spawn, of `block_on`, `timeout` or `spawn_blocking`.
    Body(SiteId),
    Loop(&'p Expr),
    /// The loop that consumes the channel received from at this site.
    Drain(SiteId),
    SelectFuture,
    SelectHandler,
}

/// A frame and the one around it.
pub(crate) struct Frame<'p> {
    pub(crate) kind: FrameKind<'p>,
    pub(crate) parent: Option<FrameId>,
}

/// How the awaited result of a site is used.
#[derive(Clone, Copy)]
pub(crate) enum Usage<'p> {
    /// It is the future of a `select!` arm.
    Arm { branch: usize, call: &'p syn::Macro },
    /// A statement that ends in a semicolon.
    Statement,
    /// `let _ = ..;`
    Ignored(&'p syn::Local),
    /// `..?`
    Tried,
    /// `while let pattern = ..`
    WhileLet(&'p syn::ExprWhile, &'p Pat),
    /// `if let pattern = ..`
    IfLet(&'p Pat),
    /// `let pattern = .. else { .. }`
    LetElse(&'p Pat),
    /// `match .. { .. }`
    Match(&'p syn::ExprMatch),
    /// A method is called on it.
    Method(&'p syn::ExprMethodCall),
    /// Anything else.
    Value,
}

/// What of the source a site is.
#[derive(Clone, Copy)]
pub(crate) enum Shape<'p> {
    Call(&'p syn::ExprCall),
    Method(&'p syn::ExprMethodCall),
    /// A handle or receiver that is awaited as it is.
    Awaited(&'p Expr),
    Macro(&'p syn::Macro),
    Attribute(&'p syn::Attribute),
}

/// One use of tokio.
pub(crate) struct Site<'p> {
    pub(crate) file: FileId,
    pub(crate) item: String,
    pub(crate) rule: Option<(&'static Rule, &'static Item)>,
    pub(crate) shape: Shape<'p>,
    pub(crate) range: Range<usize>,
    pub(crate) frame: FrameId,
    pub(crate) place: Option<PlaceId>,
    pub(crate) family: Family,
    /// The whole awaited expression, where it is awaited at once.
    pub(crate) awaited: Option<&'p syn::ExprAwait>,
    pub(crate) usage: Usage<'p>,
    /// The function it is in, or whose attribute it is.
    pub(crate) function: Option<FnId>,
    /// The handle that a spawn returns is dropped at once.
    pub(crate) detached: bool,
    pub(crate) in_definition: bool,
    /// The place of the loop this receive consumes a channel in.
    pub(crate) drain: Option<Drain>,
    /// Where the statement that holds the site starts; a marker goes before it.
    pub(crate) statement: usize,
}

impl Site<'_> {
    pub(crate) fn form(&self) -> Option<Form> {
        match self.rule?.1.op {
            Op::Form(form) => Some(form),
            _ => None,
        }
    }

    pub(crate) fn op(&self) -> Option<Op> {
        Some(self.rule?.1.op)
    }
}

/// A loop that consumes a channel until its senders are gone.
#[derive(Clone, Copy)]
pub(crate) struct Drain {
    /// Where a statement can stand before the loop; none where the loop is no statement.
    pub(crate) before: Option<usize>,
}

/// A path that names a tokio item, at a type, a call or a pattern.
pub(crate) struct Occurrence<'p> {
    pub(crate) file: FileId,
    pub(crate) path: &'p syn::Path,
    /// How many segments of the path name the item.
    pub(crate) used: usize,
    pub(crate) item: String,
    pub(crate) place: Option<PlaceId>,
    /// The site that this is the name of, if it is one.
    pub(crate) site: Option<SiteId>,
    /// A value is matched against it.
    pub(crate) is_pattern: bool,
}

/// A value that reaches code which only takes tokio's.
pub(crate) struct Escape {
    pub(crate) place: PlaceId,
    pub(crate) reason: String,
    /// The families it concerns; empty for all.
    pub(crate) families: &'static [Family],
}

/// What is a future itself: handles and oneshot receivers.
pub(crate) const FUTURES: &[Family] = &[Family::Join, Family::Oneshot];

/// What libraries of streams take.
pub(crate) const BYTES: &[Family] = &[Family::Io];

/// What libraries of tokio's take.
pub(crate) const STREAMS: &[Family] = &[Family::Io, Family::Mpsc, Family::Oneshot, Family::Join];

/// The whole program.
pub(crate) struct Model<'p> {
    pub(crate) places: Places,
    pub(crate) functions: Vec<Function<'p>>,
    pub(crate) calls: Vec<Call<'p>>,
    pub(crate) frames: Vec<Frame<'p>>,
    pub(crate) sites: Vec<Site<'p>>,
    pub(crate) occurrences: Vec<Occurrence<'p>>,
    pub(crate) escapes: Vec<Escape>,
    /// Functions by absolute path; one path may name several where `cfg` chooses.
    pub(crate) by_path: HashMap<String, Vec<FnId>>,
    /// Types of the program that implement a trait of tokio's by polling.
    pub(crate) polled: std::collections::BTreeSet<String>,
    /// The names that bind local variables, by their own place.
    pub(crate) bindings: HashMap<PlaceId, &'p syn::PatIdent>,
}

impl<'p> Model<'p> {
    pub(crate) fn site(&self, id: SiteId) -> &Site<'p> {
        &self.sites[id.0]
    }

    pub(crate) fn function(&self, id: FnId) -> &Function<'p> {
        &self.functions[id.0]
    }

    pub(crate) fn frame(&self, id: FrameId) -> &Frame<'p> {
        &self.frames[id.0]
    }

    pub(crate) fn site_ids(&self) -> impl Iterator<Item = SiteId> + use<> {
        (0..self.sites.len()).map(SiteId)
    }

    pub(crate) fn function_ids(&self) -> impl Iterator<Item = FnId> + use<> {
        (0..self.functions.len()).map(FnId)
    }

    /// The frames around a frame, itself first.
    pub(crate) fn outwards(&self, from: FrameId) -> impl Iterator<Item = FrameId> {
        std::iter::successors(Some(from), |at| self.frame(*at).parent)
    }

    /// The function a frame stands in.
    pub(crate) fn function_of(&self, frame: FrameId) -> Option<FnId> {
        self.outwards(frame)
            .find_map(|at| match self.frame(at).kind {
                FrameKind::Function(function) => Some(function),
                _ => None,
            })
    }
}
