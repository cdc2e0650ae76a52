//! Byte-range edits on the text of one file.
//!
//! * Bytes outside the ranges of the edits are kept as they are, and in their order.
//! * Two edits never replace the same byte, and nothing is inserted inside a replaced range: such a set is refused whole.
//! * Insertions at one offset keep an order that the caller controls by rank; an insertion at either end of a replaced range
//!   stays outside of it.
//! * New text follows the file: its line ends become those of the file, and it never stands before a byte order mark.
//!
//! [`EditSet::apply`] also answers where a byte of the new text came from, so that what a compiler says about the new text can
//! be told about the old one.

use std::ops::Range;

/// The byte order mark that an editor may have put at the start of a file.
const BOM: &str = "\u{feff}";

/// Why a set of edits cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// Two edits claim the same bytes.
    #[error("edits at bytes {first:?} and {second:?} overlap; make one of them smaller or drop it")]
    Overlap {
        /// The range that starts first.
        first: Range<usize>,
        /// The range that runs into it.
        second: Range<usize>,
    },
    /// A range ends beyond the text or before it starts.
    #[error("the edit at bytes {range:?} does not lie in a text of {length} bytes")]
    OutOfBounds {
        /// The range.
        range: Range<usize>,
        /// How long the text is.
        length: usize,
    },
    /// A range cuts a character in two.
    #[error("the edit at bytes {range:?} starts or ends inside a character")]
    InsideCharacter {
        /// The range.
        range: Range<usize>,
    },
}

/// One replacement; an empty range inserts, an empty text deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub range: Range<usize>,
    /// The text that comes.
    pub text: String,
    /// Among insertions at one offset, the lower rank comes first; equal ranks keep the order in which they were added.
    pub rank: i32,
}

impl Edit {
    /// Inserts `text` at `offset`.
    pub fn insert(offset: usize, text: impl Into<String>) -> Edit {
        Edit::replace(offset..offset, text)
    }

    /// Replaces `range` by `text`.
    pub fn replace(range: Range<usize>, text: impl Into<String>) -> Edit {
        Edit {
            range,
            text: text.into(),
            rank: 0,
        }
    }

    /// Deletes `range`.
    pub fn delete(range: Range<usize>) -> Edit {
        Edit::replace(range, "")
    }

    /// The same edit with a rank.
    #[must_use]
    pub fn ranked(self, rank: i32) -> Edit {
        Edit { rank, ..self }
    }

    fn is_insertion(&self) -> bool {
        self.range.is_empty()
    }
}

/// The edits of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditSet {
    edits: Vec<Edit>,
}

impl EditSet {
    /// No edits.
    pub fn new() -> EditSet {
        EditSet::default()
    }

    /// Adds an edit; whether it fits the others is told by [`EditSet::apply`] or [`EditSet::conflict`].
    pub fn push(&mut self, edit: Edit) {
        self.edits.push(edit);
    }

    /// The edits in the order in which they were added.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// The same, to be changed.
    pub fn edits_mut(&mut self) -> &mut [Edit] {
        &mut self.edits
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The range of an edit already in the set that `edit` would overlap.
    pub fn conflict(&self, edit: &Edit) -> Option<Range<usize>> {
        self.edits
            .iter()
            .find(|other| overlap(other, edit))
            .map(|other| other.range.clone())
    }

    /// The text after all edits.
    ///
    /// # Errors
    ///
    /// Nothing is applied when two edits overlap or one does not fit the text.
    pub fn apply(&self, source: &str) -> Result<Applied, EditError> {
        let ordered = self.ordered(source)?;
        let crlf = uses_crlf(source);
        let mut text = String::with_capacity(source.len());
        let mut pieces = Vec::new();
        let mut done = 0;
        for edit in ordered {
            // An insertion asked for at the very start goes behind the byte order mark.
            let start = edit.range.start.max(bom_length(source));
            let end = edit.range.end.max(start);
            keep(source, done..start, &mut text, &mut pieces);
            let new_start = text.len();
            push_text(&mut text, &edit.text, crlf);
            pieces.push(Piece {
                new: new_start..text.len(),
                old: start..end,
                kept: false,
            });
            done = end;
        }
        keep(source, done..source.len(), &mut text, &mut pieces);
        Ok(Applied {
            text,
            map: PositionMap { pieces },
        })
    }

    fn ordered(&self, source: &str) -> Result<Vec<&Edit>, EditError> {
        for edit in &self.edits {
            let Range { start, end } = edit.range.clone();
            if start > end || end > source.len() {
                return Err(EditError::OutOfBounds {
                    range: edit.range.clone(),
                    length: source.len(),
                });
            }
            let cuts_bom = !edit.is_insertion() && start < bom_length(source);
            if cuts_bom || !source.is_char_boundary(start) || !source.is_char_boundary(end) {
                return Err(EditError::InsideCharacter {
                    range: edit.range.clone(),
                });
            }
        }
        let mut ordered: Vec<&Edit> = self.edits.iter().collect();
        // Stable, so that equal ranks keep their order; insertions stand before a replacement that starts at their offset.
        ordered.sort_by_key(|edit| (edit.range.start, !edit.is_insertion(), edit.rank));
        let mut reach: Option<&Edit> = None;
        for edit in &ordered {
            if let Some(before) = reach
                && edit.range.start < before.range.end
            {
                return Err(EditError::Overlap {
                    first: before.range.clone(),
                    second: edit.range.clone(),
                });
            }
            if reach.is_none_or(|before| before.range.end <= edit.range.end) {
                reach = Some(edit);
            }
        }
        Ok(ordered)
    }
}

impl Extend<Edit> for EditSet {
    fn extend<I: IntoIterator<Item = Edit>>(&mut self, edits: I) {
        self.edits.extend(edits);
    }
}

fn overlap(one: &Edit, other: &Edit) -> bool {
    match (one.is_insertion(), other.is_insertion()) {
        (true, true) => false,
        (true, false) => other.range.start < one.range.start && one.range.start < other.range.end,
        (false, true) => one.range.start < other.range.start && other.range.start < one.range.end,
        (false, false) => one.range.start < other.range.end && other.range.start < one.range.end,
    }
}

/// A text after its edits.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The new text.
    pub text: String,
    /// Where its bytes came from.
    pub map: PositionMap,
}

