//! `select!`: the first future to be ready, whose pattern matches, wins; the others are dropped.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprBlock, Ident, Pat, Token, token};

/// The set of disabled arms is one `u64`.
const MAX_ARMS: usize = 64;

struct Select {
    biased: bool,
    arms: Vec<Arm>,
    otherwise: Option<Expr>,
}

/// `pat = future [, if guard] => handler`.
struct Arm {
    pat: Pat,
    future: Expr,
    guard: Option<Expr>,
    handler: Expr,
}

mod keyword {
    syn::custom_keyword!(biased);
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut select = Select {
            biased: false,
            arms: Vec::new(),
            otherwise: None,
        };
        if input.peek(keyword::biased) && input.peek2(Token![;]) {
            input.parse::<keyword::biased>()?;
            input.parse::<Token![;]>()?;
            select.biased = true;
        }
        while !input.is_empty() {
            if input.peek(Token![else]) {
                input.parse::<Token![else]>()?;
                input.parse::<Token![=>]>()?;
                select.otherwise = Some(handler(input)?);
                if !input.is_empty() {
                    return Err(input.error("`else` is the last arm of a `select!`"));
                }
                break;
            }
            let arm: Arm = input.parse()?;
            if select.arms.len() == MAX_ARMS {
                let message = "a `select!` has at most 64 arms: wait for groups of them instead";
                return Err(Error::new_spanned(arm.pat, message));
            }
            select.arms.push(arm);
        }
        if select.arms.is_empty() {
            let message = "a `select!` needs an arm: write `pattern = future => handler`";
            return Err(Error::new(Span::call_site(), message));
        }
        Ok(select)
    }
}

impl Parse for Arm {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let pat = Pat::parse_multi_with_leading_vert(input)?;
        if !input.peek(Token![=]) || input.peek(Token![=>]) {
            return Err(input.error("expected `=`: an arm is `pattern = future => handler`"));
        }
        input.parse::<Token![=]>()?;
        let future: Expr = input.parse()?;
        let mut guard = None;
        if input.peek(Token![,]) && input.peek2(Token![if]) {
            input.parse::<Token![,]>()?;
            input.parse::<Token![if]>()?;
            guard = Some(input.parse()?);
        }
        if !input.peek(Token![=>]) {
            let message = "expected `=> handler`, or a guard before it: `, if condition`";
            return Err(input.error(message));
        }
        input.parse::<Token![=>]>()?;
        Ok(Arm {
            pat,
            future,
            guard,
            handler: handler(input)?,
        })
    }
}

/// What stands behind `=>`: a block, or an expression up to a comma or the end.
fn handler(input: ParseStream<'_>) -> syn::Result<Expr> {
    if input.peek(token::Brace) {
        let block = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        return Ok(Expr::Block(ExprBlock {
            attrs: Vec::new(),
            label: None,
            block,
        }));
    }
    let handler = input.parse()?;
    if !input.is_empty() && input.parse::<Option<Token![,]>>()?.is_none() {
        return Err(input.error("expected `,`: only a block needs none behind it"));
    }
    Ok(handler)
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match syn::parse2::<Select>(input) {
        Ok(select) => emit(&select),
        Err(e) => e.into_compile_error(),
    }
}

