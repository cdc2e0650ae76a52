//! Loading source: a package, a workspace, a lone file or a directory becomes targets, modules and parsed files.
//!
//! * A file that cannot be read or parsed becomes a [`Diagnostic`]; everything else is still loaded.
//! * A file is parsed once, however many targets contain it.
//! * Directories named `target` or `node_modules`, and hidden ones, are never entered.
//! * Byte ranges count the whole file: the byte order mark and `#!` line that the parser strips are added back, and every
//!   identifier of a file is compared with the text at its range before the file is accepted.

use crate::macros::{MacroBody, MacroTable};
use proc_macro2::{LineColumn, Span, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// The deepest nesting of out-of-line modules that is followed; a longer chain is a cycle made by `#[path]`.
const MODULE_DEPTH: usize = 64;

/// The deepest nesting of brackets that is parsed: the parser, and every walk, goes down with them on the stack.
const BRACKET_DEPTH: usize = 500;

/// Directory names that hold no source of the project.
const SKIPPED_DIRECTORIES: &[&str] = &["target", "node_modules"];

/// What to load of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Every member, not only the package at the given path.
    pub workspace: bool,
    /// The packages to load, by name; empty means those the path implies.
    pub packages: Vec<String>,
}

/// Why nothing could be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// `cargo metadata` failed, usually because a `Cargo.toml` is wrong.
    #[error("cargo cannot read the package at {}: {message}", manifest.display())]
    Metadata {
        /// The manifest that was asked for.
        manifest: PathBuf,
        /// What cargo said.
        message: String,
    },
    /// A package named in the selection is not a member of the workspace.
    #[error("package `{name}` is not a member of the workspace; members are {}", members.join(", "))]
    UnknownPackage {
        /// The name asked for.
        name: String,
        /// The names that exist.
        members: Vec<String>,
    },
    /// The path does not exist.
    #[error("{} does not exist; give a Rust file, a directory or a Cargo.toml", path.display())]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// The path holds no Rust source.
    #[error("{} holds no Rust source", path.display())]
    Empty {
        /// The path asked for.
        path: PathBuf,
    },
    /// The text given to [`Project::from_source`] does not parse.
    #[error("{name}:{line}:{column}: {message}")]
    Syntax {
        /// The name given for the text.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What the parser expected.
        message: String,
    },
}

/// A file that could not be loaded, or a module that has no file.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The file concerned.
    pub path: PathBuf,
    /// Line and column from 1, where known.
    pub position: Option<(usize, usize)>,
    /// What is wrong, in lower case.
    pub message: String,
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.position {
            Some((line, column)) => {
                write!(
                    f,
                    "{}:{line}:{column}: {}",
                    self.path.display(),
                    self.message
                )
            }
            None => write!(f, "{}: {}", self.path.display(), self.message),
        }
    }
}

/// The index of a file in [`Project::files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub usize);

/// One parsed file.
pub struct SourceFile {
    /// Where it is; absolute where the project was loaded from disk.
    pub path: PathBuf,
    /// The text as it stands on disk.
    pub text: String,
    /// The syntax tree.
    pub ast: syn::File,
    prefix: usize,
    line_starts: Vec<usize>,
    is_ascii: bool,
    macros: MacroTable,
}

impl SourceFile {
    fn parse(path: PathBuf, text: String) -> Result<Self, Diagnostic> {
        let body = strip_prefix(&text);
        let prefix = text.len() - body.len();
        if is_too_deep(body) {
            return Err(Diagnostic {
                path,
                position: None,
                message: format!(
                    "brackets are nested more than {BRACKET_DEPTH} deep; exclude the file if it is generated"
                ),
            });
        }
        let ast = syn::parse_file(body).map_err(|error| {
            let start = error.span().start();
            let prefix_lines = text[..prefix].matches('\n').count();
            Diagnostic {
                path: path.clone(),
                position: Some((start.line + prefix_lines, start.column + 1)),
                message: format!("cannot parse: {error}"),
            }
        })?;
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let macros = MacroTable::collect(&ast);
        let file = SourceFile {
            path,
            is_ascii: text.is_ascii(),
            text,
            ast,
            prefix,
            line_starts,
            macros,
        };
        match file.misplaced_ident() {
            None => Ok(file),
            Some(ident) => Err(Diagnostic {
                path: file.path,
                position: None,
                message: format!("positions of the syntax tree do not match the text at `{ident}`"),
            }),
        }
    }

