//! Documentation examples: the code in the doc comments of a library, as small programs of their own.
//!
//! * An example is parsed, planned and checked like any program of the package; its edits are then carried back into the comment.
//! * What rustdoc would not compile, and what does not compile as a program of its own, is left alone.

use asupersync_source::edit::{Edit, EditSet};
use asupersync_source::load::{FileId, Module, Project, SourceFile, Target, TargetKind};
use std::ops::Range;
use std::path::PathBuf;
use syn::visit::Visit;

/// The name of an example's crate and of its file in the checked copy starts with this.
const PREFIX: &str = "asupersync_doc_example";

/// One line of an example.
#[derive(Clone, Debug)]
struct Line {
    /// Where it starts in the example's text.
    start: usize,
    /// Where its code starts in the file with the comment.
    host: usize,
    length: usize,
}

/// An example of a doc comment.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    /// The file with the comment.
    pub(crate) host: FileId,
    /// The number of its own file, once it is part of the project.
    pub(crate) file: FileId,
    /// Its number, which names its file in the checked copy.
    number: usize,
    package: usize,
    text: String,
    lines: Vec<Line>,
}

/// Whether a target is an example's.
pub(crate) fn is_example(target: &str) -> bool {
    target.starts_with(PREFIX)
}

/// Finds the examples of the libraries of a project.
pub(crate) fn find(project: &Project) -> Vec<Example> {
    let mut examples = Vec::new();
    for target in &project.targets {
        if target.kind != TargetKind::Lib || project.packages[target.package].manifest.is_none() {
            continue;
        }
        for module in &target.modules {
            let source = project.file(module.file);
            for block in blocks(source) {
                let (text, lines) = program(source, &block);
                if mentions_library(project, target, &text) || text.contains("tokio::") {
                    examples.push(Example {
                        host: module.file,
                        file: FileId(usize::MAX),
                        number: examples.len(),
                        package: target.package,
                        text,
                        lines,
                    });
                }
            }
        }
    }
    examples
}

fn mentions_library(project: &Project, target: &Target, text: &str) -> bool {
    let name = project.packages[target.package].name.replace('-', "_");
    text.contains(&name)
}

/// Makes the examples programs of the project; those that do not parse are dropped.
pub(crate) fn adopt(project: &mut Project, examples: Vec<Example>) -> Vec<Example> {
    let mut adopted = Vec::new();
    for mut example in examples {
        let name = example.name();
        let Ok(parsed) = Project::from_source(&format!("{name}.rs"), &example.text) else {
            continue;
        };
        let Some(file) = parsed.files.into_iter().next() else {
            continue;
        };
        let id = FileId(project.files.len());
        project.files.push(file);
        example.file = id;
        let crate_name = format!("example:{name}");
        project.targets.push(Target {
            package: example.package,
            kind: TargetKind::Example,
            name,
            crate_name: crate_name.clone(),
            root: id,
            modules: vec![Module {
                path: vec![crate_name],
                file: id,
            }],
        });
        adopted.push(example);
    }
    adopted
}

impl Example {
    pub(crate) fn name(&self) -> String {
        format!("{PREFIX}_{}", self.number)
    }

    /// Its text before the rewrite.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where it stands in a copy of the workspace, relative to the workspace.
    pub(crate) fn path(&self, project: &Project) -> PathBuf {
        let root = &project.packages[self.package].root;
        let root = root.strip_prefix(&project.workspace_root).unwrap_or(root);
        root.join("examples").join(format!("{}.rs", self.name()))
    }

    /// The line of the file with the comment that a byte of the example stands on.
    pub(crate) fn host_line(&self, project: &Project, offset: usize) -> usize {
        let at = self.line_at(offset).map_or(0, |line| line.host);
        project.file(self.host).line_column(at).0
    }

    fn line_at(&self, offset: usize) -> Option<&Line> {
        self.lines
            .iter()
            .rev()
            .find(|line| line.start <= offset)
            .or_else(|| self.lines.first())
    }

    /// Carries edits of the example into the comment; none where one of them touches what only the example has.
    pub(crate) fn carry(&self, project: &Project, edits: &EditSet) -> Option<Vec<Edit>> {
        let source = project.file(self.host);
        edits
            .edits()
            .iter()
            .map(|edit| {
                let range = self.host_range(&edit.range)?;
                let line_start = source.text[..range.start]
                    .rfind('\n')
                    .map_or(0, |newline| newline + 1);
                let code = self
                    .lines
                    .iter()
                    .rev()
                    .find(|line| line.host <= range.start)
                    .map_or(range.start, |line| line.host);
                let margin = &source.text[line_start..code];
                let text = edit.text.replace('\n', &format!("\n{margin}"));
                Some(Edit {
                    range,
                    text,
                    rank: edit.rank,
                })
            })
            .collect()
    }

