//! The edits of names: paths that name an item which has moved, and the imports they come through.
//!
//! * An import whose every use has moved becomes an import of the new item, and the uses stay as they are written.
//! * Where some uses stay on tokio, the import stays too, and those that moved are written out in full.
//! * An import that nothing uses any more goes; one whose uses the tool cannot see is left alone.

use super::Planner;
use super::context::mentions;
use crate::rules::{self, Form, Op};
use asupersync_source::edit::Edit;
use asupersync_source::load::{FileId, ident_text};
use asupersync_source::resolve::Namespace;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// New imports, by file and the start of the module they go into.
pub(super) type Wanted = BTreeMap<(FileId, usize), BTreeSet<String>>;

/// One name that a `use` brings into scope.
#[derive(Clone, Debug)]
struct Leaf {
    /// The path as written, without `self`.
    segments: Vec<String>,
    /// The name it has here.
    name: String,
    renamed: bool,
    /// What it means.
    resolved: Option<String>,
    /// A glob.
    all: bool,
    fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Remove,
    /// The new path, and whether the old import stays as well.
    Become(String, bool),
}

/// One `use` item.
struct UseItem {
    file: FileId,
    /// The block or module in which its names hold.
    scope: Range<usize>,
    range: Range<usize>,
    /// Attributes and visibility as written.
    head: String,
    public: bool,
    leaves: Vec<Leaf>,
}

/// Where a name comes from: the use item and the leaf.
type Link = (usize, usize);

