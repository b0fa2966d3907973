//! Numbers and names as people read them.

use std::fmt::Write as _;

/// A length of time: two units at most, and no more digits than anybody compares.
pub fn duration(ns: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let two = |seconds: u64, unit: u64, name: &str, smaller: u64, small_name: &str| match seconds % unit
        / smaller
    {
        0 => format!("{} {name}", seconds / unit),
        rest => format!("{} {name} {rest} {small_name}", seconds / unit),
    };
    match ns / 1_000_000_000 {
        0 if ns < 1_000_000 => "less than 1 ms".to_owned(),
        0 => format!("{} ms", ns / 1_000_000),
        seconds @ 1..10 => format!("{seconds}.{} s", ns / 100_000_000 % 10),
        seconds @ 10..MINUTE => format!("{seconds} s"),
        seconds @ MINUTE..HOUR => two(seconds, MINUTE, "min", 1, "s"),
        seconds @ HOUR..DAY => two(seconds, HOUR, "h", MINUTE, "min"),
        seconds => two(seconds, DAY, "d", HOUR, "h"),
    }
}

/// An instant, nanoseconds since 1970, as RFC 3339 writes it, in UTC.
pub fn time(ns: u64) -> String {
    let (days, second) = (ns / 1_000_000_000 / 86400, ns / 1_000_000_000 % 86400);
    // Years that begin on 1 March, so that the odd day is the last one; an era of 400 of them has 146097 days, and the
    // first began 719468 days before 1970.
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // 153 days are five months, from March on.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second, nanos) = (second / 3600, second / 60 % 60, second % 60, ns % 1_000_000_000);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// A number of bytes, in powers of 1024.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() / 10) as usize;
    let scaled = bytes as f64 / (1u64 << (10 * power)) as f64;
    format!("{scaled:.1} {}", UNITS[power - 1])
}

/// `1 permit`, `2 permits`.
pub fn count(number: impl Into<i128>, one: &str) -> String {
    match number.into() {
        1 => format!("1 {one}"),
        number if one.ends_with('s') => format!("{number} {one}es"),
        number => format!("{number} {one}s"),
    }
}

/// The text without what would move the cursor, change colours or reorder what stands beside it. Names and commands come
/// from memory that others write.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmless(character) {
            shown.push(character);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", character.escape_default());
        }
    }
    shown
}

/// Neither a control character nor an invisible one that directs how others are laid out (Unicode's bidirectional and
/// format characters).
fn is_harmless(character: char) -> bool {
    let directs = matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !character.is_control() && !directs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        const S: u64 = 1_000_000_000;
        let expected = [
            (0, "less than 1 ms"),
            (999_999, "less than 1 ms"),
            (1_000_000, "1 ms"),
            (S - 1, "999 ms"),
            (S, "1.0 s"),
            (9 * S + 990_000_000, "9.9 s"),
            (59 * S + 900_000_000, "59 s"),
            (60 * S, "1 min"),
            (61 * S, "1 min 1 s"),
            (3599 * S, "59 min 59 s"),
            (3600 * S, "1 h"),
            (2 * 3600 * S + 61 * S, "2 h 1 min"),
            (86400 * S, "1 d"),
            (9 * 86400 * S + 7200 * S, "9 d 2 h"),
        ];
        for (ns, text) in expected {
            assert_eq!(duration(ns), text);
        }
        assert!(duration(u64::MAX).ends_with(" h"));
    }

    #[test]
    fn instants() {
        let expected = [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (951_868_799, "2000-02-29T23:59:59.000000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000000Z"),
        ];
        for (second, text) in expected {
            assert_eq!(time(second * 1_000_000_000), text);
        }
        assert_eq!(time(1_000_000_001), "1970-01-01T00:00:01.000000001Z");
        assert!(time(u64::MAX).starts_with("2554-"));
    }

    #[test]
    fn sizes_and_counts() {
        let sizes = [0, 1023, 1024, 1536, 1 << 20, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "16.0 EiB"]);
        assert_eq!(
            [count(0, "death"), count(1, "death"), count(2, "process")],
            ["0 deaths", "1 death", "2 processes"]
        );
    }

    #[test]
    fn what_could_change_the_screen_is_shown_instead() {
        assert_eq!(printable("worker-7 ü 漢"), "worker-7 ü 漢");
        assert_eq!(printable("a\x1b[2Jb\u{9b}c\u{202e}d\n"), r"a\u{1b}[2Jb\u{9b}c\u{202e}d\n");
    }
}
