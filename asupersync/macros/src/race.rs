//! `race!`: bodies in child regions of their own, polled together until one has ended and all are gone.

use crate::arms::{Arms, Usage};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

const USAGE: Usage = Usage {
    name: "race!",
    scope: "its own region",
};

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match Arms::parse(input, &USAGE) {
        Ok(race) => emit(&race),
        Err(e) => e.into_compile_error(),
    }
}

fn emit(Arms { cx, arms }: &Arms) -> TokenStream {
    let site = Span::mixed_site();
    let n = arms.len();
    let slots: Vec<_> = (0..n)
        .map(|i| format_ident!("__f{i}", span = site))
        .collect();
    let names = ["__task", "__scope", "__lanes", "__tally"].map(|n| Ident::new(n, site));
    let [task, scope, lanes, tally] = names;
    let bodies = arms.iter().map(|arm| arm.closure(&scope));
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
