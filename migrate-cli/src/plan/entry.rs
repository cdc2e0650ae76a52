//! The edits of entry points: `#[tokio::main]` and `#[tokio::test]`.

use super::Planner;
use crate::model::{Entry, FnId, FrameId, Shape, SiteId};
use crate::rules::Form;
use asupersync_source::edit::Edit;
use asupersync_source::load::FileId;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::ops::Range;
use syn::punctuated::Punctuated;

impl Planner<'_, '_> {
    /// Whether the function at a frame is a test whose clock is paused and that can move to the lab.
    pub(super) fn is_lab_test(&self, frame: FrameId) -> bool {
        self.frame_function(frame)
            .is_some_and(|id| self.pauses_clock(id))
    }

    fn pauses_clock(&self, id: FnId) -> bool {
        let function = self.model().function(id);
        let Entry::Tokio(site) = function.entry else {
            return false;
        };
        if !function.is_test || !self.decision.rewrites(site) {
            return false;
        }
        let Shape::Attribute(attribute) = self.model().site(site).shape else {
            return false;
        };
        let paused = matches!(&attribute.meta, syn::Meta::List(list)
            if list.tokens.to_string().replace(' ', "").contains("start_paused=true"));
        paused
            || self
                .model()
                .sites
                .iter()
                .any(|other| other.function == Some(id) && other.form() == Some(Form::PauseClock))
    }

    pub(super) fn entry(&mut self, id: SiteId) {
        let site = self.model().site(id);
        let (Shape::Attribute(attribute), Some(function)) = (site.shape, site.function) else {
            return;
        };
        let file = site.file;
        let uses = self.decision.coloured.contains(&function);
        let boundary = self
            .package_of(file)
            .is_some_and(|package| self.boundary.contains(&package));
        let lab = self.pauses_clock(function);
        if boundary && !uses {
            // Nothing in it has moved, and it may need the tokio runtime it has.
            return;
        }
        if boundary && lab {
            // Time that passes at once in the lab would have to be waited for here.
            let why = "its clock is paused, and code that stays on tokio would not see the lab's";
            self.refuse(id, why);
            return;
        }
        if boundary {
            self.inside_boundary(id, function);
            return;
        }
        let path = match (site.form(), lab) {
            (Some(Form::Main), _) => "asupersync::main",
            (_, true) => "asupersync::lab_test",
            _ => "asupersync::test",
        };
        let Some(arguments) = arguments(attribute) else {
            self.refuse(id, "an argument of the attribute has no counterpart");
            return;
        };
        let range = self.file(file).range(attribute.path());
        self.replace(file, range.clone(), path);
        // With tokio a task that panics stops nobody else.
        let spawns = self.model().site_ids().any(|other| {
            self.model().site(other).form() == Some(Form::Spawn) && self.decision.rewrites(other)
        });
        let collect = (site.form() == Some(Form::Main) && spawns).then_some("policy = \"collect\"");
        if let syn::Meta::List(list) = &attribute.meta {
            let close = self.file(file).span_range(list.delimiter.span().close());
            if lab {
                // The lab takes none of tokio's options.
                self.delete(file, range.end..close.end);
            } else if let Some(collect) = collect {
                let comma = if arguments.is_empty() { "" } else { ", " };
                self.insert(file, close.start, format!("{comma}{collect}"));
            }
        } else if let Some(collect) = collect {
            self.insert(file, range.end, format!("({collect})"));
        }
        self.plan.uses_runtime.insert(file);
        if uses {
            let name = self.function_name(function).to_owned();
            let ty = self.type_name(
                file,
                self.model().function(function).range.start,
                "asupersync::Cx",
            );
            let sig = self.model().function(function).sig;
            let open = self.file(file).span_range(sig.paren_token.span.open()).end;
            self.insert(file, open, format!("{name}: &{ty}"));
            self.tracing_attribute(function, &name);
        }
    }

