//! AS211 `biased_starvation`: a shutdown that is only asked for when nothing else is to do.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::{Fix, Level};
use crate::point::{Flag, Point, What, in_loop};
use crate::shape::{called_name, indent, is_spawn_like};
use asupersync_source::edit::Edit;
use asupersync_source::macros::SelectBranch;
use asupersync_source::walk::bare;
use syn::Expr;

pub(super) static RULE: Rule = Rule {
    code: "AS211",
    name: "biased_starvation",
    level: Level::Warn,
    heard: Heard::OutsideTests,
    summary: "`biased` with the shutdown branch last, in a loop",
    what: "Flags a `biased` `select!` in a loop whose last branch waits for a shutdown: a `cancelled()`, a `ctrl_c()`, or a receive from something called shutdown, stop, cancel, quit or exit.",
    why: "With `biased`, branches are polled in order and the first that is ready wins. As long as there is work, a shutdown that stands last is never looked at, and the loop does not end.",
    example: r#"async fn run(mut jobs: tokio::sync::mpsc::Receiver<u32>, mut shutdown: tokio::sync::mpsc::Receiver<()>) {
    loop {
        tokio::select! {
            biased;
            Some(job) = jobs.recv() => println!("{job}"),
            _ = shutdown.recv() => break,
        }
    }
}"#,
    instead: r#"async fn run(mut jobs: tokio::sync::mpsc::Receiver<u32>, mut shutdown: tokio::sync::mpsc::Receiver<()>) {
    loop {
        tokio::select! {
            biased;
            _ = shutdown.recv() => break,
            Some(job) = jobs.recv() => println!("{job}"),
        }
    }
}"#,
    asks: &[Ask::Points(check)],
};

const WORDS: &[&str] = &[
    "shutdown", "cancel", "stop", "quit", "exit", "terminat", "kill",
];

fn check(point: &Point<'_, '_, '_>) -> Vec<Flag> {
    let What::Select(select) = point.what else {
        return Vec::new();
    };
    let ([first, ..], [.., before_last, last]) = (&*select.branches, &*select.branches) else {
        return Vec::new();
    };
    let only_last = !select.branches[..select.branches.len() - 1]
        .iter()
        .any(|branch| waits_for_shutdown(point, branch));
    if select.biased.is_none()
        || !waits_for_shutdown(point, last)
        || !only_last
        || !in_loop(point.cursor)
    {
        return Vec::new();
    }
    let file = point.file();
    let text_of =
        |branch: &SelectBranch| file.range(&branch.pat).start..file.range(&branch.handler).end;
    let moved = text_of(last);
    let before_first = text_of(first).start;
    // What parted the last two branches goes too, so that a comma behind the last one stands behind the new last one.
    let gone = text_of(before_last).end..moved.end;
    let indent = indent(file, before_first);
    let text = format!("{},\n{indent}", &file.text[moved.clone()]);
    // A comment between the two would go with what parts them.
    let between = &file.text[gone.start..moved.start];
    let fix = (!between.contains('/'))
        .then(|| Fix::maybe([Edit::insert(before_first, text), Edit::delete(gone.clone())]));
    vec![Flag {
        range: file.range(&last.future),
        verdict: Verdict {
            message: "the shutdown is polled last in a `biased` select".to_owned(),
            label: "never looked at while another branch is ready".to_owned(),
            why: "under load the loop does not end when it is asked to".to_owned(),
            help:
                "put the branch first; to finish queued work, drain it after the loop with a bound"
                    .to_owned(),
            fix,
        },
    }]
}

fn waits_for_shutdown(point: &Point<'_, '_, '_>, branch: &SelectBranch) -> bool {
    let future = bare(&branch.future);
    if is_spawn_like(future) {
        return false;
    }
    let word = |name: &str| {
        let name = name.to_lowercase();
        WORDS.iter().any(|word| name.contains(word))
    };
    match future {
        Expr::MethodCall(call) => {
            let method = call.method.to_string();
            let waits = matches!(
                method.as_str(),
                "recv"
                    | "changed"
                    | "notified"
                    | "wait"
                    | "wait_for"
                    | "cancelled"
                    | "next"
                    | "clone"
            );
            let receiver = &point.file().text[point.file().range(&call.receiver)];
            method == "cancelled"
                || (waits && word(receiver))
                || (call.args.is_empty() && word(&method))
        }
        Expr::Call(_) => called_name(future).is_some_and(|name| name == "ctrl_c" || (word(&name))),
        Expr::Reference(reference) => {
            crate::shape::name_of(&reference.expr).is_some_and(|name| word(&name))
        }
        Expr::Path(_) => crate::shape::name_of(future).is_some_and(|name| word(&name)),
        Expr::Await(_) => false,
        _ => false,
    }
}
