//! Wall times as Go prints them: RFC 3339 in the time zone of the reader.
//!
//! Owns the choice of the zone, by Go's rules: the variable `TZ` names a zone of the system's database or a file; empty is UTC, and so is
//! what can't be found; unset is the system's own.

use super::number::padded;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where the system keeps its own zone.
const SYSTEM_ZONE: &str = "/etc/localtime";
const DAY_S: i64 = 86_400;

/// Prints times of one zone.
#[derive(Clone, Debug)]
pub struct Wall {
    zone: TimeZone,
}

impl Wall {
    /// The zone that the environment says.
    pub fn local() -> Self {
        let zone = match std::env::var("TZ") {
            Err(_) => of_file(SYSTEM_ZONE),
            Ok(name) => Self::named(name.strip_prefix(':').unwrap_or(&name)).map(|wall| wall.zone),
        };
        Self {
            zone: zone.unwrap_or(TimeZone::UTC),
        }
    }

    fn named(name: &str) -> Option<Self> {
        let zone = match name {
            "" | "UTC" => Some(TimeZone::UTC),
            path if path.starts_with('/') => of_file(path),
            name => TimeZone::get(name).ok(),
        };
        zone.map(|zone| Self { zone })
    }

    /// Appends a time: seconds since 1970 and nanoseconds, which may be more than a second or, as Go takes them, less than nothing.
    pub fn write(&self, sec: i64, nsec: i64, out: &mut Vec<u8>) {
        const BILLION: i64 = 1_000_000_000;
        let sec = sec.wrapping_add(nsec.div_euclid(BILLION));
        let nsec = nsec.rem_euclid(BILLION) as u64;
        // Beyond the years of the calendar there are no zones.
        let offset = Timestamp::from_second(sec).map_or(0, |at| self.zone.to_offset(at).seconds());
        write_civil(sec.wrapping_add(i64::from(offset)), out);
        write_fraction(nsec, out);
        write_offset(offset, out);
    }
}

fn of_file(path: &str) -> Option<TimeZone> {
    let data = std::fs::read(path).ok()?;
    TimeZone::tzif(path, &data).ok()
}

fn write_civil(local: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(local.div_euclid(DAY_S));
    let second = local.rem_euclid(DAY_S) as u64;
    if year < 0 {
        out.push(b'-');
    }
    padded(year.unsigned_abs(), 4, out);
    for (mark, number) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(mark);
        padded(number, 2, out);
    }
}

/// Year, month and day of the day with this number from 1970-01-01: eras of 400 years, which begin on a 1 March.
fn civil(days: i64) -> (i64, u64, u64) {
    const ERA_DAYS: i64 = 146_097;
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(ERA_DAYS);
    let of_era = days.rem_euclid(ERA_DAYS);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month as u64, day as u64)
}

fn write_fraction(nsec: u64, out: &mut Vec<u8>) {
    if nsec == 0 {
        return;
    }
    out.push(b'.');
    padded(nsec, 9, out);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

fn write_offset(seconds: i32, out: &mut Vec<u8>) {
    // Zones had odd seconds once; they are dropped.
    let minutes = seconds / 60;
    if seconds == 0 {
        out.push(b'Z');
        return;
    }
    out.push(if minutes < 0 { b'-' } else { b'+' });
    let minutes = u64::from(minutes.unsigned_abs());
    padded(minutes / 60, 2, out);
    out.push(b':');
    padded(minutes % 60, 2, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(zone: TimeZone, sec: i64, nsec: i64) -> String {
        let mut out = Vec::new();
        Wall { zone }.write(sec, nsec, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn says_days_of_all_centuries() {
        let utc = |sec| text(TimeZone::UTC, sec, 0);
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(-2_203_891_201), "1900-02-28T23:59:59Z");
        assert_eq!(utc(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(utc(-62_135_596_800), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn drops_zeros_of_fractions_and_carries_seconds() {
        let utc = |nsec| text(TimeZone::UTC, 59, nsec);
        assert_eq!(utc(120_000_000), "1970-01-01T00:00:59.12Z");
        assert_eq!(utc(1), "1970-01-01T00:00:59.000000001Z");
        assert_eq!(utc(1_000_000_000), "1970-01-01T00:01:00Z");
        assert_eq!(utc(-1), "1970-01-01T00:00:58.999999999Z");
    }

    #[test]
    fn says_how_far_the_zone_is_from_utc() {
        let zone = |hours, minutes| {
            TimeZone::fixed(jiff::tz::Offset::from_seconds(hours * 3600 + minutes * 60).unwrap())
        };
        assert_eq!(text(zone(5, 30), 0, 0), "1970-01-01T05:30:00+05:30");
        assert_eq!(text(zone(-3, -30), 0, 0), "1969-12-31T20:30:00-03:30");
    }

    #[test]
    fn what_cannot_be_found_is_no_zone() {
        assert!(Wall::named("No/Such").is_none());
        assert!(Wall::named("/no/such/file").is_none());
        assert!(Wall::named("").is_some());
    }
}
