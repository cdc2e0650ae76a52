//! Builds the [`Model`]: which places values flow between, which functions call which, and where tokio is used.
//!
//! * Every file is read once. Types, calls and receivers mean what [`Facts`] says; where it does not know a receiver's type, the
//!   types seen at the receiver's class decide, if they leave one answer.
//! * A value passed to code outside the program escapes: its class cannot leave tokio.

use crate::facts::{Facts, key};
use crate::model::{
    Call, Drain, Entry, Escape, FnId, Frame, FrameId, FrameKind, Function, Given, Model,
    Occurrence, PlaceId, Places, Shape, Site, SiteId, Usage,
};
use crate::rules::{self, Family, Form, Op};
use asupersync_source::load::{FileId, Project, SourceFile, ident_text};
use asupersync_source::macros::{MacroBody, Select};
use asupersync_source::resolve::Index;
use std::collections::HashMap;
use std::ops::Range;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Item, Pat, Stmt};

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
            owner: None,
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

    // ---- types

    /// Notes what a written type says about a place.
    fn seed(&mut self, place: PlaceId, ty: &'p syn::Type) {
        let mut paths = TypePaths::default();
        paths.visit_type(ty);
        let inert = !paths.inferred && paths.paths.iter().all(|path| self.is_foreign(path));
        for path in paths.paths {
            self.seed_path(place, path);
        }
        if inert {
            self.model.places.make_inert(place);
        }
    }

    /// Whether a type's path names neither tokio nor the program nor a generic parameter.
    fn is_foreign(&self, path: &syn::Path) -> bool {
        if let Some(name) = path.get_ident() {
            let name = ident_text(name);
            if self.generics.iter().any(|scope| scope.contains_key(&name)) {
                return false;
            }
        }
        match self.facts.path(path) {
            Some(found) => {
                !asupersync_source::known::is_prefix("tokio", found) && !self.index.is_local(found)
            }
            // Primitives resolve to nothing.
            None => path.get_ident().is_some(),
        }
    }

    fn seed_bounds(
        &mut self,
        place: PlaceId,
        bounds: impl IntoIterator<Item = &'p syn::TypeParamBound>,
    ) {
        let mut paths = TypePaths::default();
        for bound in bounds {
            paths.visit_type_param_bound(bound);
        }
        for path in paths.paths {
            self.seed_path(place, path);
        }
    }

    fn seed_path(&mut self, place: PlaceId, path: &'p syn::Path) {
        if let Some(name) = path.get_ident() {
            let name = ident_text(name);
            let generic = self
                .generics
                .iter()
                .rev()
                .find_map(|scope| scope.get(&name));
            if let Some(generic) = generic.copied() {
                self.model.places.union(place, generic);
                return;
            }
        }
        let Some(found) = self.facts.path(path) else {
            return;
        };
        if asupersync_source::known::is_prefix("tokio", found) {
            let found = found.to_owned();
            self.occurrence(path, path.segments.len(), &found, Some(place), None);
            return;
        }
        if !self.index.is_local(found) {
            return;
        }
        let found = found.to_owned();
        if let Some(alias) = self.named.get(&format!("{found}::<alias>")).copied() {
            self.model.places.union(place, alias);
        }
        self.model.places.see(place, &found);
        if let Some(last) = path.segments.last()
            && let syn::PathArguments::AngleBracketed(list) = &last.arguments
        {
            let types = list.args.iter().filter_map(|argument| match argument {
                syn::GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            for (at, ty) in types.enumerate() {
                let mut inner = TypePaths::default();
                inner.visit_type(ty);
                let carries = inner.paths.iter().any(|path| {
                    self.facts
                        .path(path)
                        .is_some_and(|path| path.starts_with("tokio::"))
                        || path.get_ident().is_some_and(|name| {
                            let name = ident_text(name);
                            self.generics.iter().any(|scope| scope.contains_key(&name))
                        })
                });
                if carries {
                    let generic = self.named(&format!("{found}::<{at}>"));
                    self.model.places.union(place, generic);
                }
            }
        }
    }

    fn occurrence(
        &mut self,
        path: &'p syn::Path,
        used: usize,
        item: &str,
        place: Flow,
        site: Option<SiteId>,
    ) {
        // The errors of an operation travel apart from its receiver, so they belong to the family as a whole.
        let apart = item.contains("::error::") || item == "tokio::task::JoinError";
        let place = if apart { None } else { place };
        if let Some(place) = place {
            self.model.places.see(place, item);
        }
        self.model.occurrences.push(Occurrence {
            file: self.file,
            path,
            used,
            item: item.to_owned(),
            place,
            site,
        });
    }

    fn declare_generics(&mut self, generics: &'p syn::Generics) -> HashMap<String, PlaceId> {
        let mut scope = HashMap::new();
        for param in generics.type_params() {
            let place = self.model.places.fresh();
            scope.insert(ident_text(&param.ident), place);
        }
        self.generics.push(scope.clone());
        for param in generics.type_params() {
            let place = scope[&ident_text(&param.ident)];
            self.seed_bounds(place, &param.bounds);
        }
        for predicate in generics
            .where_clause
            .iter()
            .flat_map(|clause| &clause.predicates)
        {
            if let syn::WherePredicate::Type(predicate) = predicate {
                let place = self.model.places.fresh();
                self.seed(place, &predicate.bounded_ty);
                self.seed_bounds(place, &predicate.bounds);
            }
        }
        self.generics.pop();
        scope
    }

    // ---- declarations

    fn declare_fields(&mut self, owner: &str, fields: &'p syn::Fields) {
        for (at, field) in fields.iter().enumerate() {
            let name = field
                .ident
                .as_ref()
                .map_or_else(|| at.to_string(), ident_text);
            let place = self.named(&format!("{owner}::{name}"));
            self.seed(place, &field.ty);
        }
    }

    fn declare_adt(&mut self, path: &str, generics: &'p syn::Generics) {
        let scope = self.declare_generics(generics);
        for (at, param) in generics.type_params().enumerate() {
            let generic = self.named(&format!("{path}::<{at}>"));
            self.model
                .places
                .union(generic, scope[&ident_text(&param.ident)]);
        }
        self.generics.push(scope);
    }

    fn declare_function(
        &mut self,
        sig: &'p syn::Signature,
        block: Option<&'p Block>,
        attrs: &'p [syn::Attribute],
        public: bool,
        fixed: Option<String>,
        range: Range<usize>,
    ) -> FnId {
        let id = FnId(self.model.functions.len());
        let fact = self.facts.function(sig).cloned();
        let path = fact.as_ref().map_or_else(
            || format!("{}::{}", self.module, ident_text(&sig.ident)),
            |fact| fact.path.clone(),
        );
        let generics = self.declare_generics(&sig.generics);
        self.generics.push(generics.clone());
        let mut parameters = Vec::new();
        for input in &sig.inputs {
            let place = self.model.places.fresh();
            match input {
                syn::FnArg::Receiver(_) => {
                    if let Some(owner) = fact.as_ref().and_then(|fact| fact.owner.as_deref()) {
                        self.model.places.see(place, owner);
                    }
                }
                syn::FnArg::Typed(typed) => self.seed(place, &typed.ty),
            }
            parameters.push(place);
        }
        let returned = self.model.places.fresh();
        if let syn::ReturnType::Type(_, ty) = &sig.output {
            self.seed(returned, ty);
        }
        self.generics.pop();
        let mut fixed = fixed;
        if sig.abi.is_some() {
            fixed = Some("it is `extern`".to_owned());
        }
        if sig.constness.is_some() {
            fixed = Some("it is `const`".to_owned());
        }
        let mut entry = Entry::Called;
        let mut is_test = false;
        let mut ours = false;
        for attribute in attrs {
            let path = attribute.path();
            match self.facts.path(path) {
                Some("tokio::main" | "tokio::test") => {
                    is_test |= self.facts.path(path) == Some("tokio::test");
                    let item = self.facts.path(path).unwrap_or_default().to_owned();
                    let range = self.range(attribute);
                    let site = self.push_site(
                        &item,
                        Shape::Attribute(attribute),
                        range.clone(),
                        self.point(Use::value()),
                        None,
                        Family::Free,
                    );
                    self.model.sites[site.0].function = Some(id);
                    self.model.sites[site.0].statement = range.start;
                    self.occurrence(path, path.segments.len(), &item, None, Some(site));
                    entry = Entry::Tokio(site);
                }
                // The runtime's own entry points can take a `Cx` like any other function.
                Some(found) if asupersync_source::known::is_prefix("asupersync", found) => {
                    is_test |= found != "asupersync::main";
                    ours = true;
                }
                _ => {
                    let last = path.segments.last().map(|last| ident_text(&last.ident));
                    if matches!(
                        last.as_deref(),
                        Some("test" | "bench" | "rstest" | "test_case")
                    ) {
                        is_test = true;
                        entry = Entry::Foreign;
                    }
                    if matches!(
                        last.as_deref(),
                        Some("no_mangle" | "wasm_bindgen" | "pyfunction")
                    ) {
                        entry = Entry::Foreign;
                    }
                }
            }
        }
        let is_root = !self.module.contains("::");
        if entry == Entry::Called && !ours && sig.ident == "main" && is_root {
            entry = Entry::Foreign;
        }
        let given = self.given(sig);
        self.model.by_path.entry(path.clone()).or_default().push(id);
        self.by_signature.insert(key(sig), id);
        self.own_generics.insert(id, generics);
        self.parameters.push(parameters);
        self.returns.push(returned);
        self.model.functions.push(Function {
            path,
            file: self.file,
            sig,
            block,
            attrs,
            public,
            entry,
            fixed,
            tied: Vec::new(),
            range,
            is_test,
            given,
        });
        id
    }

    /// The `Cx` that a signature has already.
    fn given(&self, sig: &'p syn::Signature) -> Option<Given> {
        sig.inputs.iter().find_map(|input| {
            let syn::FnArg::Typed(typed) = input else {
                return None;
            };
            let Pat::Ident(ident) = &*typed.pat else {
                return None;
            };
            let (owned, ty) = match &*typed.ty {
                syn::Type::Reference(reference) => (false, &*reference.elem),
                other => (true, other),
            };
            let syn::Type::Path(path) = ty else {
                return None;
            };
            let found = self.facts.path(&path.path)?;
            matches!(
                found,
                "asupersync::Cx" | "asupersync::cx::Cx" | "asupersync::Scope"
            )
            .then(|| Given {
                name: ident_text(&ident.ident),
                owned,
            })
        })
    }

    /// A local trait's method and its implementations share one signature.
    fn tie_trait_methods(&mut self) {
        self.tie_alternatives();
        let mut groups: HashMap<String, Vec<FnId>> = HashMap::new();
        for id in self.model.function_ids() {
            if let Some(Some(of)) = self
                .model
                .function(id)
                .fixed
                .as_deref()
                .map(|fixed| fixed.strip_prefix("\u{0}"))
            {
                groups.entry(of.to_owned()).or_default().push(id);
            }
        }
        for (of, mut members) in groups {
            let declared = self.model.by_path.get(&of).cloned().unwrap_or_default();
            members.extend(declared);
            members.sort();
            members.dedup();
            for id in &members {
                let function = &mut self.model.functions[id.0];
                function.fixed = None;
                function.tied.extend(&members);
            }
            for pair in members.windows(2) {
                let (one, other) = (self.returns[pair[0].0], self.returns[pair[1].0]);
                self.model.places.union(one, other);
            }
        }
    }

    /// Functions of one path are alternatives that `cfg` chooses between, so a call means any of them.
    fn tie_alternatives(&mut self) {
        for ids in self.model.by_path.values() {
            if ids.len() > 1 {
                for id in ids {
                    self.model.functions[id.0].tied.extend(ids);
                }
            }
        }
    }

    // ---- sites

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

    // ---- bodies

    fn body(&mut self, id: FnId, block: &'p Block) {
        let scopes = std::mem::take(&mut self.scopes);
        let generics = self.own_generics.get(&id).cloned().unwrap_or_default();
        self.generics.push(generics);
        let sig = self.model.function(id).sig;
        let frame_before = self.frame;
        self.frame = FrameId(0);
        self.within(FrameKind::Function(id), |builder| {
            builder.scoped(|builder| {
                for (at, input) in sig.inputs.iter().enumerate() {
                    let place = builder.parameters[id.0][at];
                    match input {
                        syn::FnArg::Receiver(_) => {
                            builder
                                .scopes
                                .last_mut()
                                .map(|scope| scope.insert("self".to_owned(), place));
                        }
                        syn::FnArg::Typed(typed) => builder.pattern(&typed.pat, Some(place)),
                    }
                }
                let returned = builder.returns[id.0];
                builder.async_returns.push(returned);
                let flow = builder.block(block);
                builder.link(flow, Some(returned));
                builder.async_returns.pop();
            });
        });
        self.frame = frame_before;
        self.generics.pop();
        self.scopes = scopes;
    }

    fn block(&mut self, block: &'p Block) -> Flow {
        self.statements(&block.stmts)
    }

    fn statements(&mut self, stmts: &'p [Stmt]) -> Flow {
        self.scoped(|builder| {
            let mut last = None;
            let before = builder.statement;
            for stmt in stmts {
                builder.statement = builder.range(stmt).start;
                last = builder.stmt(stmt);
            }
            builder.statement = before;
            last
        })
    }

    fn stmt(&mut self, stmt: &'p Stmt) -> Flow {
        match stmt {
            Stmt::Local(local) => {
                let place = self.model.places.fresh();
                if let Pat::Type(typed) = &local.pat {
                    self.seed(place, &typed.ty);
                }
                if let Some(init) = &local.init {
                    let usage = if matches!(local.pat, Pat::Wild(_)) {
                        Usage::Ignored(local)
                    } else if init.diverge.is_some() {
                        Usage::LetElse(&local.pat)
                    } else {
                        Usage::Value
                    };
                    let flow = self.expr(&init.expr, Use::of(usage));
                    self.link(flow, Some(place));
                    if let Some((_, diverge)) = &init.diverge {
                        self.expr(diverge, Use::value());
                    }
                }
                self.pattern(&local.pat, Some(place));
                None
            }
            Stmt::Expr(expr, semi) => {
                let usage = if semi.is_some() {
                    Usage::Statement
                } else {
                    Usage::Value
                };
                let flow = self.expr(expr, Use::of(usage));
                if semi.is_some() { None } else { flow }
            }
            Stmt::Macro(call) => {
                let usage = if call.semi_token.is_some() {
                    Usage::Statement
                } else {
                    Usage::Value
                };
                self.macro_call(&call.mac, Use::of(usage))
            }
            Stmt::Item(_) => None,
        }
    }

    fn pattern(&mut self, pat: &'p Pat, flow: Flow) {
        match pat {
            Pat::Ident(ident) => {
                let place = self.model.places.fresh();
                self.link(flow, Some(place));
                if let Some(scope) = self.scopes.last_mut() {
                    scope.insert(ident_text(&ident.ident), place);
                }
                self.model.bindings.insert(place, ident);
                if let Some((_, inner)) = &ident.subpat {
                    self.pattern(inner, flow);
                }
            }
            Pat::TupleStruct(tuple) => {
                let owner = self.pattern_path(&tuple.path);
                for (at, element) in tuple.elems.iter().enumerate() {
                    let inner = match &owner {
                        Some(owner) => self.named.get(&format!("{owner}::{at}")).copied(),
                        None => flow,
                    };
                    self.pattern(element, inner.or(flow.filter(|_| owner.is_none())));
                }
            }
            Pat::Struct(fields) => {
                let owner = self.pattern_path(&fields.path);
                for field in &fields.fields {
                    let name = member_name(&field.member);
                    let inner = match &owner {
                        Some(owner) => self.named.get(&format!("{owner}::{name}")).copied(),
                        None => flow,
                    };
                    self.pattern(&field.pat, inner);
                }
            }
            Pat::Path(path) => {
                self.pattern_path(&path.path);
            }
            Pat::Tuple(tuple) => tuple.elems.iter().for_each(|part| self.pattern(part, flow)),
            Pat::Slice(slice) => slice.elems.iter().for_each(|part| self.pattern(part, flow)),
            Pat::Or(or) => or.cases.iter().for_each(|part| self.pattern(part, flow)),
            Pat::Paren(inner) => self.pattern(&inner.pat, flow),
            Pat::Reference(inner) => self.pattern(&inner.pat, flow),
            Pat::Type(typed) => self.pattern(&typed.pat, flow),
            _ => {}
        }
    }

    /// The local struct or variant that a pattern names.
    fn pattern_path(&mut self, path: &'p syn::Path) -> Option<String> {
        let found = self.facts.path(path)?.to_owned();
        if asupersync_source::known::is_prefix("tokio", &found) {
            self.occurrence(path, path.segments.len(), &found, None, None);
            return None;
        }
        self.index
            .is_local(&found)
            .then(|| self.index.dealias(&found))
    }

    fn arguments(&mut self, args: &'p Punctuated<Expr, syn::Token![,]>) -> Vec<Flow> {
        args.iter()
            .map(|argument| self.expr(argument, Use::value()))
            .collect()
    }

    fn join(&mut self, flows: impl IntoIterator<Item = Flow>) -> Flow {
        let mut joined = None;
        for flow in flows.into_iter().flatten() {
            match joined {
                None => joined = Some(flow),
                Some(first) => self.model.places.union(first, flow),
            }
        }
        joined
    }

    fn expr(&mut self, expr: &'p Expr, usage: Use<'p>) -> Flow {
        let value = Use::value();
        match expr {
            Expr::Path(path) => self.value_path(path),
            Expr::Call(call) => self.call(expr, call, usage),
            Expr::MethodCall(call) => self.method_call(expr, call, usage),
            Expr::Await(awaited) => {
                let inner = Use {
                    usage: usage.usage,
                    awaited: Some(awaited),
                };
                let flow = self.expr(&awaited.base, inner);
                self.awaited(&awaited.base, flow, inner);
                flow
            }
            Expr::Try(tried) => self.expr(&tried.expr, Use::of(Usage::Tried)),
            Expr::Paren(inner) => self.expr(&inner.expr, usage),
            Expr::Group(inner) => self.expr(&inner.expr, usage),
            Expr::Reference(inner) => self.expr(&inner.expr, value),
            Expr::Unary(inner) => self.expr(&inner.expr, value),
            Expr::Field(field) => self.field(field),
            Expr::Index(index) => {
                self.expr(&index.index, value);
                self.expr(&index.expr, value)
            }
            Expr::Cast(cast) => {
                self.expr(&cast.expr, value);
                None
            }
            Expr::Block(block) => self.block(&block.block),
            Expr::Unsafe(block) => self.block(&block.block),
            Expr::Async(block) => self.async_block(block),
            Expr::Closure(closure) => self.closure(closure),
            Expr::If(branch) => self.scoped(|builder| {
                builder.condition(&branch.cond);
                let then = builder.block(&branch.then_branch);
                let otherwise = branch
                    .else_branch
                    .as_ref()
                    .and_then(|(_, otherwise)| builder.expr(otherwise, value));
                builder.join([then, otherwise])
            }),
            Expr::Match(matched) => {
                let scrutinee = self.expr(&matched.expr, Use::of(Usage::Match(matched)));
                let mut flows = Vec::new();
                let before = self.statement;
                for arm in &matched.arms {
                    self.statement = self.range(arm).start;
                    let flow = self.scoped(|builder| {
                        builder.pattern(&arm.pat, scrutinee);
                        if let Some((_, guard)) = &arm.guard {
                            builder.expr(guard, value);
                        }
                        builder.expr(&arm.body, value)
                    });
                    flows.push(flow);
                }
                self.statement = before;
                self.join(flows)
            }
            Expr::While(looped) => {
                self.within(FrameKind::Loop(expr), |builder| {
                    builder.scoped(|builder| {
                        match &*looped.cond {
                            Expr::Let(cond) => {
                                let used = Use::of(Usage::WhileLet(looped, &cond.pat));
                                builder.consuming(expr, used, &cond.expr, &cond.pat);
                            }
                            other => builder.condition(other),
                        }
                        builder.block(&looped.body);
                    });
                });
                None
            }
            Expr::Loop(looped) => self.within(FrameKind::Loop(expr), |builder| {
                builder.block(&looped.body);
                None
            }),
            Expr::ForLoop(looped) => {
                let flow = self.expr(&looped.expr, value);
                self.within(FrameKind::Loop(expr), |builder| {
                    builder.scoped(|builder| {
                        builder.pattern(&looped.pat, flow);
                        builder.block(&looped.body);
                    });
                });
                None
            }
            Expr::Let(bound) => {
                let flow = self.expr(&bound.expr, Use::of(Usage::IfLet(&bound.pat)));
                self.pattern(&bound.pat, flow);
                None
            }
            Expr::Struct(literal) => self.struct_literal(literal),
            Expr::Tuple(tuple) => {
                let flows: Vec<Flow> = tuple
                    .elems
                    .iter()
                    .map(|part| self.expr(part, value))
                    .collect();
                self.gather(flows)
            }
            Expr::Array(array) => {
                let flows: Vec<Flow> = array
                    .elems
                    .iter()
                    .map(|part| self.expr(part, value))
                    .collect();
                self.gather(flows)
            }
            Expr::Repeat(repeat) => {
                self.expr(&repeat.len, value);
                self.expr(&repeat.expr, value)
            }
            Expr::Return(returned) => {
                if let Some(inner) = &returned.expr {
                    let flow = self.expr(inner, value);
                    let target = self.async_returns.last().copied();
                    self.link(flow, target);
                }
                None
            }
            Expr::Break(broken) => {
                if let Some(inner) = &broken.expr {
                    self.expr(inner, value);
                }
                None
            }
            Expr::Assign(assign) => {
                let right = self.expr(&assign.right, value);
                let left = self.expr(&assign.left, value);
                self.link(left, right);
                None
            }
            Expr::Binary(binary) => {
                let left = self.expr(&binary.left, value);
                let right = self.expr(&binary.right, value);
                // `instant + duration` is an instant again.
                if matches!(binary.op, syn::BinOp::Add(_) | syn::BinOp::AddAssign(_)) {
                    left
                } else {
                    // Instants are compared with and subtracted from their like.
                    let clock = |builder: &Self, flow: Flow| {
                        flow.is_some_and(|place| {
                            builder
                                .model
                                .places
                                .seen(place)
                                .contains("tokio::time::Instant")
                        })
                    };
                    if clock(self, left) || clock(self, right) {
                        self.link(left, right);
                    }
                    None
                }
            }
            Expr::Range(range) => {
                for side in [&range.start, &range.end].into_iter().flatten() {
                    self.expr(side, value);
                }
                None
            }
            Expr::Macro(call) => self.macro_call(&call.mac, usage),
            Expr::Const(block) => {
                self.within(FrameKind::Sealed, |builder| builder.block(&block.block))
            }
            Expr::TryBlock(block) => self.block(&block.block),
            Expr::Yield(inner) => {
                if let Some(inner) = &inner.expr {
                    self.expr(inner, value);
                }
                None
            }
            _ => None,
        }
    }

    /// A place that holds all of several values.
    fn gather(&mut self, flows: Vec<Flow>) -> Flow {
        if flows.iter().all(Option::is_none) {
            return None;
        }
        let place = self.model.places.fresh();
        for flow in flows {
            self.link(Some(place), flow);
        }
        Some(place)
    }

    fn condition(&mut self, expr: &'p Expr) {
        match expr {
            Expr::Let(_) => {
                self.expr(expr, Use::value());
            }
            Expr::Binary(binary) => {
                self.condition(&binary.left);
                self.condition(&binary.right);
            }
            other => {
                self.expr(other, Use::value());
            }
        }
    }

    /// The head of `while let`, which may consume a channel.
    fn consuming(&mut self, looped: &'p Expr, used: Use<'p>, source: &'p Expr, pat: &'p Pat) {
        let first = self.model.sites.len();
        let flow = self.expr(source, used);
        self.mark_drain(first, looped);
        self.pattern(pat, flow);
    }

    /// Says of the receives among the sites since `first` that they are the heads of a loop.
    fn mark_drain(&mut self, first: usize, looped: &'p Expr) {
        let start = self.range(looped).start;
        let before = (self.statement == start).then_some(start);
        for at in first..self.model.sites.len() {
            let site = &mut self.model.sites[at];
            if matches!(site.usage, Usage::WhileLet(..)) && is_receive(&site.item) {
                site.drain = Some(Drain { before });
                self.model.frames[self.frame.0].kind = FrameKind::Drain(SiteId(at));
            }
        }
    }

    fn value_path(&mut self, path: &'p syn::ExprPath) -> Flow {
        if let Some(name) = path.path.get_ident() {
            let name = ident_text(name);
            if let Some(local) = self.scopes.iter().rev().find_map(|scope| scope.get(&name)) {
                return Some(*local);
            }
        }
        let found = self.facts.path(&path.path)?.to_owned();
        if asupersync_source::known::is_prefix("tokio", &found) {
            // A tokio function or constant as a value: nothing rewrites that.
            let place = self.model.places.fresh();
            self.occurrence(
                &path.path,
                path.path.segments.len(),
                &found,
                Some(place),
                None,
            );
            return Some(place);
        }
        if !self.index.is_local(&found) {
            return None;
        }
        if let Some(functions) = self.model.by_path.get(&found).cloned() {
            for id in functions {
                let function = &mut self.model.functions[id.0];
                function
                    .fixed
                    .get_or_insert_with(|| "it is passed along as a value".to_owned());
            }
            return None;
        }
        if let Some(place) = self.named.get(&found) {
            return Some(*place);
        }
        let place = self.model.places.fresh();
        self.model.places.see(place, &found);
        Some(place)
    }

    fn field(&mut self, field: &'p syn::ExprField) -> Flow {
        let base = self.expr(&field.base, Use::value());
        let name = member_name(&field.member);
        let mut ty = self.facts.ty(&field.base).cloned();
        while let Some(current) = ty {
            if let Some(path) = current.path()
                && let Some(place) = self.named.get(&format!("{path}::{name}"))
            {
                return Some(*place);
            }
            ty = current.dereferenced(self.index);
        }
        if let Some(base) = base {
            let candidates: Vec<PlaceId> = self
                .model
                .places
                .seen(base)
                .iter()
                .filter_map(|owner| self.named.get(&format!("{owner}::{name}")).copied())
                .collect();
            if let [only] = candidates.as_slice() {
                return Some(*only);
            }
        }
        // A field name that only one struct has.
        let suffix = format!("::{name}");
        let numbered = matches!(field.member, syn::Member::Unnamed(_));
        let mut with_name = self
            .named
            .iter()
            .filter(|(path, _)| path.ends_with(&suffix))
            .map(|(_, place)| *place);
        match (with_name.next(), with_name.next()) {
            (Some(only), None) if !numbered => Some(only),
            _ => base,
        }
    }

    fn struct_literal(&mut self, literal: &'p syn::ExprStruct) -> Flow {
        let owner = self
            .facts
            .path(&literal.path)
            .map(|found| self.index.dealias(found));
        for field in &literal.fields {
            let flow = self.expr(&field.expr, Use::value());
            if let Some(owner) = &owner {
                let name = member_name(&field.member);
                let place = self.named.get(&format!("{owner}::{name}")).copied();
                self.link(flow, place);
            }
        }
        if let Some(rest) = &literal.rest {
            self.expr(rest, Use::value());
        }
        let place = self.model.places.fresh();
        if let Some(owner) = owner.filter(|owner| self.index.is_local(owner)) {
            let ty = self.adt_of(&owner);
            self.model.places.see(place, &ty);
        }
        Some(place)
    }

    /// The type that a struct or variant path builds.
    fn adt_of(&self, path: &str) -> String {
        use asupersync_source::resolve::{Definition, Namespace};
        if let Some((owner, _)) = path.rsplit_once("::")
            && let Some(Definition::Enum(_)) = self.index.definition(owner, Namespace::Type)
        {
            return owner.to_owned();
        }
        path.to_owned()
    }

    fn async_block(&mut self, block: &'p syn::ExprAsync) -> Flow {
        self.within(FrameKind::Async(block), |builder| {
            let value = builder.model.places.fresh();
            builder.async_returns.push(value);
            let flow = builder.block(&block.block);
            builder.link(flow, Some(value));
            builder.async_returns.pop();
            Some(value)
        })
    }

    fn closure(&mut self, closure: &'p syn::ExprClosure) -> Flow {
        self.within(FrameKind::Closure(closure), |builder| {
            builder.scoped(|builder| {
                let value = builder.model.places.fresh();
                builder.async_returns.push(value);
                for input in &closure.inputs {
                    let place = builder.model.places.fresh();
                    if let Pat::Type(typed) = input {
                        builder.seed(place, &typed.ty);
                    }
                    builder.pattern(input, Some(place));
                }
                if let syn::ReturnType::Type(_, ty) = &closure.output {
                    builder.seed(value, ty);
                }
                let flow = builder.expr(&closure.body, Use::value());
                builder.link(flow, Some(value));
                builder.async_returns.pop();
                Some(value)
            })
        })
    }

    // ---- calls

    fn call(&mut self, expr: &'p Expr, call: &'p syn::ExprCall, usage: Use<'p>) -> Flow {
        let Expr::Path(path) = bare(&call.func) else {
            let callee = self.expr(&call.func, Use::value());
            let flows = self.arguments(&call.args);
            let joined = self.join(flows);
            return self.join([callee, joined]);
        };
        let local = path.path.get_ident().and_then(|name| {
            let name = ident_text(name);
            self.scopes
                .iter()
                .rev()
                .find_map(|scope| scope.get(&name))
                .copied()
        });
        if local.is_some() {
            let flows = self.arguments(&call.args);
            let joined = self.join(flows);
            return self.join([local, joined]);
        }
        let callee = self
            .facts
            .callee(expr)
            .or_else(|| self.facts.path(&path.path))
            .map(str::to_owned)
            .or_else(|| self.nested_function(&path.path));
        let Some(callee) = callee else {
            let flows = self.arguments(&call.args);
            return self.gather(flows);
        };
        if let Some(functions) = self.model.by_path.get(&callee).cloned() {
            let flows = self.arguments(&call.args);
            return Some(self.local_call(expr, &functions, &flows));
        }
        if asupersync_source::known::is_prefix("tokio", &callee) {
            return self.tokio_call(call, &path.path, &callee, usage);
        }
        let flows = self.arguments(&call.args);
        if self.index.is_local(&callee) {
            let owner = self.index.dealias(&callee);
            let mut is_constructor = false;
            for (at, flow) in flows.iter().enumerate() {
                if let Some(place) = self.named.get(&format!("{owner}::{at}")).copied() {
                    is_constructor = true;
                    self.link(*flow, Some(place));
                }
            }
            let place = self.model.places.fresh();
            let ty = self.adt_of(&owner);
            self.model.places.see(place, &ty);
            if !is_constructor {
                let joined = self.join(flows);
                self.link(Some(place), joined);
            }
            return Some(place);
        }
        if matches!(callee.as_str(), "std::mem::drop" | "std::mem::forget") {
            return None;
        }
        if !asupersync_source::known::is_prefix("std", &callee) {
            self.escape(&flows, &call.args, &callee);
        }
        self.gather(flows)
    }

    fn nested_function(&self, path: &syn::Path) -> Option<String> {
        let name = ident_text(path.get_ident()?);
        let path = format!("{}::{name}", self.module);
        self.model.by_path.contains_key(&path).then_some(path)
    }

    fn escape(&mut self, flows: &[Flow], args: &'p Punctuated<Expr, syn::Token![,]>, callee: &str) {
        for (flow, argument) in flows.iter().zip(args) {
            let known = self.is_tokio_value(argument);
            if let Some(place) = flow
                && (known || combines_futures(callee))
            {
                self.model.escapes.push(Escape {
                    place: *place,
                    reason: format!("it is passed to `{callee}`, which takes tokio's types"),
                    only_futures: !known,
                });
            }
        }
    }

    /// Whether an expression is known to be, or to hold, a value of tokio's.
    fn is_tokio_value(&self, expr: &Expr) -> bool {
        fn holds(ty: &asupersync_source::types::Ty) -> bool {
            use asupersync_source::types::Ty;
            match ty {
                Ty::Path { path, arguments } => {
                    asupersync_source::known::is_prefix("tokio", path)
                        || arguments.iter().any(holds)
                }
                Ty::Tuple(parts) => parts.iter().any(holds),
                Ty::List(element) => holds(element),
                Ty::Future(_) | Ty::Unknown => false,
            }
        }
        self.facts
            .ty(expr)
            .or_else(|| self.facts.ty(stripped(expr)))
            .is_some_and(holds)
    }

    fn local_call(&mut self, expr: &'p Expr, functions: &[FnId], flows: &[Flow]) -> PlaceId {
        let result = self.model.places.fresh();
        for id in functions {
            for (at, flow) in flows.iter().enumerate() {
                let place = self.parameters[id.0].get(at).copied();
                self.link(*flow, place);
            }
            self.model.places.union(result, self.returns[id.0]);
            self.model.calls.push(Call {
                callee: *id,
                expr,
                file: self.file,
                frame: self.frame,
            });
        }
        result
    }

    fn tokio_call(
        &mut self,
        call: &'p syn::ExprCall,
        path: &'p syn::Path,
        callee: &str,
        usage: Use<'p>,
    ) -> Flow {
        let result = self.model.places.fresh();
        let family = rules::family_of(callee).unwrap_or(Family::Free);
        let range = self.range(call);
        let site = self.push_site(
            callee,
            Shape::Call(call),
            range,
            self.point(usage),
            Some(result),
            family,
        );
        for ty in results_of(callee) {
            self.model.places.see(result, ty);
        }
        let entry = rules::lookup(callee);
        let form = self.model.site(site).form();
        // `Type::function`: the type is named too, and moves with the value.
        let owner = callee.rsplit_once("::").map(|(owner, _)| owner);
        let of_type = owner.filter(|owner| {
            owner
                .rsplit("::")
                .next()
                .is_some_and(|name| name.starts_with(|first: char| first.is_uppercase()))
        });
        match (entry.map(|(_, item)| item.op), of_type) {
            (Some(Op::Associated { .. }) | None, Some(owner)) if path.segments.len() > 1 => {
                self.occurrence(path, path.segments.len() - 1, owner, Some(result), None);
            }
            (Some(Op::Function { .. }), _) => {
                self.occurrence(path, path.segments.len(), callee, Some(result), None);
            }
            (None, _) => {
                self.occurrence(path, path.segments.len(), callee, Some(result), None);
            }
            _ => self.occurrence(path, path.segments.len(), callee, None, Some(site)),
        }
        match form {
            Some(Form::Spawn) => {
                self.model.sites[site.0].detached =
                    matches!(usage.usage, Usage::Statement | Usage::Ignored(_))
                        && usage.awaited.is_none();
                if !self.model.sites[site.0].detached {
                    self.model.sites[site.0].family = Family::Join;
                    self.model.places.see(result, "tokio::task::JoinHandle");
                }
                let flow = self.body_argument(site, call.args.first());
                self.link(flow, Some(result));
                Some(result)
            }
            Some(Form::SpawnBlocking) => {
                self.model.sites[site.0].family = Family::Join;
                self.model.places.see(result, "tokio::task::JoinHandle");
                let flow = self.body_argument(site, call.args.first());
                self.link(flow, Some(result));
                Some(result)
            }
            Some(Form::Timeout) => {
                if let Some(duration) = call.args.first() {
                    self.expr(duration, Use::value());
                }
                call.args
                    .iter()
                    .skip(1)
                    .map(|body| self.body_argument(site, Some(body)))
                    .next()
                    .flatten()
            }
            _ => {
                let flows = self.arguments(&call.args);
                if matches!(family, Family::Io | Family::Clock | Family::Interval) {
                    for flow in flows {
                        self.link(flow, Some(result));
                    }
                } else if rules::lookup(callee).is_none() {
                    let joined = self.join(flows);
                    self.link(joined, Some(result));
                }
                Some(result)
            }
        }
    }

    /// The future or closure that a form gives a `Cx` of its own.
    fn body_argument(&mut self, site: SiteId, argument: Option<&'p Expr>) -> Flow {
        let argument = argument?;
        self.within(FrameKind::Body(site), |builder| {
            let flow = builder.expr(argument, Use::value());
            builder.awaited_by_form(argument, flow);
            flow
        })
    }

    /// A form that awaits a handle or receiver passed to it is no awaited site of its own: the family cannot move.
    fn awaited_by_form(&mut self, argument: &'p Expr, flow: Flow) {
        if let Some(item) = self.awaitable(argument, flow) {
            self.model.escapes.push(Escape {
                place: flow.unwrap_or_else(|| self.model.places.fresh()),
                reason: format!("`{item}` is passed on as a future"),
                only_futures: false,
            });
        }
    }

    /// The pseudo-item for awaiting an expression that is a handle or a receiver.
    fn awaitable(&self, expr: &'p Expr, flow: Flow) -> Option<&'static str> {
        const HANDLE: &str = "tokio::task::JoinHandle";
        const RECEIVER: &str = "tokio::sync::oneshot::Receiver";
        let inner = stripped(expr);
        match self
            .facts
            .ty(expr)
            .or_else(|| self.facts.ty(inner))
            .and_then(|ty| ty.path())
        {
            Some(HANDLE) => return Some("tokio::task::JoinHandle::await"),
            Some(RECEIVER) => return Some("tokio::sync::oneshot::Receiver::await"),
            Some(_) => return None,
            None => {}
        }
        if !matches!(inner, Expr::Path(_) | Expr::Field(_) | Expr::Index(_)) {
            return None;
        }
        let seen = self.model.places.seen(flow?);
        match (seen.contains(HANDLE), seen.contains(RECEIVER)) {
            (true, false) => Some("tokio::task::JoinHandle::await"),
            (false, true) => Some("tokio::sync::oneshot::Receiver::await"),
            _ => None,
        }
    }

    fn awaited(&mut self, base: &'p Expr, flow: Flow, usage: Use<'p>) {
        let at = self.point(usage);
        match self.awaitable(base, flow) {
            Some(item) => self.awaited_site(item, base, flow, at),
            // What flows here may come to be known later.
            None if self.facts.ty(base).is_none() => self.pending_awaits.push((base, flow, at)),
            None => {}
        }
    }

    fn awaited_site(&mut self, item: &str, base: &'p Expr, flow: Flow, at: Point<'p>) {
        let family = rules::family_of(item).unwrap_or(Family::Free);
        let source = self.project.file(at.file);
        let range = at
            .usage
            .awaited
            .map_or_else(|| source.range(base), |awaited| source.range(awaited));
        self.push_site(item, Shape::Awaited(base), range, at, flow, family);
    }

    fn method_call(
        &mut self,
        expr: &'p Expr,
        call: &'p syn::ExprMethodCall,
        usage: Use<'p>,
    ) -> Flow {
        let receiver = self.expr(&call.receiver, Use::of(Usage::Method(call)));
        let result = self.model.places.fresh();
        if let Some(turbofish) = &call.turbofish {
            for argument in &turbofish.args {
                if let syn::GenericArgument::Type(ty) = argument {
                    self.seed(result, ty);
                }
            }
        }
        let callee = self.facts.callee(expr).map(str::to_owned);
        if callee.as_deref() == Some("tokio::runtime::Runtime::block_on") {
            return self.block_on(call, receiver, usage);
        }
        let arguments: Vec<Flow> = self.arguments(&call.args);
        let at = self.point(usage);
        let pending = Pending {
            call,
            expr,
            receiver,
            arguments,
            result,
            at,
            passed: false,
        };
        match callee {
            Some(callee) if self.resolve_method(&pending, &callee) => {}
            Some(callee) if !self.index.is_local(&callee) => {
                self.pass_through(&pending);
                // A trait of another crate on a value of ours: it may take tokio's types only.
                let foreign = !asupersync_source::known::is_prefix("std", &callee)
                    && !asupersync_source::known::is_prefix("tokio", &callee);
                let known = self.is_tokio_value(&call.receiver);
                if foreign
                    && (known || combines_futures(&callee))
                    && let Some(place) = receiver
                {
                    self.model.escapes.push(Escape {
                        place,
                        reason: format!("`{callee}` takes tokio's types"),
                        only_futures: !known,
                    });
                }
                if combines_futures(&callee) {
                    for place in pending.arguments.iter().copied().flatten() {
                        self.model.escapes.push(Escape {
                            place,
                            reason: format!("it is passed to `{callee}`"),
                            only_futures: true,
                        });
                    }
                }
            }
            _ => self.pending.push(pending),
        }
        Some(result)
    }

    fn block_on(&mut self, call: &'p syn::ExprMethodCall, receiver: Flow, usage: Use<'p>) -> Flow {
        let range = self.range(call);
        let site = self.push_site(
            "tokio::runtime::Runtime::block_on",
            Shape::Method(call),
            range,
            self.point(usage),
            receiver,
            Family::Runtime,
        );
        self.body_argument(site, call.args.first())
    }

    /// Links a method call to what it calls; false where that is neither the program's nor tokio's.
    fn resolve_method(&mut self, pending: &Pending<'p>, callee: &str) -> bool {
        if let Some(functions) = self.model.by_path.get(callee).cloned() {
            let mut flows = vec![None];
            flows.extend(pending.arguments.iter().copied());
            let before = (self.file, self.frame);
            (self.file, self.frame) = (pending.at.file, pending.at.frame);
            let has_receiver = functions
                .iter()
                .any(|id| self.model.function(*id).sig.receiver().is_some());
            if has_receiver {
                let place = self.local_call(pending.expr, &functions, &flows);
                self.model.places.union(place, pending.result);
            }
            (self.file, self.frame) = before;
            return has_receiver;
        }
        if asupersync_source::known::is_prefix("tokio", callee) {
            self.tokio_method(pending, callee);
            return true;
        }
        false
    }

    fn tokio_method(&mut self, pending: &Pending<'p>, callee: &str) {
        let name = ident_text(&pending.call.method);
        let owner = callee.rsplit_once("::").map_or(callee, |(owner, _)| owner);
        let entry = rules::lookup(callee).or_else(|| rules::method_of(owner, &name));
        let item = entry.map_or(callee, |(_, item)| item.path);
        if entry.is_none() && is_of_std_trait(&name) {
            self.pass_through(pending);
            return;
        }
        let family = rules::family_of(item)
            .or_else(|| rules::family_of(owner))
            .unwrap_or(Family::Free);
        let range = self.project.file(pending.at.file).range(pending.call);
        let site = self.push_site(
            item,
            Shape::Method(pending.call),
            range,
            pending.at,
            pending.receiver,
            family,
        );
        for ty in results_of(item) {
            self.model.places.see(pending.result, ty);
        }
        let carries = match entry.map(|(_, item)| item.op) {
            Some(Op::Method { carries, .. }) => carries,
            Some(_) => false,
            None => true,
        };
        if carries {
            self.link(Some(pending.result), pending.receiver);
        }
        if matches!(
            name.as_str(),
            "send" | "try_send" | "duration_since" | "saturating_duration_since"
        ) {
            for flow in pending.arguments.iter().copied() {
                self.link(flow, pending.receiver);
            }
        }
        if let Usage::WhileLet(looped, _) = pending.at.usage.usage
            && is_receive(item)
            && self.model.sites[site.0].drain.is_none()
            && let FrameKind::Loop(expr) = self.model.frame(pending.at.frame).kind
            && matches!(expr, Expr::While(found) if std::ptr::eq(found, looped))
        {
            let start = self.project.file(pending.at.file).range(expr).start;
            let before = (pending.at.statement == start).then_some(start);
            self.model.sites[site.0].drain = Some(Drain { before });
            self.model.frames[pending.at.frame.0].kind = FrameKind::Drain(site);
        }
    }

    fn pass_through(&mut self, pending: &Pending<'p>) {
        self.link(Some(pending.result), pending.receiver);
        for flow in pending.arguments.iter().copied() {
            self.link(flow, Some(pending.result));
        }
    }

    /// Resolves what is left by the types seen at receivers, until nothing new is seen.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            let mut left = Vec::new();
            let mut progress = false;
            for mut pending in std::mem::take(&mut self.pending) {
                match self.guess(&pending) {
                    Some(callee) if self.resolve_method(&pending, &callee) => progress = true,
                    _ => {
                        if !pending.passed {
                            pending.passed = true;
                            progress = true;
                            self.pass_through(&pending);
                        }
                        left.push(pending);
                    }
                }
            }
            self.pending = left;
            if !progress {
                break;
            }
        }
        for (base, flow, at) in std::mem::take(&mut self.pending_awaits) {
            if let Some(item) = self.awaitable(base, flow) {
                self.awaited_site(item, base, flow, at);
            }
        }
        // A method that no rule names, on what is known to be tokio's.
        for pending in std::mem::take(&mut self.pending) {
            let name = ident_text(&pending.call.method);
            let known = self
                .facts
                .ty(&pending.call.receiver)
                .and_then(|ty| ty.path())
                .is_some_and(|path| asupersync_source::known::is_prefix("tokio", path));
            if known
                && !is_of_std_trait(&name)
                && let Some(place) = pending.receiver
            {
                self.model.escapes.push(Escape {
                    place,
                    reason: format!("`{name}` has no rule"),
                    only_futures: false,
                });
            }
        }
    }

    fn guess(&self, pending: &Pending<'p>) -> Option<String> {
        let name = ident_text(&pending.call.method);
        let seen = self.model.places.seen(pending.receiver?);
        let arity = pending.call.args.len() + 1;
        let mut found: Vec<String> = Vec::new();
        for ty in seen {
            if ty.starts_with("tokio::") {
                if let Some((_, item)) = rules::method_of(ty, &name) {
                    found.push(item.path.to_owned());
                }
                continue;
            }
            if let Some(def) = self.index.method(ty, &name)
                && def.sig.inputs.len() == arity
            {
                found.push(def.path.clone());
            }
        }
        found.sort();
        found.dedup();
        match found.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    // ---- macros

    fn macro_call(&mut self, call: &'p syn::Macro, usage: Use<'p>) -> Flow {
        let found = self.facts.path(&call.path).map(str::to_owned);
        let definition = self.facts.is_in_definition(call);
        let was = self.in_definition;
        self.in_definition |= definition;
        if let Some(item) = found.filter(|path| asupersync_source::known::is_prefix("tokio", path))
        {
            let range = self.range(call);
            let site = self.push_site(
                &item,
                Shape::Macro(call),
                range,
                self.point(usage),
                None,
                Family::Free,
            );
            self.occurrence(
                &call.path,
                call.path.segments.len(),
                &item,
                None,
                Some(site),
            );
        }
        let flow = self
            .source()
            .macro_body(call)
            .and_then(|body| self.macro_body(call, body));
        self.in_definition = was;
        flow
    }

    fn macro_body(&mut self, call: &'p syn::Macro, body: &'p MacroBody) -> Flow {
        match body {
            MacroBody::Select(select) => self.select(call, select),
            // `stream! { while let .. {} }` is a block that happens to be one expression.
            MacroBody::Exprs(exprs) if matches!(call.delimiter, syn::MacroDelimiter::Brace(_)) => {
                self.within(FrameKind::MacroBlock, |builder| {
                    for expr in exprs {
                        builder.expr(expr, Use::value());
                    }
                });
                None
            }
            MacroBody::Exprs(exprs) => {
                let flows: Vec<Flow> = exprs
                    .iter()
                    .map(|expr| self.expr(expr, Use::value()))
                    .collect();
                self.gather(flows)
            }
            MacroBody::Stmts(stmts) => self.within(FrameKind::MacroBlock, |builder| {
                builder.statements(stmts);
                None
            }),
            MacroBody::Pieces(pieces) => {
                for piece in pieces {
                    self.macro_body(call, piece);
                }
                None
            }
            MacroBody::Definition(arms) => {
                self.within(FrameKind::Sealed, |builder| {
                    for arm in arms {
                        builder.macro_body(call, arm);
                    }
                });
                None
            }
            MacroBody::Items(_) => None,
        }
    }

    fn select(&mut self, call: &'p syn::Macro, select: &'p Select) -> Flow {
        let mut flows = Vec::new();
        let before = self.statement;
        for (branch, arm) in select.branches.iter().enumerate() {
            self.statement = self.range(&arm.pat).start;
            let usage = Use::of(Usage::Arm { branch, call });
            let output = self.within(FrameKind::SelectFuture, |builder| {
                let flow = builder.expr(&arm.future, usage);
                builder.awaited(&arm.future, flow, usage);
                flow
            });
            if let Some(guard) = &arm.guard {
                self.expr(guard, Use::value());
            }
            let flow = self.scoped(|builder| {
                builder.pattern(&arm.pat, output);
                builder.within(FrameKind::SelectHandler, |builder| {
                    builder.expr(&arm.handler, Use::value())
                })
            });
            flows.push(flow);
        }
        self.statement = before;
        if let Some(otherwise) = &select.otherwise {
            let flow = self.expr(otherwise, Use::value());
            flows.push(flow);
        }
        self.join(flows)
    }
}

/// What a tokio function or method hands out, for receivers whose type is not known otherwise.
fn results_of(item: &str) -> &'static [&'static str] {
    match item {
        "tokio::sync::mpsc::channel" => {
            &["tokio::sync::mpsc::Sender", "tokio::sync::mpsc::Receiver"]
        }
        "tokio::sync::mpsc::unbounded_channel" => &[
            "tokio::sync::mpsc::UnboundedSender",
            "tokio::sync::mpsc::UnboundedReceiver",
        ],
        "tokio::sync::oneshot::channel" => &[
            "tokio::sync::oneshot::Sender",
            "tokio::sync::oneshot::Receiver",
        ],
        "tokio::net::TcpListener::bind" => &["tokio::net::TcpListener"],
        "tokio::net::TcpStream::connect" | "tokio::net::TcpListener::accept" => {
            &["tokio::net::TcpStream"]
        }
        "tokio::net::TcpStream::into_split" => &[
            "tokio::net::tcp::OwnedReadHalf",
            "tokio::net::tcp::OwnedWriteHalf",
        ],
        "tokio::io::split" => &["tokio::io::ReadHalf", "tokio::io::WriteHalf"],
        "tokio::io::BufReader::new" => &["tokio::io::BufReader"],
        "tokio::io::BufWriter::new" => &["tokio::io::BufWriter"],
        "tokio::io::AsyncBufReadExt::lines" => &["tokio::io::Lines"],
        "tokio::time::interval" => &["tokio::time::Interval"],
        "tokio::time::Instant::now" => &["tokio::time::Instant"],
        "tokio::runtime::Runtime::new" => &["tokio::runtime::Runtime"],
        _ => &[],
    }
}

