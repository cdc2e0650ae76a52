//! A region's report for people and for programs.

use crate::types::outcome::Severity;
use crate::types::report::RegionReport;
use std::fmt::Write;

/// The report as one line of text.
pub(super) fn text(report: &RegionReport, live: usize) -> String {
    let mut line = report.to_string();
    if let Some(reason) = &report.reason {
        let _ = write!(line, "; cancelled: {reason}");
    }
    let _ = write!(line, "; {live} orphans");
    line
}

/// The report as one line of JSON.
///
/// | field | meaning |
/// |---|---|
/// | `region`, `name` | which region |
/// | `severity` | `ok`, `err`, `cancelled` or `panicked` |
/// | `counts` | ends of children by severity |
/// | `stopped` | children that ended because the region was ended on purpose |
/// | `drained` | tasks that were alive when cancellation was requested |
/// | `drain_ms` | from the request to quiescence, or `null` |
/// | `abandoned` | code that was dropped after its cleanup budget |
/// | `leaks` | promises that outlived their holders |
/// | `orphans` | tasks alive after the region closed |
/// | `reason` | why it was cancelled, or `null` |
/// | `primary` | the failure that caused the others, or `null` |
pub(super) fn json(report: &RegionReport, live: usize) -> String {
    let mut j = Json::default();
    let [ok, err, cancelled, panicked] = report.counts;
    j.text("region", &report.region.to_string());
    j.optional(
        "name",
        (!report.name.is_none()).then(|| report.name.as_str().to_owned()),
    );
    j.text("severity", word(report.severity));
    j.raw(
        "counts",
        &format!(r#"{{"ok":{ok},"err":{err},"cancelled":{cancelled},"panicked":{panicked}}}"#),
    );
    j.raw("stopped", &report.stopped.to_string());
    j.raw("drained", &report.drain.alive.to_string());
    let took = report.drain.took();
    j.raw(
        "drain_ms",
        &took.map_or("null".into(), |t| format!("{:.3}", t.as_secs_f64() * 1e3)),
    );
    let abandoned = report.abandoned.iter().map(|a| {
        let mut j = Json::default();
        j.optional("task", a.task.map(|t| t.to_string()));
        j.text("name", a.name.as_str());
        j.text("region", &a.region.to_string());
        j.optional("last_checkpoint", a.last_checkpoint.map(str::to_owned));
        j.raw("after_ms", &format!("{:.3}", a.after.as_secs_f64() * 1e3));
        j.close()
    });
    j.list("abandoned", abandoned);
    let leaks = report.leaks.iter().map(|l| {
        let mut j = Json::default();
        j.text("task", &l.task.to_string());
        j.text("name", l.name.as_str());
        j.text("kind", &format!("{:?}", l.kind));
        j.close()
    });
    j.list("leaks", leaks);
    j.raw("orphans", &live.to_string());
    j.optional("reason", report.reason.as_ref().map(ToString::to_string));
    j.optional("primary", report.primary.as_ref().map(ToString::to_string));
    j.close()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "ok",
        Severity::Err => "err",
        Severity::Cancelled => "cancelled",
        Severity::Panicked => "panicked",
    }
}

/// An object in the making.
#[derive(Default)]
struct Json(String);

impl Json {
    fn raw(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        let _ = write!(self.0, "\"{key}\":{value}");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.raw(key, &quoted(value));
    }

    fn optional(&mut self, key: &str, value: Option<String>) {
        self.raw(key, &value.map_or("null".into(), |v| quoted(&v)));
    }

    fn list(&mut self, key: &str, values: impl Iterator<Item = String>) {
        let values: Vec<String> = values.collect();
        self.raw(key, &format!("[{}]", values.join(",")));
    }

    fn close(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A JSON string (RFC 8259, section 7).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::cancel::{CancelKind, CancelReason};
    use crate::types::id::{RegionId, TaskId};
    use crate::types::obligation::ObligationKind;
    use crate::types::report::{Abandoned, DrainStats, LeakRecord};
    use crate::types::time::Time;
    use std::time::Duration;

    fn report() -> RegionReport {
        RegionReport {
            region: RegionId::new(0, 0),
            name: "main".into(),
            severity: Severity::Cancelled,
            primary: None,
            failures: Vec::new(),
            counts: [1, 2, 3, 4],
            stopped: 5,
            reason: Some(CancelReason::new(CancelKind::Shutdown).with_message("a \"b\"\n")),
            drain: DrainStats {
                requested: Some(Time::from_nanos(1_000_000)),
                closed: Time::from_nanos(3_500_000),
                alive: 6,
                escalations: 1,
                ..DrainStats::default()
            },
            leaks: vec![LeakRecord {
                task: TaskId::new(1, 0),
                name: "w".into(),
                region: RegionId::new(0, 0),
                kind: ObligationKind::Lease,
            }],
            abandoned: vec![Abandoned {
                task: Some(TaskId::new(2, 0)),
                name: "deaf".into(),
                region: RegionId::new(0, 0),
                last_checkpoint: Some("note"),
                after: Duration::from_millis(2),
                overdue: Duration::ZERO,
                seen: false,
                held: Vec::new(),
            }],
            quiescent: true,
            stuck: Vec::new(),
        }
    }

    #[test]
    fn json_is_one_valid_line() {
        let line = json(&report(), 0);
        assert_eq!(
            line,
            concat!(
                r#"{"region":"R0","name":"main","severity":"cancelled","#,
                r#""counts":{"ok":1,"err":2,"cancelled":3,"panicked":4},"stopped":5,"#,
                r#""drained":6,"drain_ms":2.500,"#,
                r#""abandoned":[{"task":"T2","name":"deaf","region":"R0","last_checkpoint":"note","after_ms":2.000}],"#,
                r#""leaks":[{"task":"T1","name":"w","kind":"Lease"}],"orphans":0,"#,
                r#""reason":"Shutdown (a \"b\"\n)","primary":null}"#,
            )
        );
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(quoted("\u{1}é"), "\"\\u0001é\"");
    }

    #[test]
    fn text_says_why_and_that_nobody_is_left() {
        let line = text(&report(), 0);
        assert!(
            line.contains("cancelled: Shutdown") && line.ends_with("0 orphans"),
            "{line}"
        );
    }
}
