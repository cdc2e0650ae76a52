//! The bodies of macro calls, parsed as far as they are Rust.
//!
//! A macro's tokens keep their position in the file, so code inside `select!` or `println!` can be walked, resolved and edited
//! like any other. What a body is, is decided by shape: the grammar of `select!` where the macro has that name, else a list of
//! expressions, statements, items, and at last whatever pieces between separators are expressions.
//!
//! * Nothing is expanded. The arms of a `macro_rules!` are kept as the code they would produce, with `$name` read as `name`.
//! * A table is built when a file is parsed, so that bodies live as long as the file's own syntax tree.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::HashMap;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Block, Expr, Item, Pat, Stmt, Token};

/// The deepest nesting of groups that is searched for expressions in tokens that are no Rust.
const PIECE_DEPTH: usize = 16;

/// What stands inside a macro call.
#[derive(Debug)]
pub enum MacroBody {
    /// The arms of `select!` and its kin.
    Select(Box<Select>),
    /// A comma-separated list: `println!`, `join!`, `vec!`, `assert!`.
    Exprs(Vec<Expr>),
    /// Statements: `async_stream::stream!`, `defer!`.
    Stmts(Vec<Stmt>),
    /// Items: `cfg_if!`, `thread_local!`, macros that wrap a module's items.
    Items(Vec<Item>),
    /// The right sides of a `macro_rules!`.
    Definition(Vec<MacroBody>),
    /// The parts that parse, of a body that does not.
    Pieces(Vec<MacroBody>),
}

/// The body of a `select!`.
#[derive(Debug)]
pub struct Select {
    /// The word `biased` before the first arm.
    pub biased: Option<proc_macro2::Span>,
    /// The arms in order.
    pub branches: Vec<SelectBranch>,
    /// The handler of `else`, `complete` or `default`.
    pub otherwise: Option<Expr>,
}

/// One arm: `pat = future, if guard => handler`.
#[derive(Debug)]
pub struct SelectBranch {
    /// What the output is matched against.
    pub pat: Pat,
    /// The future that is polled, and dropped when another arm wins.
    pub future: Expr,
    /// The condition after `, if`.
    pub guard: Option<Expr>,
    /// What runs when this arm wins.
    pub handler: Expr,
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut select = Select {
            biased: None,
            branches: Vec::new(),
            otherwise: None,
        };
        if input.peek(syn::Ident) && input.peek2(Token![;]) {
            let word: syn::Ident = input.parse()?;
            if word != "biased" {
                return Err(syn::Error::new(word.span(), "expected `biased`"));
            }
            input.parse::<Token![;]>()?;
            select.biased = Some(word.span());
        }
        while !input.is_empty() {
            if input.peek(Token![else]) {
                input.parse::<Token![else]>()?;
                input.parse::<Token![=>]>()?;
                select.otherwise = Some(handler(input)?);
            } else if input.peek(syn::Ident) && input.peek2(Token![=>]) {
                let word: syn::Ident = input.parse()?;
                if word != "complete" && word != "default" {
                    return Err(syn::Error::new(word.span(), "expected an arm"));
                }
                input.parse::<Token![=>]>()?;
                select.otherwise = Some(handler(input)?);
            } else {
                let pat = Pat::parse_multi_with_leading_vert(input)?;
                input.parse::<Token![=]>()?;
                let future: Expr = input.parse()?;
                let guard = if input.peek(Token![,]) {
                    input.parse::<Token![,]>()?;
                    input.parse::<Token![if]>()?;
                    Some(input.parse()?)
                } else {
                    None
                };
                input.parse::<Token![=>]>()?;
                let handler = handler(input)?;
                select.branches.push(SelectBranch {
                    pat,
                    future,
                    guard,
                    handler,
                });
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(select)
    }
}

/// A braced handler ends at its brace; anything else is an expression that a comma or the end follows.
fn handler(input: ParseStream<'_>) -> syn::Result<Expr> {
    if input.peek(syn::token::Brace) {
        Ok(Expr::Block(syn::ExprBlock {
            attrs: Vec::new(),
            label: None,
            block: input.parse()?,
        }))
    } else {
        input.parse()
    }
}

/// Whether a macro of this last name has the grammar of `select!`.
pub fn is_select(name: &str) -> bool {
    matches!(name, "select" | "select_biased")
}

/// The bodies of all macro calls of one file.
#[derive(Debug, Default)]
pub struct MacroTable {
    bodies: HashMap<Key, MacroBody>,
}

impl MacroTable {
    pub(crate) fn collect(file: &syn::File) -> Self {
        let mut collector = Collector::default();
        collector.visit_file(file);
        MacroTable {
            bodies: collector.bodies,
        }
    }

