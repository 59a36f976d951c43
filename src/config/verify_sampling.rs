//! Which traces `verify` expects of a lab that samples.

use clap::{Args, ValueEnum};

use super::Invalid;

/// How it is known which traces have to be there.
#[derive(Args, Clone, Debug)]
pub struct SamplingConfig {
    /// Which traces have to be there: those that the lab's answers say are recorded, or those that its sampler has to keep by their ids
    #[arg(long, env = "VERIFY_SAMPLING", default_value = "answered")]
    pub sampling: Sampling,
    /// The sampler of the lab that is verified, for --sampling expected [default: parentbased_always_on]
    #[arg(long, env = "OTEL_TRACES_SAMPLER", value_name = "NAME")]
    pub sampler: Option<String>,
    /// The ratio of a traceidratio sampler, 0 to 1 [default: 1]
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO")]
    pub sampler_arg: Option<String>,
}

/// By what it is known which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sampling {
    /// By the flag that an answer names the trace with.
    Answered,
    /// By the trace's id and the sampler.
    Expected,
}

/// A sampler that decides by the trace's id alone: at the root, which is where a trace without a parent begins.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSampler {
    /// Its name and ratio, in words.
    pub name: String,
    /// Of 2^63 so many are kept.
    kept: u64,
}

/// 2^63: a random number of so many is what an id is taken for.
const ALL: u64 = 1 << 63;

impl SamplingConfig {
    /// The sampler whose decisions are expected; none where the answers are believed.
    ///
    /// # Errors
    /// It is not one of those that a lab has, or its ratio is none.
    pub fn expected(&self) -> Result<Option<TraceSampler>, Invalid> {
        if self.sampling == Sampling::Answered {
            return Ok(None);
        }
        let name = self.sampler.as_deref().unwrap_or("parentbased_always_on").to_ascii_lowercase();
        let (kept, arg) = match name.strip_prefix("parentbased_").unwrap_or(&name) {
            "always_on" => (ALL, ""),
            "always_off" => (0, ""),
            "traceidratio" => {
                let arg = self.sampler_arg.as_deref().unwrap_or("1");
                (self.ratio(arg)?, arg)
            }
            _ => return Err(Invalid(format!("--sampler (OTEL_TRACES_SAMPLER) '{name}' is not known here"))),
        };
        Ok(Some(TraceSampler { name: format!("{name} {arg}").trim_end().to_owned(), kept }))
    }

    fn ratio(&self, text: &str) -> Result<u64, Invalid> {
        let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        let wrong =
            || Invalid(format!("--sampler-arg (OTEL_TRACES_SAMPLER_ARG) '{text}' is not from 0 to 1"));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^63")]
        #[allow(clippy::cast_precision_loss, reason = "a power of two")]
        let kept = ratio.ok_or_else(wrong)? * ALL as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^63")]
        Ok(kept as u64)
    }
}

impl TraceSampler {
    /// Whether a trace with this id is kept. The specification leaves the arithmetic to the SDKs; that of Rust takes 63 bits of
    /// the id, its last 8 bytes without the last bit, and keeps what is below the ratio.
    pub fn keeps(&self, id: &str) -> bool {
        let last = id.len().checked_sub(16).and_then(|from| id.get(from..));
        let number = last.and_then(|last| u64::from_str_radix(last, 16).ok());
        number.is_some_and(|number| number >> 1 < self.kept)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanKind, TraceId};
    use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample as _};

    use super::*;

    fn expected(name: &str, arg: Option<&str>) -> Result<Option<TraceSampler>, Invalid> {
        let (sampler, sampler_arg) = (Some(name.to_owned()), arg.map(str::to_owned));
        SamplingConfig { sampling: Sampling::Expected, sampler, sampler_arg }.expected()
    }

    #[test]
    fn a_trace_is_kept_where_the_sdk_keeps_it() {
        for ratio in [0.0, 0.1, 0.5, 0.9999, 1.0] {
            let ours = expected("parentbased_traceidratio", Some(&ratio.to_string())).unwrap().unwrap();
            let theirs = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
            for seed in 0..2_000 {
                let id = TraceId::from(fastrand::Rng::with_seed(seed).u128(1..));
                let result = theirs.should_sample(None, id, "x", &SpanKind::Server, &[], &[]);
                let keeps = result.decision == SamplingDecision::RecordAndSample;
                assert_eq!(ours.keeps(&id.to_string()), keeps, "{id} at {ratio}");
            }
        }
    }

    #[test]
    fn a_sampler_that_no_lab_has_and_a_ratio_that_is_none_are_refused() {
        let id = "000000000000000000000000000000ff";
        assert!(expected("always_on", None).unwrap().unwrap().keeps(id));
        assert!(!expected("parentbased_always_off", None).unwrap().unwrap().keeps(id));
        assert_eq!(expected("traceidratio", Some("0.25")).unwrap().unwrap().name, "traceidratio 0.25");
        assert!(expected("coin", None).is_err() && expected("traceidratio", Some("2")).is_err());
        let answered =
            SamplingConfig { sampling: Sampling::Answered, sampler: Some("coin".into()), sampler_arg: None };
        assert_eq!(answered.expected().unwrap(), None);
    }
}
