//! What a path means: modules, uses, aliases, globs, re-exports and renamed crates of all loaded targets in one index.
//!
//! * Lookup follows the language: items of the module, then named imports, then globs, then crates, then the prelude. Types,
//!   values and macros are separate namespaces.
//! * A lookup that would ask for itself again answers nothing, so cyclic re-exports end.
//! * Answers are absolute canonical paths (see the crate documentation). Nothing is guessed: a name whose origin is not in the
//!   loaded source, nor in the table of known crates, has no answer.

use crate::known::{self, Known};
use crate::load::{FileId, Project, Target, TargetKind, ident_text};
use crate::macros::{MacroBody, MacroTable};
use crate::types::Ty;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use syn::{Item, UseTree};

/// The longest chain of aliases and imports that is followed.
const CHAIN: usize = 24;

/// Which kind of name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// Modules, types and traits.
    Type,
    /// Functions, constants, statics and constructors.
    Value,
    /// Macros.
    Macro,
}

/// A function of the loaded source.
#[derive(Clone)]
pub struct FnDef<'p> {
    /// Its absolute path; of a method, the type's path and the name.
    pub path: String,
    /// The module in which its signature's names are looked up.
    pub module: String,
    /// The type of `self`, in an impl or trait.
    pub self_ty: Option<Ty>,
    /// Its signature.
    pub sig: &'p syn::Signature,
    /// Its body; none for a required trait method.
    pub block: Option<&'p syn::Block>,
    /// Its attributes.
    pub attrs: &'p [syn::Attribute],
    /// Its visibility; none in traits and trait impls.
    pub vis: Option<&'p syn::Visibility>,
    /// The trait it implements or is declared in, where it is one.
    pub of_trait: Option<String>,
    /// Where it is.
    pub file: FileId,
}

/// One item of a module.
#[derive(Clone, Copy)]
pub enum Definition<'p> {
    /// A module.
    Module,
    /// A function.
    Function,
    /// A struct or union.
    Struct(&'p syn::Fields),
    /// An enum.
    Enum(&'p syn::ItemEnum),
    /// A trait.
    Trait,
    /// A type alias.
    Alias(&'p syn::Type),
    /// A constant or static.
    Value(&'p syn::Type),
    /// A macro.
    Macro,
}

impl Definition<'_> {
    fn is_in(&self, namespace: Namespace) -> bool {
        match self {
            Definition::Module | Definition::Enum(_) | Definition::Trait | Definition::Alias(_) => {
                namespace == Namespace::Type
            }
            Definition::Function | Definition::Value(_) => namespace == Namespace::Value,
            Definition::Struct(fields) => match fields {
                syn::Fields::Named(_) => namespace == Namespace::Type,
                _ => namespace != Namespace::Macro,
            },
            Definition::Macro => namespace == Namespace::Macro,
        }
    }
}

/// One imported name, or glob.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    /// `None` for a glob, `_` for an anonymous import.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
    /// Starts with `::` or is an `extern crate`.
    pub(crate) global: bool,
}

impl Import {
    /// Its name, if what it imports has another.
    pub(crate) fn renamed(&self) -> Option<&str> {
        let name = self.name.as_deref()?;
        (self.path.last().map(String::as_str) != Some(name)).then_some(name)
    }
}

/// What a module's name was found to mean, by namespace; the outer `None` is a name that was not looked up.
type Found = [Option<Option<String>>; 3];

/// The names of one module or block.
#[derive(Default)]
pub(crate) struct Names<'p> {
    pub(crate) items: HashMap<String, Vec<Definition<'p>>>,
    pub(crate) imports: Vec<Import>,
    found: RefCell<HashMap<String, Found>>,
    /// Whether a trait is imported.
    traits: RefCell<HashMap<String, bool>>,
}

/// The names, methods and types of everything that was loaded.
pub struct Index<'p> {
    /// The project it was made from.
    pub project: &'p Project,
    modules: HashMap<String, Names<'p>>,
    functions: HashMap<String, FnDef<'p>>,
    /// Type path to the local traits it implements, for their provided methods.
    implements: HashMap<String, Vec<String>>,
    derefs: HashMap<String, (String, &'p syn::Type)>,
    /// Crate segment to its package.
    crates: HashMap<String, usize>,
    /// Names that a module's import gives to something of another name.
    renames: HashSet<String>,
}