    /// The byte range of a node of this file.
    pub fn range(&self, node: &impl Spanned) -> Range<usize> {
        self.span_range(node.span())
    }

    /// The byte range of a span of this file.
    pub fn span_range(&self, span: Span) -> Range<usize> {
        self.offset(span.start())..self.offset(span.end())
    }

    /// Where an expression starts. [`SourceFile::range`] writes all its tokens down to know its end.
    pub fn start(&self, expr: &syn::Expr) -> usize {
        self.offset(first_span(expr).start())
    }

    /// The parser counts lines and characters of what it is given: the text behind the prefix.
    fn offset(&self, place: LineColumn) -> usize {
        let start = match place.line {
            0 | 1 => self.prefix,
            line => self.line_starts[line - 1],
        };
        if self.is_ascii {
            return start + place.column;
        }
        let mut letters = self.text[start..].char_indices();
        let offset = letters.nth(place.column).map(|(at, _)| at);
        offset.map_or(self.text.len(), |at| start + at)
    }

    /// The text of a range.
    pub fn slice(&self, range: Range<usize>) -> &str {
        &self.text[range]
    }

    /// The text of a node.
    pub fn text_of(&self, node: &impl Spanned) -> &str {
        self.slice(self.range(node))
    }

    /// Line (from 1) and column in characters (from 1) of a byte offset.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The byte offset at which a line (from 1) starts.
    pub fn line_start(&self, line: usize) -> Option<usize> {
        self.line_starts.get(line.checked_sub(1)?).copied()
    }

    /// The number of lines.
    pub fn lines(&self) -> usize {
        self.line_starts.len()
    }

    /// The parsed body of a macro call of this file.
    pub fn macro_body(&self, call: &syn::Macro) -> Option<&MacroBody> {
        self.macros.get(call)
    }

    fn misplaced_ident(&self) -> Option<String> {
        struct Check<'a> {
            file: &'a SourceFile,
            bad: Option<String>,
        }
        impl<'ast> Visit<'ast> for Check<'_> {
            fn visit_ident(&mut self, ident: &'ast proc_macro2::Ident) {
                let range = self.file.span_range(ident.span());
                let found = self.file.text.get(range);
                if self.bad.is_none() && found.is_none_or(|found| ident != found) {
                    self.bad = Some(ident.to_string());
                }
            }
            // The parser makes up the type of a bare `&self`.
            fn visit_receiver(&mut self, receiver: &'ast syn::Receiver) {
                if receiver.colon_token.is_some() {
                    syn::visit::visit_receiver(self, receiver);
                }
            }
            // A doc comment is an attribute whose tokens do not stand in the text.
            fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
                if !attribute.path().is_ident("doc") {
                    syn::visit::visit_attribute(self, attribute);
                }
            }
        }
        let mut check = Check {
            file: self,
            bad: None,
        };
        check.visit_file(&self.ast);
        check.bad
    }
}

/// The span of an expression's first token.
fn first_span(expr: &syn::Expr) -> Span {
    use syn::Expr;
    match expr {
        Expr::Path(path) if path.attrs.is_empty() && path.qself.is_none() => {
            match (&path.path.leading_colon, path.path.segments.first()) {
                (None, Some(segment)) => segment.ident.span(),
                _ => path.path.span(),
            }
        }
        Expr::MethodCall(call) if call.attrs.is_empty() => first_span(&call.receiver),
        Expr::Call(call) if call.attrs.is_empty() => first_span(&call.func),
        Expr::Field(field) if field.attrs.is_empty() => first_span(&field.base),
        Expr::Await(wait) if wait.attrs.is_empty() => first_span(&wait.base),
        Expr::Try(attempt) if attempt.attrs.is_empty() => first_span(&attempt.expr),
        other => other.span(),
    }
}