    /// The body of a call of the same file.
    pub fn get(&self, call: &syn::Macro) -> Option<&MacroBody> {
        self.bodies.get(&key(call))
    }
}

/// Line and column of a call; a byte offset would cost a search of the text.
type Key = (usize, usize);

fn key(call: &syn::Macro) -> Key {
    let first = match (&call.path.leading_colon, call.path.segments.first()) {
        (None, Some(segment)) => segment.ident.span(),
        _ => call.path.span(),
    };
    let start = first.start();
    (start.line, start.column)
}

#[derive(Default)]
struct Collector {
    bodies: HashMap<Key, MacroBody>,
}

impl Collector {
    fn add(&mut self, call: &syn::Macro, items: bool) {
        let name = call
            .path
            .segments
            .last()
            .map_or_else(String::new, |segment| segment.ident.to_string());
        let body = if name == "macro_rules" {
            definition(&call.tokens)
        } else if is_select(&name) {
            match syn::parse2::<Select>(call.tokens.clone()) {
                Ok(select) => MacroBody::Select(Box::new(select)),
                Err(_) => body_of(&call.tokens, false),
            }
        } else if items {
            item_body(&call.tokens)
        } else {
            body_of(
                &call.tokens,
                matches!(call.delimiter, syn::MacroDelimiter::Bracket(_)),
            )
        };
        self.visit_body(&body);
        self.bodies.insert(key(call), body);
    }

