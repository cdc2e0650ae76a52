//! Tokens for capabilities that leave the process: whoever holds one may use it,
//! and anyone may narrow it, but nobody can widen it without the key.
//!
//! Inside a process a narrowed [`Cx`](crate::Cx) is unforgeable already; a token
//! is for what travels: to a remote worker, a browser, a plugin.
//!
//! A token is an identifier and a list of [`Caveat`]s under a chain of
//! HMAC-SHA-256:
//!
//! ```text
//! sig₀ = HMAC(root key, identifier)        sigᵢ = HMAC(sigᵢ₋₁, caveat i in its binary form)
//! ```
//!
//! The token carries the last link only. Adding a caveat needs that link;
//! removing, changing or reordering one needs an earlier link, which cannot be
//! computed from a later one. (A. Birgisson and others, *Macaroons: Cookies with
//! Contextual Caveats for Decentralized Authorization in the Cloud*, NDSS 2014.)
//!
//! What this does not give: revocation, other than by an expiry or a use count;
//! confidentiality, since everyone who holds a token reads its caveats; and
//! protection from theft. Send tokens over encrypted connections.
//!
//! | module | what it is |
//! |---|---|
//! | `caveat` | the conditions, and what they mean |
//! | `codec` | the binary form, bounded in every length |
//! | `counter` | uses and rates, which need memory |
//! | `glob` | patterns of resources |
//! | `mac` | the chain |
//! | `verify` | what a verifier knows, and its judgement |
//!
//! ```
//! use asupersync::cx::macaroon::{Caveat, Context, Counts, Key, Macaroon};
//! use asupersync::Time;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = Key::new([7; 32]);
//! let token = Macaroon::mint(&key, "worker 4", "build farm")?
//!     .attenuate(Caveat::Resource("cache/**".into()))?;
//! // The worker hands a part of it to a step, without asking anybody.
//! let step = token.attenuate(Caveat::NotAfter(Time::from_nanos(1_000)))?;
//!
//! let received = Macaroon::from_bytes(&step.to_bytes())?;
//! let mut counts = Counts::default();
//! let context = Context::new().now(Time::from_nanos(999)).resource("cache/objects/7");
//! received.verify(&key, &context, &mut counts)?;
//! assert!(received.verify(&key, &context.now(Time::from_nanos(1_000)), &mut counts).is_err());
//! # Ok(())
//! # }
//! ```

mod caveat;
mod codec;
mod counter;
mod glob;
mod mac;
mod verify;

pub use caveat::{Caveat, ThirdParty};
pub use codec::{Malformed, TooLong};
pub use counter::{Counts, Quota, QuotaKey, Refused, Stateless, UseCounter};
pub use mac::Key;
pub use verify::{Context, Denied};

use caveat::Condition;
use mac::Signature;
use std::fmt;

/// Caveats of a token; far more than any sensible one has.
pub const MAX_CAVEATS: usize = 64;
/// Bytes of an identifier, of a location, and of any text in a caveat.
pub const MAX_TEXT: usize = 512;

/// A token; see the module.
///
/// Its debug form leaves the signature out: who reads a log must not gain it.
#[derive(Clone)]
pub struct Macaroon {
    id: Vec<u8>,
    location: String,
    conditions: Vec<Condition>,
    signature: Signature,
}

impl Macaroon {
    /// A token without caveats, which allows whatever the holder of `key` lets it.
    ///
    /// `id` says to the holder of the key what it stands for; `location` says to
    /// everyone else where it is good, and is a hint that nothing protects.
    ///
    /// # Errors
    /// [`TooLong`] beyond [`MAX_TEXT`] bytes.
    pub fn mint(
        key: &Key,
        id: impl AsRef<[u8]>,
        location: impl Into<String>,
    ) -> Result<Self, TooLong> {
        let (id, location) = (id.as_ref().to_vec(), location.into());
        codec::bounded("an identifier", id.len())?;
        codec::bounded("a location", location.len())?;
        let signature = mac::first(key, &id);
        Ok(Macaroon {
            id,
            location,
            conditions: Vec::new(),
            signature,
        })
    }

