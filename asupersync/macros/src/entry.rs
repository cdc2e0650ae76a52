//! `#[main]`, `#[test]` and `#[lab_test]`: an `async fn` becomes a plain one that calls an entry point.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, FnArg, Ident, ItemFn, Lit, ReturnType, Token, Type};

/// Which of the three.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
    LabTest,
}

impl Kind {
    fn attribute(self) -> &'static str {
        match self {
            Kind::Main => "#[asupersync::main]",
            Kind::Test => "#[asupersync::test]",
            Kind::LabTest => "#[asupersync::lab_test]",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Kind::Main => &["flavor", "worker_threads", "policy"],
            Kind::Test => &["flavor", "worker_threads"],
            Kind::LabTest => &["seeds"],
        }
    }
}

/// The expansion; an error stands beside an empty function of the same name, so
/// that the only messages are ours.
pub(crate) fn expand(kind: Kind, args: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => function,
        Err(e) => {
            let e = e.into_compile_error();
            return quote!(#e #item);
        }
    };
    entry(kind, args, &function).unwrap_or_else(|e| {
        let e = e.into_compile_error();
        let (vis, name) = (&function.vis, &function.sig.ident);
        quote!(#e #[allow(dead_code)] #vis fn #name() {})
    })
}

fn entry(kind: Kind, args: TokenStream, function: &ItemFn) -> syn::Result<TokenStream> {
    let args = Args::parse(kind, args)?;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    check_signature(kind, function)?;

    let scope = Ident::new("__scope", Span::mixed_site());
    let binding = binding(kind, function, &scope)?;
    let output = match &sig.output {
        ReturnType::Default => quote!(-> ()),
        output => output.to_token_stream(),
    };
    let statements = &block.stmts;
    // The braces keep the span of the body, so that a missing value is reported there.
    let body = quote_spanned!(block.span()=> { #binding #(#statements)* });
    let body = quote!(async |#scope: ::asupersync::Scope| #output #body);

    let name = &sig.ident;
    Ok(match kind {
        Kind::Main => {
            let flavour = args.flavour("MultiThread");
            let policy = match args.policy {
                Some(Policy::Collect) => quote!(::asupersync::Policy::Collect),
                Some(Policy::FailFast) | None => quote!(::asupersync::Policy::FailFast),
            };
            quote! {
                #(#attrs)*
                #vis fn #name() -> ::std::process::ExitCode {
                    ::asupersync::runtime::main_entry(#flavour, #policy, #body)
                }
            }
        }
        Kind::Test => {
            let flavour = args.flavour("CurrentThread");
            quote! {
                #[::core::prelude::v1::test]
                #(#attrs)*
                #vis fn #name() #output {
                    ::asupersync::runtime::test_entry(#flavour, #body)
                }
            }
        }
        Kind::LabTest => {
            let seeds = match &args.seeds {
                Some(seeds) => quote!(::core::option::Option::Some(#seeds)),
                None => quote!(::core::option::Option::None),
            };
            let title = name.to_string();
            quote! {
                #[::core::prelude::v1::test]
                #(#attrs)*
                #vis fn #name() {
                    ::asupersync::lab::test_entry(
                        #title,
                        #seeds,
                        #body,
                    )
                }
            }
        }
    })
}

fn check_signature(kind: Kind, function: &ItemFn) -> syn::Result<()> {
    let attribute = kind.attribute();
    let sig = &function.sig;
    if sig.asyncness.is_none() {
        let message = format!(
            "{attribute} needs an `async fn`: write `async fn {}`",
            sig.ident
        );
        return Err(Error::new_spanned(sig.fn_token, message));
    }
    if !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
        let message = format!("a function under {attribute} cannot be generic");
        return Err(Error::new_spanned(&sig.generics, message));
    }
    if let Some(odd) = sig.unsafety.map(|t| t.to_token_stream()) {
        let message = format!("a function under {attribute} cannot be unsafe");
        return Err(Error::new_spanned(odd, message));
    }
    if kind == Kind::Main {
        return Ok(());
    }
    for attr in &function.attrs {
        if attr
            .path()
            .segments
            .last()
            .is_some_and(|s| s.ident == "test")
        {
            let message = format!("remove this: {attribute} makes the function a test already");
            return Err(Error::new_spanned(attr, message));
        }
    }
    Ok(())
}

/// The statement that gives the function's parameter its value.
fn binding(kind: Kind, function: &ItemFn, scope: &Ident) -> syn::Result<TokenStream> {
    let inputs = &function.sig.inputs;
    let usage = || {
        format!(
            "a function under {} takes nothing, `cx: &Cx` or `scope: Scope`",
            kind.attribute()
        )
    };
    if let Some(second) = inputs.iter().nth(1) {
        return Err(Error::new_spanned(second, usage()));
    }
    let typed = match inputs.first() {
        None => return Ok(quote!(let _ = &#scope;)),
        Some(FnArg::Receiver(this)) => return Err(Error::new_spanned(this, usage())),
        Some(FnArg::Typed(typed)) => typed,
    };
    let (attrs, pat, ty) = (&typed.attrs, &typed.pat, &typed.ty);
    let value = match &**ty {
        Type::Reference(r) if r.mutability.is_none() => quote_spanned!(ty.span()=> &#scope),
        Type::Path(_) => quote_spanned!(ty.span()=> #scope),
        _ => return Err(Error::new_spanned(ty, usage())),
    };
    Ok(quote!(#(#attrs)* let #pat: #ty = #value;))
}

/// What stands in the attribute.
#[derive(Default)]
struct Args {
    flavour: Option<Flavour>,
    worker_threads: Option<Expr>,
    policy: Option<Policy>,
    seeds: Option<Expr>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Current,
    Multi,
}

/// What the root region does when a task fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    FailFast,
    Collect,
}

/// `name = value`.
struct Arg {
    name: Ident,
    value: Expr,
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Arg {
            name,
            value: input.parse()?,
        })
    }
}

impl Args {
    fn parse(kind: Kind, tokens: TokenStream) -> syn::Result<Self> {
        let list = Punctuated::<Arg, Token![,]>::parse_terminated.parse2(tokens)?;
        let mut args = Args::default();
        for Arg { name, value } in list {
            let key = name.to_string();
            if !kind.arguments().contains(&key.as_str()) {
                let known = kind.arguments().join("`, `");
                let message = format!(
                    "unknown argument `{key}`: {} takes `{known}`",
                    kind.attribute()
                );
                return Err(Error::new_spanned(name, message));
            }
            let twice = match key.as_str() {
                "flavor" => args.flavour.replace(flavour(&value)?).is_some(),
                "worker_threads" => args.worker_threads.replace(threads(value)?).is_some(),
                "policy" => args.policy.replace(policy(&value)?).is_some(),
                _ => args.seeds.replace(seeds(value)?).is_some(),
            };
            if twice {
                return Err(Error::new_spanned(&name, format!("`{key}` is given twice")));
            }
        }
        if let (Some(Flavour::Current), Some(n)) = (args.flavour, &args.worker_threads) {
            let message =
                "the flavor `current_thread` has no worker threads: remove one of the two";
            return Err(Error::new_spanned(n, message));
        }
        Ok(args)
    }

    /// The runtime's flavour; a number of workers implies several.
    fn flavour(&self, default: &str) -> TokenStream {
        let threads = match &self.worker_threads {
            Some(n) => quote!(::core::option::Option::Some(#n)),
            None => quote!(::core::option::Option::None),
        };
        let multi = match self.flavour {
            Some(flavour) => flavour == Flavour::Multi,
            None => self.worker_threads.is_some() || default == "MultiThread",
        };
        if multi {
            quote!(::asupersync::runtime::Flavour::MultiThread { worker_threads: #threads })
        } else {
            quote!(::asupersync::runtime::Flavour::CurrentThread)
        }
    }
}

fn flavour(value: &Expr) -> syn::Result<Flavour> {
    if let Expr::Lit(lit) = value
        && let Lit::Str(name) = &lit.lit
    {
        match name.value().as_str() {
            "current_thread" => return Ok(Flavour::Current),
            "multi_thread" => return Ok(Flavour::Multi),
            _ => {}
        }
    }
    Err(Error::new_spanned(
        value,
        "the flavor is \"current_thread\" or \"multi_thread\"",
    ))
}

fn policy(value: &Expr) -> syn::Result<Policy> {
    if let Expr::Lit(lit) = value
        && let Lit::Str(name) = &lit.lit
    {
        match name.value().as_str() {
            "fail_fast" => return Ok(Policy::FailFast),
            "collect" => return Ok(Policy::Collect),
            _ => {}
        }
    }
    Err(Error::new_spanned(
        value,
        "the policy is \"fail_fast\" or \"collect\"",
    ))
}

fn threads(value: Expr) -> syn::Result<Expr> {
    if let Expr::Lit(lit) = &value {
        let positive = match &lit.lit {
            Lit::Int(n) => n.base10_parse::<usize>()? > 0,
            _ => false,
        };
        if !positive {
            return Err(Error::new_spanned(
                value,
                "`worker_threads` is a number of at least 1",
            ));
        }
    }
    Ok(value)
}

fn seeds(value: Expr) -> syn::Result<Expr> {
    let Expr::Range(range) = &value else {
        return Err(Error::new_spanned(
            value,
            "`seeds` is a range, such as `0..64`",
        ));
    };
    if range.start.is_none() || range.end.is_none() {
        return Err(Error::new_spanned(
            value,
            "`seeds` needs a beginning and an end, as in `0..64`",
        ));
    }
    let (start, end) = (&range.start, &range.end);
    Ok(match range.limits {
        syn::RangeLimits::HalfOpen(_) => value,
        // The entry point takes one type of range.
        syn::RangeLimits::Closed(_) => syn::parse_quote!(#start..(#end) + 1),
    })
}
