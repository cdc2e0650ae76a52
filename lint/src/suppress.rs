//! Suppressions: attributes and comments that say a finding is meant to be.
//!
//! * `#[cfg_attr(any(), allow(asupersync::detached_spawn, reason = ".."))]` on an item, statement or expression covers it;
//!   as an inner attribute it covers the file.
//! * `// asupersync-lint: allow(AS101, reason = "..")` behind code covers that line's statement; on a line of its own, the
//!   statement that follows.
//! * `// asupersync-lint: disable(AS101, reason = "..")` covers everything to the matching `enable(AS101)` or the end of the file.

use crate::rules::{self, Rule};
use asupersync_source::load::SourceFile;
use proc_macro2::{TokenStream, TokenTree};
use std::cell::Cell;
use std::ops::Range;
use std::str::FromStr;
use syn::visit::{self, Visit};

/// What a comment opens with to be a directive.
pub(crate) const MARK: &str = "asupersync-lint:";

/// The reason that `--add-allow` writes where it was given none; it is none.
pub(crate) const PLACEHOLDER: &str = "FIXME: why may this stay?";

/// Whether a text says why.
fn is_reason(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text != PLACEHOLDER
}

/// Whether suppressions hide a rule's findings; those about suppressions themselves are shown whatever they say.
pub(crate) fn can_hide(rule: &Rule) -> bool {
    *rule != *rules::bare_suppression() && *rule != *rules::unused_suppression()
}

/// Where a comment on a line of its own goes so that it stands before the code of a line: the start of that line, unless that lies
/// inside a literal of several lines.
pub(crate) fn comment_place(text: &str, line: usize) -> Option<usize> {
    let start = match line {
        1 => text.len() - text.trim_start_matches('\u{feff}').len(),
        _ => text.match_indices('\n').nth(line - 2)?.0 + 1,
    };
    let inside = |token: &Range<usize>| token.start < start && start < token.end;
    (!token_ranges(text).iter().any(inside)).then_some(start)
}

/// What a suppression covers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cover {
    Bytes(Range<usize>),
    /// Findings on this line, or whose statement starts or ends on it.
    Line(usize),
    Lines(Range<usize>),
}

/// One rule suppressed in one place.
#[derive(Debug)]
pub(crate) struct Suppression {
    /// None for a name that is no rule.
    pub(crate) rule: Option<&'static Rule>,
    pub(crate) word: String,
    pub(crate) has_reason: bool,
    /// Where it is written.
    pub(crate) range: Range<usize>,
    cover: Cover,
    pub(crate) used: Cell<bool>,
}

impl Suppression {
    /// Whether it hides a finding at these bytes, on this line, in a statement of these lines.
    pub(crate) fn hides(
        &self,
        rule: &Rule,
        span: &Range<usize>,
        line: usize,
        statement: (usize, usize),
    ) -> bool {
        if self.rule.is_none_or(|own| own.code != rule.code) {
            return false;
        }
        match &self.cover {
            Cover::Bytes(range) => range.start <= span.start && span.end <= range.end,
            Cover::Line(own) => *own == line || *own == statement.0 || *own == statement.1,
            Cover::Lines(range) => range.contains(&line),
        }
    }
}

/// All suppressions of a file.
pub(crate) fn collect(file: &SourceFile) -> Vec<Suppression> {
    let mut found = Vec::new();
    if file.text.contains("asupersync") {
        let mut attributes = Attributes {
            file,
            found: &mut found,
        };
        attributes.visit_file(&file.ast);
        attributes.list(&file.ast.attrs, || 0..file.text.len());
    }
    if file.text.contains(MARK) {
        comments(file, &mut found);
    }
    found
}

struct Attributes<'a> {
    file: &'a SourceFile,
    found: &'a mut Vec<Suppression>,
}

