//! Builds the [`Model`]: which places values flow between, which functions call which, and where tokio is used.
//!
//! * Every file is read twice: first types, fields and signatures ([`declare`]), then bodies ([`bodies`]).
//! * Types, calls and receivers mean what [`Facts`] says; where it does not know a receiver's type, the types seen at the
//!   receiver's class decide, if they leave one answer ([`methods`]).
//! * A value passed to code outside the program escapes: its class cannot leave tokio.

mod bodies;
mod calls;
mod declare;
mod known;
mod macros;
mod methods;
mod types;

use crate::facts::Facts;
use crate::model::{
    FnId, Frame, FrameId, FrameKind, Model, PlaceId, Places, Shape, Site, SiteId, Usage,
};
use crate::rules::{self, Family};
use asupersync_source::load::{FileId, Project, SourceFile, ident_text};
use asupersync_source::resolve::Index;
use bodies::Bodies;
use declare::Declare;
use std::collections::HashMap;
use std::ops::Range;
use syn::Expr;
use syn::spanned::Spanned;
use syn::visit::Visit;

/// How often unresolved method calls are looked at again; each round can only add to what is seen.
const ROUNDS: usize = 12;

/// Reads the whole program.
pub(crate) fn build<'p>(project: &'p Project, index: &Index<'p>, facts: &Facts) -> Model<'p> {
    let mut builder = Builder {
        project,
        index,
        facts,
        model: Model {
            places: Places::default(),
            functions: Vec::new(),
            calls: Vec::new(),
            frames: Vec::new(),
            sites: Vec::new(),
            occurrences: Vec::new(),
            escapes: Vec::new(),
            by_path: HashMap::new(),
            polled: std::collections::BTreeSet::new(),
            bindings: HashMap::new(),
        },
        named: HashMap::new(),
        parameters: Vec::new(),
        returns: Vec::new(),
        own_generics: HashMap::new(),
        by_signature: HashMap::new(),
        generics: Vec::new(),
        scopes: Vec::new(),
        file: FileId(0),
        module: String::new(),
        frame: FrameId(0),
        statement: 0,
        in_definition: false,
        pending: Vec::new(),
        pending_awaits: Vec::new(),
        async_returns: Vec::new(),
    };
    builder.model.frames.push(Frame {
        kind: FrameKind::Sealed,
        parent: None,
    });
    let files = files(project);
    for (file, module) in &files {
        builder.file = *file;
        builder.module.clone_from(module);
        Declare {
            builder: &mut builder,
        }
        .visit_file(&project.file(*file).ast);
    }
    builder.tie_trait_methods();
    for (file, module) in &files {
        builder.file = *file;
        builder.module.clone_from(module);
        Bodies {
            builder: &mut builder,
        }
        .visit_file(&project.file(*file).ast);
    }
    builder.settle();
    builder.model
}

/// Every file once, with the module the first target gives it.
fn files(project: &Project) -> Vec<(FileId, String)> {
    let mut seen = std::collections::HashSet::new();
    let mut files = Vec::new();
    for target in &project.targets {
        for module in &target.modules {
            if seen.insert(module.file) {
                files.push((module.file, module.path.join("::")));
            }
        }
    }
    files
}

/// The use of an expression by what is around it.
#[derive(Clone, Copy)]
struct Use<'p> {
    usage: Usage<'p>,
    awaited: Option<&'p syn::ExprAwait>,
}

impl<'p> Use<'p> {
    fn of(usage: Usage<'p>) -> Self {
        Use {
            usage,
            awaited: None,
        }
    }

    fn value() -> Self {
        Use::of(Usage::Value)
    }
}

type Flow = Option<PlaceId>;

/// A method call whose receiver's type was not known.
struct Pending<'p> {
    call: &'p syn::ExprMethodCall,
    expr: &'p Expr,
    receiver: Flow,
    arguments: Vec<Flow>,
    result: PlaceId,
    at: Point<'p>,
    passed: bool,
}

