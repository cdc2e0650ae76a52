//! A seeded generator of 64-bit words: xoshiro256++, its state filled by splitmix64.
//!
//! Both algorithms are by D. Blackman and S. Vigna (<https://prng.di.unimi.it>).
//! Neither is fit for cryptography. Invariants:
//!
//! 1. equal seeds give equal sequences, on every machine and in every version;
//! 2. streams split from one seed under different labels are unrelated.

/// The increment of splitmix64: 2⁶⁴ divided by the golden ratio, made odd.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of splitmix64: a bijection on words whose output bits each depend on all input bits.
pub const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A word that depends on every byte of `bytes` and on their order; the same in every process.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut h = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        h = absorb(h, u64::from_le_bytes(word));
    }
    mix(h)
}

/// One step of [`hash`]: takes a word into a running hash.
pub const fn absorb(h: u64, word: u64) -> u64 {
    mix(h.wrapping_add(GOLDEN_GAMMA) ^ word)
}

/// A generator; see the module.
#[derive(Clone, Debug)]
pub struct Rng {
    s: [u64; 4],
}

impl Rng {
    /// The generator of this seed.
    pub const fn new(seed: u64) -> Self {
        let mut s = [0; 4];
        let mut state = seed;
        let mut i = 0;
        while i < 4 {
            state = state.wrapping_add(GOLDEN_GAMMA);
            s[i] = mix(state);
            i += 1;
        }
        // splitmix64 never yields four zeros in a row, the one state xoshiro cannot leave.
        Rng { s }
    }

    /// The generator of the stream called `label` under `seed`.
    pub fn stream(seed: u64, label: &str) -> Self {
        Rng::new(absorb(hash(label.as_bytes()), seed))
    }

    /// The next 64 bits, uniformly distributed.
    pub const fn next_u64(&mut self) -> u64 {
        let s = &mut self.s;
        let word = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        word
    }

    /// A number below `bound`, by multiply and shift.
    ///
    /// The bias is at most `bound` / 2⁶⁴: far below what any schedule shows.
    ///
    /// # Panics
    /// When `bound` is zero: there is no such number.
    pub const fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "no number is below zero");
        ((self.next_u64() as u128 * bound as u128) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_gives_the_published_sequence() {
        let mut state = 1_234_567_u64;
        let got = std::array::from_fn(|_| {
            state = state.wrapping_add(GOLDEN_GAMMA);
            mix(state)
        });
        let expected: [u64; 5] = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn xoshiro_gives_the_published_sequence() {
        let mut rng = Rng { s: [1, 2, 3, 4] };
        let expected: [u64; 6] = [
            41_943_041,
            58_720_359,
            3_588_806_011_781_223,
            3_591_011_842_654_386,
            9_228_616_714_210_784_205,
            9_973_669_472_204_895_162,
        ];
        assert_eq!(std::array::from_fn(|_| rng.next_u64()), expected);
    }

    #[test]
    fn below_reaches_every_number_about_equally() {
        let mut rng = Rng::new(7);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[rng.below(10) as usize] += 1;
        }
        // Nine standard deviations around 10,000: a correct generator never fails this.
        assert!(
            counts.iter().all(|c| (9_150..10_850).contains(c)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_hash_sees_length_order_and_content() {
        let inputs: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"ab", b"ba", b"abcdefghi"];
        for (i, a) in inputs.iter().enumerate() {
            for b in &inputs[..i] {
                assert_ne!(hash(a), hash(b), "{a:?} {b:?}");
            }
        }
        let mut a = Rng::stream(1, "entropy");
        let mut b = Rng::stream(1, "schedule");
        assert_ne!(a.next_u64(), b.next_u64());
    }
}
