//! Which code is a test's, an example's or a benchmark's.
//!
//! * Targets that cargo builds as tests, examples or benchmarks, and build scripts, are so as a whole.
//! * In libraries and programs it is what stands behind a `cfg` that asks for `test`, or for a feature named for testing, and every
//!   function marked `#[test]`, `#[tokio::test]`, `#[rstest]` or the like; with the modules below it, in files of their own too.
//! * A lone file is nobody's test: a `cfg` and a mark count in it, the folder it lies in does not.

use asupersync_source::load::{FileId, Package, Project, SourceFile, TargetKind};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token};

/// The test code of a project.
pub(crate) struct TestCode {
    whole: HashSet<FileId>,
    parts: HashMap<FileId, Vec<Range<usize>>>,
}

impl TestCode {
    pub(crate) fn of(project: &Project) -> Self {
        let mut shipped = HashSet::new();
        let mut whole = HashSet::new();
        let mut parts: HashMap<FileId, Vec<Range<usize>>> = HashMap::new();
        for target in &project.targets {
            if is_test_target(target.kind) {
                whole.extend(target.modules.iter().map(|module| module.file));
                continue;
            }
            // Parents come before their children, so what a module declares is known before its files are met.
            let mut below: Vec<Vec<String>> = Vec::new();
            for module in &target.modules {
                let file = project.file(module.file);
                if below.iter().any(|path| module.path.starts_with(path))
                    || file.ast.attrs.iter().any(is_test_cfg)
                {
                    below.push(module.path.clone());
                    whole.insert(module.file);
                    continue;
                }
                shipped.insert(module.file);
                let mut search = Search {
                    file,
                    path: module.path.clone(),
                    parts: Vec::new(),
                    modules: Vec::new(),
                };
                search.visit_file(&file.ast);
                below.extend(search.modules);
                parts.insert(module.file, search.parts);
            }
        }
        // A file that is part of what ships, too, is judged as such.
        whole.retain(|file| !shipped.contains(file));
        TestCode { whole, parts }
    }

    /// Whether bytes of a file are test code.
    pub(crate) fn holds(&self, file: FileId, bytes: &Range<usize>) -> bool {
        self.whole.contains(&file)
            || self.parts.get(&file).is_some_and(|parts| {
                parts
                    .iter()
                    .any(|part| part.start <= bytes.start && bytes.end <= part.end)
            })
    }
}

fn is_test_target(kind: TargetKind) -> bool {
    matches!(
        kind,
        TargetKind::Test | TargetKind::Example | TargetKind::Bench | TargetKind::BuildScript
    )
}

/// Whether a package depends on the runtime, whose lab can run it; a lone file, whether it names it.
pub(crate) fn is_lab_tested(package: &Package, file: &SourceFile) -> bool {
    match package.manifest {
        // The runtime's own tests depend on it in a circle; somebody has to read the clock.
        Some(_) => {
            let mut real = package.dependencies.values();
            let on_it =
                real.any(|real| matches!(real.as_str(), "asupersync" | "asupersync-compat"));
            on_it && package.name != "asupersync"
        }
        None => file.text.contains("asupersync"),
    }
}

/// Whether a file names the lab; a test that does not runs in real time.
pub(crate) fn names_lab(file: &SourceFile) -> bool {
    ["lab::", "lab_test", "LabRuntime"]
        .iter()
        .any(|name| file.text.contains(name))
}

/// Finds the items of a file that are test code, and the modules among them that have files of their own.
struct Search<'p> {
    file: &'p SourceFile,
    path: Vec<String>,
    parts: Vec<Range<usize>>,
    modules: Vec<Vec<String>>,
}

impl Search<'_> {
    /// Takes note of an item that is test code; says whether it is.
    fn take(&mut self, attributes: &[Attribute], range: Range<usize>) -> bool {
        let is_test = attributes
            .iter()
            .any(|one| is_test_cfg(one) || is_test_mark(one));
        if is_test {
            self.parts.push(range);
        }
        is_test
    }
}

impl<'ast> Visit<'ast> for Search<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.path.push(item.ident.to_string());
        if !self.take(&item.attrs, self.file.range(item)) {
            visit::visit_item_mod(self, item);
        } else if item.content.is_none() {
            self.modules.push(self.path.clone());
        }
        self.path.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.take(&item.attrs, self.file.range(item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !self.take(&item.attrs, self.file.range(item)) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.take(&item.attrs, self.file.range(item));
    }
}

/// `#[test]`, `#[tokio::test]`, `#[lab_test]`, `#[rstest]`, `#[bench]`.
fn is_test_mark(attribute: &Attribute) -> bool {
    let Some(last) = attribute.path().segments.last() else {
        return false;
    };
    let name = last.ident.to_string();
    matches!(name.as_str(), "test" | "rstest" | "bench" | "proptest") || name.ends_with("_test")
}

/// `#[cfg(test)]`, `#[cfg(all(test, unix))]`, `#[cfg(feature = "test-util")]`.
fn is_test_cfg(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<Meta>()
            .is_ok_and(|predicate| asks_for_test(&predicate))
}

fn asks_for_test(predicate: &Meta) -> bool {
    match predicate {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("not") => false,
        Meta::List(list) => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|inner| inner.iter().any(asks_for_test)),
        Meta::NameValue(pair) => matches!(
            &pair.value,
            Expr::Lit(ExprLit { lit: Lit::Str(name), .. })
                if pair.path.is_ident("feature")
                    && name.value().trim_start_matches('_').starts_with("test")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_cfgs() {
        let text = "
            fn shipped() {}
            #[cfg(not(test))] fn shipped_too() {}
            #[cfg(any(unix, windows))] fn shipped_as_well() {}
            #[cfg(feature = \"tls\")] mod shipped_module { fn shipped_inside() {} }
            #[test] fn tested() {}
            #[tokio::test(start_paused = true)] async fn tested_on_tokio() {}
            #[cfg(all(test, unix))] mod tests { fn tested_helper() {} }
            #[cfg(any(test, feature = \"x\"))] mod tested_support { fn tested_inside() {} }
            #[cfg(feature = \"testing\")] fn tested_by_feature() {}
            struct S;
            impl S { fn shipped_method(&self) {} #[cfg(test)] fn tested_method(&self) {} }
        ";
        let project = Project::from_source("demo.rs", text).unwrap();
        let code = TestCode::of(&project);
        let file = project.targets[0].root;
        let mut checked = 0;
        for (at, _) in text.match_indices("fn ") {
            let name = &text[at + 3..];
            let bytes = at..at + 3;
            assert_eq!(
                code.holds(file, &bytes),
                name.starts_with("tested"),
                "{}",
                &name[..name.find('(').unwrap()]
            );
            checked += 1;
        }
        assert_eq!(checked, 11);
    }
}