impl Attributes<'_> {
    fn list(&mut self, attributes: &[syn::Attribute], covered: impl Fn() -> Range<usize>) {
        for attribute in attributes {
            if !attribute.path().is_ident("cfg_attr") {
                continue;
            }
            type Metas = syn::punctuated::Punctuated<syn::Meta, syn::Token![,]>;
            let Ok(metas) = attribute.parse_args_with(Metas::parse_terminated) else {
                continue;
            };
            for meta in &metas {
                let syn::Meta::List(list) = meta else {
                    continue;
                };
                let lint_level = ["allow", "expect"]
                    .iter()
                    .any(|word| list.path.is_ident(word));
                if !lint_level {
                    continue;
                }
                let Ok(inside) = list.parse_args_with(Metas::parse_terminated) else {
                    continue;
                };
                let has_reason = inside.iter().any(|part| {
                    matches!(part, syn::Meta::NameValue(pair) if pair.path.is_ident("reason") && is_text(&pair.value))
                });
                for part in &inside {
                    let syn::Meta::Path(path) = part else {
                        continue;
                    };
                    let own = path.segments.len() == 2 && path.segments[0].ident == "asupersync";
                    if !own {
                        continue;
                    }
                    let word = format!("asupersync::{}", path.segments[1].ident);
                    self.found.push(Suppression {
                        rule: rules::find(&word),
                        word,
                        has_reason,
                        range: self.file.range(attribute),
                        cover: Cover::Bytes(covered()),
                        used: Cell::new(false),
                    });
                }
            }
        }
    }
}

fn is_text(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Lit(literal) => {
            matches!(&literal.lit, syn::Lit::Str(text) if is_reason(&text.value()))
        }
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Attributes<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let file = self.file;
        let range = || file.range(item);
        match item {
            syn::Item::Fn(item) => self.list(&item.attrs, range),
            syn::Item::Impl(item) => self.list(&item.attrs, range),
            syn::Item::Mod(item) => self.list(&item.attrs, range),
            syn::Item::Trait(item) => self.list(&item.attrs, range),
            syn::Item::Const(item) => self.list(&item.attrs, range),
            syn::Item::Static(item) => self.list(&item.attrs, range),
            syn::Item::Macro(item) => self.list(&item.attrs, range),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let file = self.file;
        self.list(&item.attrs, || file.range(item));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        let file = self.file;
        self.list(&item.attrs, || file.range(item));
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_stmt(&mut self, stmt: &'ast syn::Stmt) {
        let file = self.file;
        let range = || file.range(stmt);
        match stmt {
            syn::Stmt::Local(local) => self.list(&local.attrs, range),
            syn::Stmt::Macro(call) => self.list(&call.attrs, range),
            syn::Stmt::Expr(expr, _) => self.list(expr_attributes(expr), range),
            syn::Stmt::Item(_) => {}
        }
        visit::visit_stmt(self, stmt);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let file = self.file;
        self.list(&arm.attrs, || file.range(arm));
        visit::visit_arm(self, arm);
    }
}

/// The attributes of the expressions that stand as statements; the parser hangs those of `a.b()` on its outermost call.
fn expr_attributes(expr: &syn::Expr) -> &[syn::Attribute] {
    use syn::Expr;
    match expr {
        Expr::Call(expr) => &expr.attrs,
        Expr::MethodCall(expr) => match expr.attrs.is_empty() {
            true => expr_attributes(&expr.receiver),
            false => &expr.attrs,
        },
        Expr::Await(expr) => match expr.attrs.is_empty() {
            true => expr_attributes(&expr.base),
            false => &expr.attrs,
        },
        Expr::Try(expr) => match expr.attrs.is_empty() {
            true => expr_attributes(&expr.expr),
            false => &expr.attrs,
        },
        Expr::Assign(expr) => match expr.attrs.is_empty() {
            true => expr_attributes(&expr.left),
            false => &expr.attrs,
        },
        Expr::Block(expr) => &expr.attrs,
        Expr::If(expr) => &expr.attrs,
        Expr::Loop(expr) => &expr.attrs,
        Expr::While(expr) => &expr.attrs,
        Expr::ForLoop(expr) => &expr.attrs,
        Expr::Match(expr) => &expr.attrs,
        Expr::Macro(expr) => &expr.attrs,
        Expr::Async(expr) => &expr.attrs,
        Expr::Unsafe(expr) => &expr.attrs,
        Expr::Path(expr) => &expr.attrs,
        Expr::Return(expr) => &expr.attrs,
        _ => &[],
    }
}

/// A comment that carries the mark, with its directive.
struct Comment<'a> {
    range: Range<usize>,
    verb: &'a str,
    words: Vec<&'a str>,
    has_reason: bool,
}