/// Whether a function or method takes futures of any kind, handles of tasks among them.
fn combines_futures(callee: &str) -> bool {
    [
        "futures",
        "futures_lite",
        "futures_concurrency",
        "tokio_stream",
    ]
    .iter()
    .any(|name| asupersync_source::known::is_prefix(name, callee))
}

/// Methods that every type has, or may have, from a trait of the standard library: no use of tokio by themselves.
fn is_of_std_trait(name: &str) -> bool {
    matches!(
        name,
        "as_ref"
            | "as_mut"
            | "borrow"
            | "borrow_mut"
            | "clone"
            | "clone_from"
            | "cmp"
            | "deref"
            | "eq"
            | "fmt"
            | "hash"
            | "into"
            | "ne"
            | "partial_cmp"
            | "source"
            | "to_owned"
            | "to_string"
            | "try_into"
            | "type_id"
    )
}

fn is_receive(item: &str) -> bool {
    matches!(
        item,
        "tokio::sync::mpsc::Receiver::recv" | "tokio::sync::mpsc::UnboundedReceiver::recv"
    )
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

#[derive(Default)]
struct TypePaths<'p> {
    paths: Vec<&'p syn::Path>,
    /// Something in the type is left to inference.
    inferred: bool,
}

impl<'p> Visit<'p> for TypePaths<'p> {
    fn visit_path(&mut self, path: &'p syn::Path) {
        self.paths.push(path);
        visit::visit_path(self, path);
    }

    fn visit_type_infer(&mut self, _: &'p syn::TypeInfer) {
        self.inferred = true;
    }
}

