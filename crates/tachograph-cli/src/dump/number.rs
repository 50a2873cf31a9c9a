//! Numbers and texts appended to lines, without anything in between.
//!
//! Called by all forms of `dump`.

/// Appends a signed number.
#[inline]
pub fn signed(number: i64, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(digit @ 0..10) => out.push(b'0' + digit),
        _ => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
    }
}

/// Appends an unsigned number.
#[inline]
pub fn unsigned(number: u64, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(digit @ 0..10) => out.push(b'0' + digit),
        _ => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
    }
}

/// Appends a number in base 16, lower case, without a mark.
pub fn hex(number: u64, out: &mut Vec<u8>) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|place| {
        let digit = (number >> (4 * place)) as u8 & 0xf;
        if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        }
    }));
}

/// Appends a number with at least so many digits.
pub fn padded(number: u64, digits: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number).as_bytes();
    out.extend(std::iter::repeat_n(b'0', digits.saturating_sub(text.len())));
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_every_length() {
        for number in [0, 9, 10, -1, i64::MIN, i64::MAX] {
            assert_eq!(text(|out| signed(number, out)), number.to_string());
        }
        for number in [0, 9, 15, 16, 0x40_1000, u64::MAX] {
            assert_eq!(text(|out| unsigned(number, out)), number.to_string());
            assert_eq!(text(|out| hex(number, out)), format!("{number:x}"));
            assert_eq!(text(|out| padded(number, 4, out)), format!("{number:04}"));
        }
    }
}
