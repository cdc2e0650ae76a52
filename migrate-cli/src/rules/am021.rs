//! AM021: `select!` arms that lose something when another arm wins.

use super::{Rule, Safety};

pub(super) const RULE: Rule = Rule {
    code: "AM021",
    title: "`select!` arms that are not cancel-safe",
    safety: Safety::Review,
    before: "
tokio::select! {
    read = reader.read_line(&mut line) => handle(read?),
    Some(notice) = notices.recv() => show(notice),
}",
    after: "
asupersync::select! {
    read = asupersync::combine::drop_ok(reader.read_line(cx, &mut line)) => handle(read?),
    Ok(notice) = notices.recv(cx) => show(notice),
}",
    why: "
The arm that loses is dropped, and with it what it had read or was about to send. `drop_ok` keeps that behaviour and makes it
visible: replace the arm by an operation that keeps its progress (`lines.next_line`, `reserve` then `send`), or the select by
`race!`, which lets the losers finish.",
    items: &[],
};
