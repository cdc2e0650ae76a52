//! `try_join!`: fallible bodies in one child region, polled together until all have ended.

use crate::arms::{Arms, Usage};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

const USAGE: Usage = Usage {
    name: "try_join!",
    scope: "the region that the arms share",
};

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match Arms::parse(input, &USAGE) {
        Ok(arms) => emit(&arms),
        Err(e) => e.into_compile_error(),
    }
}

fn emit(arms: &Arms) -> TokenStream {
    let site = Span::mixed_site();
    let n = arms.arms.len();
    let slots: Vec<_> = (0..n)
        .map(|i| format_ident!("__f{i}", span = site))
        .collect();
    let values: Vec<_> = (0..n)
        .map(|i| format_ident!("__v{i}", span = site))
        .collect();
    let names = ["__task", "__scope", "__verdict", "__ready", "__error"];
    let [task, scope, verdict, ready, error] = names.map(|n| Ident::new(n, site));
    let cx = &arms.cx;
    let bodies = arms.arms.iter().map(|arm| arm.future(&scope));
    let index = 0..n;
    let again = index.clone();
    quote! {
        ::asupersync::combine::try_join::run(#cx, async |#scope: ::asupersync::Scope| {
            let mut #verdict = ::asupersync::combine::try_join::Verdict::new(&#scope);
            #( let mut #slots = ::core::pin::pin!(::asupersync::combine::try_join::arm(#bodies)); )*
            ::core::future::poll_fn(|#task| {
                let mut #ready = true;
                #( #ready &= #verdict.poll(#index, #slots.as_mut(), #task); )*
                if #ready {
                    ::core::task::Poll::Ready(())
                } else {
                    ::core::task::Poll::Pending
                }
            })
            .await;
            let mut #error = ::core::option::Option::None;
            #( let #values = #verdict.take(#again, #slots.as_mut(), &mut #error); )*
            match (#(#values,)*) {
                (#(::core::option::Option::Some(#values),)*) => ::core::result::Result::Ok((#(#values,)*)),
                _ => ::core::result::Result::Err(
                    #error.expect("an arm without a value is the first that failed, or came after it"),
                ),
            }
        })
    }
}
