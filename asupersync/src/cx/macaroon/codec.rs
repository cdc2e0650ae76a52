//! The binary form of a token: versioned, length-prefixed, bounded, and the only one there is.
//!
//! ```text
//! token      = version: 1  text(id)  text(location)  count: u8  (text(condition))*  signature: 32 bytes
//! text(x)    = length: u16  bytes of x
//! condition  = 1 not before: u64          | 2 not after: u64           (nanoseconds)
//!            | 3 region: u32 u32          | 4 task: u32 u32            (slot, generation)
//!            | 5 uses: u64                | 6 pattern: UTF-8
//!            | 7 uses: u32, window: u64   | 8 text(key) value: UTF-8
//!            | 9 text(location) sealed: 32 bytes, id
//! ```
//!
//! Numbers are big-endian. Nothing may follow, so equal tokens have equal forms,
//! and every length is checked before anything is allocated for it.

use super::caveat::{Caveat, Condition, ThirdParty};
use super::mac::Signature;
use super::{Discharge, MAX_CAVEATS, MAX_TEXT, Macaroon};
use crate::types::id::{RegionId, TaskId};
use crate::types::time::Time;
use std::time::Duration;

const VERSION: u8 = 1;
/// The longest condition: two texts, a sealed key, a length and a tag.
const MAX_CONDITION: usize = 2 * MAX_TEXT + 32 + 2 + 1;

/// Something exceeds what a token may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} of {len} is too long for a token; the most is {most}")]
pub struct TooLong {
    /// What.
    pub what: &'static str,
    /// How long it is.
    pub len: usize,
    /// How long it may be.
    pub most: usize,
}

pub(super) fn bounded(what: &'static str, len: usize) -> Result<(), TooLong> {
    let most = MAX_TEXT;
    if len > most {
        return Err(TooLong { what, len, most });
    }
    Ok(())
}

/// Why bytes are no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// They end too early.
    #[error("the token is cut off")]
    Truncated,
    /// Something follows the token, or a condition in it.
    #[error("{0} bytes follow the end")]
    Trailing(usize),
    /// They are of a version that this library does not read.
    #[error("version {0} of the format is not supported")]
    Version(u8),
    /// A condition that this library does not know. It is not ignored: it was
    /// put there to forbid something.
    #[error("condition {0} is unknown")]
    Unknown(u8),
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A length is beyond what a token may hold.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).expect("bounded when the token was made");
    out.extend(len.to_be_bytes());
    out.extend(bytes);
}

/// A condition as it is signed and as it travels.
pub(super) fn condition(condition: &Condition) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    let number = |out: &mut Vec<u8>, tag: u8, n: u64| {
        out.push(tag);
        out.extend(n.to_be_bytes());
    };
    let pair = |slot: u32, generation: u32| u64::from(slot) << 32 | u64::from(generation);
    match condition {
        Condition::Own(Caveat::NotBefore(t)) => number(&mut out, 1, t.as_nanos()),
        Condition::Own(Caveat::NotAfter(t)) => number(&mut out, 2, t.as_nanos()),
        Condition::Own(Caveat::InRegion(r)) => number(&mut out, 3, pair(r.slot(), r.generation())),
        Condition::Own(Caveat::InTask(t)) => number(&mut out, 4, pair(t.slot(), t.generation())),
        Condition::Own(Caveat::MaxUses(n)) => number(&mut out, 5, *n),
        Condition::Own(Caveat::Resource(pattern)) => {
            out.push(6);
            out.extend(pattern.as_bytes());
        }
        Condition::Own(Caveat::Rate { uses, window }) => {
            out.push(7);
            out.extend(uses.to_be_bytes());
            let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
            out.extend(window.to_be_bytes());
        }
        Condition::Own(Caveat::Equals { key, value }) => {
            out.push(8);
            text(&mut out, key.as_bytes());
            out.extend(value.as_bytes());
        }
        Condition::Third(third) => {
            out.push(9);
            text(&mut out, third.location.as_bytes());
            out.extend(third.sealed);
            out.extend(&third.id);
        }
    }
    out
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(Malformed::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[b]| b)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Bytes behind their length, which is at most `most`.
    fn text(&mut self, what: &'static str, most: usize) -> Result<&'a [u8], Malformed> {
        let len = usize::from(self.array().map(u16::from_be_bytes)?);
        if len > most {
            return Err(TooLong { what, len, most }.into());
        }
        self.take(len)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn end(&self) -> Result<(), Malformed> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(Malformed::Trailing(left)),
        }
    }
}

fn string(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed::Text)
}

fn read_condition(bytes: &[u8]) -> Result<Condition, Malformed> {
    let mut from = Reader(bytes);
    let tag = from.byte()?;
    let condition = match tag {
        1 => Condition::Own(Caveat::NotBefore(Time::from_nanos(from.u64()?))),
        2 => Condition::Own(Caveat::NotAfter(Time::from_nanos(from.u64()?))),
        3 => Condition::Own(Caveat::InRegion(RegionId::new(from.u32()?, from.u32()?))),
        4 => Condition::Own(Caveat::InTask(TaskId::new(from.u32()?, from.u32()?))),
        5 => Condition::Own(Caveat::MaxUses(from.u64()?)),
        6 => Condition::Own(Caveat::Resource(string(from.rest())?)),
        7 => Condition::Own(Caveat::Rate {
            uses: from.u32()?,
            window: Duration::from_nanos(from.u64()?),
        }),
        8 => Condition::Own(Caveat::Equals {
            key: string(from.text("a key", MAX_TEXT)?)?,
            value: string(from.rest())?,
        }),
        9 => Condition::Third(ThirdParty {
            location: string(from.text("a location", MAX_TEXT)?)?,
            sealed: from.array()?,
            id: from.rest().to_vec(),
        }),
        tag => return Err(Malformed::Unknown(tag)),
    };
    from.end()?;
    condition.bounded()?;
    Ok(condition)
}

impl Macaroon {
    /// The binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        text(&mut out, &self.id);
        text(&mut out, self.location.as_bytes());
        out.push(u8::try_from(self.conditions.len()).expect("at most MAX_CAVEATS"));
        for c in &self.conditions {
            text(&mut out, &condition(c));
        }
        out.extend(self.signature.0);
        out
    }

    /// The token of these bytes. It may still be forged: only [`Macaroon::verify`] tells.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        match from.byte()? {
            VERSION => {}
            other => return Err(Malformed::Version(other)),
        }
        let id = from.text("an identifier", MAX_TEXT)?.to_vec();
        let location = string(from.text("a location", MAX_TEXT)?)?;
        let count = usize::from(from.byte()?);
        if count > MAX_CAVEATS {
            return Err(Malformed::TooLong(TooLong {
                what: "a list of caveats",
                len: count,
                most: MAX_CAVEATS,
            }));
        }
        let conditions = (0..count)
            .map(|_| read_condition(from.text("a caveat", MAX_CONDITION)?))
            .collect::<Result<_, _>>()?;
        let signature = Signature(from.array()?);
        from.end()?;
        Ok(Macaroon {
            id,
            location,
            conditions,
            signature,
        })
    }
}

impl Discharge {
    /// The binary form, which is that of a token.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// The discharge of these bytes.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        Macaroon::from_bytes(bytes).map(Discharge)
    }
}
