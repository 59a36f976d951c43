//! The dry run: the requests with their times, none of them sent.

use super::fixtures::Fixtures;
use super::mix;
use super::plan::Phase;
use super::schedule::Schedule;
use crate::config::LoadConfig;

/// What would be sent: seconds, phase, method, path, body; `$user3` stands for an id that only the
/// run will know.
pub(super) fn listing(config: &LoadConfig, phases: &[Phase]) -> impl Iterator<Item = String> {
    let fixtures = Fixtures::symbolic();
    Schedule::new(phases, config.arrivals, config.seed, 0).map(move |arrival| {
        let phase = &phases[arrival.phase];
        let draw = mix::draw(config.seed, arrival.number, phase.mix);
        let body = match draw.body(&fixtures) {
            long if long.len() > 1024 => format!("({} bytes)", long.len()),
            body => body,
        };
        let (at, method, path) = (arrival.at.as_secs_f64(), draw.case.method(), draw.path(&fixtures));
        format!("{at:.3} {} {method} {path} {body}", phase.name).trim_end().to_owned()
    })
}
