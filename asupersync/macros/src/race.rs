//! `race!`: bodies in child regions of their own, polled together until one has ended and all are gone.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprClosure, Ident, Token};

/// `cx, |s| body, |s| body`.
struct Race {
    cx: Expr,
    arms: Vec<ExprClosure>,
}

impl Parse for Race {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.is_empty() {
            let usage = "write `race!(cx, |s| first(s), |s| second(s))`";
            return Err(Error::new(Span::call_site(), usage));
        }
        let cx: Expr = input.parse()?;
        if let Expr::Closure(first) = &cx {
            return Err(Error::new_spanned(
                &first.inputs,
                "the first argument of `race!` is the `&Cx`",
            ));
        }
        let mut arms = Vec::new();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            arms.push(arm(input.parse()?)?);
        }
        Ok(Race { cx, arms })
    }
}

fn arm(e: Expr) -> syn::Result<ExprClosure> {
    let usage = "an arm of `race!` is `|s| future`, where `s` is the `&Scope` of its own region";
    let Expr::Closure(arm) = e else {
        return Err(Error::new_spanned(e, usage));
    };
    if arm.inputs.len() != 1 {
        return Err(Error::new(arm.or1_token.span(), usage));
    }
    if let Some(asyncness) = arm.asyncness {
        let message = "drop this `async`: the body of an arm is a future, which `race!` awaits";
        return Err(Error::new_spanned(asyncness, message));
    }
    if let Some(capture) = arm.capture {
        let message = "drop this `move`: arms borrow, they never outlive the race";
        return Err(Error::new_spanned(capture, message));
    }
    Ok(arm)
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match syn::parse2::<Race>(input) {
        Ok(race) => emit(&race),
        Err(e) => e.into_compile_error(),
    }
}

fn emit(Race { cx, arms }: &Race) -> TokenStream {
    let site = Span::mixed_site();
    let n = arms.len();
    let slots: Vec<_> = (0..n)
        .map(|i| format_ident!("__f{i}", span = site))
        .collect();
    let names = ["__task", "__scope", "__lanes", "__tally"].map(|n| Ident::new(n, site));
    let [task, scope, lanes, tally] = names;
    let bodies = arms.iter().map(|arm| {
        let (pat, body) = (&arm.inputs[0], &arm.body);
        let awaited = quote_spanned!(body.span()=> (#body).await);
        quote! {
            async |#scope: ::asupersync::Scope| {
                let #pat = &#scope;
                #awaited
            }
        }
    });
    let index = 0..n;
    quote! {
        async {
            let #lanes = ::asupersync::combine::race::Lanes::new(#cx, #n);
            let mut #tally = ::asupersync::combine::race::Tally::new(#n);
            #( let mut #slots = ::core::pin::pin!(#lanes.run(#index, #bodies)); )*
            ::core::future::poll_fn(|#task| {
                #tally.poll(&#lanes, #task, &mut [
                    #( ::asupersync::combine::race::erase(#slots.as_mut()), )*
                ])
            })
            .await
        }
    }
}