/// Which bytes of a new text come from which bytes of the old one.
#[derive(Clone, Debug, Default)]
pub struct PositionMap {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Piece {
    new: Range<usize>,
    old: Range<usize>,
    kept: bool,
}

impl PositionMap {
    /// The old range that a new range stands for; text that an edit brought stands for the range it replaced.
    pub fn old_range(&self, new: Range<usize>) -> Range<usize> {
        let start = self.old_offset(new.start, false);
        let end = self.old_offset(new.end, true);
        start..end.max(start)
    }

    fn old_offset(&self, offset: usize, at_end: bool) -> usize {
        let inside = |piece: &&Piece| {
            if at_end {
                piece.new.start < offset && offset <= piece.new.end
            } else {
                piece.new.start <= offset && offset < piece.new.end
            }
        };
        match self.pieces.iter().find(inside) {
            Some(piece) if piece.kept => piece.old.start + (offset - piece.new.start),
            Some(piece) if at_end => piece.old.end,
            Some(piece) => piece.old.start,
            None if offset == 0 => 0,
            None => self.pieces.last().map_or(offset, |piece| piece.old.end),
        }
    }
}

fn keep(source: &str, range: Range<usize>, text: &mut String, pieces: &mut Vec<Piece>) {
    if range.is_empty() {
        return;
    }
    let new_start = text.len();
    text.push_str(&source[range.clone()]);
    pieces.push(Piece {
        new: new_start..text.len(),
        old: range,
        kept: true,
    });
}

fn push_text(out: &mut String, text: &str, crlf: bool) {
    if crlf {
        let plain = text.replace("\r\n", "\n");
        out.push_str(&plain.replace('\n', "\r\n"));
    } else {
        out.push_str(text);
    }
}

fn bom_length(source: &str) -> usize {
    if source.starts_with(BOM) {
        BOM.len()
    } else {
        0
    }
}

/// Whether most lines of the text end in a carriage return and a line feed.
fn uses_crlf(source: &str) -> bool {
    let lines = source.matches('\n').count();
    lines > 0 && source.matches("\r\n").count() * 2 > lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, edits: &[Edit], expected: Result<&str, EditError>) {
        let mut set = EditSet::new();
        set.extend(edits.iter().cloned());
        assert_eq!(
            set.apply(source).map(|applied| applied.text),
            expected.map(str::to_owned)
        );
    }

    #[test]
    fn edits_apply_in_any_order() {
        check(
            "one two three",
            &[
                Edit::replace(8..13, "3"),
                Edit::delete(0..4),
                Edit::insert(4, "("),
            ],
            Ok("(two 3"),
        );
    }

    #[test]
    fn insertions_at_one_offset_follow_their_rank() {
        check(
            "x",
            &[
                Edit::insert(0, "b").ranked(2),
                Edit::insert(0, "a").ranked(1),
                Edit::insert(0, "c").ranked(2),
            ],
            Ok("abcx"),
        );
    }

    #[test]
    fn insertions_stay_outside_a_replaced_range() {
        check(
            "abc",
            &[
                Edit::replace(1..2, "B"),
                Edit::insert(1, "<"),
                Edit::insert(2, ">"),
            ],
            Ok("a<B>c"),
        );
    }

    #[test]
    fn overlaps_are_refused() {
        let overlap = |first, second| EditError::Overlap { first, second };
        check(
            "abcdef",
            &[Edit::replace(1..4, "x"), Edit::replace(3..5, "y")],
            Err(overlap(1..4, 3..5)),
        );
        check(
            "abcdef",
            &[Edit::replace(1..4, "x"), Edit::insert(2, "y")],
            Err(overlap(1..4, 2..2)),
        );
        check(
            "abcdef",
            &[
                Edit::replace(1..5, "x"),
                Edit::delete(2..3),
                Edit::delete(4..5),
            ],
            Err(overlap(1..5, 2..3)),
        );
    }

    #[test]
    fn edits_that_do_not_fit_are_refused() {
        check(
            "ab",
            &[Edit::insert(3, "x")],
            Err(EditError::OutOfBounds {
                range: 3..3,
                length: 2,
            }),
        );
        check(
            "é",
            &[Edit::insert(1, "x")],
            Err(EditError::InsideCharacter { range: 1..1 }),
        );
    }

    #[test]
    fn line_ends_and_byte_order_mark_stay() {
        check(
            "\u{feff}a\r\nb\r\n",
            &[Edit::insert(0, "use x;\n"), Edit::insert(6, "c\n")],
            Ok("\u{feff}use x;\r\na\r\nc\r\nb\r\n"),
        );
    }

    #[test]
    fn positions_map_back() {
        let mut set = EditSet::new();
        set.push(Edit::replace(4..7, "second"));
        set.push(Edit::insert(0, "> "));
        let applied = set.apply("one two three").unwrap();
        assert_eq!(applied.text, "> one second three");
        assert_eq!(applied.map.old_range(2..5), 0..3);
        assert_eq!(applied.map.old_range(6..12), 4..7);
        assert_eq!(applied.map.old_range(8..10), 4..7);
        assert_eq!(applied.map.old_range(13..18), 8..13);
    }
}
