//! Collect: the packages, what holds a site back by comment or by choice, and what of tokio is left in a text.

use crate::Options;
use crate::decide::{Constraints, Held};
use crate::model::{Model, SiteId};
use crate::plan::{MARKER, above};
use crate::rules;
use asupersync_source::load::{FileId, Project, TargetKind};
use std::collections::{BTreeMap, BTreeSet};

/// Libraries that depend on tokio and need no runtime of it.
const RUNTIME_FREE: &[&str] = &[
    "async-stream",
    "async-compression",
    "combine",
    "tokio-stream",
    "tokio-util",
    "tokio-macros",
];

/// What of a package still names tokio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TokioUse {
    /// Nothing.
    #[default]
    Nothing,
    /// Only tests, examples and benchmarks.
    OnlyTests,
    /// The library or a program.
    Library,
}

/// A dependency that runs on tokio.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokioLibrary {
    /// The package that depends on it.
    pub package: String,
    /// Its name.
    pub name: String,
    /// Whether it needs a tokio runtime around it, and so a boundary.
    pub needs_runtime: bool,
}

/// The direct dependencies of the project's packages that depend on tokio themselves; empty where cargo cannot resolve them.
pub(crate) fn tokio_libraries(project: &Project) -> Vec<TokioLibrary> {
    let mut found = BTreeSet::new();
    for package in &project.packages {
        let Some(manifest) = &package.manifest else {
            continue;
        };
        let Ok(metadata) = cargo_metadata::MetadataCommand::new()
            .manifest_path(manifest)
            .other_options(vec!["--offline".to_owned()])
            .exec()
        else {
            continue;
        };
        let Some(resolve) = &metadata.resolve else {
            continue;
        };
        let name_of = |id: &cargo_metadata::PackageId| {
            metadata
                .packages
                .iter()
                .find(|package| package.id == *id)
                .map(|package| package.name.to_string())
        };
        let Some(root) = metadata
            .packages
            .iter()
            .find(|candidate| candidate.manifest_path.as_std_path() == manifest)
        else {
            continue;
        };
        let Some(node) = resolve.nodes.iter().find(|node| node.id == root.id) else {
            continue;
        };
        for dependency in &node.dependencies {
            let Some(name) = name_of(dependency) else {
                continue;
            };
            if name == "tokio" || name.starts_with("asupersync") {
                continue;
            }
            let depends = resolve
                .nodes
                .iter()
                .find(|node| node.id == *dependency)
                .is_some_and(|node| {
                    node.dependencies
                        .iter()
                        .any(|id| name_of(id).as_deref() == Some("tokio"))
                });
            if depends {
                let needs_runtime = !RUNTIME_FREE.contains(&name.as_str());
                found.insert(TokioLibrary {
                    package: package.name.clone(),
                    name,
                    needs_runtime,
                });
            }
        }
    }
    found.into_iter().collect()
}

/// What the user's choice and comments in the source hold back.
pub(crate) fn constraints(project: &Project, model: &Model<'_>, options: &Options) -> Constraints {
    let mut off = BTreeSet::new();
    for rule in rules::TABLE {
        let named = |list: &[String]| list.iter().any(|code| code.eq_ignore_ascii_case(rule.code));
        if named(&options.skip) || (!options.only.is_empty() && !named(&options.only)) {
            off.insert(rule.code.to_owned());
        }
    }
    let off_is_empty = off.is_empty();
    let mut held = BTreeMap::new();
    let inside = module_files(project, options.module.as_deref());
    for id in model.site_ids() {
        let site = model.site(id);
        let (_, code, _) = crate::decide::safety(model, id);
        let outside = inside
            .as_ref()
            .is_some_and(|files| !files.contains(&site.file));
        if off.contains(code) || outside {
            held.insert(id, Held::NotSelected);
        } else if is_skipped(project, model, id) {
            held.insert(id, Held::Skipped);
        }
    }
    let mut fixed = BTreeMap::new();
    if options.keep_public {
        for id in model.function_ids() {
            let function = model.function(id);
            let in_library = project.targets.iter().any(|target| {
                target.kind == TargetKind::Lib
                    && target
                        .modules
                        .iter()
                        .any(|module| module.file == function.file)
            });
            if function.public && in_library {
                fixed.insert(id, "it is public and `--keep-public` was given".to_owned());
            }
        }
    }
    Constraints {
        held,
        fixed,
        review: options.review,
        off,
        mistaken: BTreeSet::new(),
        partial: !options.review || options.module.is_some() || !off_is_empty,
        nothing: false,
    }
}

/// The files of a module and those below it; none where no module was chosen.
fn module_files(project: &Project, module: Option<&str>) -> Option<BTreeSet<FileId>> {
    let wanted: Vec<&str> = module?
        .split("::")
        .filter(|part| *part != "crate")
        .collect();
    let mut files = BTreeSet::new();
    for target in &project.targets {
        for module in &target.modules {
            let path: Vec<&str> = module.path.iter().skip(1).map(String::as_str).collect();
            if path.starts_with(&wanted) {
                files.insert(module.file);
            }
        }
    }
    Some(files)
}

/// A comment on the site's line, or on the lines directly above its statement, asks to leave it.
fn is_skipped(project: &Project, model: &Model<'_>, id: SiteId) -> bool {
    let site = model.site(id);
    let text = &project.file(site.file).text;
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let own = line_start(site.range.start);
    let own_line = &text[own..text[own..].find('\n').map_or(text.len(), |end| own + end)];
    let mut comments: Vec<&str> = above(text, line_start(site.statement)).lines().collect();
    comments.extend(above(text, own).lines());
    comments.push(own_line);
    comments.iter().any(|line| {
        line.split_once("//")
            .and_then(|(_, comment)| comment.split_once(MARKER))
            .is_some_and(|(_, rest)| rest.trim().starts_with("skip"))
    })
}

/// What of tokio the files of a package still name.
pub(crate) fn tokio_left(
    project: &Project,
    package: usize,
    text_of: impl Fn(FileId) -> String,
) -> TokioUse {
    let mut left = TokioUse::Nothing;
    for target in &project.targets {
        if target.package != package {
            continue;
        }
        let names_tokio = target
            .modules
            .iter()
            .any(|module| names_tokio(&text_of(module.file)));
        if names_tokio {
            let here = match target.kind {
                TargetKind::Test | TargetKind::Example | TargetKind::Bench => TokioUse::OnlyTests,
                _ => TokioUse::Library,
            };
            left = left.max(here);
        }
    }
    left
}

/// Whether code names the crate; comments do not count, documentation examples do.
pub(crate) fn names_tokio(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start();
        let code = if line.starts_with("///") || line.starts_with("//!") {
            line
        } else if line.starts_with("//") {
            return false;
        } else {
            line.split(" //").next().unwrap_or(line)
        };
        let code = code.trim_start_matches(['/', '!']);
        code.match_indices("tokio").any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let after = &code[at + "tokio".len()..];
            let part = before
                .is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == '-');
            !part
                && (after.starts_with("::")
                    || after.trim_start().starts_with(';')
                    || after.starts_with(" as "))
        })
    })
}
