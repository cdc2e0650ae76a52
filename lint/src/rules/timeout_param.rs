//! AS306 `timeout_param`: a function that times itself.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::Level;
use crate::point::{Flag, Point, What, definition};
use crate::shape::bound_name;
use syn::{FnArg, GenericArgument, PathArguments, Type};

pub(super) static RULE: Rule = Rule {
    code: "AS306",
    name: "timeout_param",
    level: Level::Allow,
    heard: Heard::OutsideTests,
    summary: "an async function with a `timeout` parameter in place of a budget",
    what: "Flags a parameter of an async function that is named for a timeout and is a `Duration`, or an optional one. Implementations of traits are left alone, and so are functions named for a timeout themselves.",
    why: "Each layer that takes a timeout of its own passes a part of it down by hand, and most get it wrong: the parts add up to more than the caller was ready to wait. A caller that times the call from outside, or gives a budget that is met with every inner one, needs nothing of that.",
    example: r#"use std::time::Duration;

async fn fetch(url: &str, timeout: Duration) -> Option<String> {
    tokio::time::timeout(timeout, load(url)).await.ok()
}
async fn load(url: &str) -> String {
    url.to_owned()
}"#,
    instead: r#"use asupersync::Cx;

async fn fetch(_cx: &Cx, url: &str) -> String {
    load(url).await
}
async fn load(url: &str) -> String {
    url.to_owned()
}"#,
    asks: &[Ask::Points(check)],
};

fn check(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let What::Function { sig, .. } = point.what else {
        return Vec::new();
    };
    let own = sig.ident.to_string();
    let of_trait =
        || definition(point.cursor, sig).is_none_or(|function| function.of_trait.is_some());
    if sig.asyncness.is_none() || own.contains("timeout") || of_trait() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for input in &sig.inputs {
        let FnArg::Typed(typed) = input else { continue };
        let Some(name) = bound_name(&typed.pat) else {
            continue;
        };
        if name.trim_start_matches('_').contains("timeout") && is_duration(&typed.ty) {
            found.push(Flag {
                range: point.file().range(&typed.pat),
                verdict: Verdict {
                    message: format!("`{own}` times itself"),
                    label: "a timeout passed by hand".to_owned(),
                    why: "timeouts of layers add up, and none knows what the caller has left"
                        .to_owned(),
                    help: "let the caller time the call, or take the budget of the context"
                        .to_owned(),
                    fix: None,
                },
            });
        }
    }
    found
}

fn is_duration(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last() else {
        return false;
    };
    match &last.arguments {
        PathArguments::AngleBracketed(list) if last.ident == "Option" => list
            .args
            .iter()
            .any(|argument| matches!(argument, GenericArgument::Type(inner) if is_duration(inner))),
        _ => last.ident == "Duration",
    }
}