/// Where the builder stands.
#[derive(Clone, Copy)]
struct Point<'p> {
    file: FileId,
    frame: FrameId,
    statement: usize,
    in_definition: bool,
    usage: Use<'p>,
}

struct Builder<'a, 'p> {
    project: &'p Project,
    index: &'a Index<'p>,
    facts: &'a Facts,
    model: Model<'p>,
    /// Fields (`Type::field`), aliases, constants and generic parameters (`Type::<0>`) by absolute path.
    named: HashMap<String, PlaceId>,
    parameters: Vec<Vec<PlaceId>>,
    returns: Vec<PlaceId>,
    own_generics: HashMap<FnId, HashMap<String, PlaceId>>,
    by_signature: HashMap<usize, FnId>,
    generics: Vec<HashMap<String, PlaceId>>,
    scopes: Vec<HashMap<String, PlaceId>>,
    file: FileId,
    module: String,
    frame: FrameId,
    statement: usize,
    in_definition: bool,
    pending: Vec<Pending<'p>>,
    pending_awaits: Vec<(&'p Expr, Flow, Point<'p>)>,
    /// Where the value of the innermost async block or closure goes; the function's own is the last resort.
    async_returns: Vec<PlaceId>,
}

impl<'p> Builder<'_, 'p> {
    fn source(&self) -> &'p SourceFile {
        self.project.file(self.file)
    }

    fn range(&self, node: &impl Spanned) -> Range<usize> {
        self.source().range(node)
    }

    fn named(&mut self, path: &str) -> PlaceId {
        if let Some(found) = self.named.get(path) {
            return *found;
        }
        let fresh = self.model.places.fresh();
        self.named.insert(path.to_owned(), fresh);
        fresh
    }

    fn link(&mut self, one: Flow, other: Flow) {
        if let (Some(one), Some(other)) = (one, other) {
            self.model.places.union(one, other);
        }
    }

    fn point(&self, usage: Use<'p>) -> Point<'p> {
        Point {
            file: self.file,
            frame: self.frame,
            statement: self.statement,
            in_definition: self.in_definition,
            usage,
        }
    }

    fn push_site(
        &mut self,
        item: &str,
        shape: Shape<'p>,
        range: Range<usize>,
        at: Point<'p>,
        place: Flow,
        family: Family,
    ) -> SiteId {
        let id = SiteId(self.model.sites.len());
        let function = self.model.function_of(at.frame);
        self.model.sites.push(Site {
            file: at.file,
            item: item.to_owned(),
            rule: rules::lookup(item),
            shape,
            range,
            frame: at.frame,
            place,
            family,
            awaited: at.usage.awaited,
            usage: at.usage.usage,
            function,
            detached: false,
            in_definition: at.in_definition,
            drain: None,
            statement: at.statement,
        });
        id
    }

    fn push_frame(&mut self, kind: FrameKind<'p>) -> FrameId {
        self.model.frames.push(Frame {
            kind,
            parent: Some(self.frame),
        });
        FrameId(self.model.frames.len() - 1)
    }

    fn within<T>(&mut self, kind: FrameKind<'p>, then: impl FnOnce(&mut Self) -> T) -> T {
        let frame = self.push_frame(kind);
        let before = std::mem::replace(&mut self.frame, frame);
        let result = then(self);
        self.frame = before;
        result
    }

    fn scoped<T>(&mut self, then: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(HashMap::new());
        let result = then(self);
        self.scopes.pop();
        result
    }
}

fn member_name(member: &syn::Member) -> String {
    match member {
        syn::Member::Named(name) => ident_text(name),
        syn::Member::Unnamed(index) => index.index.to_string(),
    }
}

/// An expression without parentheses.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) => bare(&inner.expr),
        Expr::Group(inner) => bare(&inner.expr),
        other => other,
    }
}

/// An expression without parentheses and references.
pub(crate) fn stripped(expr: &Expr) -> &Expr {
    match bare(expr) {
        Expr::Reference(inner) => stripped(&inner.expr),
        other => other,
    }
}
