//! The one grammar of durations: Go's notation and days, `1.5s`, `1h30m`, `250ms`, `2d`.

use std::time::Duration;

/// The unit of a number that names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BareUnit {
    Seconds,
    Milliseconds,
}

impl BareUnit {
    fn nanos(self) -> f64 {
        match self {
            Self::Seconds => 1e9,
            Self::Milliseconds => 1e6,
        }
    }
}

/// A duration of at most 285 years; `None` for what is none, a negative one included.
pub(crate) fn duration(text: &str, bare: BareUnit) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        return nanos(number, bare.nanos()).map(Duration::from_nanos);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_end);
        total = total.checked_add(nanos(number.parse().ok()?, unit_nanos(unit)?)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(Duration::from_nanos(total))
}

fn unit_nanos(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3_600e9,
        "d" => 86_400e9,
        _ => return None,
    })
}

fn nanos(number: f64, unit: f64) -> Option<u64> {
    let value = number * unit;
    (value.is_finite() && (0.0..9e18).contains(&value)).then_some(value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them_and_a_bare_number_has_the_settings_unit() {
        let nanos = |text| duration(text, BareUnit::Milliseconds).map(|d| d.as_nanos());
        assert_eq!(nanos("1.5s"), Some(1_500_000_000));
        assert_eq!(nanos("1h30m"), Some(5_400_000_000_000));
        assert_eq!(nanos("2d"), Some(172_800_000_000_000));
        assert_eq!(nanos("250"), Some(250_000_000));
        assert_eq!(nanos("7µs"), Some(7_000));
        assert_eq!(duration("0.25", BareUnit::Seconds), Some(Duration::from_millis(250)));
        for wrong in ["", "s", "1x", "-1s", "-1", "1s2", "nan", "inf", "1e300", "99999999999h", "10 s", "5ä"]
        {
            assert_eq!(nanos(wrong), None, "{wrong}");
        }
    }
}
