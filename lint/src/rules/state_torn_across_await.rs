//! AS208 `state_torn_across_await`: a field that is empty while the code awaits.

use super::{Ask, Heard, Rule, Verdict};
use crate::finding::Level;
use crate::shape::{any_in_stmts, bound_name, suspends};
use crate::site::{Site, Subject};
use asupersync_source::load::SourceFile;
use asupersync_source::walk::{Node, bare};
use syn::{Expr, Stmt};

pub(super) static RULE: Rule = Rule {
    code: "AS208",
    name: "state_torn_across_await",
    level: Level::Allow,
    heard: Heard::OutsideTests,
    summary: "a value taken out of a field, an `.await`, and the value put back",
    what: "Flags `take` or `replace` of a field whose value is bound to a name, an await, and behind it an assignment to the same field, all in one block.",
    why: "A future that is dropped at that await never gets to the assignment. The field stays empty, and the next caller finds a state that the code's author never meant to be seen.",
    example: r#"struct Client {
    connection: Option<u32>,
}
impl Client {
    async fn refresh(&mut self) {
        let connection = self.connection.take();
        let connection = renew(connection).await;
        self.connection = connection;
    }
}
async fn renew(connection: Option<u32>) -> Option<u32> {
    connection
}"#,
    instead: r#"struct Client {
    connection: Option<u32>,
}
impl Client {
    async fn refresh(&mut self) {
        let renewed = renew(&self.connection).await;
        self.connection = renewed;
    }
}
async fn renew(connection: &Option<u32>) -> Option<u32> {
    *connection
}"#,
    asks: &[Ask::Calls {
        watches: || {
            vec![
                "std::option::Option::take",
                "std::mem::take",
                "std::mem::replace",
            ]
        },
        check,
    }],
};

fn check(site: &Site<'_, '_, '_>) -> Option<Verdict> {
    let Subject::Expr(expr) = site.subject else {
        return None;
    };
    let file = site.cursor.file();
    let place = match expr {
        Expr::MethodCall(call) => field(file, &call.receiver)?,
        Expr::Call(call) => field(file, call.args.first()?)?,
        _ => return None,
    };
    let (stmts, at) = site.cursor.ancestors().find_map(|node| match node {
        Node::Stmt { stmts, at } => Some((stmts, at)),
        _ => None,
    })?;
    // Only a value that is kept can be put back.
    let Stmt::Local(local) = &stmts[at] else {
        return None;
    };
    bound_name(&local.pat).or_else(|| {
        local
            .init
            .as_ref()
            .is_some_and(|init| init.diverge.is_some())
            .then(String::new)
    })?;
    let rest = &stmts[at + 1..];
    let restored = rest.iter().position(|stmt| assigns(file, stmt, &place))?;
    if !any_in_stmts(file, &rest[..=restored], suspends) {
        return None;
    }
    Some(Verdict {
        message: format!("`{place}` is empty while the code awaits"),
        label: "put back behind an `.await`, which may never be passed".to_owned(),
        why: "if the future is dropped at the await, the value goes with it".to_owned(),
        help: "work on the field in place, or put it back with a guard whose `Drop` does so"
            .to_owned(),
        fix: None,
    })
}

/// A field as it is written: `self.connection`, behind `&mut` or not.
fn field(file: &SourceFile, expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::Field(_) => {
            let text: String = file.text[file.range(bare(expr))]
                .split_whitespace()
                .collect();
            Some(text)
        }
        Expr::Reference(reference) => field(file, &reference.expr),
        _ => None,
    }
}

fn assigns(file: &SourceFile, stmt: &Stmt, place: &str) -> bool {
    match stmt {
        Stmt::Expr(Expr::Assign(assign), _) => {
            field(file, &assign.left).is_some_and(|left| left == place)
        }
        _ => false,
    }
}