/// The first reading: types, fields and signatures.
struct Declare<'b, 'a, 'p> {
    builder: &'b mut Builder<'a, 'p>,
    owner: Option<Option<&'p syn::Path>>,
}

impl<'p> Declare<'_, '_, 'p> {
    fn path(&self, ident: &syn::Ident) -> String {
        format!("{}::{}", self.builder.module, ident_text(ident))
    }
}

fn is_public(vis: &syn::Visibility) -> bool {
    matches!(vis, syn::Visibility::Public(_))
}

impl<'p> Visit<'p> for Declare<'_, '_, 'p> {
    fn visit_item_mod(&mut self, item: &'p syn::ItemMod) {
        let inner = self.path(&item.ident);
        let before = std::mem::replace(&mut self.builder.module, inner);
        visit::visit_item_mod(self, item);
        self.builder.module = before;
    }

    fn visit_item_struct(&mut self, item: &'p syn::ItemStruct) {
        let path = self.path(&item.ident);
        self.builder.declare_adt(&path, &item.generics);
        self.builder.declare_fields(&path, &item.fields);
        self.builder.generics.pop();
    }

    fn visit_item_enum(&mut self, item: &'p syn::ItemEnum) {
        let path = self.path(&item.ident);
        self.builder.declare_adt(&path, &item.generics);
        for variant in &item.variants {
            let variant_path = format!("{path}::{}", ident_text(&variant.ident));
            self.builder.declare_fields(&variant_path, &variant.fields);
        }
        self.builder.generics.pop();
    }

    fn visit_item_type(&mut self, item: &'p syn::ItemType) {
        let path = format!("{}::<alias>", self.path(&item.ident));
        let place = self.builder.named(&path);
        let scope = self.builder.declare_generics(&item.generics);
        self.builder.generics.push(scope);
        self.builder.seed(place, &item.ty);
        self.builder.generics.pop();
    }

    fn visit_item_const(&mut self, item: &'p syn::ItemConst) {
        let path = self.path(&item.ident);
        let place = self.builder.named(&path);
        self.builder.seed(place, &item.ty);
    }

    fn visit_item_static(&mut self, item: &'p syn::ItemStatic) {
        let path = self.path(&item.ident);
        let place = self.builder.named(&path);
        self.builder.seed(place, &item.ty);
    }

    fn visit_item_fn(&mut self, item: &'p syn::ItemFn) {
        let generics = std::mem::take(&mut self.builder.generics);
        let range = self.builder.range(item);
        self.builder.declare_function(
            &item.sig,
            Some(&item.block),
            &item.attrs,
            is_public(&item.vis),
            None,
            range,
        );
        visit::visit_block(self, &item.block);
        self.builder.generics = generics;
    }

    fn visit_item_trait(&mut self, item: &'p syn::ItemTrait) {
        let scope = self.builder.declare_generics(&item.generics);
        self.builder.generics.push(scope);
        for member in &item.items {
            if let syn::TraitItem::Fn(function) = member {
                let range = self.builder.range(function);
                self.builder.declare_function(
                    &function.sig,
                    function.default.as_ref(),
                    &function.attrs,
                    is_public(&item.vis),
                    None,
                    range,
                );
                if let Some(block) = &function.default {
                    visit::visit_block(self, block);
                }
            }
        }
        self.builder.generics.pop();
    }

    fn visit_item_impl(&mut self, item: &'p syn::ItemImpl) {
        let scope = self.builder.declare_generics(&item.generics);
        self.builder.generics.push(scope);
        let this = self.builder.model.places.fresh();
        self.builder.seed(this, &item.self_ty);
        let of_trait = item.trait_.as_ref().map(|(_, path, _)| path);
        let outer = self.owner.replace(of_trait);
        if let Some(path) = of_trait
            && let Some(found) = self.builder.facts.path(path)
            && found.starts_with("tokio::")
        {
            let found = found.to_owned();
            let used = path.segments.len();
            self.builder.occurrence(path, used, &found, None, None);
            let polled: Vec<String> = self
                .builder
                .model
                .places
                .seen(this)
                .iter()
                .cloned()
                .collect();
            self.builder.model.polled.extend(
                polled
                    .into_iter()
                    .filter(|ty| self.builder.index.is_local(ty)),
            );
            self.builder.model.escapes.push(Escape {
                place: this,
                reason: format!("it implements `{found}` by polling"),
                only_futures: false,
            });
        }
        for member in &item.items {
            if let syn::ImplItem::Fn(function) = member {
                let fixed = of_trait.map(|path| {
                    let found = self.builder.facts.path(path);
                    match found {
                        // Marked for `tie_trait_methods`, which knows all implementations.
                        Some(found) if self.builder.index.is_local(found) => {
                            format!("\u{0}{found}::{}", ident_text(&function.sig.ident))
                        }
                        Some(found) => format!("it implements `{found}`"),
                        None => "it implements a trait of another crate".to_owned(),
                    }
                });
                let range = self.builder.range(function);
                self.builder.declare_function(
                    &function.sig,
                    Some(&function.block),
                    &function.attrs,
                    is_public(&function.vis),
                    fixed,
                    range,
                );
                visit::visit_block(self, &function.block);
            }
        }
        self.owner = outer;
        self.builder.generics.pop();
    }

    fn visit_macro(&mut self, call: &'p syn::Macro) {
        if let Some(MacroBody::Items(items)) = self.builder.source().macro_body(call) {
            items.iter().for_each(|item| self.visit_item(item));
        }
    }
}