impl<'p> Planner<'_, 'p> {
    /// How a type of the runtime is written in a module, importing it if its name is free there.
    pub(super) fn type_name(&mut self, file: FileId, at: usize, path: &str) -> String {
        let name = path.rsplit("::").next().unwrap_or(path);
        let source = self.file(file);
        if imports_already(&source.text, path) {
            return name.to_owned();
        }
        if mentions(&source.text, name) {
            return path.to_owned();
        }
        let scope = module_scope(&source.ast.items, source, at);
        self.wanted
            .entry((file, scope.start))
            .or_default()
            .insert(path.to_owned());
        name.to_owned()
    }

    pub(super) fn imports(&mut self) {
        let mut items = self.use_items();
        let mut uses: BTreeMap<Link, Uses> = BTreeMap::new();
        let mut rewrites: Vec<Rewrite<'p>> = Vec::new();
        let occurrences = &self.model().occurrences;
        for occurrence in occurrences {
            let source = self.file(occurrence.file);
            let start = source.range(occurrence.path).start;
            let first = occurrence
                .path
                .segments
                .first()
                .map_or_else(String::new, |first| ident_text(&first.ident));
            let link = find_link(&items, occurrence.file, start, &first);
            let fate = self.fate(occurrence);
            if let Some(link) = link {
                let used = uses.entry(link).or_default();
                match &fate {
                    OccurrenceFate::Kept => used.kept += 1,
                    OccurrenceFate::Gone => used.gone += 1,
                    OccurrenceFate::Moved(_) => used.moved += 1,
                }
            }
            if let OccurrenceFate::Moved(to) = fate {
                self.plan.uses_runtime.insert(occurrence.file);
                rewrites.push(Rewrite {
                    file: occurrence.file,
                    path: occurrence.path,
                    used: occurrence.used,
                    item: occurrence.item.clone(),
                    to,
                    link,
                    is_pattern: occurrence.is_pattern,
                });
            }
        }
        self.trait_uses(&items, &mut uses);
        self.leaf_fates(&mut items, &uses, &rewrites);
        for rewrite in rewrites {
            self.rewrite_path(&items, &rewrite);
        }
        self.write_items(&items);
    }

    fn fate(&self, occurrence: &crate::model::Occurrence<'p>) -> OccurrenceFate {
        if let Some(site) = occurrence.site {
            if !self.decision.rewrites(site) {
                return OccurrenceFate::Kept;
            }
            if let Some(Op::Function { to, .. }) = self.model().site(site).op() {
                return OccurrenceFate::Moved(to.to_owned());
            }
            return match self.model().site(site).form() {
                Some(Form::Select) => OccurrenceFate::Moved("asupersync::select".to_owned()),
                Some(Form::Join) => OccurrenceFate::Moved("asupersync::join".to_owned()),
                Some(Form::Main | Form::Test) => {
                    // The entry planner has written the attribute, unless it left it.
                    OccurrenceFate::Gone
                }
                _ => OccurrenceFate::Gone,
            };
        }
        let Some((rule, item)) = rules::lookup(&occurrence.item) else {
            return OccurrenceFate::Kept;
        };
        let to = match item.op {
            Op::Path(to) => to,
            Op::Function { to, .. } => to,
            _ => return OccurrenceFate::Kept,
        };
        let moves = !self.constraints.off.contains(rule.code)
            && self
                .decision
                .moves(self.model(), occurrence.place, item.family);
        if moves {
            OccurrenceFate::Moved(to.to_owned())
        } else {
            OccurrenceFate::Kept
        }
    }

    /// A trait is used by the methods it gives.
    fn trait_uses(&self, items: &[UseItem], uses: &mut BTreeMap<Link, Uses>) {
        for id in self.model().site_ids() {
            let site = self.model().site(id);
            let Some((owner, _)) = site.item.rsplit_once("::") else {
                continue;
            };
            // A file's own method stands for one of a trait, which is then not used.
            let replaced = (owner == rules::FILE).then(|| rules::replaced_trait(&site.item));
            for (at, item) in items.iter().enumerate() {
                if item.file != site.file || !item.scope.contains(&site.range.start) {
                    continue;
                }
                for (leaf_at, leaf) in item.leaves.iter().enumerate() {
                    if leaf.resolved.is_some() && replaced.flatten() == leaf.resolved.as_deref() {
                        let used = uses.entry((at, leaf_at)).or_default();
                        if self.decision.rewrites(id) {
                            used.gone += 1;
                        } else {
                            used.kept += 1;
                        }
                    }
                    if leaf.resolved.as_deref() == Some(owner) && is_trait(owner) {
                        let used = uses.entry((at, leaf_at)).or_default();
                        if self.decision.rewrites(id) {
                            used.moved += 1;
                        } else {
                            used.kept += 1;
                        }
                    }
                }
            }
        }
    }

    fn leaf_fates(
        &mut self,
        items: &mut [UseItem],
        uses: &BTreeMap<Link, Uses>,
        rewrites: &[Rewrite<'p>],
    ) {
        for (at, item) in items.iter_mut().enumerate() {
            for (leaf_at, leaf) in item.leaves.iter_mut().enumerate() {
                let Some(resolved) = leaf.resolved.clone() else {
                    continue;
                };
                if item.public || leaf.all {
                    continue;
                }
                // `tokio::time::Duration` is the standard library's.
                let through_tokio = leaf.segments.first().is_some_and(|first| first == "tokio");
                if through_tokio
                    && resolved.starts_with("std::")
                    && !self.constraints.off.contains("AM030")
                {
                    leaf.fate = Fate::Become(resolved, false);
                    continue;
                }
                if !asupersync_source::known::is_prefix("tokio", &resolved) {
                    continue;
                }
                let used = uses.get(&(at, leaf_at)).copied().unwrap_or_default();
                let new = rules::lookup(&resolved).and_then(|(_, item)| match item.op {
                    Op::Path(to) | Op::Function { to, .. } => Some(to),
                    Op::Form(Form::Select) => Some("asupersync::select"),
                    Op::Form(Form::Join) => Some("asupersync::join"),
                    _ => None,
                });
                let fits = new.is_some_and(|new| {
                    rewrites
                        .iter()
                        .filter(|rewrite| rewrite.link == Some((at, leaf_at)))
                        .all(|rewrite| asupersync_source::known::is_prefix(new, &rewrite.to))
                });
                leaf.fate = match (used.kept, used.moved, new) {
                    (0, 0, _) if used.gone > 0 => Fate::Remove,
                    (0, 0, _) => Fate::Keep,
                    (0, _, Some(new)) if fits => Fate::Become(new.to_owned(), false),
                    (0, _, _) => Fate::Remove,
                    (_, 1.., Some(new)) if is_trait(&resolved) => {
                        Fate::Become(new.to_owned(), true)
                    }
                    _ => Fate::Keep,
                };
                // A name that would clash with another of the file is written out in full instead.
                if let Fate::Become(new, _) = &leaf.fate {
                    let name = new.rsplit("::").next().unwrap_or(new);
                    let source = &self.input.project.file(item.file).text;
                    if name != leaf.name
                        && !leaf.renamed
                        && mentions(source, name)
                        && !imports_already(source, new)
                    {
                        leaf.fate = Fate::Remove;
                    }
                }
            }
        }
    }

    fn rewrite_path(&mut self, items: &[UseItem], rewrite: &Rewrite<'p>) {
        let source = self.file(rewrite.file);
        let start = source.range(rewrite.path).start;
        let Some(last) = rewrite.path.segments.iter().nth(rewrite.used - 1) else {
            return;
        };
        let end = source.span_range(last.ident.span()).end;
        if let Some((at, leaf_at)) = rewrite.link {
            let leaf = &items[at].leaves[leaf_at];
            if let Fate::Become(new, false) = &leaf.fate {
                let name = if leaf.renamed {
                    leaf.name.as_str()
                } else {
                    new.rsplit("::").next().unwrap_or(new)
                };
                let resolved = leaf.resolved.as_deref().unwrap_or_default();
                let same_rest =
                    rewrite.item.strip_prefix(resolved) == rewrite.to.strip_prefix(new.as_str());
                let first = rewrite
                    .path
                    .segments
                    .first()
                    .map(|first| first.ident.span());
                match (first, rewrite.to.strip_prefix(new.as_str())) {
                    (Some(first), _) if same_rest => {
                        let range = source.span_range(first);
                        let rest = source.slice(range.end..end);
                        self.match_with(rewrite, end, &format!("{name}{rest}"));
                        self.replace(rewrite.file, range, name);
                    }
                    (_, Some(rest)) => {
                        let written = format!("{name}{rest}");
                        self.match_with(rewrite, end, &written);
                        self.replace(rewrite.file, start..end, written);
                    }
                    _ => {
                        self.match_with(rewrite, end, &rewrite.to);
                        self.replace(rewrite.file, start..end, rewrite.to.clone());
                    }
                }
                return;
            }
        }
        self.match_with(rewrite, end, &rewrite.to);
        self.replace(rewrite.file, start..end, rewrite.to.clone());
    }

    /// Adds to a pattern, written like this, the variant that is to be matched with it.
    fn match_with(&mut self, rewrite: &Rewrite<'p>, end: usize, written: &str) {
        if let Some(variant) = rules::matched_with(&rewrite.item).filter(|_| rewrite.is_pattern) {
            // An imported variant has no path to follow.
            let (owner, _) = written
                .rsplit_once("::")
                .or_else(|| rewrite.to.rsplit_once("::"))
                .unwrap_or_default();
            let text = format!(" | {owner}::{variant}");
            self.edit(rewrite.file, Edit::insert(end, text).ranked(1));
        }
    }

    fn write_items(&mut self, items: &[UseItem]) {
        let mut wanted = std::mem::take(&mut self.wanted);
        for item in items {
            if item.leaves.iter().all(|leaf| leaf.fate == Fate::Keep) {
                continue;
            }
            let kept: Vec<(Vec<String>, Option<String>)> = item
                .leaves
                .iter()
                .filter(|leaf| matches!(leaf.fate, Fate::Keep | Fate::Become(_, true)))
                .map(written)
                .collect();
            let mut new: BTreeSet<String> = BTreeSet::new();
            for leaf in &item.leaves {
                if let Fate::Become(path, _) = &leaf.fate {
                    let name = path.rsplit("::").next().unwrap_or(path);
                    let text = if leaf.renamed && leaf.name != name {
                        format!("{path} as {}", leaf.name)
                    } else {
                        path.clone()
                    };
                    if !imports_already(&self.file(item.file).text, path) {
                        new.insert(text);
                    }
                }
            }
            if item.head.is_empty() {
                for ((file, scope), paths) in &mut wanted {
                    if *file == item.file && *scope == item.scope.start {
                        new.extend(std::mem::take(paths));
                    }
                }
            }
            let indent = self.indent(item.file, item.range.start);
            let mut lines = comments(self.file(item.file).slice(item.range.clone()));
            if !kept.is_empty() {
                lines.push(format!("{}use {};", item.head, render(&kept)));
            }
            for line in group(&new) {
                lines.push(format!("{}use {line};", item.head));
            }
            // New imports that sort before the rest of the item stand before it.
            lines.sort_by_key(|line| match line {
                line if line.starts_with("//") => 0,
                line if line.contains("use asupersync") => 1,
                _ => 2,
            });
            if lines.is_empty() {
                let (start, end) = self.whole_line(item.file, item.range.clone());
                self.delete(item.file, start..end);
            } else {
                let text = lines.join(&format!("\n{indent}"));
                self.replace(item.file, item.range.clone(), text);
            }
        }
        for ((file, scope), paths) in wanted {
            if paths.is_empty() {
                continue;
            }
            let source = self.file(file);
            let (at, blank) = insertion_point(&source.ast.items, source, scope);
            let indent = self.indent(file, at);
            let mut text = String::new();
            for line in group(&paths) {
                text.push_str(&format!("use {line};\n{indent}"));
            }
            if blank {
                text.push_str(&format!("\n{indent}"));
            }
            self.edit(file, Edit::insert(at, text).ranked(-20));
        }
    }

    fn whole_line(&self, file: FileId, range: Range<usize>) -> (usize, usize) {
        let text = &self.file(file).text;
        let start = self.line_start(file, range.start);
        let rest = &text[range.end..];
        let line_end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        if text[start..range.start].trim().is_empty() && rest[..line_end].trim().is_empty() {
            (start, range.end + line_end)
        } else {
            (range.start, range.end)
        }
    }

    fn use_items(&self) -> Vec<UseItem> {
        let mut items = Vec::new();
        let mut seen = BTreeSet::new();
        for target in &self.input.project.targets {
            for module in &target.modules {
                if !seen.insert(module.file) {
                    continue;
                }
                let source = self.file(module.file);
                let mut collector = Collector {
                    planner: self,
                    file: module.file,
                    module: module.path.join("::"),
                    scope: 0..source.text.len(),
                    items: &mut items,
                };
                collector.visit_file(&source.ast);
            }
        }
        items
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Uses {
    kept: usize,
    moved: usize,
    gone: usize,
}

enum OccurrenceFate {
    Kept,
    /// The site's own edit has replaced it.
    Gone,
    Moved(String),
}

struct Rewrite<'p> {
    file: FileId,
    path: &'p syn::Path,
    used: usize,
    item: String,
    to: String,
    link: Option<Link>,
    is_pattern: bool,
}

fn is_trait(path: &str) -> bool {
    matches!(
        path,
        "tokio::io::AsyncReadExt" | "tokio::io::AsyncWriteExt" | "tokio::io::AsyncBufReadExt"
    )
}

fn find_link(items: &[UseItem], file: FileId, at: usize, name: &str) -> Option<Link> {
    items
        .iter()
        .enumerate()
        .filter(|(_, item)| item.file == file && item.scope.contains(&at))
        .flat_map(|(item_at, item)| {
            item.leaves
                .iter()
                .enumerate()
                .filter(|(_, leaf)| leaf.name == name)
                .map(move |(leaf_at, _)| (item.scope.len(), (item_at, leaf_at)))
        })
        .min_by_key(|(size, _)| *size)
        .map(|(_, link)| link)
}

/// Whether a text has a `use` of a path; it need not be exact, since a second import of a name is only looked for in text that
/// this tool or the user wrote in the usual way.
fn imports_already(text: &str, path: &str) -> bool {
    let Some((module, name)) = path.rsplit_once("::") else {
        return false;
    };
    let prefix = format!("use {module}::");
    text.match_indices(&prefix).any(|(at, _)| {
        let rest = &text[at + prefix.len()..];
        let statement = &rest[..rest.find(';').unwrap_or(rest.len())];
        match statement.strip_prefix('{') {
            Some(list) => list
                .trim_end_matches('}')
                .split(',')
                .any(|part| part.trim() == name),
            None => statement.trim() == name,
        }
    })
}

/// The comments inside an import, which is written anew; they come to stand above it.
fn comments(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.find("//").map(|at| line[at..].trim_end().to_owned()))
        .collect()
}