fn comments(file: &SourceFile, found: &mut Vec<Suppression>) {
    let tokens = token_ranges(&file.text);
    let mut open: Vec<(Comment<'_>, usize)> = Vec::new();
    for line in 1..=file.lines() {
        let start = file.line_start(line).unwrap_or(0);
        let end = file.line_start(line + 1).unwrap_or(file.text.len());
        let text = &file.text[start..end];
        let Some(comment) = comment_in(text, start, &tokens) else {
            continue;
        };
        match comment.verb {
            "allow" => {
                let own_line = text.trim_start().starts_with("//");
                let covered = if own_line {
                    next_code_line(file, &tokens, end)
                } else {
                    line
                };
                push(found, &comment, Cover::Line(covered));
            }
            "disable" => open.push((comment, line)),
            "enable" => {
                for word in &comment.words {
                    let rule = rules::find(word);
                    open.retain_mut(|(opened, from)| {
                        let matching = opened
                            .words
                            .iter()
                            .position(|name| rules::find(name) == rule && rule.is_some());
                        if let Some(at) = matching {
                            let word = opened.words.remove(at);
                            let part = Comment {
                                range: opened.range.clone(),
                                verb: opened.verb,
                                words: vec![word],
                                has_reason: opened.has_reason,
                            };
                            push(found, &part, Cover::Lines(*from..line));
                        }
                        !opened.words.is_empty()
                    });
                }
            }
            _ => push(found, &comment, Cover::Line(0)),
        }
    }
    for (comment, from) in open {
        push(found, &comment, Cover::Lines(from..file.lines() + 1));
    }
}

fn push(found: &mut Vec<Suppression>, comment: &Comment<'_>, cover: Cover) {
    for word in &comment.words {
        found.push(Suppression {
            rule: rules::find(word),
            word: (*word).to_owned(),
            has_reason: comment.has_reason,
            range: comment.range.clone(),
            cover: cover.clone(),
            used: Cell::new(false),
        });
    }
}

/// The directive of a line, if its mark stands in a line comment and in no literal.
fn comment_in<'a>(line: &'a str, start: usize, tokens: &[Range<usize>]) -> Option<Comment<'a>> {
    let mark = line.find(MARK)?;
    let slashes = line[..mark].rfind("//")?;
    // `// text asupersync-lint:` speaks of the mark; a directive opens its comment.
    if !line[slashes + 2..mark].trim().is_empty() {
        return None;
    }
    let at = start + slashes;
    let in_token = tokens.partition_point(|token| token.start <= at);
    if in_token > 0 && tokens[in_token - 1].end > at {
        return None;
    }
    let directive = line[mark + MARK.len()..].trim();
    let (verb, rest) = directive.split_once('(').unwrap_or((directive, ""));
    let inside = rest.rsplit_once(')').map_or(rest, |(inside, _)| inside);
    let (names, reason) = match inside.find("reason") {
        Some(at) => (&inside[..at], Some(&inside[at..])),
        None => (inside, None),
    };
    let words = names
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    let has_reason = reason
        .and_then(|reason| reason.split_once('='))
        .is_some_and(|(_, text)| is_reason(text.trim().trim_matches('"')));
    Some(Comment {
        range: at..start + line.trim_end().len(),
        verb: verb.trim(),
        words,
        has_reason,
    })
}

fn next_code_line(file: &SourceFile, tokens: &[Range<usize>], after: usize) -> usize {
    let next = tokens.partition_point(|token| token.start < after);
    tokens
        .get(next)
        .map_or(file.lines(), |token| file.line_column(token.start).0)
}

/// The byte ranges of all tokens of a text, in order; comments lie between them.
fn token_ranges(text: &str) -> Vec<Range<usize>> {
    fn add(stream: TokenStream, base: usize, out: &mut Vec<Range<usize>>) {
        for tree in stream {
            match tree {
                TokenTree::Group(group) => {
                    let open = group.span_open().byte_range();
                    let close = group.span_close().byte_range();
                    if !open.is_empty() {
                        out.push(open.start + base..open.end + base);
                    }
                    add(group.stream(), base, out);
                    if !close.is_empty() {
                        out.push(close.start + base..close.end + base);
                    }
                }
                other => {
                    let range = other.span().byte_range();
                    out.push(range.start + base..range.end + base);
                }
            }
        }
    }
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let base = text.len() - body.len();
    // A `#!` line is no token; its text lexes as punctuation, which does no harm here.
    let mut ranges = Vec::new();
    if let Ok(stream) = TokenStream::from_str(body) {
        add(stream, base, &mut ranges);
    }
    // Doc comments become several tokens with one span.
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges
}
