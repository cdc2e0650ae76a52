//! There is no task without a region: an audit of every public item of the
//! runtime that starts one.

use quote::ToTokens;
use std::path::{Path, PathBuf};
use syn::visit::Visit;

/// Types whose values name a region, since each holds a `Cx`.
const OWNERS: [&str; 4] = ["Cx", "Scope", "TaskBuilder", "JoinSet"];

/// What the audit found in one file.
struct Audit<'a> {
    file: &'a Path,
    /// The type whose methods are being read.
    owner: Option<String>,
    /// Public functions that start a task.
    starts: Vec<String>,
    /// Those of them that name no region.
    homeless: Vec<String>,
}

impl Audit<'_> {
    fn look(&mut self, vis: &syn::Visibility, sig: &syn::Signature) {
        if !matches!(vis, syn::Visibility::Public(_)) {
            return;
        }
        let name = sig.ident.to_string();
        let returned = sig.output.to_token_stream().to_string();
        if !name.contains("spawn") && !name.contains("spork") && !returned.contains("TaskHandle") {
            return;
        }
        let method = sig.receiver().is_some();
        let of_owner = method && self.owner.as_deref().is_some_and(|t| OWNERS.contains(&t));
        let given = sig.inputs.iter().any(|arg| match arg {
            syn::FnArg::Typed(arg) => {
                let ty = arg.ty.to_token_stream().to_string();
                OWNERS.iter().any(|o| ty.trim_start_matches("& ") == *o)
            }
            syn::FnArg::Receiver(_) => false,
        });
        let owner = self.owner.as_deref().unwrap_or("");
        let place = format!("{}: {owner}::{name}", self.file.display());
        if !of_owner && !given {
            self.homeless.push(place.clone());
        }
        self.starts.push(place);
    }
}

impl<'ast> Visit<'ast> for Audit<'_> {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let ty = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.owner, ty);
        syn::visit::visit_item_impl(self, item);
        self.owner = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.look(&item.vis, &item.sig);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.look(&item.vis, &item.sig);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        // A trait's functions are as public as the trait: taken as public.
        let public = syn::Visibility::Public(syn::token::Pub::default());
        self.look(&public, &item.sig);
    }
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the sources are there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn audit(file: &Path, text: &str) -> (Vec<String>, Vec<String>) {
    let mut audit = Audit {
        file,
        owner: None,
        starts: Vec::new(),
        homeless: Vec::new(),
    };
    let parsed = syn::parse_file(text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    audit.visit_file(&parsed);
    (audit.starts, audit.homeless)
}

#[test]
fn no_public_item_starts_a_task_without_a_region() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let workspace = workspace.expect("the workspace is above");
    let mut all = Vec::new();
    files(&workspace.join("asupersync/src"), &mut all);
    let (mut starts, mut homeless) = (Vec::new(), Vec::new());
    for file in &all {
        let text = std::fs::read_to_string(file).expect("it can be read");
        let (s, h) = audit(file, &text);
        starts.extend(s);
        homeless.extend(h);
    }
    assert!(homeless.is_empty(), "tasks of no region: {homeless:#?}");
    // The audit would prove nothing about what it does not recognise.
    assert!(starts.len() >= 12, "{starts:#?}");
}

#[test]
fn the_audit_sees_what_starts_a_task_without_a_region() {
    for (text, homeless) in [
        ("pub fn spawn(f: u32) {}", true),
        ("pub fn go() -> Option<TaskHandle<u32>> { None }", true),
        ("impl Runtime { pub fn spawn(&self) {} }", true),
        ("impl Cx { pub fn spawn_detached() {} }", true),
        ("pub trait Detach { fn spawn(&self); }", true),
        ("mod inner { pub fn spawn() {} }", true),
        ("impl Cx { pub fn spawn(&self) {} }", false),
        (
            "pub fn go(cx: &Cx) -> TaskHandle<u32> { cx.spawn(f) }",
            false,
        ),
        ("fn spawn() {}", false),
    ] {
        let (_, found) = audit(Path::new("planted.rs"), text);
        assert_eq!(!found.is_empty(), homeless, "{text}");
    }
}
