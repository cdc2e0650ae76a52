//! What a written type says about a place.

use super::known::{held_by_library, is_of_tokio_library};
use super::{Builder, Flow};
use crate::model::{Escape, Occurrence, PlaceId, SiteId};
use asupersync_source::load::ident_text;
use std::collections::HashMap;
use syn::visit::{self, Visit};

impl<'p> Builder<'_, 'p> {
    /// Notes what a written type says about a place.
    pub(super) fn seed(&mut self, place: PlaceId, ty: &'p syn::Type) {
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
    pub(super) fn is_foreign(&self, path: &syn::Path) -> bool {
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

    pub(super) fn seed_bounds(
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

    pub(super) fn seed_path(&mut self, place: PlaceId, path: &'p syn::Path) {
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
        if is_of_tokio_library(found) {
            let reason = format!("`{}` takes tokio's types", crate::decide::short(found));
            self.model.escapes.push(Escape {
                place,
                reason,
                families: held_by_library(found),
            });
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

    pub(super) fn occurrence(
        &mut self,
        path: &'p syn::Path,
        used: usize,
        item: &str,
        place: Flow,
        site: Option<SiteId>,
    ) {
        // The errors of an operation travel apart from its receiver, so they belong to the family as a whole.
        let apart = item.contains("::error::")
            || item == "tokio::task::JoinError"
            || item.starts_with("tokio::sync::AcquireError")
            || item.starts_with("tokio::sync::TryAcquireError");
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
            is_pattern: false,
        });
    }

    pub(super) fn declare_generics(
        &mut self,
        generics: &'p syn::Generics,
    ) -> HashMap<String, PlaceId> {
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
}

#[derive(Default)]
pub(super) struct TypePaths<'p> {
    pub(super) paths: Vec<&'p syn::Path>,
    /// Something in the type is left to inference.
    pub(super) inferred: bool,
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
