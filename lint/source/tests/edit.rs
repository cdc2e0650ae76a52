//! Any set of edits keeps the bytes it does not touch, or is refused whole.

use asupersync_source::edit::{Edit, EditError, EditSet};
use proptest::prelude::*;
use std::ops::Range;

/// Offsets are percentages, so that they fit whatever text they meet.
fn edits() -> impl Strategy<Value = Vec<(usize, usize, String, i32)>> {
    let edit = (0..=100usize, 0..12usize, "[a-z\n]{0,6}", -2..=2i32);
    proptest::collection::vec(edit, 0..8)
}

fn place(text: &str, percent: usize, length: usize) -> Range<usize> {
    let floor = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let bom = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let start = floor(bom + (text.len() - bom) * percent / 100);
    let end = floor((start + length).min(text.len()));
    start..end.max(start)
}

/// What applying edits means, said in the plainest way: byte by byte.
fn expected(text: &str, set: &[Edit], crlf: bool) -> String {
    let ends = |new: &str| {
        if crlf {
            new.replace('\n', "\r\n")
        } else {
            new.to_owned()
        }
    };
    let mut out = String::new();
    for at in 0..=text.len() {
        let mut insertions: Vec<&Edit> = set
            .iter()
            .filter(|edit| edit.range.is_empty() && edit.range.start == at)
            .collect();
        insertions.sort_by_key(|edit| edit.rank);
        insertions
            .iter()
            .for_each(|edit| out.push_str(&ends(&edit.text)));
        let replaced = set.iter().find(|edit| edit.range.contains(&at));
        match replaced {
            Some(edit) if edit.range.start == at => out.push_str(&ends(&edit.text)),
            Some(_) => {}
            None => {
                if let Some(letter) = text.get(at..).and_then(|rest| rest.chars().next()) {
                    out.push(letter);
                }
            }
        }
    }
    out
}

fn overlaps(set: &[Edit]) -> bool {
    set.iter().enumerate().any(|(at, one)| {
        set[at + 1..].iter().any(|other| {
            let (one, other) = (&one.range, &other.range);
            match (one.is_empty(), other.is_empty()) {
                (true, true) => false,
                (true, false) => other.start < one.start && one.start < other.end,
                (false, true) => one.start < other.start && other.start < one.end,
                (false, false) => one.start < other.end && other.start < one.end,
            }
        })
    })
}

proptest! {
    #[test]
    fn untouched_bytes_are_kept(
        text in "(\u{feff})?([a-zé\\{\\};ß ]{0,12}(\n|\r\n)){0,8}[a-z]{0,4}",
        edits in edits(),
    ) {
        let edits: Vec<Edit> = edits
            .into_iter()
            .map(|(percent, length, new, rank)| {
                Edit::replace(place(&text, percent, length), new).ranked(rank)
            })
            .collect();
        let mut set = EditSet::new();
        set.extend(edits.iter().cloned());
        match set.apply(&text) {
            Ok(applied) => {
                prop_assert!(!overlaps(&edits));
                let lines = text.matches('\n').count();
                let crlf = lines > 0 && text.matches("\r\n").count() * 2 > lines;
                prop_assert_eq!(&applied.text, &expected(&text, &edits, crlf));
                // Every byte that was kept is told where it came from.
                for (at, _) in applied.text.char_indices() {
                    let old = applied.map.old_range(at..at + 1);
                    prop_assert!(old.end <= text.len());
                }
            }
            Err(EditError::Overlap { .. }) => prop_assert!(overlaps(&edits)),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn an_edit_that_conflicts_is_one_that_is_refused(
        text in "[a-z]{12,20}",
        first in (0..100usize, 0..6usize),
        second in (0..100usize, 0..6usize),
    ) {
        let one = Edit::replace(place(&text, first.0, first.1), "1");
        let other = Edit::replace(place(&text, second.0, second.1), "2");
        let mut set = EditSet::new();
        set.push(one);
        let conflict = set.conflict(&other).is_some();
        set.push(other);
        prop_assert_eq!(conflict, set.apply(&text).is_err());
    }
}