impl<'p> Index<'p> {
    /// Indexes every target of a project.
    pub fn new(project: &'p Project) -> Self {
        let mut index = Index {
            project,
            modules: HashMap::new(),
            functions: HashMap::new(),
            implements: HashMap::new(),
            derefs: HashMap::new(),
            crates: HashMap::new(),
            renames: HashSet::new(),
        };
        let mut impls = Vec::new();
        for target in &project.targets {
            index
                .crates
                .insert(target.crate_name.clone(), target.package);
            for module in &target.modules {
                let file = project.file(module.file);
                index.add_items(
                    &file.ast.items,
                    &module.path.join("::"),
                    module.file,
                    &mut impls,
                );
            }
        }
        for (module, item, file) in impls {
            index.add_impl(&module, item, file);
        }
        let imports = index.modules.values().flat_map(|names| &names.imports);
        index.renames = imports
            .filter_map(Import::renamed)
            .map(str::to_owned)
            .collect();
        index
    }

    /// The absolute canonical path of `segments` seen from a module.
    pub fn resolve(
        &self,
        module: &str,
        segments: &[String],
        namespace: Namespace,
    ) -> Option<String> {
        self.path(module, segments, false, namespace, 0)
            .map(known::canonical_of)
    }

    /// A function or method of the loaded source, by absolute path.
    pub fn function(&self, path: &str) -> Option<&FnDef<'p>> {
        self.functions.get(path)
    }

    /// All functions of the loaded source.
    pub fn functions(&self) -> impl Iterator<Item = &FnDef<'p>> {
        self.functions.values()
    }

    /// The definition at an absolute path.
    pub fn definition(&self, path: &str, namespace: Namespace) -> Option<Definition<'p>> {
        let (module, name) = path.rsplit_once("::")?;
        self.modules
            .get(module)?
            .items
            .get(name)?
            .iter()
            .find(|found| found.is_in(namespace))
            .copied()
    }

    /// Whether some module imports something under this name that has another.
    pub fn is_rename(&self, name: &str) -> bool {
        self.renames.contains(name)
    }

    /// Whether a path belongs to the loaded source.
    pub fn is_local(&self, path: &str) -> bool {
        let first = path.split("::").next().unwrap_or(path);
        self.crates.contains_key(first)
    }

    /// A type with local aliases replaced by what they stand for.
    pub fn dealias(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..CHAIN {
            let Some(Definition::Alias(ty)) = self.definition(&path, Namespace::Type) else {
                break;
            };
            let module = path.rsplit_once("::").map_or("", |(module, _)| module);
            match self.ty(module, ty).path() {
                Some(next) if next != path => path = next.to_owned(),
                _ => break,
            }
        }
        path
    }

    /// The type a type expression names, seen from a module.
    pub fn ty(&self, module: &str, ty: &syn::Type) -> Ty {
        let resolve = |segments: &[String], global: bool| {
            self.path(module, segments, global, Namespace::Type, 0)
                .map(known::canonical_of)
        };
        Ty::of_syntax(ty, &resolve, self)
    }

    pub(crate) fn alias(&self, path: &str) -> Option<(&str, &'p syn::Type)> {
        match self.definition(path, Namespace::Type)? {
            Definition::Alias(ty) => {
                let module = path.rsplit_once("::")?.0;
                Some((self.modules.get_key_value(module)?.0, ty))
            }
            _ => None,
        }
    }

    /// A method found on exactly this type: its own, or one provided by a local trait it implements.
    pub fn method(&self, type_path: &str, name: &str) -> Option<&FnDef<'p>> {
        if let Some(found) = self.functions.get(&format!("{type_path}::{name}")) {
            return Some(found);
        }
        self.implements
            .get(type_path)?
            .iter()
            .find_map(|of| self.functions.get(&format!("{of}::{name}")))
    }

    pub(crate) fn deref(&self, type_path: &str) -> Option<Ty> {
        let (module, ty) = self.derefs.get(type_path)?;
        Some(self.ty(module, ty))
    }

    pub(crate) fn path(
        &self,
        module: &str,
        segments: &[String],
        global: bool,
        namespace: Namespace,
        depth: usize,
    ) -> Option<String> {
        if depth > CHAIN {
            return None;
        }
        let first = segments.first()?;
        let space = |used: usize| {
            if used == segments.len() {
                namespace
            } else {
                Namespace::Type
            }
        };
        let (mut current, mut used) = if global {
            (self.external(module, first)?, 1)
        } else {
            match first.as_str() {
                "crate" | "$crate" => (module.split("::").next()?.to_owned(), 1),
                "self" => (module.to_owned(), 1),
                "super" => {
                    let count = segments.iter().take_while(|part| *part == "super").count();
                    let mut parent = module;
                    for _ in 0..count {
                        parent = parent.rsplit_once("::")?.0;
                    }
                    (parent.to_owned(), count)
                }
                name => (self.first_segment(module, name, space(1), depth + 1)?, 1),
            }
        };
        while used < segments.len() {
            let name = &segments[used];
            used += 1;
            current = if self.modules.contains_key(&current) {
                self.lookup(&current, name, space(used), depth + 1)?
            } else {
                format!("{}::{name}", self.dealias(&current))
            };
        }
        Some(current)
    }

    fn first_segment(
        &self,
        module: &str,
        name: &str,
        namespace: Namespace,
        depth: usize,
    ) -> Option<String> {
        if let Some(found) = self.lookup(module, name, namespace, depth) {
            return Some(found);
        }
        if namespace == Namespace::Type
            && let Some(found) = self.external(module, name)
        {
            return Some(found);
        }
        known::prelude(name).map(str::to_owned)
    }

    /// A crate by the name the module's package knows it by.
    fn external(&self, module: &str, name: &str) -> Option<String> {
        if matches!(name, "std" | "core" | "alloc") {
            return Some("std".to_owned());
        }
        let root = module.split("::").next()?;
        let package = self.crates.get(root)?;
        let package = &self.project.packages[*package];
        if let Some(real) = package.dependencies.get(name) {
            return Some(real.clone());
        }
        // A lone file has no manifest that would name its crates.
        let plausible = name.starts_with(|first: char| first.is_ascii_lowercase());
        (package.manifest.is_none() && plausible).then(|| name.to_owned())
    }

    /// A name in a module's own namespace, local or foreign.
    pub(crate) fn lookup(
        &self,
        module: &str,
        name: &str,
        namespace: Namespace,
        depth: usize,
    ) -> Option<String> {
        if depth > CHAIN {
            return None;
        }
        let Some(names) = self.modules.get(module) else {
            let path = known::canonical_of(format!("{module}::{name}"));
            return Known::get().exists(&path).then_some(path);
        };
        let space = namespace as usize;
        if let Some(known) = names.found.borrow().get(name)
            && let Some(found) = &known[space]
        {
            return found.clone();
        }
        let remember = |found: Option<String>| {
            let mut cache = names.found.borrow_mut();
            cache.entry(name.to_owned()).or_default()[space] = Some(found);
        };
        // While this runs the name counts as absent, which ends cycles.
        remember(None);
        let found = self.search(names, module, name, namespace, depth + 1);
        remember(found.clone());
        found
    }

    pub(crate) fn search(
        &self,
        names: &Names<'p>,
        module: &str,
        name: &str,
        namespace: Namespace,
        depth: usize,
    ) -> Option<String> {
        let own = names
            .items
            .get(name)
            .is_some_and(|found| found.iter().any(|item| item.is_in(namespace)));
        if own {
            return Some(format!("{module}::{name}"));
        }
        for import in &names.imports {
            if import.name.as_deref() != Some(name) {
                continue;
            }
            // `use tokio;` names the crate, not itself.
            if import.path.len() == 1 && import.path[0] == name {
                if let Some(found) = self.external(module, name) {
                    return Some(found);
                }
                continue;
            }
            let found = self.path(module, &import.path, import.global, namespace, depth + 1);
            if let Some(found) = found
                && self.is_plausible(&found, namespace)
            {
                return Some(found);
            }
        }
        for import in names.imports.iter().filter(|import| import.name.is_none()) {
            let of = self.path(
                module,
                &import.path,
                import.global,
                Namespace::Type,
                depth + 1,
            );
            let Some(of) = of else { continue };
            if of == module {
                continue;
            }
            if let Some(Definition::Enum(item)) = self.definition(&of, Namespace::Type) {
                if item.variants.iter().any(|variant| variant.ident == name) {
                    return Some(format!("{of}::{name}"));
                }
                continue;
            }
            if let Some(found) = self.lookup(&of, name, namespace, depth + 1) {
                return Some(found);
            }
        }
        None
    }

    /// An import carries a name in every namespace it has; a local target says which.
    fn is_plausible(&self, path: &str, namespace: Namespace) -> bool {
        let Some((module, name)) = path.rsplit_once("::") else {
            return true;
        };
        match self
            .modules
            .get(module)
            .and_then(|names| names.items.get(name))
        {
            Some(found) => found.iter().any(|item| item.is_in(namespace)),
            None => true,
        }
    }

    /// Whether a trait's methods can be called where these names are in force: it is imported, by name or by a glob of something
    /// that imports it.
    pub(crate) fn trait_in_scope(&self, names: &Names<'p>, module: &str, wanted: &str) -> bool {
        if names.imports.is_empty() {
            return false;
        }
        if let Some(known) = names.traits.borrow().get(wanted) {
            return *known;
        }
        let found = self.imports_trait(names, module, wanted);
        let mut traits = names.traits.borrow_mut();
        traits.insert(wanted.to_owned(), found);
        found
    }

    fn imports_trait(&self, names: &Names<'p>, module: &str, wanted: &str) -> bool {
        let name = wanted.rsplit("::").next().unwrap_or(wanted);
        // Modules that glob one another are looked at once each.
        let mut seen: HashSet<String> = HashSet::from([module.to_owned()]);
        let mut open = vec![(names, module.to_owned())];
        while let Some((names, module)) = open.pop() {
            for import in &names.imports {
                let of = self.path(&module, &import.path, import.global, Namespace::Type, 1);
                let Some(of) = of else { continue };
                let is_wanted = match (&import.name, self.modules.get(&of)) {
                    (Some(_), _) => known::canonical_of(of) == wanted,
                    (None, None) => known::canonical_of(format!("{of}::{name}")) == wanted,
                    (None, Some(inner)) => {
                        if seen.insert(of.clone()) {
                            open.push((inner, of));
                        }
                        false
                    }
                };
                if is_wanted {
                    return true;
                }
            }
        }
        false
    }

    pub(crate) fn names(&self, module: &str) -> Option<&Names<'p>> {
        self.modules.get(module)
    }

    fn add_items(
        &mut self,
        items: &'p [Item],
        module: &str,
        file: FileId,
        impls: &mut Vec<(String, &'p syn::ItemImpl, FileId)>,
    ) {
        let project = self.project;
        let mut names = self.modules.remove(module).unwrap_or_default();
        names.add(items, project.macros(file));
        self.modules.insert(module.to_owned(), names);
        for item in items {
            match item {
                Item::Fn(function) => {
                    let path = format!("{module}::{}", ident_text(&function.sig.ident));
                    self.functions.insert(
                        path.clone(),
                        FnDef {
                            path,
                            module: module.to_owned(),
                            self_ty: None,
                            sig: &function.sig,
                            block: Some(&function.block),
                            attrs: &function.attrs,
                            vis: Some(&function.vis),
                            of_trait: None,
                            file,
                        },
                    );
                }
                Item::Trait(item) => {
                    let of = format!("{module}::{}", ident_text(&item.ident));
                    for part in &item.items {
                        if let syn::TraitItem::Fn(function) = part {
                            let path = format!("{of}::{}", ident_text(&function.sig.ident));
                            self.functions.insert(
                                path.clone(),
                                FnDef {
                                    path,
                                    module: module.to_owned(),
                                    self_ty: Some(Ty::named(&of)),
                                    sig: &function.sig,
                                    block: function.default.as_ref(),
                                    attrs: &function.attrs,
                                    vis: None,
                                    of_trait: Some(of.clone()),
                                    file,
                                },
                            );
                        }
                    }
                }
                Item::Impl(item) => impls.push((module.to_owned(), item, file)),
                Item::Mod(inner) => {
                    if let Some((_, items)) = &inner.content {
                        let path = format!("{module}::{}", ident_text(&inner.ident));
                        self.add_items(items, &path, file, impls);
                    }
                }
                Item::Macro(call) => {
                    if let Some(MacroBody::Items(items)) = project.macros(file).get(&call.mac) {
                        self.add_items(items, module, file, impls);
                    }
                }
                _ => {}
            }
        }
    }

    fn add_impl(&mut self, module: &str, item: &'p syn::ItemImpl, file: FileId) {
        let self_ty = self.ty(module, &item.self_ty);
        let Some(path) = self_ty.path().map(str::to_owned) else {
            return;
        };
        let of_trait = item.trait_.as_ref().and_then(|(_, of, _)| {
            let segments: Vec<String> = segments(of);
            self.path(
                module,
                &segments,
                of.leading_colon.is_some(),
                Namespace::Type,
                0,
            )
            .map(known::canonical_of)
            .or_else(|| segments.last().cloned())
        });
        if let Some(of) = &of_trait {
            self.implements
                .entry(path.clone())
                .or_default()
                .push(of.clone());
        }
        for part in &item.items {
            match part {
                syn::ImplItem::Type(target) if target.ident == "Target" => {
                    self.derefs
                        .insert(path.clone(), (module.to_owned(), &target.ty));
                }
                syn::ImplItem::Fn(function) => {
                    let full = format!("{path}::{}", ident_text(&function.sig.ident));
                    let inherent = of_trait.is_none();
                    // An inherent method hides a trait's method of the same name.
                    if !inherent && self.functions.contains_key(&full) {
                        continue;
                    }
                    self.functions.insert(
                        full.clone(),
                        FnDef {
                            path: full,
                            module: module.to_owned(),
                            self_ty: Some(self_ty.clone()),
                            sig: &function.sig,
                            block: Some(&function.block),
                            attrs: &function.attrs,
                            vis: inherent.then_some(&function.vis),
                            of_trait: of_trait.clone(),
                            file,
                        },
                    );
                }
                _ => {}
            }
        }
    }

    /// The crate name other packages use for a target; none where it cannot be named.
    pub fn library_name(&self, target: &Target) -> Option<String> {
        (target.kind == TargetKind::Lib).then(|| target.name.clone())
    }
}