/// Whether brackets are nested deeper than is parsed. Most texts are settled by counting; where those in literals and comments may
/// be what was counted, the tokens tell.
fn is_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    let counted = text.bytes().any(|byte| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > BRACKET_DEPTH
    });
    counted
        && text
            .parse()
            .is_ok_and(|tokens: TokenStream| nests(tokens, BRACKET_DEPTH))
}

/// Whether groups stand in one another more than so many times.
fn nests(tokens: TokenStream, depth: usize) -> bool {
    let mut open = vec![(tokens, depth)];
    while let Some((tokens, depth)) = open.pop() {
        for tree in tokens {
            if let TokenTree::Group(group) = tree {
                if depth == 0 {
                    return true;
                }
                open.push((group.stream(), depth - 1));
            }
        }
    }
    false
}

/// The text without the byte order mark and `#!` line, by the rule of the language: `#![` opens an attribute.
fn strip_prefix(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(rest) = text.strip_prefix("#!") else {
        return text;
    };
    if rest.trim_start().starts_with('[') {
        return text;
    }
    text.find('\n').map_or("", |end| &text[end..])
}

/// A package of the workspace, or the stand-in for a file that belongs to none.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name, with dashes as written.
    pub name: String,
    /// Cargo's own identifier of it; of a lone file, its path.
    pub id: String,
    /// Its `Cargo.toml`; none for a lone file.
    pub manifest: Option<PathBuf>,
    /// The directory of the manifest or of the lone file.
    pub root: PathBuf,
    /// `2015`, `2018`, `2021` or `2024`.
    pub edition: String,
    /// Crate name as the source writes it, to the crate's real name (both with underscores).
    pub dependencies: BTreeMap<String, String>,
    /// `[package.metadata]`.
    pub metadata: serde_json::Value,
}

/// What a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetKind {
    /// A library of any crate type, procedural macros included.
    Lib,
    /// A program.
    Bin,
    /// An example.
    Example,
    /// An integration test.
    Test,
    /// A benchmark.
    Bench,
    /// A build script.
    BuildScript,
    /// A file outside any package.
    Loose,
}

impl TargetKind {
    /// The word cargo uses for it; a lone file counts as a library.
    pub fn word(self) -> &'static str {
        match self {
            TargetKind::Lib | TargetKind::Loose => "lib",
            TargetKind::Bin => "bin",
            TargetKind::Example => "example",
            TargetKind::Test => "test",
            TargetKind::Bench => "bench",
            TargetKind::BuildScript => "custom-build",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            TargetKind::Lib | TargetKind::Loose => "",
            TargetKind::Bin => "bin:",
            TargetKind::Example => "example:",
            TargetKind::Test => "test:",
            TargetKind::Bench => "bench:",
            TargetKind::BuildScript => "build:",
        }
    }
}

/// One compilation root and its modules.
#[derive(Clone, Debug)]
pub struct Target {
    /// Index into [`Project::packages`].
    pub package: usize,
    /// What it is.
    pub kind: TargetKind,
    /// Its name with underscores.
    pub name: String,
    /// The first segment of the absolute paths of its items: [`Target::name`], with the kind before it where it is no library.
    pub crate_name: String,
    /// The root file.
    pub root: FileId,
    /// Every file with the path of the module it holds, the root first; the path starts with [`Target::crate_name`].
    pub modules: Vec<Module>,
}

/// A module that has a file of its own (or is the root).
#[derive(Clone, Debug)]
pub struct Module {
    /// Its absolute path.
    pub path: Vec<String>,
    /// Its file.
    pub file: FileId,
}

