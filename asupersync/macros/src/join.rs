//! `join!`: several futures polled together until all are ready.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, Token};

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match Punctuated::<Expr, Token![,]>::parse_terminated.parse2(input) {
        Ok(futures) => emit(&futures.into_iter().collect::<Vec<_>>()),
        Err(e) => e.into_compile_error(),
    }
}

pub(crate) fn expand_all(input: TokenStream) -> TokenStream {
    match syn::parse2::<Expr>(input) {
        Ok(futures) => quote!(::asupersync::combine::join_all(#futures).await),
        Err(e) => e.into_compile_error(),
    }
}

fn emit(futures: &[Expr]) -> TokenStream {
    let site = Span::mixed_site();
    let slots: Vec<_> = (0..futures.len())
        .map(|i| format_ident!("__f{i}", span = site))
        .collect();
    let [task, ready, out] = ["__task", "__ready", "__out"].map(|n| syn::Ident::new(n, site));
    quote! {{
        #( let mut #slots = ::core::pin::pin!(::asupersync::combine::join::slot(#futures)); )*
        let #out = ::core::future::poll_fn(|#task| {
            let mut #ready = true;
            let _ = &#task;
            // Every future is polled at every wake: none waits for another.
            #( #ready &= #slots.as_mut().poll_slot(#task); )*
            if #ready {
                ::core::task::Poll::Ready((#( #slots.as_mut().take(), )*))
            } else {
                ::core::task::Poll::Pending
            }
        })
        .await;
        #out
    }}
}
