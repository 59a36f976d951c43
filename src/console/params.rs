//! Query parameters: repeated names, the two spellings of Jaeger's v3, durations, times.

use super::filter::Filter;
use super::ids::{TraceId, parse_trace_id};
use crate::config::BareUnit;

/// The pairs of a query string, in order.
pub(super) type Pairs = actix_web::web::Query<Vec<(String, String)>>;

/// The most trace ids in one question.
pub(super) const MOST_IDS: usize = 500;

/// The pairs by name; an empty value counts as absent.
pub(super) struct Params<'a>(pub(super) &'a [(String, String)]);

impl<'a> Params<'a> {
    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn get(&self, name: &'static str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// `query.` and the name in camel case or with underscores, as Jaeger's v3 takes both.
    pub(super) fn v3(&self, camel: &str) -> Option<&'a str> {
        let wanted = camel.to_ascii_lowercase();
        let same = |key: &str| {
            key.strip_prefix("query.").unwrap_or(key).replace('_', "").eq_ignore_ascii_case(&wanted)
        };
        self.0.iter().find(|(key, value)| same(key) && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// A whole number up to `most`, or the default.
    pub(super) fn limit(&self, name: &'static str, default: usize, most: usize) -> Result<usize, String> {
        self.get(name).map_or(Ok(default), |text| whole(name, text)).map(|n| n.min(most))
    }

    pub(super) fn trace_id(&self, name: &'static str) -> Result<Option<TraceId>, String> {
        self.get(name)
            .map(|text| parse_trace_id(text).ok_or(format!("'{name}' is not a trace id")))
            .transpose()
    }

    /// Trace ids with commas between them; none where there is no such parameter.
    pub(super) fn trace_ids(&self, name: &'static str) -> Result<Vec<TraceId>, String> {
        let Some(text) = self.get(name) else { return Ok(Vec::new()) };
        let ids: Option<Vec<_>> = text.split(',').take(MOST_IDS + 1).map(parse_trace_id).collect();
        match ids {
            Some(ids) if ids.len() > MOST_IDS => Err(format!("'{name}' has more than {MOST_IDS} trace ids")),
            Some(ids) => Ok(ids),
            None => Err(format!("'{name}' is not a trace id")),
        }
    }

    /// Nanoseconds from a duration such as `1.5s`.
    pub(super) fn duration(&self, name: &'static str) -> Result<Option<u64>, String> {
        let why = || format!("'{name}' is not a duration such as 100ms or 1.5s");
        self.get(name).map(|text| duration(text).ok_or_else(why)).transpose()
    }

    /// One of some words, or nothing.
    pub(super) fn one_of(&self, name: &'static str, words: &[&str]) -> Result<Option<&'a str>, String> {
        let why = || format!("'{name}' is none of {}", words.join(", "));
        self.get(name).map(|text| words.contains(&text).then_some(text).ok_or_else(why)).transpose()
    }

    /// Nanoseconds since the epoch from a duration back from `now` or an RFC 3339 time.
    pub(super) fn instant(&self, name: &'static str, now: u64) -> Result<Option<u64>, String> {
        let read = |text| duration(text).map(|back| now.saturating_sub(back)).or_else(|| rfc3339(text));
        let why = || format!("'{name}' is neither a duration nor a time");
        self.get(name).map(|text| read(text).ok_or_else(why)).transpose()
    }

    /// Nanoseconds since the epoch from microseconds since the epoch.
    pub(super) fn micros(&self, name: &'static str) -> Result<Option<u64>, String> {
        let nanos = |text| whole::<u64>(name, text).map(|us| us.saturating_mul(1_000));
        self.get(name).map(nanos).transpose()
    }

    /// The time asked for, from and until, in nanoseconds since the epoch: `start` and `end`, or `lookback` from now.
    pub(super) fn times(&self) -> Result<(u64, u64), String> {
        let ago = |text| named("lookback", duration(text)).map(|span| now().saturating_sub(span));
        let lookback = self.get("lookback").filter(|text| *text != "custom").map(ago).transpose()?;
        let from = self.micros("start")?.or(lookback).unwrap_or(0);
        Ok((from, self.micros("end")?.unwrap_or(u64::MAX)))
    }

    /// `text`, as the query language has it.
    pub(super) fn filter(&self) -> Result<Filter, String> {
        Filter::read(self.get("text").unwrap_or_default()).map_err(|error| error.to_string())
    }
}

/// A number that is part of a query.
pub(super) fn whole<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{name}' is not a whole number from 0 on"))
}

/// Says which parameter it was.
pub(super) fn named<T>(name: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("'{name}' is not understood"))
}

/// Nanoseconds from a duration in Go's notation, or days; a bare number is milliseconds.
pub(super) fn duration(text: &str) -> Option<u64> {
    let read = crate::config::duration(text, BareUnit::Milliseconds)?;
    u64::try_from(read.as_nanos()).ok()
}

/// Nanoseconds since the epoch from an RFC 3339 time.
pub(super) fn rfc3339(text: &str) -> Option<u64> {
    text.parse::<jiff::Timestamp>().ok().and_then(|time| u64::try_from(time.as_nanosecond()).ok())
}

/// Now, in nanoseconds since the epoch.
pub(super) fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(duration("1.5s"), Some(1_500_000_000));
        assert_eq!(duration("1h30m"), Some(5_400_000_000_000));
        assert_eq!(duration("250"), Some(250_000_000));
        assert_eq!(duration("7µs"), Some(7_000));
        for wrong in ["", "s", "1x", "-1s", "1s2", "nan", "inf", "1e300", "99999999999h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn v3_names_are_taken_in_both_spellings() {
        let pairs = [("query.service_name".into(), "a".into()), ("query.numTraces".into(), "3".into())];
        let params = Params(&pairs);
        assert_eq!((params.v3("serviceName"), params.v3("numTraces")), (Some("a"), Some("3")));
    }
}
