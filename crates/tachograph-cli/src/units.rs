//! Numbers as people read them.
//!
//! Called by all views. What is printed for machines never passes through here.

use std::time::Duration;

/// A count with a comma after each group of three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in the largest decimal unit that leaves at least one whole one.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut size = number as f64;
    let mut unit = "B";
    for larger in UNITS {
        // N.B. 999.95 would be printed as 1000.0.
        if size < 999.95 {
            break;
        }
        size /= 1000.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{number} B")
    } else {
        format!("{size:.1} {unit}")
    }
}

/// Nanoseconds as seconds with milliseconds.
pub fn seconds(ns: i64) -> String {
    format!("{:.3}", ns as f64 / 1e9)
}

/// A span of time in the largest unit that leaves at least one whole one: us, ms or s.
pub fn duration(span: Duration) -> String {
    let us = span.as_micros();
    // N.B. 999.95 ms would be printed as 1000.0.
    match us {
        0..1_000 => format!("{us} us"),
        1_000..999_950 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

/// A part of a whole in percent; nothing of nothing is 0.
pub fn percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    };
    format!("{:.1} %", share * 100.0)
}

/// The singular or the plural with its number.
pub fn many(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits_by_three() {
        let shown = [0, 12, 999, 1000, 123_456, 1_234_567].map(count);
        assert_eq!(shown, ["0", "12", "999", "1,000", "123,456", "1,234,567"]);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn sizes_use_the_largest_unit_with_a_whole_one() {
        let shown = [0, 999, 1000, 65_536, 999_960, 1_234_567_890].map(bytes);
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.0 kB", "65.5 kB", "1.0 MB", "1.2 GB"]
        );
        assert_eq!(bytes(u64::MAX), "18446744.1 TB");
    }

    #[test]
    fn spans_use_the_largest_unit_with_a_whole_one() {
        let shown = [0, 999, 1000, 20_149, 999_949, 999_950, 61_000_000]
            .map(|us| duration(Duration::from_micros(us)));
        assert_eq!(
            shown,
            [
                "0 us", "999 us", "1.0 ms", "20.1 ms", "999.9 ms", "1.0 s", "61.0 s"
            ]
        );
    }

    #[test]
    fn shares_of_nothing_are_no_nan() {
        assert_eq!(percent(0, 0), "0.0 %");
        assert_eq!(percent(1, 3), "33.3 %");
    }
}