    /// The token with one more condition. Needs no key.
    ///
    /// # Errors
    /// [`TooLong`] beyond [`MAX_CAVEATS`] caveats or [`MAX_TEXT`] bytes of text.
    pub fn attenuate(&self, caveat: Caveat) -> Result<Self, TooLong> {
        self.with(Condition::Own(caveat))
    }

    /// The token with the condition that somebody else consents: whoever knows
    /// `key` says so by a discharge, a token minted with that key and this `id`.
    ///
    /// `key` is fresh for this caveat, and made known to the third party over
    /// another way, together with what `id` asks of it. `location` tells the
    /// holder where to ask.
    ///
    /// # Errors
    /// As [`Macaroon::attenuate`].
    pub fn attenuate_third_party(
        &self,
        key: &Key,
        id: impl AsRef<[u8]>,
        location: impl Into<String>,
    ) -> Result<Self, TooLong> {
        let id = id.as_ref().to_vec();
        let sealed = mac::seal(&self.signature, &id, key);
        self.with(Condition::Third(ThirdParty {
            location: location.into(),
            sealed,
            id,
        }))
    }

    fn with(&self, condition: Condition) -> Result<Self, TooLong> {
        if self.conditions.len() >= MAX_CAVEATS {
            return Err(TooLong {
                what: "a list of caveats",
                len: self.conditions.len() + 1,
                most: MAX_CAVEATS,
            });
        }
        condition.bounded()?;
        let mut token = self.clone();
        token.signature = mac::next(&self.signature, &codec::condition(&condition));
        token.conditions.push(condition);
        Ok(token)
    }

    /// Ties a discharge to this token, so that it is of use with no other.
    ///
    /// Bind to the token as it will be sent: a caveat that is added later unties it.
    pub fn bind(&self, discharge: Macaroon) -> Discharge {
        let signature = mac::bind(&self.signature, &discharge.signature);
        Discharge(Macaroon {
            signature,
            ..discharge
        })
    }

    /// What it stands for, to the holder of the key.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// Where it is good, as its minter said.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Its own caveats, in the order they were added.
    pub fn caveats(&self) -> impl Iterator<Item = &Caveat> {
        self.conditions.iter().filter_map(|c| match c {
            Condition::Own(caveat) => Some(caveat),
            Condition::Third(_) => None,
        })
    }

    /// Whose consent it needs, in the order it was asked for.
    pub fn third_parties(&self) -> impl Iterator<Item = &ThirdParty> {
        self.conditions.iter().filter_map(|c| match c {
            Condition::Own(_) => None,
            Condition::Third(third) => Some(third),
        })
    }
}

impl fmt::Debug for Macaroon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Macaroon")
            .field("id", &String::from_utf8_lossy(&self.id))
            .field("location", &self.location)
            .field("conditions", &self.conditions)
            .finish_non_exhaustive()
    }
}

/// A third party's consent, bound to the token that it was given for.
///
/// ```
/// use asupersync::cx::macaroon::{Context, Counts, Key, Macaroon};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (root, shared) = (Key::new([1; 32]), Key::new([2; 32]));
/// let token = Macaroon::mint(&root, "account 7", "bank")?
///     .attenuate_third_party(&shared, "is it Ann?", "login")?;
/// // The login service, which knows the shared key and what the question means:
/// let consent = Macaroon::mint(&shared, "is it Ann?", "login")?;
///
/// let context = Context::new().discharge(token.bind(consent));
/// token.verify(&root, &context, &mut Counts::default())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Discharge(Macaroon);

impl Discharge {
    /// What it consents to.
    pub fn id(&self) -> &[u8] {
        &self.0.id
    }
}