fn written(leaf: &Leaf) -> (Vec<String>, Option<String>) {
    let mut segments = leaf.segments.clone();
    if leaf.all {
        segments.push("*".to_owned());
    }
    (segments, leaf.renamed.then(|| leaf.name.clone()))
}

/// Paths as one use tree: `a::{b, c::{self, d}}`.
fn render(paths: &[(Vec<String>, Option<String>)]) -> String {
    #[derive(Default)]
    struct Tree {
        ends: Vec<Option<String>>,
        children: Vec<(String, Tree)>,
    }
    fn add(tree: &mut Tree, segments: &[String], alias: &Option<String>) {
        match segments.split_first() {
            None => tree.ends.push(alias.clone()),
            Some((first, rest)) => {
                if !tree.children.iter().any(|(name, _)| name == first) {
                    tree.children.push((first.clone(), Tree::default()));
                }
                if let Some((_, child)) = tree.children.iter_mut().find(|(name, _)| name == first) {
                    add(child, rest, alias);
                }
            }
        }
    }
    fn parts(tree: &Tree) -> Vec<String> {
        let mut out = Vec::new();
        for (name, child) in &tree.children {
            for end in &child.ends {
                let own = match end {
                    Some(alias) => format!("{name} as {alias}"),
                    None => name.clone(),
                };
                if child.children.is_empty() {
                    out.push(own);
                }
            }
            if child.children.is_empty() {
                continue;
            }
            let mut inner: Vec<String> = child
                .ends
                .iter()
                .map(|end| match end {
                    Some(alias) => format!("self as {alias}"),
                    None => "self".to_owned(),
                })
                .collect();
            inner.extend(parts(child));
            out.push(match inner.as_slice() {
                [only] if only != "self" && !only.starts_with("self as") => {
                    format!("{name}::{only}")
                }
                _ => format!("{name}::{{{}}}", inner.join(", ")),
            });
        }
        out
    }
    let mut root = Tree::default();
    for (segments, alias) in paths {
        add(&mut root, segments, alias);
    }
    let parts = parts(&root);
    match parts.as_slice() {
        [only] => only.clone(),
        _ => format!("{{{}}}", parts.join(", ")),
    }
}