/// Everything that was loaded.
pub struct Project {
    /// The directory the compiler's relative file names count from.
    pub workspace_root: PathBuf,
    /// `[workspace.metadata]`.
    pub workspace_metadata: serde_json::Value,
    /// The loaded packages.
    pub packages: Vec<Package>,
    /// Their targets.
    pub targets: Vec<Target>,
    /// The parsed files.
    pub files: Vec<SourceFile>,
    /// What could not be loaded.
    pub diagnostics: Vec<Diagnostic>,
    by_path: HashMap<PathBuf, Option<FileId>>,
    empty: MacroTable,
}

impl Project {
    /// Loads what `path` names: a `Cargo.toml`, a directory that has one, a Rust file (as a crate of its own) or a directory of
    /// such files. To read a file as part of its package, load the manifest that [`manifest_of`] finds for it.
    pub fn load(path: &Path, selection: &Selection) -> Result<Project, LoadError> {
        if !path.exists() {
            return Err(LoadError::Missing {
                path: path.to_owned(),
            });
        }
        let path = absolute(path);
        if path.is_dir() && path.join("Cargo.toml").is_file() {
            return Self::load_manifest(&path.join("Cargo.toml"), selection);
        }
        if path.file_name().is_some_and(|name| name == "Cargo.toml") {
            return Self::load_manifest(&path, selection);
        }
        Self::load_loose(&path)
    }

    /// Parses one text as a crate of its own, named after the stem of `name`; nothing is read from disk.
    pub fn from_source(name: &str, text: &str) -> Result<Project, LoadError> {
        let mut project = Project::empty(PathBuf::new());
        let path = PathBuf::from(name);
        let file = SourceFile::parse(path.clone(), text.to_owned()).map_err(|diagnostic| {
            let (line, column) = diagnostic.position.unwrap_or((1, 1));
            LoadError::Syntax {
                name: name.to_owned(),
                line,
                column,
                message: diagnostic.message,
            }
        })?;
        project.files.push(file);
        project.by_path.insert(path.clone(), Some(FileId(0)));
        project.add_loose_target(&path);
        Ok(project)
    }

