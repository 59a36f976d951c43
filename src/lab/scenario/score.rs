//! `scenario score`: grades answers about recorded incidents against their truth.
//!
//! A file of answers: `[{"incident": DIR, "candidates": [{"service", "fault", "startUnixNano"}, …]}, …]`, the most
//! likely candidate first. A cause is found where service and fault are both right.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::{Invalid, ScenarioScore};
use crate::lab::output::CommandOutput;

/// Reads answers and truths, and prints the grades.
///
/// # Errors
/// A file that cannot be read or is not of this form ([`Invalid`]).
pub(super) fn score(config: &ScenarioScore) -> anyhow::Result<()> {
    let answers = read(&config.answers)?;
    let no_list = || Invalid(format!("'{}': it is no list of answers", config.answers.display()));
    let answers = answers.as_array().ok_or_else(no_list)?;
    let beside = config.answers.parent().unwrap_or(Path::new("."));
    let mut grades = Vec::new();
    for answer in answers {
        let dir = answer["incident"].as_str().ok_or_else(|| Invalid("an answer names no incident".into()))?;
        grades.push(grade(answer, &read(&beside.join(dir).join("truth.json"))?));
    }
    let share = |found: fn(&Grade) -> bool| {
        let many = grades.iter().filter(|one| found(one)).count();
        many as f64 / grades.len().max(1) as f64
    };
    let mut json = json!({
        "incidents": grades.len(),
        "top1": share(|one| one.rank == Some(1)),
        "top3": share(|one| one.rank.is_some_and(|rank| rank <= 3)),
        "serviceTop1": share(|one| one.service),
        "meanTimeErrorSeconds": mean(grades.iter().filter_map(|one| one.time_error)),
    });
    if grades.iter().any(|one| one.distracted.is_some()) {
        json["distracted"] = json!(mean(grades.iter().filter_map(|one| one.distracted).map(f64::from)));
    }
    let two = |key: &str| json[key].as_f64().map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"));
    let text = format!(
        "incidents {}  top-1 {}  top-3 {}  service {}  time error {} s  distracted {}\n",
        grades.len(),
        two("top1"),
        two("top3"),
        two("serviceTop1"),
        two("meanTimeErrorSeconds"),
        two("distracted")
    );
    CommandOutput { text, json }.print(config.json)
}

/// How good the answer about one incident is.
#[derive(Debug, PartialEq)]
struct Grade {
    /// The place of the first candidate that is right, from 1.
    rank: Option<usize>,
    /// Whether the first candidate's service is.
    service: bool,
    /// By how many seconds the first candidate's time is off, where it names one.
    time_error: Option<f64>,
    /// Whether the first candidate is a distraction, where the incident has one.
    distracted: Option<bool>,
}

fn grade(answer: &Value, truth: &Value) -> Grade {
    let causes = truth["cause"].as_array().map(Vec::as_slice).unwrap_or_default();
    let candidates = answer["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let same = |candidate: &Value, cause: &Value, keys: &[&str]| {
        keys.iter().all(|key| candidate[key].is_string() && candidate[key] == cause[key])
    };
    let right = |candidate: &&Value| causes.iter().any(|cause| same(candidate, cause, &["service", "fault"]));
    let first = candidates.first().unwrap_or(&Value::Null);
    let distractions = truth["distractions"].as_array().filter(|all| !all.is_empty());
    let nanos = |value: &Value| value["startUnixNano"].as_str()?.parse::<f64>().ok();
    Grade {
        rank: candidates.iter().position(|one| right(&one)).map(|place| place + 1),
        service: causes.iter().any(|cause| same(first, cause, &["service"])),
        time_error: nanos(first).zip(nanos(truth)).map(|(said, is)| (said - is).abs() / 1e9),
        distracted: distractions.map(|all| all.iter().any(|other| same(first, other, &["service", "fault"]))),
    }
}

fn mean(errors: impl Iterator<Item = f64>) -> Option<f64> {
    let all: Vec<_> = errors.collect();
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}

fn read(file: &Path) -> Result<Value, Invalid> {
    let bad = |why: String| Invalid(format!("'{}': {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|why| bad(why.to_string()))?;
    serde_json::from_str(&text).map_err(|why| bad(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_found_where_service_and_fault_are_both_right() {
        let truth = json!({"cause": [{"service": "a", "fault": "error"}], "startUnixNano": "5000000000"});
        let of = |candidates: Value| grade(&json!({"candidates": candidates}), &truth);
        let right = json!({"service": "a", "fault": "error", "startUnixNano": "3000000000"});
        let wrong = json!({"service": "a", "fault": "latency"});
        let none = Grade { rank: None, service: false, time_error: None, distracted: None };
        assert_eq!(of(json!([right])), Grade { rank: Some(1), service: true, time_error: Some(2.0), ..none });
        assert_eq!(of(json!([wrong, wrong, right])), Grade { rank: Some(3), service: true, ..none });
        assert_eq!(of(json!([wrong])), Grade { service: true, ..none });
        let none = Grade { rank: None, service: false, time_error: None, distracted: None };
        let truth = json!({"cause": [{"service": "a", "fault": "error"}], "distractions": [{"service": "a", "fault": "latency"}]});
        let graded = |first: &Value| grade(&json!({"candidates": [first, right]}), &truth);
        assert_eq!((graded(&wrong).rank, graded(&wrong).distracted), (Some(2), Some(true)));
        assert_eq!((graded(&right).rank, graded(&right).distracted), (Some(1), Some(false)));
        // What names nothing is not right, also where the truth names nothing.
        assert_eq!(of(json!([{}])), none);
        assert_eq!(grade(&json!({"candidates": [{}]}), &json!({"cause": [{}]})), none);
    }
}
