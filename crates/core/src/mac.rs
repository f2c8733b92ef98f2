//! SipHash with 128 bits of output: the keyed function behind tags, fingerprints and tables.
//!
//! `SipHash<2, 4>`, the authors' conservative choice, signs; `SipHash<1, 3>`, their fast one, places
//! names in tables, where all that counts is that nobody can choose names that collide.
//!
//! A pseudo-random function for short inputs under a 128-bit key (Aumasson and Bernstein,
//! INDOCRYPT 2012). Written out here because the core has no dependency to take it from; checked
//! against the authors' vectors and a second implementation.

/// A 128-bit key.
#[derive(Clone, Copy)]
pub struct Key(pub [u8; 16]);

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The function that signs.
pub(crate) type Signature = SipHash<2, 4>;

/// The function that places names in tables.
pub(crate) type Placing = SipHash<1, 3>;

/// The state of one computation: feed it parts, then finish.
///
/// Parts are simply joined; a caller whose parts vary in length writes the lengths too.
#[derive(Debug, Clone)]
pub(crate) struct SipHash<const C: u8, const D: u8> {
    v: [u64; 4],
    /// Bytes that do not fill a word yet, lowest first.
    tail: u64,
    len: u64,
}

impl<const C: u8, const D: u8> SipHash<C, D> {
    pub(crate) const fn new(key: &Key) -> Self {
        let (low, high) = halves(&key.0);
        let v = [
            low ^ 0x736f_6d65_7073_6575,
            // 0xee marks the variant with 128 bits of output.
            high ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            low ^ 0x6c79_6765_6e65_7261,
            high ^ 0x7465_6462_7974_6573,
        ];
        Self { v, tail: 0, len: 0 }
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        if !self.is_at_a_word() {
            bytes.iter().for_each(|byte| self.byte(*byte));
            return self;
        }
        let (words, rest) = bytes.as_chunks::<8>();
        self.v = words.iter().fold(self.v, |v, word| absorb::<C>(v, u64::from_le_bytes(*word)));
        self.tail = tail(bytes, rest);
        self.len = self.len.wrapping_add(u64::try_from(bytes.len()).unwrap_or(0));
        self
    }

    pub(crate) fn u64(mut self, number: u64) -> Self {
        if !self.is_at_a_word() {
            return self.bytes(&number.to_le_bytes());
        }
        self.v = absorb::<C>(self.v, number);
        self.len = self.len.wrapping_add(8);
        self
    }

    pub(crate) fn finish(mut self) -> [u8; 16] {
        let low = self.finish_low();
        self.v[1] ^= 0xdd;
        let high = self.output();
        let mut out = [0; 16];
        let (low_half, high_half) = out.split_at_mut(8);
        low_half.copy_from_slice(&low.to_le_bytes());
        high_half.copy_from_slice(&high.to_le_bytes());
        out
    }

    /// The first 64 bits of the output, for tables.
    pub(crate) fn finish_half(mut self) -> u64 {
        self.finish_low()
    }

    fn finish_low(&mut self) -> u64 {
        self.v = absorb::<C>(self.v, self.tail | self.len.wrapping_shl(56));
        self.v[2] ^= 0xee;
        self.output()
    }

    const fn is_at_a_word(&self) -> bool {
        self.len & 7 == 0
    }

    fn byte(&mut self, byte: u8) {
        let position = self.len & 7;
        let shift = u32::try_from(position.wrapping_mul(8)).unwrap_or(0);
        self.tail |= u64::from(byte).wrapping_shl(shift);
        self.len = self.len.wrapping_add(1);
        if position == 7 {
            self.v = absorb::<C>(self.v, self.tail);
            self.tail = 0;
        }
    }

    fn output(&mut self) -> u64 {
        self.v = rounds::<D>(self.v);
        self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3]
    }
}

/// The bytes of `rest`, the end of `all`, as the low bytes of a word.
fn tail(all: &[u8], rest: &[u8]) -> u64 {
    let bits = rest.len().wrapping_mul(8);
    match all.last_chunk::<8>() {
        // One read instead of seven: the bytes before `rest` are shifted out.
        Some(last) if bits > 0 => {
            let before = u32::try_from(64_usize.wrapping_sub(bits)).unwrap_or(0);
            u64::from_le_bytes(*last).wrapping_shr(before)
        }
        Some(_) => 0,
        None => rest.iter().rev().fold(0, |word, byte| word.wrapping_shl(8) | u64::from(*byte)),
    }
}

/// Takes one word of the message in. The state is a value, so that it stays in registers.
#[inline]
fn absorb<const C: u8>(mut v: [u64; 4], word: u64) -> [u64; 4] {
    v[3] ^= word;
    v = rounds::<C>(v);
    v[0] ^= word;
    v
}

#[inline]
fn rounds<const N: u8>(v: [u64; 4]) -> [u64; 4] {
    (0..N).fold(v, |v, _| round(v))
}

#[inline]
fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    [a, b, c, d]
}

/// The two little-endian words of 16 bytes.
const fn halves(bytes: &[u8; 16]) -> (u64, u64) {
    let all = u128::from_le_bytes(*bytes);
    #[expect(clippy::as_conversions, reason = "the low and the high half; TryFrom is not const")]
    (all as u64, (all >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hash::Hasher;
    use siphasher::sip128::{Hasher128, SipHasher13, SipHasher24};

    fn counting(len: u8) -> alloc::vec::Vec<u8> {
        (0..len).collect()
    }

    #[test]
    fn agrees_with_the_authors_vector_for_the_empty_message() {
        let key = Key(core::array::from_fn(|i| i as u8));
        let expected = 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293_u128.to_be_bytes();
        assert_eq!(Signature::new(&key).finish(), expected);
    }

    #[test]
    fn agrees_with_a_second_implementation_however_the_input_is_cut() {
        let key = Key(core::array::from_fn(|i| (i as u8).wrapping_mul(37)));
        for len in 0..64 {
            let message = counting(len);
            let mut signed = SipHasher24::new_with_key(&key.0);
            signed.write(&message);
            let mut placed = SipHasher13::new_with_key(&key.0);
            placed.write(&message);
            let (signed, placed) = (signed.finish128().as_bytes(), placed.finish128());
            for cut in 0..=message.len() {
                let (a, b) = message.split_at(cut);
                assert_eq!(Signature::new(&key).bytes(a).bytes(b).finish(), signed);
                assert_eq!(Placing::new(&key).bytes(a).bytes(b).finish_half(), placed.h1);
            }
        }
    }
}