/// The segments of a path, without generics.
pub fn segments(path: &syn::Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|segment| ident_text(&segment.ident))
        .collect()
}

impl<'p> Names<'p> {
    pub(crate) fn add(&mut self, items: &'p [Item], macros: &'p MacroTable) {
        for item in items {
            self.add_item(item, macros);
        }
    }

    pub(crate) fn add_item(&mut self, item: &'p Item, macros: &'p MacroTable) {
        let mut define = |ident: &syn::Ident, definition: Definition<'p>| {
            self.items
                .entry(ident_text(ident))
                .or_default()
                .push(definition);
        };
        match item {
            Item::Fn(item) => define(&item.sig.ident, Definition::Function),
            Item::Struct(item) => define(&item.ident, Definition::Struct(&item.fields)),
            Item::Enum(item) => define(&item.ident, Definition::Enum(item)),
            Item::Trait(item) => define(&item.ident, Definition::Trait),
            Item::TraitAlias(item) => define(&item.ident, Definition::Trait),
            Item::Type(item) => define(&item.ident, Definition::Alias(&item.ty)),
            Item::Const(item) => define(&item.ident, Definition::Value(&item.ty)),
            Item::Static(item) => define(&item.ident, Definition::Value(&item.ty)),
            Item::Mod(item) => define(&item.ident, Definition::Module),
            Item::Use(item) => {
                let global = item.leading_colon.is_some();
                flatten(&item.tree, &mut Vec::new(), global, &mut self.imports);
            }
            Item::ExternCrate(item) => {
                let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name);
                // `extern crate self as name` names the crate itself.
                let own = item.ident == "self";
                self.imports.push(Import {
                    name: Some(ident_text(name)),
                    path: vec![if own {
                        "crate".to_owned()
                    } else {
                        ident_text(&item.ident)
                    }],
                    global: !own,
                });
            }
            Item::Macro(item) => {
                if let Some(name) = &item.ident {
                    define(name, Definition::Macro);
                } else if let Some(MacroBody::Items(items)) = macros.get(&item.mac) {
                    self.add(items, macros);
                }
            }
            _ => {}
        }
    }
}

fn flatten(tree: &UseTree, prefix: &mut Vec<String>, global: bool, out: &mut Vec<Import>) {
    let mut import = |name: Option<String>, path: Vec<String>| {
        out.push(Import { name, path, global });
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(ident_text(&path.ident));
            flatten(&path.tree, prefix, global, out);
            prefix.pop();
        }
        UseTree::Name(name) => {
            let mut path = prefix.clone();
            if name.ident != "self" {
                path.push(ident_text(&name.ident));
            }
            import(path.last().cloned(), path);
        }
        UseTree::Rename(rename) => {
            let mut path = prefix.clone();
            if rename.ident != "self" || path.is_empty() {
                path.push(ident_text(&rename.ident));
            }
            import(Some(ident_text(&rename.rename)), path);
        }
        UseTree::Glob(_) => import(None, prefix.clone()),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, prefix, global, out);
            }
        }
    }
}