fn emit(
    Select {
        biased,
        arms,
        otherwise,
    }: &Select,
) -> TokenStream {
    // Local names are resolved where the macro is defined, so they neither see
    // nor hide the user's; the enum is an item, hence its name is odd.
    let site = Span::mixed_site();
    let local = |name: &str| Ident::new(name, site);
    let [task, turn, start, pending, value, disabled, out] = [
        "task", "turn", "start", "pending", "value", "disabled", "out",
    ]
    .map(local);
    let n = arms.len() as u32;
    let index: Vec<u32> = (0..n).collect();
    let slots: Vec<_> = index
        .iter()
        .map(|i| format_ident!("f{i}", span = site))
        .collect();
    let variants: Vec<_> = index
        .iter()
        .map(|i| format_ident!("Arm{i}", span = site))
        .collect();
    let types: Vec<_> = index
        .iter()
        .map(|i| format_ident!("T{i}", span = site))
        .collect();
    let taken = local("__AsupersyncSelected");

    let guards = arms.iter().zip(&index).filter_map(|(arm, i)| {
        let guard = arm.guard.as_ref()?;
        let bar = quote_spanned!(guard.span()=> ::asupersync::combine::select::bar(#i, #guard));
        Some(quote!(#disabled |= #bar;))
    });
    let futures = arms.iter().map(|arm| {
        let future = &arm.future;
        quote_spanned!(future.span()=> ::asupersync::combine::select::arm(#future))
    });
    let checks = arms.iter().zip(&variants).map(|(arm, variant)| {
        if let Pat::Wild(_) = arm.pat {
            return TokenStream::new();
        }
        let pat = looking(arm.pat.clone());
        quote! {
            #[allow(unused_variables, unreachable_patterns, clippy::all)]
            match &#value {
                #taken::#variant(#pat) => {}
                _ => continue,
            }
        }
    });
    let first = if *biased {
        quote!(0u32)
    } else {
        quote!(::asupersync::combine::select::start(#n))
    };
    let handlers = arms.iter().zip(&variants).map(|(arm, variant)| {
        let (pat, handler) = (&arm.pat, &arm.handler);
        quote!(#taken::#variant(#pat) => #handler,)
    });
    let otherwise = match otherwise {
        Some(handler) => quote!(#handler),
        None => quote!(::asupersync::combine::select::nothing_left()),
    };
    quote! {{
        #[doc(hidden)]
        enum #taken<#(#types),*> { #(#variants(#types),)* Nothing }

        let #out = {
            #[allow(unused_mut)]
            let mut #disabled = 0u64;
            #(#guards)*
            #( let #slots = #futures; )*
            #( let mut #slots = ::core::pin::pin!(#slots); )*
            let #out = ::core::future::poll_fn(|#task| {
                let mut #pending = false;
                let #start = #first;
                for #turn in 0..#n {
                    match ::asupersync::combine::select::turn(#start, #turn, #n) {
                        #(
                            #index => {
                                if #disabled & (1u64 << #index) != 0 {
                                    continue;
                                }
                                let #value = match ::core::future::Future::poll(#slots.as_mut(), #task) {
                                    ::core::task::Poll::Ready(#value) => #taken::#variants(#value),
                                    ::core::task::Poll::Pending => {
                                        #pending = true;
                                        continue;
                                    }
                                };
                                // It is complete, and must not be polled again.
                                #disabled |= 1u64 << #index;
                                #checks
                                return ::core::task::Poll::Ready(#value);
                            }
                        )*
                        _ => ::core::unreachable!(),
                    }
                }
                if #pending {
                    ::core::task::Poll::Pending
                } else {
                    ::core::task::Poll::Ready(#taken::Nothing)
                }
            })
            .await;
            #out
        };
        // The futures are gone: the handlers may borrow what they borrowed.
        match #out {
            #(#handlers)*
            #taken::Nothing => #otherwise,
            #[allow(unreachable_patterns)]
            _ => ::core::unreachable!("a value is taken only after its pattern matched"),
        }
    }}
}

/// The same pattern for a look through a shared reference: it matches the same
/// values and moves nothing out of them.
///
/// Behind a reference a binding must say neither `mut` nor `ref`, and a `&` is
/// seen through without being written.
fn looking(mut pat: Pat) -> Pat {
    strip(&mut pat);
    pat
}

fn strip(pat: &mut Pat) {
    match pat {
        Pat::Ident(binding) => {
            binding.by_ref = None;
            binding.mutability = None;
            if let Some((_, inner)) = &mut binding.subpat {
                strip(inner);
            }
        }
        Pat::Reference(r) => {
            let mut inner = std::mem::replace(&mut *r.pat, Pat::Verbatim(TokenStream::new()));
            strip(&mut inner);
            *pat = inner;
        }
        Pat::Or(or) => or.cases.iter_mut().for_each(strip),
        Pat::Paren(paren) => strip(&mut paren.pat),
        Pat::Slice(slice) => slice.elems.iter_mut().for_each(strip),
        Pat::Struct(s) => s.fields.iter_mut().for_each(|f| strip(&mut f.pat)),
        Pat::Tuple(tuple) => tuple.elems.iter_mut().for_each(strip),
        Pat::TupleStruct(s) => s.elems.iter_mut().for_each(strip),
        // A constant, a literal, a path, a range, a rest, a wildcard or a macro binds nothing here.
        _ => {}
    }
}
