//! The chain: HMAC-SHA-256 and nothing else.
//!
//! One link keys four uses. They are told apart by the first byte of the
//! message: a caveat's binary form begins with its tag, from 1 to 127, and the
//! others with the constants below. So knowing the outcome of one use says
//! nothing about another.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;

/// Before a third party's identifier: seals the key of its caveat.
const SEAL: u8 = 0;
/// Before a discharge's last link: binds it to a token.
const BIND: u8 = 0xff;
/// Alone: names a link to a counter, without giving it away.
const COUNT: u8 = 0xfe;

/// What tokens are minted and verified with: 32 secret bytes.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of these bytes, which have to come from a cryptographic source.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Key(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A link of a chain. There is no `==`: the only comparison takes the same time
/// for all values.
#[derive(Clone)]
pub(super) struct Signature(pub(super) [u8; 32]);

impl Signature {
    pub(super) fn matches(&self, o: &Signature) -> bool {
        self.0.ct_eq(&o.0).into()
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// The link of an identifier.
pub(super) fn first(key: &Key, id: &[u8]) -> Signature {
    Signature(hmac(&key.0, &[id]))
}

/// The link of a caveat, given as its binary form.
pub(super) fn next(link: &Signature, condition: &[u8]) -> Signature {
    Signature(hmac(&link.0, &[condition]))
}

/// A discharge's link as it travels with the token that ends in `token`.
pub(super) fn bind(token: &Signature, discharge: &Signature) -> Signature {
    Signature(hmac(&token.0, &[&[BIND], &discharge.0]))
}

/// The name of a link that a counter keeps.
pub(super) fn name(link: &Signature) -> [u8; 32] {
    hmac(&link.0, &[&[COUNT]])
}

/// Hides the key of a third party's caveat from who does not know the link
/// before it: a one-time pad from that link and the caveat's identifier.
pub(super) fn seal(link: &Signature, id: &[u8], key: &Key) -> [u8; 32] {
    let pad = hmac(&link.0, &[&[SEAL], id]);
    std::array::from_fn(|i| pad[i] ^ key.0[i])
}

/// The inverse of [`seal`].
pub(super) fn unseal(link: &Signature, id: &[u8], sealed: &[u8; 32]) -> Key {
    Key(seal(link, id, &Key(*sealed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn hmac_gives_the_vectors_of_rfc_4231() {
        let long = [0xaa; 131];
        let counting: Vec<u8> = (1..=25).collect();
        let cases: [(&[u8], &[u8], &str); 7] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &counting,
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
            // The RFC truncates this one to 128 bits.
            (
                &[0x0c; 20],
                b"Test With Truncation",
                "a3b6167473100ee06e0c796c2955552b",
            ),
            (
                &long,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &long,
                b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, data, expected) in cases {
            let expected = bytes(expected);
            assert_eq!(hmac(key, &[data])[..expected.len()], expected);
            // In parts it is the same.
            let (a, b) = data.split_at(data.len() / 2);
            assert_eq!(hmac(key, &[a, b])[..expected.len()], expected);
        }
    }

    #[test]
    fn a_signature_matches_itself_and_none_that_differs_in_a_bit() {
        let s = first(&Key::new([3; 32]), b"id");
        assert!(s.matches(&s.clone()));
        for bit in 0..256 {
            let mut o = s.clone();
            o.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!s.matches(&o), "bit {bit}");
        }
    }

    #[test]
    fn a_sealed_key_opens_with_its_link_and_its_identifier_only() {
        let (link, other) = (Signature([1; 32]), Signature([2; 32]));
        let sealed = seal(&link, b"id", &Key([9; 32]));
        assert_eq!(unseal(&link, b"id", &sealed).0, [9; 32]);
        assert_ne!(unseal(&other, b"id", &sealed).0, [9; 32]);
        assert_ne!(unseal(&link, b"other", &sealed).0, [9; 32]);
        assert_ne!(sealed, [9; 32]);
    }

    #[test]
    fn keys_do_not_show_themselves() {
        assert_eq!(format!("{:?}", Key([77; 32])), "Key(..)");
    }
}
