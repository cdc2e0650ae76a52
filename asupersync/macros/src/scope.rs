//! `scope!` and `spawn!`: a region, and a task, with a name and a body.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprClosure, Ident, Token};

/// `where, "name", what`, with the name left out or not.
struct Named {
    place: Expr,
    name: Option<Expr>,
    what: Expr,
}

impl Named {
    fn parse(input: TokenStream, usage: &str) -> syn::Result<Self> {
        (|input: ParseStream<'_>| Self::read(input, usage)).parse2(input)
    }

    fn read(input: ParseStream<'_>, usage: &str) -> syn::Result<Self> {
        let mut parts = Vec::new();
        while !input.is_empty() {
            parts.push(input.parse::<Expr>()?);
            if input.is_empty() {
                break;
            }
            input.parse::<Token![,]>()?;
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(place), Some(what), None, _) => Ok(Named {
                place,
                name: None,
                what,
            }),
            (Some(place), Some(name), Some(what), None) => Ok(Named {
                place,
                name: Some(name),
                what,
            }),
            (_, _, _, Some(extra)) => Err(Error::new_spanned(extra, usage)),
            _ => Err(Error::new(Span::call_site(), usage)),
        }
    }
}

/// A closure with one parameter, neither `async` nor `move`.
fn body<'a>(closure: &'a ExprClosure, usage: &str) -> syn::Result<(&'a syn::Pat, &'a Expr)> {
    if let Some(asyncness) = closure.asyncness {
        let message = "drop this `async`: the macro makes the body one";
        return Err(Error::new_spanned(asyncness, message));
    }
    if closure.inputs.len() != 1 {
        return Err(Error::new(closure.or1_token.span(), usage));
    }
    Ok((&closure.inputs[0], &closure.body))
}

pub(crate) fn expand_scope(input: TokenStream) -> TokenStream {
    const USAGE: &str = "write `scope!(cx, \"name\", |scope| { … })`";
    let expand = || {
        let Named { place, name, what } = Named::parse(input, USAGE)?;
        let Expr::Closure(closure) = &what else {
            return Err(Error::new_spanned(what, USAGE));
        };
        if let Some(capture) = closure.capture {
            let message = "drop this `move`: the body borrows, it never outlives the expression";
            return Err(Error::new_spanned(capture, message));
        }
        let (pat, body) = body(closure, USAGE)?;
        let scope = Ident::new("__scope", Span::mixed_site());
        let name = name.map_or_else(|| quote!(""), |name| quote!(#name));
        Ok(quote! {
            ::asupersync::Region::open(#place, #name, async |#scope: ::asupersync::Scope| {
                let #pat = &#scope;
                #body
            })
        })
    };
    expand().unwrap_or_else(Error::into_compile_error)
}

pub(crate) fn expand_spawn(input: TokenStream) -> TokenStream {
    const USAGE: &str =
        "write `spawn!(scope, \"name\", future)` or `spawn!(scope, \"name\", |cx| future)`";
    let expand = || {
        let Named { place, name, what } = Named::parse(input, USAGE)?;
        let cx = Ident::new("__cx", Span::mixed_site());
        let future = Ident::new("__future", Span::mixed_site());
        let name = name.map_or_else(|| quote!(""), |name| quote!(#name));
        let builder = quote!((#place).task().name(#name));
        let Expr::Closure(closure) = &what else {
            return Ok(quote! {{
                let #future = #what;
                #builder.spawn(move |_: ::asupersync::Cx| #future)
            }});
        };
        let (pat, body) = body(closure, USAGE)?;
        let awaited = quote_spanned!(body.span()=> (#body).await);
        Ok(quote! {
            #builder.spawn(async move |#cx: ::asupersync::Cx| {
                let #pat = &#cx;
                #awaited
            })
        })
    };
    expand().unwrap_or_else(Error::into_compile_error)
}
