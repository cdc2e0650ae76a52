//! The first reading: types, fields and signatures, so that bodies can be read in any order.

use super::{Builder, Use};
use crate::facts::key;
use crate::model::{Entry, Escape, FnId, Function, Given, Shape};
use crate::rules::Family;
use asupersync_source::load::ident_text;
use asupersync_source::macros::MacroBody;
use std::collections::HashMap;
use std::ops::Range;
use syn::visit::{self, Visit};
use syn::{Block, Pat};

impl<'p> Builder<'_, 'p> {
    pub(super) fn declare_fields(&mut self, owner: &str, fields: &'p syn::Fields) {
        for (at, field) in fields.iter().enumerate() {
            let name = field
                .ident
                .as_ref()
                .map_or_else(|| at.to_string(), ident_text);
            let place = self.named(&format!("{owner}::{name}"));
            self.seed(place, &field.ty);
        }
    }

    pub(super) fn declare_adt(&mut self, path: &str, generics: &'p syn::Generics) {
        let scope = self.declare_generics(generics);
        for (at, param) in generics.type_params().enumerate() {
            let generic = self.named(&format!("{path}::<{at}>"));
            self.model
                .places
                .union(generic, scope[&ident_text(&param.ident)]);
        }
        self.generics.push(scope);
    }

    pub(super) fn declare_function(
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
    pub(super) fn given(&self, sig: &'p syn::Signature) -> Option<Given> {
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
    pub(super) fn tie_trait_methods(&mut self) {
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
    pub(super) fn tie_alternatives(&mut self) {
        for ids in self.model.by_path.values() {
            if ids.len() > 1 {
                for id in ids {
                    self.model.functions[id.0].tied.extend(ids);
                }
            }
        }
    }
}

/// The first reading: types, fields and signatures.
pub(super) struct Declare<'b, 'a, 'p> {
    pub(super) builder: &'b mut Builder<'a, 'p>,
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
                families: &[],
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
        self.builder.generics.pop();
    }

    fn visit_macro(&mut self, call: &'p syn::Macro) {
        if let Some(MacroBody::Items(items)) = self.builder.source().macro_body(call) {
            items.iter().for_each(|item| self.visit_item(item));
        }
    }
}