/// The second reading: bodies.
struct Bodies<'b, 'a, 'p> {
    builder: &'b mut Builder<'a, 'p>,
}

impl<'p> Bodies<'_, '_, 'p> {
    fn function(&mut self, sig: &'p syn::Signature, block: &'p Block) {
        if let Some(id) = self.builder.by_signature.get(&key(sig)).copied() {
            self.builder.body(id, block);
        }
        visit::visit_block(self, block);
    }

    fn constant(&mut self, path: &syn::Ident, expr: &'p Expr) {
        let path = format!("{}::{}", self.builder.module, ident_text(path));
        let place = self.builder.named(&path);
        self.builder.frame = FrameId(0);
        let flow = self.builder.expr(expr, Use::value());
        self.builder.link(flow, Some(place));
    }
}

impl<'p> Visit<'p> for Bodies<'_, '_, 'p> {
    fn visit_item_mod(&mut self, item: &'p syn::ItemMod) {
        let inner = format!("{}::{}", self.builder.module, ident_text(&item.ident));
        let before = std::mem::replace(&mut self.builder.module, inner);
        visit::visit_item_mod(self, item);
        self.builder.module = before;
    }

    fn visit_item_fn(&mut self, item: &'p syn::ItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'p syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'p syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
    }

    fn visit_item_const(&mut self, item: &'p syn::ItemConst) {
        self.constant(&item.ident, &item.expr);
    }

    fn visit_item_static(&mut self, item: &'p syn::ItemStatic) {
        self.constant(&item.ident, &item.expr);
    }

    fn visit_item_macro(&mut self, item: &'p syn::ItemMacro) {
        let body = self.builder.source().macro_body(&item.mac);
        if let Some(body @ MacroBody::Definition(_)) = body {
            self.builder.statement = self.builder.range(item).start;
            self.builder.frame = FrameId(0);
            self.builder.in_definition = true;
            self.builder.macro_body(&item.mac, body);
            self.builder.in_definition = false;
        }
        visit::visit_item_macro(self, item);
    }

    // Expressions are read with the function or constant they stand in; here only items inside blocks are looked for.
    fn visit_macro(&mut self, call: &'p syn::Macro) {
        if let Some(MacroBody::Items(items)) = self.builder.source().macro_body(call) {
            items.iter().for_each(|item: &Item| self.visit_item(item));
        }
    }
}