    /// A file by its number.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0]
    }

    /// The file at a path, absolute or relative to the workspace root.
    pub fn file_at(&self, path: &Path) -> Option<FileId> {
        let known = |path: &Path| self.by_path.get(path).copied().flatten();
        known(path).or_else(|| known(&clean(&self.workspace_root.join(path))))
    }

    /// The package of a target.
    pub fn package_of(&self, target: &Target) -> &Package {
        &self.packages[target.package]
    }

    fn empty(root: PathBuf) -> Project {
        Project {
            workspace_root: root,
            workspace_metadata: serde_json::Value::Null,
            packages: Vec::new(),
            targets: Vec::new(),
            files: Vec::new(),
            diagnostics: Vec::new(),
            by_path: HashMap::new(),
            empty: MacroTable::default(),
        }
    }

    fn load_manifest(manifest: &Path, selection: &Selection) -> Result<Project, LoadError> {
        let metadata = metadata(manifest)?;
        let members = metadata.workspace_packages();
        let chosen: Vec<&cargo_metadata::Package> = if !selection.packages.is_empty() {
            let names = || members.iter().map(|package| package.name.to_string());
            for name in &selection.packages {
                if !names().any(|member| member == *name) {
                    return Err(LoadError::UnknownPackage {
                        name: name.clone(),
                        members: names().collect(),
                    });
                }
            }
            members
                .iter()
                .copied()
                .filter(|package| selection.packages.contains(&package.name.to_string()))
                .collect()
        } else {
            let own = members
                .iter()
                .copied()
                .find(|package| package.manifest_path.as_std_path() == manifest);
            match own {
                Some(own) if !selection.workspace => vec![own],
                _ => members,
            }
        };
        let mut project = Project::empty(metadata.workspace_root.clone().into_std_path_buf());
        project.workspace_metadata = metadata.workspace_metadata.clone();
        for package in chosen {
            project.add_package(package, &metadata);
        }
        if project.files.is_empty() && project.diagnostics.is_empty() {
            return Err(LoadError::Empty {
                path: manifest.to_owned(),
            });
        }
        Ok(project)
    }

    fn add_package(
        &mut self,
        package: &cargo_metadata::Package,
        metadata: &cargo_metadata::Metadata,
    ) {
        let underscored = |name: &str| name.replace('-', "_");
        // A member's library may be named unlike its package.
        let library = |name: &str| {
            metadata
                .packages
                .iter()
                .find(|candidate| *candidate.name == *name)
                .and_then(|found| found.targets.iter().find(|target| is_library(target)))
                .map_or_else(|| underscored(name), |target| underscored(&target.name))
        };
        let mut dependencies = BTreeMap::new();
        for dependency in &package.dependencies {
            let real = library(&dependency.name);
            let written = dependency
                .rename
                .as_deref()
                .map_or_else(|| real.clone(), underscored);
            dependencies.insert(written, real);
        }
        for target in package.targets.iter().filter(|target| is_library(target)) {
            let name = underscored(&target.name);
            dependencies.insert(name.clone(), name);
        }
        let manifest = package.manifest_path.clone().into_std_path_buf();
        self.packages.push(Package {
            name: package.name.to_string(),
            id: package.id.repr.clone(),
            root: manifest.parent().unwrap_or(Path::new("")).to_owned(),
            manifest: Some(manifest),
            edition: package.edition.to_string(),
            dependencies,
            metadata: package.metadata.clone(),
        });
        let number = self.packages.len() - 1;
        for target in &package.targets {
            let kind = kind_of(target);
            self.add_target(
                number,
                kind,
                &underscored(&target.name),
                target.src_path.as_std_path(),
            );
        }
    }

    fn load_loose(path: &Path) -> Result<Project, LoadError> {
        let root = if path.is_dir() {
            path.to_owned()
        } else {
            path.parent().unwrap_or(Path::new("")).to_owned()
        };
        let mut project = Project::empty(root);
        let mut files = Vec::new();
        if path.is_dir() {
            collect_rust_files(path, &mut files);
        } else {
            files.push(path.to_owned());
        }
        if files.is_empty() {
            return Err(LoadError::Empty {
                path: path.to_owned(),
            });
        }
        // Roots first: a file that another one declares as a module is not a crate of its own.
        files.sort_by_key(|file| {
            let stem = file
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned());
            let rootlike = matches!(stem.as_deref(), Some("lib" | "main" | "mod"));
            (!rootlike, file.components().count(), file.clone())
        });
        for file in &files {
            if !project.by_path.contains_key(file) {
                project.add_loose_target(file);
            }
        }
        let declared: BTreeSet<FileId> = project
            .targets
            .iter()
            .flat_map(|target| target.modules.iter().skip(1).map(|module| module.file))
            .collect();
        project
            .targets
            .retain(|target| !declared.contains(&target.root));
        Ok(project)
    }

    fn add_loose_target(&mut self, path: &Path) {
        let name = path.file_stem().map_or_else(
            || "crate".to_owned(),
            |stem| stem.to_string_lossy().replace(['-', '.', ' '], "_"),
        );
        self.packages.push(Package {
            name: name.clone(),
            id: path.display().to_string(),
            manifest: None,
            root: path.parent().unwrap_or(Path::new("")).to_owned(),
            edition: "2024".to_owned(),
            dependencies: BTreeMap::new(),
            metadata: serde_json::Value::Null,
        });
        let package = self.packages.len() - 1;
        self.add_target(package, TargetKind::Loose, &name, path);
    }

    fn add_target(&mut self, package: usize, kind: TargetKind, name: &str, path: &Path) {
        let Some(root) = self.read(path) else {
            return;
        };
        let crate_name = format!("{}{name}", kind.prefix());
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut found = Vec::new();
        let place = Place {
            path: vec![crate_name.clone()],
            directory: directory.clone(),
            attribute_base: directory,
            depth: 0,
        };
        self.add_modules(root, place, &mut found);
        self.targets.push(Target {
            package,
            kind,
            name: name.to_owned(),
            crate_name,
            root,
            modules: found,
        });
    }

    fn add_modules(&mut self, file: FileId, place: Place, found: &mut Vec<Module>) {
        found.push(Module {
            path: place.path.clone(),
            file,
        });
        let mut declared = Vec::new();
        let source = &self.files[file.0];
        declarations(
            &source.ast.items,
            &source.macros,
            &place.path,
            &place.directory,
            &place.attribute_base,
            &mut declared,
        );
        for declaration in declared {
            if place.depth >= MODULE_DEPTH {
                self.diagnostics.push(Diagnostic {
                    path: self.files[file.0].path.clone(),
                    position: None,
                    message: format!(
                        "module `{}` is nested more than {MODULE_DEPTH} files deep",
                        declaration.path.join("::")
                    ),
                });
                return;
            }
            let Some(path) = declaration.candidates.iter().find(|path| path.is_file()) else {
                let source = &self.files[file.0];
                let (line, column) = source.line_column(source.span_range(declaration.span).start);
                // A module behind a cfg may be generated or belong to another platform.
                if !declaration.conditional {
                    self.diagnostics.push(Diagnostic {
                        path: source.path.clone(),
                        position: Some((line, column)),
                        message: format!(
                            "module `{}` has no file; expected {}",
                            declaration.path.join("::"),
                            declaration.candidates[0].display()
                        ),
                    });
                }
                continue;
            };
            let path = clean(path);
            let Some(id) = self.read(&path) else {
                continue;
            };
            let parent = path.parent().unwrap_or(Path::new("")).to_owned();
            let is_root_like =
                declaration.explicit || path.file_name().is_some_and(|name| name == "mod.rs");
            let directory = if is_root_like {
                parent.clone()
            } else {
                path.with_extension("")
            };
            let place = Place {
                path: declaration.path,
                directory,
                attribute_base: parent,
                depth: place.depth + 1,
            };
            self.add_modules(id, place, found);
        }
    }

    fn read(&mut self, path: &Path) -> Option<FileId> {
        let path = clean(path);
        if let Some(known) = self.by_path.get(&path) {
            return *known;
        }
        let parsed = match fs::read(&path) {
            Err(error) => Err(Diagnostic {
                path: path.clone(),
                position: None,
                message: format!("cannot read: {error}"),
            }),
            Ok(bytes) => match String::from_utf8(bytes) {
                Err(_) => Err(Diagnostic {
                    path: path.clone(),
                    position: None,
                    message: "not valid UTF-8".to_owned(),
                }),
                Ok(text) => SourceFile::parse(path.clone(), text),
            },
        };
        let id = match parsed {
            Ok(file) => {
                self.files.push(file);
                Some(FileId(self.files.len() - 1))
            }
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                None
            }
        };
        self.by_path.insert(path, id);
        id
    }

    /// The macro bodies of a file, or none for a file the project does not hold.
    pub(crate) fn macros(&self, id: FileId) -> &MacroTable {
        self.files
            .get(id.0)
            .map_or(&self.empty, |file| &file.macros)
    }
}

