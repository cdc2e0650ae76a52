//! What `race!` and `try_join!` are written like: a context, then bodies `|s| future`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprClosure, Ident, Token};

/// How messages speak of the macro.
pub(crate) struct Usage {
    pub(crate) name: &'static str,
    /// What an arm's `s` is the scope of.
    pub(crate) scope: &'static str,
}

/// `cx, |s| body, |s| body`.
pub(crate) struct Arms {
    pub(crate) cx: Expr,
    pub(crate) arms: Vec<Arm>,
}

/// `|s| body`.
pub(crate) struct Arm(ExprClosure);

impl Arms {
    pub(crate) fn parse(input: TokenStream, usage: &Usage) -> syn::Result<Self> {
        (|input: ParseStream<'_>| Self::read(input, usage)).parse2(input)
    }

    fn read(input: ParseStream<'_>, usage: &Usage) -> syn::Result<Self> {
        let Usage { name, .. } = usage;
        if input.is_empty() {
            let usage = format!("write `{name}(cx, |s| first(s), |s| second(s))`");
            return Err(Error::new(Span::call_site(), usage));
        }
        let cx: Expr = input.parse()?;
        if let Expr::Closure(first) = &cx {
            let message = format!("the first argument of `{name}` is the `&Cx`");
            return Err(Error::new_spanned(&first.inputs, message));
        }
        let mut arms = Vec::new();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            arms.push(Arm::of(input.parse()?, usage)?);
        }
        Ok(Arms { cx, arms })
    }
}

impl Arm {
    fn of(e: Expr, Usage { name, scope }: &Usage) -> syn::Result<Self> {
        let usage =
            || format!("an arm of `{name}` is `|s| future`, where `s` is the `&Scope` of {scope}");
        let Expr::Closure(arm) = e else {
            return Err(Error::new_spanned(e, usage()));
        };
        if arm.inputs.len() != 1 {
            return Err(Error::new(arm.or1_token.span(), usage()));
        }
        if let Some(asyncness) = arm.asyncness {
            let message =
                format!("drop this `async`: the body of an arm is a future, which `{name}` awaits");
            return Err(Error::new_spanned(asyncness, message));
        }
        if let Some(capture) = arm.capture {
            let message = "drop this `move`: arms borrow, they never outlive the expression";
            return Err(Error::new_spanned(capture, message));
        }
        Ok(Arm(arm))
    }

    /// The arm as an async closure of its own scope.
    pub(crate) fn closure(&self, scope: &Ident) -> TokenStream {
        let (pat, awaited) = (&self.0.inputs[0], self.awaited());
        quote! {
            async |#scope: ::asupersync::Scope| {
                let #pat = &#scope;
                #awaited
            }
        }
    }

    /// The arm as a future that borrows `scope`.
    pub(crate) fn future(&self, scope: &Ident) -> TokenStream {
        let (pat, awaited) = (&self.0.inputs[0], self.awaited());
        quote! {
            async {
                let #pat = &#scope;
                #awaited
            }
        }
    }

    fn awaited(&self) -> TokenStream {
        let body = &self.0.body;
        quote_spanned!(body.span()=> (#body).await)
    }
}