    fn visit_body(&mut self, body: &MacroBody) {
        match body {
            MacroBody::Select(select) => {
                for branch in &select.branches {
                    self.visit_pat(&branch.pat);
                    self.visit_expr(&branch.future);
                    if let Some(guard) = &branch.guard {
                        self.visit_expr(guard);
                    }
                    self.visit_expr(&branch.handler);
                }
                if let Some(otherwise) = &select.otherwise {
                    self.visit_expr(otherwise);
                }
            }
            MacroBody::Exprs(exprs) => exprs.iter().for_each(|expr| self.visit_expr(expr)),
            MacroBody::Stmts(stmts) => stmts.iter().for_each(|stmt| self.visit_stmt(stmt)),
            MacroBody::Items(items) => items.iter().for_each(|item| self.visit_item(item)),
            MacroBody::Definition(bodies) | MacroBody::Pieces(bodies) => {
                bodies.iter().for_each(|body| self.visit_body(body));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.add(call, false);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        self.add(&item.mac, true);
    }
}

type ExprList = Punctuated<Expr, Token![,]>;

fn body_of(tokens: &TokenStream, bracket: bool) -> MacroBody {
    if let Ok(exprs) = ExprList::parse_terminated.parse2(tokens.clone()) {
        return MacroBody::Exprs(exprs.into_iter().collect());
    }
    // `vec![value; length]`: the value is an element, not a statement that drops it.
    if bracket && let Ok((value, length)) = repeat.parse2(tokens.clone()) {
        return MacroBody::Exprs(vec![value, length]);
    }
    if let Ok(stmts) = Block::parse_within.parse2(tokens.clone()) {
        return MacroBody::Stmts(stmts);
    }
    MacroBody::Pieces(pieces(tokens, 0))
}

fn repeat(input: ParseStream<'_>) -> syn::Result<(Expr, Expr)> {
    let value = input.parse()?;
    input.parse::<Token![;]>()?;
    Ok((value, input.parse()?))
}

fn item_body(tokens: &TokenStream) -> MacroBody {
    if let Ok(file) = syn::parse2::<syn::File>(tokens.clone()) {
        return MacroBody::Items(file.items);
    }
    // `cfg_if! { if #[cfg(..)] { items } else { items } }`
    let mut items = Vec::new();
    for tree in tokens.clone() {
        if let TokenTree::Group(group) = tree
            && group.delimiter() == Delimiter::Brace
            && let Ok(file) = syn::parse2::<syn::File>(group.stream())
        {
            items.extend(file.items);
        }
    }
    if items.is_empty() {
        body_of(tokens, false)
    } else {
        MacroBody::Items(items)
    }
}

/// Splits tokens that are no Rust at separators and keeps the parts that are.
fn pieces(tokens: &TokenStream, depth: usize) -> Vec<MacroBody> {
    let mut found = Vec::new();
    if depth > PIECE_DEPTH {
        return found;
    }
    let mut parts: Vec<Vec<TokenTree>> = vec![Vec::new()];
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let punct = |at: usize| match trees.get(at) {
        Some(TokenTree::Punct(punct)) => Some(punct.as_char()),
        _ => None,
    };
    let mut at = 0;
    while at < trees.len() {
        let here = punct(at);
        let separator = match here {
            Some(';' | ',') => 1,
            Some('=') if punct(at + 1) == Some('>') => 2,
            // `==` belongs to an expression, as does the `=` of `<=`, `+=` and the like.
            Some('=') if punct(at + 1) == Some('=') => {
                parts
                    .last_mut()
                    .expect("never empty")
                    .push(trees[at].clone());
                at += 1;
                0
            }
            Some('=')
                if at == 0
                    || !matches!(
                        punct(at - 1),
                        Some('<' | '>' | '!' | '+' | '-' | '*' | '/' | '%' | '^' | '&' | '|')
                    ) =>
            {
                1
            }
            Some(':') if punct(at + 1) != Some(':') && (at == 0 || punct(at - 1) != Some(':')) => 1,
            _ => 0,
        };
        if separator == 0 {
            parts
                .last_mut()
                .expect("never empty")
                .push(trees[at].clone());
            at += 1;
        } else {
            parts.push(Vec::new());
            at += separator;
        }
    }
    for part in parts {
        if part.is_empty() {
            continue;
        }
        let stream: TokenStream = part.iter().cloned().collect();
        if let Ok(expr) = syn::parse2::<Expr>(stream.clone()) {
            found.push(MacroBody::Exprs(vec![expr]));
            continue;
        }
        if let Ok(stmts) = Block::parse_within.parse2(stream) {
            found.push(MacroBody::Stmts(stmts));
            continue;
        }
        for tree in part {
            if let TokenTree::Group(group) = tree {
                if group.delimiter() == Delimiter::Brace
                    && let Ok(stmts) = Block::parse_within.parse2(group.stream())
                {
                    found.push(MacroBody::Stmts(stmts));
                    continue;
                }
                found.extend(pieces(&group.stream(), depth + 1));
            }
        }
    }
    found
}

/// The right sides of a `macro_rules!`, with metavariables read as plain names.
fn definition(tokens: &TokenStream) -> MacroBody {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut arms = Vec::new();
    for window in trees.windows(3) {
        if let [
            TokenTree::Punct(equals),
            TokenTree::Punct(arrow),
            TokenTree::Group(right),
        ] = window
            && equals.as_char() == '='
            && arrow.as_char() == '>'
        {
            let plain = without_metavariables(right.stream(), 0);
            let statements = Block::parse_within.parse2(plain.clone());
            arms.push(match statements {
                Ok(stmts) => MacroBody::Stmts(stmts),
                Err(_) => item_body(&plain),
            });
        }
    }
    MacroBody::Definition(arms)
}

fn without_metavariables(tokens: TokenStream, depth: usize) -> TokenStream {
    if depth > PIECE_DEPTH {
        return tokens;
    }
    let mut out = Vec::new();
    let mut trees = tokens.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Punct(dollar) if dollar.as_char() == '$' => {
                if let Some(TokenTree::Group(group)) = trees.peek() {
                    // `$( .. ) sep rep`: the contents once.
                    let inner = without_metavariables(group.stream(), depth + 1);
                    trees.next();
                    out.extend(inner);
                    for _ in 0..2 {
                        let last = match trees.peek() {
                            Some(TokenTree::Punct(mark)) => {
                                matches!(mark.as_char(), '*' | '+' | '?')
                            }
                            _ => break,
                        };
                        trees.next();
                        if last {
                            break;
                        }
                    }
                }
            }
            TokenTree::Group(group) => {
                let inner = without_metavariables(group.stream(), depth + 1);
                let mut plain = Group::new(group.delimiter(), inner);
                plain.set_span(group.span());
                out.push(TokenTree::Group(plain));
            }
            other => out.push(other),
        }
    }
    out.into_iter().collect()
}
