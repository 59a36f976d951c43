//! Which traces the console keeps.

use std::fmt;
use std::time::Duration;

use super::{BareUnit, duration};

/// The longest wait, which is also how long the spans of a trace are held.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
const RULES: &str = "the rules are error (a span of the trace failed), slower=DURATION (the trace took longer), \
    ratio=SHARE (0 to 1 of all traces, by their ids) and wait=DURATION (from a trace's first span until it is decided, \
    10m at most; 5s where it is not set), separated by commas; one of the first three has to be there";

/// A trace is kept if any of these holds for it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeepRules {
    /// A span of it has the status ERROR.
    pub error: bool,
    /// From its first start to its last end it took longer.
    pub slower: Option<Duration>,
    /// Its id is among so large a share of all, 0 to 1.
    pub ratio: Option<f64>,
    /// From the arrival of its first span until it is decided.
    pub wait: Duration,
}

/// Reads `error,slower=500ms,ratio=0.1,wait=5s`.
pub(super) fn keep_rules(text: &str) -> Result<KeepRules, String> {
    let wrong = |rule: &str| format!("'{rule}' is no rule: {RULES}");
    let mut rules = KeepRules { error: false, slower: None, ratio: None, wait: Duration::from_secs(5) };
    for rule in text.split(',').map(str::trim).filter(|rule| !rule.is_empty()) {
        let (name, value) =
            rule.split_once('=').map_or((rule, ""), |(name, value)| (name.trim(), value.trim()));
        let read = || duration(value, BareUnit::Milliseconds).ok_or_else(|| wrong(rule));
        match name {
            "error" if rule == "error" => rules.error = true,
            "slower" => rules.slower = Some(read()?),
            "ratio" => {
                let ratio: Option<f64> = value.parse().ok();
                rules.ratio = Some(ratio.filter(|r| (0.0..=1.0).contains(r)).ok_or_else(|| wrong(rule))?);
            }
            "wait" => {
                rules.wait = Some(read()?).filter(|wait| *wait <= LONGEST_WAIT).ok_or_else(|| wrong(rule))?
            }
            _ => return Err(wrong(rule)),
        }
    }
    if !rules.error && rules.slower.is_none() && rules.ratio.is_none() {
        return Err(format!("nothing would be kept: {RULES}"));
    }
    Ok(rules)
}

impl fmt::Display for KeepRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.error {
            f.write_str("error,")?;
        }
        if let Some(slower) = self.slower {
            write!(f, "slower={}ms,", slower.as_secs_f64() * 1e3)?;
        }
        if let Some(ratio) = self.ratio {
            write!(f, "ratio={ratio},")?;
        }
        write!(f, "wait={}ms", self.wait.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_written_and_a_wrong_one_is_answered_with_all_there_are() {
        let rules = keep_rules(" error, slower=1.5s,ratio=0.25 ,wait=250").ok();
        let expected = KeepRules {
            error: true,
            slower: Some(Duration::from_millis(1500)),
            ratio: Some(0.25),
            wait: Duration::from_millis(250),
        };
        assert_eq!(rules.as_ref(), Some(&expected));
        assert_eq!(expected.to_string(), "error,slower=1500ms,ratio=0.25,wait=250ms");
        assert_eq!(keep_rules(&expected.to_string()).ok(), rules);
        assert_eq!(keep_rules("error").map(|rules| rules.wait), Ok(Duration::from_secs(5)));
        for wrong in [
            "",
            "wait=1s",
            "errors",
            "error=1",
            "slower",
            "slower=x",
            "ratio=1.1",
            "ratio=NaN",
            "wait=11m,error",
        ] {
            let said = keep_rules(wrong).err().unwrap_or_default();
            assert!(
                ["error (", "slower=", "ratio=", "wait="].iter().all(|rule| said.contains(rule)),
                "{wrong}: {said}"
            );
        }
    }
}