    /// While code that needs a tokio runtime is left, the body runs inside one boundary.
    fn inside_boundary(&mut self, id: SiteId, function: FnId) {
        let site = self.model().site(id);
        let Shape::Attribute(attribute) = site.shape else {
            return;
        };
        let file = site.file;
        let model = self.model();
        let item = model.function(function);
        let Some(block) = item.block else { return };
        let source = self.file(file);
        let attribute_range = source.range(attribute);
        if site.form() == Some(Form::Main) {
            let end = attribute_range.end;
            let rest = &source.text[end..];
            let blank = rest.len() - rest.trim_start().len();
            self.delete(file, attribute_range.start..end + blank);
        } else {
            self.replace(file, attribute_range, "#[test]");
        }
        if let Some(token) = &item.sig.asyncness {
            let range = source.range(token);
            let rest = &source.text[range.end..];
            let blank = rest.len() - rest.trim_start().len();
            self.delete(file, range.start..range.end + blank);
        }
        let Some(arguments) = arguments(attribute) else {
            self.refuse(id, "an argument of the attribute has no counterpart");
            return;
        };
        let is_main = site.form() == Some(Form::Main);
        let plain_result = match &item.sig.output {
            syn::ReturnType::Default => true,
            syn::ReturnType::Type(_, ty) => self.is_result(ty),
        };
        if is_main && !plain_result {
            self.refuse(id, "`main` returns neither nothing nor a `Result`");
            return;
        }
        let name = self.function_name(function).to_owned();
        let outer = self.indent(file, item.range.start);
        let inner = self.deeper(file, item.range.start);
        let unit = inner[outer.len()..].to_owned();
        let open = source.span_range(block.brace_token.span.open());
        let close = source.span_range(block.brace_token.span.close());
        let mut returns = String::new();
        if let syn::ReturnType::Type(arrow, ty) = &item.sig.output {
            returns = format!(" -> {}", source.text_of(&**ty));
            if is_main {
                let range = source.range(arrow).start..source.range(&**ty).end;
                self.replace(file, range, "-> std::process::ExitCode");
            }
        } else if is_main {
            let end = source.span_range(item.sig.paren_token.span.close()).end;
            self.insert(file, end, " -> std::process::ExitCode");
        }
        let call = program(&arguments, is_main);
        let uses_owned = self.is_used(super::SourceKey::Function(function));
        let bind = if uses_owned {
            format!("\n{inner}{unit}let {name} = &{name};")
        } else {
            String::new()
        };
        self.insert(
            file,
            open.end,
            format!("\n{inner}{call}(async |{name}|{returns} {{{bind}"),
        );
        for at in self.line_starts(file, open.end..close.start, &block.to_token_stream()) {
            self.edit(file, Edit::insert(at, unit.clone()).ranked(-10));
        }
        self.insert(file, close.start, format!("{unit}}})\n{outer}"));
        self.moved_in.push((file, open.end..close.start, unit));
        self.plan.uses_compat.insert(file);
    }

    /// Whether a type is a `Result` of any kind.
    fn is_result(&self, ty: &syn::Type) -> bool {
        match ty {
            syn::Type::Tuple(tuple) => tuple.elems.is_empty(),
            syn::Type::Path(path) => path
                .path
                .segments
                .last()
                .is_some_and(|last| last.ident.to_string().ends_with("Result")),
            _ => false,
        }
    }

    /// The starts of the lines of a range that hold something and do not lie inside a literal.
    fn line_starts(&self, file: FileId, range: Range<usize>, tokens: &TokenStream) -> Vec<usize> {
        let text = &self.file(file).text;
        let mut literals = Vec::new();
        self.literals(file, tokens, &mut literals);
        text[range.clone()]
            .match_indices('\n')
            .map(|(at, _)| range.start + at + 1)
            .filter(|at| {
                let line = &text[*at..];
                let line = &line[..line.find('\n').unwrap_or(line.len())];
                *at < range.end && !line.trim().is_empty() && line.trim() != "}"
                    || (*at < range.end && line.trim() == "}" && *at + line.len() < range.end)
            })
            .filter(|at| {
                !literals
                    .iter()
                    .any(|literal: &Range<usize>| literal.start < *at && *at < literal.end)
            })
            .collect()
    }

    fn literals(&self, file: FileId, tokens: &TokenStream, out: &mut Vec<Range<usize>>) {
        for tree in tokens.clone() {
            match tree {
                TokenTree::Group(group) => self.literals(file, &group.stream(), out),
                TokenTree::Literal(literal) => {
                    let range = self.file(file).span_range(literal.span());
                    if self.file(file).slice(range.clone()).contains('\n') {
                        out.push(range);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The arguments of an entry attribute by name; none where one of them has no counterpart.
fn arguments(attribute: &syn::Attribute) -> Option<Vec<(String, String)>> {
    let syn::Meta::List(list) = &attribute.meta else {
        return Some(Vec::new());
    };
    let pairs = list
        .parse_args_with(Punctuated::<syn::MetaNameValue, syn::Token![,]>::parse_terminated)
        .ok()?;
    let mut found = Vec::new();
    for pair in pairs {
        let name = pair.path.get_ident()?.to_string();
        if !matches!(name.as_str(), "flavor" | "worker_threads" | "start_paused") {
            return None;
        }
        found.push((name, pair.value.to_token_stream().to_string()));
    }
    Some(found)
}

/// The call that runs a body inside a boundary as tokio's attribute with these arguments would.
fn program(arguments: &[(String, String)], is_main: bool) -> String {
    let value = |name: &str| {
        arguments
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    };
    let end = if is_main { "run_main" } else { "run_test" };
    match (value("flavor"), value("worker_threads")) {
        (Some("\"current_thread\""), _) if is_main => {
            format!("asupersync_compat::Program::new().current_thread().{end}")
        }
        (_, Some(workers)) => {
            format!("asupersync_compat::Program::new().worker_threads({workers}).{end}")
        }
        (Some("\"multi_thread\""), None) if !is_main => {
            format!("asupersync_compat::Program::new().{end}")
        }
        _ => format!("asupersync_compat::{end}"),
    }
}