/// Where a file's module stands while its declarations are followed.
struct Place {
    path: Vec<String>,
    /// Where `mod name;` looks.
    directory: PathBuf,
    /// Where `#[path]` looks, outside inline modules.
    attribute_base: PathBuf,
    depth: usize,
}

struct Declaration {
    path: Vec<String>,
    candidates: Vec<PathBuf>,
    /// Named by `#[path]`, so that its own modules are looked for beside it.
    explicit: bool,
    conditional: bool,
    span: Span,
}

fn declarations(
    items: &[syn::Item],
    macros: &MacroTable,
    module: &[String],
    directory: &Path,
    attribute_base: &Path,
    out: &mut Vec<Declaration>,
) {
    for item in items {
        match item {
            syn::Item::Mod(declared) => {
                let name = ident_text(&declared.ident);
                let mut path = module.to_vec();
                path.push(name.clone());
                let explicit = path_attribute(&declared.attrs);
                match (&declared.content, explicit) {
                    (Some((_, inner)), explicit) => {
                        let below = match explicit {
                            Some(given) => attribute_base.join(given),
                            None => directory.join(&name),
                        };
                        declarations(inner, macros, &path, &below, &below, out);
                    }
                    (None, Some(given)) => out.push(Declaration {
                        path,
                        candidates: vec![attribute_base.join(given)],
                        explicit: true,
                        conditional: is_conditional(&declared.attrs),
                        span: declared.ident.span(),
                    }),
                    (None, None) => out.push(Declaration {
                        path,
                        candidates: vec![
                            directory.join(format!("{name}.rs")),
                            directory.join(&name).join("mod.rs"),
                        ],
                        explicit: false,
                        conditional: is_conditional(&declared.attrs),
                        span: declared.ident.span(),
                    }),
                }
            }
            syn::Item::Macro(call) => {
                if let Some(MacroBody::Items(inner)) = macros.get(&call.mac) {
                    declarations(inner, macros, module, directory, attribute_base, out);
                }
            }
            _ => {}
        }
    }
}