/// New paths as the bodies of `use` items, one per parent module.
fn group(paths: &BTreeSet<String>) -> Vec<String> {
    let mut by_module: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in paths {
        let end = path.find(" as ").unwrap_or(path.len());
        match path[..end].rfind("::") {
            Some(at) => by_module
                .entry(&path[..at])
                .or_default()
                .push(&path[at + 2..]),
            None => by_module.entry("").or_default().push(path),
        }
    }
    by_module
        .into_iter()
        .map(|(module, names)| match names.as_slice() {
            _ if module.is_empty() => names.join(", "),
            [only] => format!("{module}::{only}"),
            _ => format!("{module}::{{{}}}", names.join(", ")),
        })
        .collect()
}

/// The innermost inline module around a byte, or the file.
fn module_scope(
    items: &[Item],
    source: &asupersync_source::load::SourceFile,
    at: usize,
) -> Range<usize> {
    for item in items {
        if let Item::Mod(item) = item
            && let Some((brace, inner)) = &item.content
        {
            let open = source.span_range(brace.span.open()).end;
            let close = source.span_range(brace.span.close()).start;
            if (open..close).contains(&at) {
                let nested = module_scope(inner, source, at);
                return if nested.start == 0 {
                    open..close
                } else {
                    nested
                };
            }
        }
    }
    0..source.text.len()
}

