//! Numbers on the wire: unsigned LEB128 of a `u64`, least significant group first.
//!
//! Called by every encoder and decoder here and by the recorder's event path.
//!
//! Longer forms than needed are accepted (the batch length is padded to ten bytes so that it can be filled in
//! later); a tenth byte above 1 or an eleventh byte is an overflow. "None" is `u64::MAX`, there is no sign.

use crate::limits::MAX_VARINT_BYTES;
use std::fmt;

/// Why bytes are not a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum VarintError {
    /// The bytes end within the number.
    Truncated,
    /// The number doesn't fit in 64 bits.
    Overflow,
}

impl fmt::Display for VarintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "number ends early",
            Self::Overflow => "number is over 64 bits",
        })
    }
}

impl std::error::Error for VarintError {}

/// Appends `value` in its shortest form.
#[inline]
pub fn encode(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes `value` into `out` at `at` in its shortest form and returns the position after it, or `None`
/// if the slice ends first (bytes up to its end may then have been overwritten).
#[inline]
pub fn encode_into(mut value: u64, out: &mut [u8], mut at: usize) -> Option<usize> {
    while value >= 0x80 {
        *out.get_mut(at)? = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    *out.get_mut(at)? = value as u8;
    Some(at + 1)
}

/// `value` in exactly ten bytes, for a number that is filled in later.
#[must_use]
pub const fn padded10(mut value: u64) -> [u8; MAX_VARINT_BYTES] {
    let mut bytes = [0x80; MAX_VARINT_BYTES];
    let mut i = 0;
    while i < MAX_VARINT_BYTES - 1 {
        bytes[i] |= value as u8 & 0x7f;
        value >>= 7;
        i += 1;
    }
    bytes[MAX_VARINT_BYTES - 1] = value as u8;
    bytes
}

/// Appends `value` in exactly ten bytes.
pub fn encode_padded10(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&padded10(value));
}

/// Bytes that [`encode`] takes for `value`: 1 to 10.
#[inline]
#[must_use]
pub const fn encoded_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Reads the number at the start of `bytes`: its value and how many bytes it took.
///
/// # Errors
/// [`VarintError::Truncated`] and [`VarintError::Overflow`].
#[inline]
pub fn decode(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    // Most numbers of a trace are ids and deltas of one or two bytes.
    match *bytes {
        [a, ..] if a < 0x80 => Ok((u64::from(a), 1)),
        [a, b, ..] if b < 0x80 => Ok((u64::from(a & 0x7f) | u64::from(b) << 7, 2)),
        _ => decode_long(bytes),
    }
}

/// Reads the number at `at` and moves `at` behind it; `None`, with `at` unmoved, for what [`decode`] has an error for.
///
/// For loops over many numbers: one or two bytes are the rule, and more are taken at once,
/// without a branch on the length, which no processor can guess.
#[inline]
#[must_use]
pub fn decode_at(bytes: &[u8], at: &mut usize) -> Option<u64> {
    match *bytes.get(*at..)? {
        [a, ..] if a < 0x80 => {
            *at += 1;
            Some(u64::from(a))
        }
        [a, b, ..] if b < 0x80 => {
            *at += 2;
            Some(u64::from(a & 0x7f) | u64::from(b) << 7)
        }
        _ => decode_wide(bytes, at),
    }
}

/// The same for numbers of more than two bytes.
#[inline]
fn decode_wide(bytes: &[u8], at: &mut usize) -> Option<u64> {
    const MORE: u64 = 0x8080_8080_8080_8080;
    let rest = bytes.get(*at..)?;
    if let Some(chunk) = rest.first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let ends = !word & MORE;
        if ends != 0 {
            // The bits up to and with the one that ends the number: 8 for each of its bytes.
            let bits = ends.trailing_zeros() + 1;
            let groups = word & (u64::MAX >> (64 - bits)) & !MORE;
            // Groups of 7 bits move together: pairs, then pairs of pairs, then halves.
            let pairs = (groups & 0x007f_007f_007f_007f) | ((groups & 0x7f00_7f00_7f00_7f00) >> 1);
            let fours = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
            let value = (fours & 0x0fff_ffff) | ((fours & 0x0fff_ffff_0000_0000) >> 4);
            *at += (bits / 8) as usize;
            return Some(value);
        }
    }
    let (value, len) = decode(rest).ok()?;
    *at += len;
    Some(value)
}

fn decode_long(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(MAX_VARINT_BYTES).enumerate() {
        if i == MAX_VARINT_BYTES - 1 && byte > 1 {
            return Err(VarintError::Overflow);
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((value, i + 1));
        }
    }
    Err(VarintError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges() -> impl Iterator<Item = u64> {
        (0..64)
            .flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1])
            .chain([u64::MAX - 1, u64::MAX])
    }

    #[test]
    fn round_trips_at_every_power_of_two() {
        for value in edges() {
            let mut bytes = Vec::new();
            encode(value, &mut bytes);
            assert_eq!(bytes.len(), encoded_len(value), "{value}");
            assert_eq!(decode(&bytes), Ok((value, bytes.len())));

            let mut slice = [0; 12];
            assert_eq!(encode_into(value, &mut slice, 1), Some(1 + bytes.len()));
            assert_eq!(slice[1..=bytes.len()], bytes);
            assert_eq!(encode_into(value, &mut slice[..bytes.len() - 1], 0), None);

            assert_eq!(decode(&padded10(value)), Ok((value, 10)));

            for follows in [&[][..], &[0xff; 9], &[0; 9]] {
                let mut at = 1;
                let line = [&[0x80], &bytes[..], follows].concat();
                assert_eq!(decode_at(&line, &mut at), Some(value));
                assert_eq!(at, 1 + bytes.len());
            }
        }
    }

    #[test]
    fn none_is_nine_full_groups_and_a_one() {
        let mut bytes = Vec::new();
        encode(u64::MAX, &mut bytes);
        assert_eq!(
            bytes,
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]
        );
    }

    #[test]
    fn accepts_longer_forms_and_ignores_what_follows() {
        assert_eq!(decode(&[0x80, 0x00]), Ok((0, 2)));
        assert_eq!(decode(&[0x85, 0x80, 0x80, 0x00, 0xff]), Ok((5, 4)));
        assert_eq!(decode(&[0x7f, 0xff]), Ok((127, 1)));
    }

    #[test]
    fn refuses_tenth_byte_above_one_and_eleven_bytes() {
        let mut bytes = [0x80; 11];
        bytes[9] = 2;
        assert_eq!(decode(&bytes), Err(VarintError::Overflow));
        bytes[9] = 0x81;
        bytes[10] = 0;
        assert_eq!(decode(&bytes), Err(VarintError::Overflow));
        bytes[9] = 1;
        assert_eq!(decode(&bytes), Ok((1 << 63, 10)));
    }

    #[test]
    fn refuses_a_number_cut_anywhere() {
        let bytes = padded10(u64::MAX);
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Err(VarintError::Truncated));
            let mut at = 0;
            assert_eq!((decode_at(&bytes[..end], &mut at), at), (None, 0));
        }
    }
}