/// An identifier without its `r#`.
pub fn ident_text(ident: &proc_macro2::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    fn value(meta: &syn::Meta) -> Option<String> {
        let syn::Meta::NameValue(pair) = meta else {
            return None;
        };
        match &pair.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) if pair.path.is_ident("path") => Some(text.value()),
            _ => None,
        }
    }
    attributes.iter().find_map(|attribute| {
        if attribute.path().is_ident("cfg_attr") {
            type Metas = syn::punctuated::Punctuated<syn::Meta, syn::Token![,]>;
            let metas = attribute.parse_args_with(Metas::parse_terminated).ok()?;
            return metas.iter().skip(1).find_map(value);
        }
        value(&attribute.meta)
    })
}

fn is_conditional(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr"))
}

fn is_library(target: &cargo_metadata::Target) -> bool {
    kind_of(target) == TargetKind::Lib
}

fn kind_of(target: &cargo_metadata::Target) -> TargetKind {
    use cargo_metadata::TargetKind as Cargo;
    match target.kind.first() {
        Some(Cargo::Bin) => TargetKind::Bin,
        Some(Cargo::Example) => TargetKind::Example,
        Some(Cargo::Test) => TargetKind::Test,
        Some(Cargo::Bench) => TargetKind::Bench,
        Some(Cargo::CustomBuild) => TargetKind::BuildScript,
        _ => TargetKind::Lib,
    }
}

fn metadata(manifest: &Path) -> Result<cargo_metadata::Metadata, LoadError> {
    let failed = |message: String| LoadError::Metadata {
        manifest: manifest.to_owned(),
        message,
    };
    // Without dependencies cargo neither resolves nor goes to the network.
    cargo_metadata::MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .map_err(|error| match error {
            cargo_metadata::Error::CargoMetadata { stderr } => failed(stderr.trim().to_owned()),
            other => failed(other.to_string()),
        })
}

/// The nearest `Cargo.toml` at or above a path.
pub fn manifest_of(path: &Path) -> Option<PathBuf> {
    absolute(path)
        .ancestors()
        .map(|directory| directory.join("Cargo.toml"))
        .find(|manifest| manifest.is_file())
}

fn collect_rust_files(directory: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if !name.starts_with('.') && !SKIPPED_DIRECTORIES.contains(&name.as_str()) {
                collect_rust_files(&path, out);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// The path made absolute and free of `.` and `..`, without following links: diagnostics should name files as the user does.
pub fn absolute(path: &Path) -> PathBuf {
    clean(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