    fn host_range(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let first = self.lines.first()?;
        if range.is_empty() && range.start < first.start {
            return Some(first.host..first.host);
        }
        let start = self.host_offset(range.start)?;
        let end = self.host_offset(range.end)?;
        Some(start..end)
    }

    fn host_offset(&self, offset: usize) -> Option<usize> {
        let line = self.lines.iter().rev().find(|line| line.start <= offset)?;
        let column = offset - line.start;
        (column <= line.length).then_some(line.host + column)
    }
}

/// A code block: the ranges of its lines' code in the file.
type Block = Vec<Range<usize>>;

/// The code blocks that rustdoc compiles.
fn blocks(source: &SourceFile) -> Vec<Block> {
    struct Docs<'s> {
        source: &'s SourceFile,
        found: Vec<Range<usize>>,
    }
    impl<'ast> Visit<'ast> for Docs<'_> {
        fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
            if attribute.path().is_ident("doc") {
                let range = self.source.range(attribute);
                let text = self.source.slice(range.clone());
                if text.starts_with("///") || text.starts_with("//!") {
                    self.found.push(range);
                }
            }
        }
    }
    let mut docs = Docs {
        source,
        found: Vec::new(),
    };
    docs.visit_file(&source.ast);
    docs.found.sort_by_key(|range| range.start);
    docs.found.dedup();
    let mut blocks = Vec::new();
    let mut open: Option<(bool, Block)> = None;
    let mut last_end = 0;
    for range in docs.found {
        let gap = &source.text[last_end..range.start];
        if !gap.trim().is_empty() || gap.matches('\n').count() != 1 {
            // Another comment: a block that was left open is no block.
            open = None;
        }
        last_end = range.end;
        let code = range.start + 3..range.end;
        let content = source.slice(code.clone());
        let trimmed = content.trim();
        if let Some(info) = trimmed.strip_prefix("```") {
            match open.take() {
                None => open = Some((is_compiled(info), Vec::new())),
                Some((true, block)) if !block.is_empty() => blocks.push(block),
                Some(_) => {}
            }
        } else if let Some((_, block)) = &mut open {
            let indent = usize::from(content.starts_with(' '));
            block.push(code.start + indent..code.end);
        }
    }
    blocks
}

fn is_compiled(info: &str) -> bool {
    info.split([',', ' '])
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .all(|word| {
            matches!(word, "rust" | "no_run" | "should_panic") || word.starts_with("edition")
        })
}

/// The program rustdoc makes of a block, and where its lines come from.
fn program(source: &SourceFile, block: &Block) -> (String, Vec<Line>) {
    let has_main = block
        .iter()
        .any(|range| source.slice(range.clone()).contains("fn main("));
    let mut text = String::new();
    if !has_main {
        text.push_str("fn main() {\n");
    }
    let mut lines = Vec::new();
    for range in block {
        let mut code = range.clone();
        let content = source.slice(range.clone()).trim_end_matches('\r');
        code.end = code.start + content.len();
        // A line that readers do not see.
        let indent = content.len() - content.trim_start().len();
        let shown = content.trim_start();
        if shown == "#" {
            code.start = code.end;
        } else if shown.starts_with("# ") {
            code.start += indent + 2;
        }
        lines.push(Line {
            start: text.len(),
            host: code.start,
            length: code.len(),
        });
        text.push_str(source.slice(code));
        text.push('\n');
    }
    if !has_main {
        text.push_str("}\n");
    }
    (text, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_carried_into_the_comment() {
        let text = "/// Opens.\n///\n/// ```no_run\n/// # use a::b;\n/// let x = open();\n/// ```\n///\n/// ```text\n/// no code\n/// ```\npub fn open() {}\n";
        let project = Project::from_source("lib.rs", text).unwrap();
        let source = &project.files[0];
        let found = blocks(source);
        assert_eq!(found.len(), 1);
        let (program, lines) = program(source, &found[0]);
        assert_eq!(program, "fn main() {\nuse a::b;\nlet x = open();\n}\n");
        let example = Example {
            host: FileId(0),
            file: FileId(0),
            number: 0,
            package: 0,
            text: program.clone(),
            lines,
        };
        let mut edits = EditSet::new();
        let call = program.find("open()").unwrap();
        edits.push(Edit::insert(call + 5, "cx"));
        edits.push(Edit::insert(program.find("use").unwrap(), "use c;\n"));
        let carried = example.carry(&project, &edits).unwrap();
        let mut host = EditSet::new();
        host.extend(carried);
        assert_eq!(
            host.apply(text).unwrap().text,
            text.replace("open();", "open(cx);")
                .replace("/// # use a::b;", "/// # use c;\n/// # use a::b;")
        );
        assert_eq!(example.host_line(&project, call), 5);
    }
}
