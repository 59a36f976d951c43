//! The time of a line: `2026-01-31T12:34:56.789Z`, or for a person `12:34:56.789`.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// The current second, written out.
struct Second {
    second: i64,
    text: String,
}

thread_local! {
    static SECOND: RefCell<Second> = const { RefCell::new(Second { second: i64::MIN, text: String::new() }) };
}

/// Appends date and time in UTC, to the millisecond.
pub(super) fn date_and_time(to: &mut String) {
    let (second, millis) = now();
    written(second, |text| to.push_str(text));
    push_millis(to, millis);
    to.push('Z');
}

/// Appends the time of day in UTC, to the millisecond.
pub(super) fn time_of_day(to: &mut String) {
    let (second, millis) = now();
    written(second, |text| to.push_str(text.split_once('T').map_or(text, |(_, time)| time)));
    push_millis(to, millis);
}

fn now() -> (i64, u32) {
    // A clock before 1970 is not set at all.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_millis())
}

fn written(second: i64, f: impl FnOnce(&str)) {
    SECOND.with(|known| {
        let mut known = known.borrow_mut();
        if known.second != second {
            let time = jiff::Timestamp::from_second(second).unwrap_or_default();
            *known = Second { second, text: time.to_string().trim_end_matches('Z').to_owned() };
        }
        f(&known.text);
    });
}

fn push_millis(to: &mut String, millis: u32) {
    to.push('.');
    for place in [100, 10, 1] {
        to.push(char::from_digit(millis / place % 10, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_is_written_out_again_when_it_has_passed() {
        let text = |second| {
            let mut to = String::new();
            written(second, |text| to.push_str(text));
            push_millis(&mut to, 7);
            to
        };
        assert_eq!(text(0), "1970-01-01T00:00:00.007");
        assert_eq!(text(1_700_000_000), "2023-11-14T22:13:20.007");
        assert_eq!(text(1_700_000_001), "2023-11-14T22:13:21.007");
    }

    #[test]
    fn the_time_of_day_is_the_end_of_the_whole() {
        let (mut whole, mut day) = (String::new(), String::new());
        date_and_time(&mut whole);
        time_of_day(&mut day);
        assert_eq!((whole.len(), day.len(), &day[2..3]), (24, 12, ":"));
        assert!(whole.parse::<jiff::Timestamp>().is_ok());
    }
}