/// Where a new import goes in a module: before its first import, else before its first item; and whether an empty line follows.
fn insertion_point(
    items: &[Item],
    source: &asupersync_source::load::SourceFile,
    scope: usize,
) -> (usize, bool) {
    fn find<'a>(
        items: &'a [Item],
        source: &asupersync_source::load::SourceFile,
        scope: usize,
    ) -> Option<&'a [Item]> {
        if scope == 0 {
            return Some(items);
        }
        items.iter().find_map(|item| match item {
            Item::Mod(item) => {
                let (brace, inner) = item.content.as_ref()?;
                if source.span_range(brace.span.open()).end == scope {
                    Some(inner.as_slice())
                } else {
                    find(inner, source, scope)
                }
            }
            _ => None,
        })
    }
    let Some(items) = find(items, source, scope) else {
        return (scope, true);
    };
    let import = items.iter().find(|item| matches!(item, Item::Use(_)));
    match import.or_else(|| items.first()) {
        Some(first) => (source.range(first).start, import.is_none()),
        None => (scope, true),
    }
}

struct Collector<'c, 'a, 'p> {
    planner: &'c Planner<'a, 'p>,
    file: FileId,
    module: String,
    scope: Range<usize>,
    items: &'c mut Vec<UseItem>,
}

impl<'p> Visit<'p> for Collector<'_, '_, 'p> {
    fn visit_item_mod(&mut self, item: &'p syn::ItemMod) {
        let Some((brace, _)) = &item.content else {
            return;
        };
        let source = self.planner.file(self.file);
        let inner =
            source.span_range(brace.span.open()).end..source.span_range(brace.span.close()).start;
        let module = format!("{}::{}", self.module, ident_text(&item.ident));
        let before = (
            std::mem::replace(&mut self.scope, inner),
            std::mem::replace(&mut self.module, module),
        );
        visit::visit_item_mod(self, item);
        (self.scope, self.module) = before;
    }

    fn visit_block(&mut self, block: &'p syn::Block) {
        let inner = self.planner.file(self.file).range(block);
        let before = std::mem::replace(&mut self.scope, inner);
        visit::visit_block(self, block);
        self.scope = before;
    }

    fn visit_item_use(&mut self, item: &'p syn::ItemUse) {
        let source = self.planner.file(self.file);
        let range = source.range(item);
        let keyword = source.range(&item.use_token).start;
        let mut leaves = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
        for leaf in &mut leaves {
            let find = |namespace| {
                self.planner
                    .input
                    .index
                    .resolve(&self.module, &leaf.segments, namespace)
            };
            leaf.resolved = find(Namespace::Type)
                .or_else(|| find(Namespace::Value))
                .or_else(|| find(Namespace::Macro));
        }
        self.items.push(UseItem {
            file: self.file,
            scope: self.scope.clone(),
            head: source.text[range.start..keyword].to_owned(),
            public: !matches!(item.vis, syn::Visibility::Inherited),
            range,
            leaves,
        });
    }
}

fn flatten(tree: &UseTree, prefix: &mut Vec<String>, out: &mut Vec<Leaf>) {
    let mut push = |segments: Vec<String>, name: String, renamed: bool, all: bool| {
        out.push(Leaf {
            segments,
            name,
            renamed,
            resolved: None,
            all,
            fate: Fate::Keep,
        });
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(ident_text(&path.ident));
            flatten(&path.tree, prefix, out);
            prefix.pop();
        }
        UseTree::Name(name) => {
            let mut segments = prefix.clone();
            if name.ident != "self" {
                segments.push(ident_text(&name.ident));
            }
            let name = segments.last().cloned().unwrap_or_default();
            push(segments, name, false, false);
        }
        UseTree::Rename(rename) => {
            let mut segments = prefix.clone();
            if rename.ident != "self" {
                segments.push(ident_text(&rename.ident));
            }
            push(segments, ident_text(&rename.rename), true, false);
        }
        UseTree::Glob(_) => push(prefix.clone(), String::new(), false, true),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, prefix, out);
            }
        }
    }
}
