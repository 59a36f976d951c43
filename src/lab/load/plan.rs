//! Plans: phases, one a line, `NAME TIME RATE [MIX]`.

use std::time::Duration;

use clap::ValueEnum as _;

use crate::config::{MAX_RPS, Mix, length};

/// The most phases of a plan, and the longest it may be.
const MAX_PHASES: usize = 100;
const LONGEST: Duration = Duration::from_secs(86_400);

/// What `--plan default` runs: 75 seconds in which every graph moves.
pub(super) const DEFAULT: &str = "\
ramp      10s  1..20
steady    20s  20
errors    10s  10     errors
spike      5s  80     checkout
chaos     15s  5~60
recovery  15s  20..5
";

/// One stretch of a plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phase {
    /// As the report calls it.
    pub(super) name: String,
    /// How long it takes.
    pub(super) length: Duration,
    /// Requests a second.
    pub(super) rate: Rate,
    /// What is asked.
    pub(super) mix: Mix,
}

/// Requests a second over a phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    /// From the first to the second number in a straight line.
    Line(f64, f64),
    /// Every second another number between the two, drawn from the seed.
    Between(f64, f64),
}

/// Reads a plan; a phase that names no mix has `mix`.
///
/// # Errors
/// What is wrong, with the number of the line.
pub(super) fn parse(text: &str, mix: Mix) -> Result<Vec<Phase>, String> {
    let mut phases = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            phases.push(phase(line, mix).map_err(|error| format!("line {number}: {error}"))?);
        }
        if phases.len() > MAX_PHASES {
            return Err(format!("line {number}: more than {MAX_PHASES} phases"));
        }
    }
    if phases.is_empty() {
        return Err("no phases: expected lines of NAME TIME RATE [MIX]".to_owned());
    }
    if phases.iter().map(|p| p.length).sum::<Duration>() > LONGEST {
        return Err("the phases together are longer than 24h".to_owned());
    }
    Ok(phases)
}

/// The name of the phase at a time; of the last one afterwards.
pub(super) fn phase_at(phases: &[Phase], mut elapsed: Duration) -> &str {
    for phase in phases {
        match elapsed.checked_sub(phase.length) {
            Some(left) => elapsed = left,
            None => return &phase.name,
        }
    }
    phases.last().map_or("", |phase| &phase.name)
}

fn phase(line: &str, mix: Mix) -> Result<Phase, String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (name, time, rate, mix) = match words[..] {
        [name, time, rate] => (name, time, rate, mix),
        [name, time, rate, mix] => (name, time, rate, read_mix(mix)?),
        _ => return Err(format!("expected NAME TIME RATE [MIX], found {} words", words.len())),
    };
    if name.len() > 20 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Err(format!("'{}' is no name: 1 to 20 letters, digits, - or _", name.escape_debug()));
    }
    let length = length(time).map_err(|error| format!("'{}': {error}", time.escape_debug()))?;
    Ok(Phase { name: name.to_owned(), length, rate: read_rate(rate)?, mix })
}

fn read_rate(text: &str) -> Result<Rate, String> {
    let number = |part: &str| part.parse::<f64>().ok().filter(|n| (0.0..=MAX_RPS).contains(n));
    let rate = if let Some((from, to)) = text.split_once("..") {
        number(from).zip(number(to)).map(|(from, to)| Rate::Line(from, to))
    } else if let Some((low, high)) = text.split_once('~') {
        number(low).zip(number(high)).filter(|(low, high)| low <= high).map(|(l, h)| Rate::Between(l, h))
    } else {
        number(text).map(|n| Rate::Line(n, n))
    };
    rate.ok_or_else(|| {
        let text = text.escape_debug();
        format!(
            "'{text}': expected requests a second, 0 to {MAX_RPS}: 20, 1..20 (a ramp) or 5~60 (at random)"
        )
    })
}

fn read_mix(text: &str) -> Result<Mix, String> {
    Mix::from_str(text, false).map_err(|_| {
        let names: Vec<_> = Mix::value_variants().iter().filter_map(|m| m.to_possible_value()).collect();
        let names: Vec<_> = names.iter().map(clap::builder::PossibleValue::get_name).collect();
        format!("'{}' is no mix: expected one of {}", text.escape_debug(), names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_plan_is_read_line_by_line() {
        let text = "# warm up first\nramp 10s 1..20\n\nwild 2m 5~60 errors # all wrong\npause 1 0\n";
        let phase =
            |name: &str, s, rate, mix| Phase { name: name.into(), length: Duration::from_secs(s), rate, mix };
        let expected = [
            phase("ramp", 10, Rate::Line(1.0, 20.0), Mix::Browse),
            phase("wild", 120, Rate::Between(5.0, 60.0), Mix::Errors),
            phase("pause", 1, Rate::Line(0.0, 0.0), Mix::Browse),
        ];
        assert_eq!(parse(text, Mix::Browse).unwrap(), expected);
        assert_eq!(parse(DEFAULT, Mix::Mixed).unwrap().len(), 6);
    }

    #[test]
    fn a_mistake_in_a_plan_is_named_with_its_line() {
        for (text, expected) in [
            ("", "no phases"),
            ("# nothing\n", "no phases"),
            ("a 1s 1\nb 1s", "line 2: expected NAME TIME RATE [MIX], found 2 words"),
            ("a 1s 1 browse x", "line 1: expected NAME TIME RATE [MIX], found 5 words"),
            ("a 1d 1", "line 1: '1d': expected a time such as 30s"),
            ("a 1s fast", "line 1: 'fast': expected requests a second"),
            ("a 1s 9~5", "line 1: '9~5': expected requests a second"),
            ("a 1s 1..x", "line 1: '1..x': expected requests a second"),
            ("a 1s 30000", "line 1: '30000': expected requests a second, 0 to 20000"),
            ("a 1s -1", "line 1: '-1': expected requests a second"),
            ("a 1s 1 buy", "line 1: 'buy' is no mix: expected one of browse, checkout, mixed, errors"),
            ("ü\u{1b} 1s 1", "line 1: 'ü\\u{1b}' is no name"),
            ("a 23h 1\nb 2h 1", "the phases together are longer than 24h"),
            (&"a 1s 1\n".repeat(101), "line 101: more than 100 phases"),
        ] {
            let error = parse(text, Mix::Mixed).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
