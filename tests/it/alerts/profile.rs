//! The lab profile is production on a clock that runs twelve times as fast: an hour is five minutes.
//!
//! Every duration in a rule file is divided: windows, `for`, intervals, and what descriptions and
//! comments say. A duration is a number with its unit directly after it, as Prometheus writes one
//! (`5m`, `1d`), and not part of a name (`ratio_rate5m`), so that dashboards find the same names in
//! both profiles. What is not of the clock is written with a space (`0.5 s`) and stays.
//!
//! Ratios and counts do not depend on the clock, so the promtool cases are derived in the same way.

use std::path::Path;

use crate::helpers::rules::{files, root};

/// How many times as fast as the world the lab's clock runs.
const FASTER: u64 = 12;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// `text` with every duration divided.
pub fn faster(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let inside = out.chars().last().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
        let taken = match duration(rest) {
            Some((length, seconds)) if !inside => {
                assert_eq!(seconds % FASTER, 0, "{} has no whole seconds in the lab", &rest[..length]);
                out += &spell(seconds / FASTER);
                length
            }
            _ => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

/// The duration at the start of `text`: its length in bytes and in seconds.
fn duration(text: &str) -> Option<(usize, u64)> {
    let (mut at, mut seconds) = (0, 0);
    loop {
        let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            break;
        }
        let number: u64 = text[at..at + digits].parse().ok()?;
        let unit = text[at + digits..].chars().next()?;
        seconds += number * UNITS.iter().find(|(name, _)| *name == unit)?.1;
        at += digits + 1;
    }
    let whole = !text[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (at > 0 && whole).then_some((at, seconds))
}

/// A duration as Prometheus writes it.
fn spell(mut seconds: u64) -> String {
    let mut out = String::new();
    for (unit, length) in UNITS {
        if seconds >= length {
            out += &format!("{}{unit}", seconds / length);
            seconds %= length;
        }
    }
    out
}

fn lab_of(production: &Path) -> String {
    let name = production.file_name().unwrap().to_string_lossy();
    let text = std::fs::read_to_string(production).unwrap();
    format!(
        "# Derived from ../production/{name}, on a clock {FASTER} times as fast. Not to be edited:\n\
         # UPDATE_ALERTS=1 cargo test --test it alerts\n\n{}",
        faster(&text)
    )
}

#[test]
fn the_lab_profile_is_the_production_profile_on_a_faster_clock() {
    let lab = root().join("alerts/lab");
    let production = files("alerts/production");
    for file in &production {
        let (derived, target) = (lab_of(file), lab.join(file.file_name().unwrap()));
        if std::env::var_os("UPDATE_ALERTS").is_some() {
            std::fs::write(&target, &derived).unwrap();
        }
        let found = std::fs::read_to_string(&target).unwrap_or_default();
        assert_eq!(found, derived, "{}: UPDATE_ALERTS=1 cargo test --test it alerts", target.display());
    }
    assert_eq!(files("alerts/lab").len(), production.len(), "the lab has a file of its own");
}

#[test]
fn durations_are_divided_and_names_numbers_and_measures_are_not() {
    for (production, lab) in [
        ("rate(x[5m])", "rate(x[25s])"),
        ("for: 1h", "for: 5m"),
        ("over 30d, 3d and 1h6m.", "over 2d12h, 6h and 5m30s."),
        ("slo:sli_error:ratio_rate5m", "slo:sli_error:ratio_rate5m"),
        ("0.75 s, 1.5m, 250ms, 5xx, 14.4, 100e6, 0+3x40", "0.75 s, 1.5m, 250ms, 5xx, 14.4, 100e6, 0+3x40"),
    ] {
        assert_eq!(faster(production), lab);
    }
}

#[test]
#[should_panic(expected = "30s has no whole seconds in the lab")]
fn a_duration_that_the_lab_cannot_have_is_refused() {
    faster("for: 30s");
}
