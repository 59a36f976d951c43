//! What a scenario is: one row of data, and two functions that find its answer in different ways.

use futures_util::future::LocalBoxFuture;

use super::answer::{Answer, AnswerKind};
use super::eyes::Eyes;
use super::scene::Scene;
use crate::lab::backend::count::CountSnapshot;
use crate::lab::expect::Subject;
use crate::schema::Role;

/// How far along a learner is for whom it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing is known beforehand.
    Beginner,
    /// Traces, logs and metrics have been seen.
    Intermediate,
    /// Several signals, and arithmetic.
    Advanced,
}

impl Level {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Beginner => "beginner",
            Self::Intermediate => "intermediate",
            Self::Advanced => "advanced",
        }
    }
}

/// One scenario. Texts may name facts of the run in braces, such as `{trace}`.
pub struct Scenario {
    /// Its name in commands.
    pub name: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// For whom.
    pub level: Level,
    /// What is learned, in one sentence.
    pub learn: &'static str,
    /// What is done before the question is asked.
    pub stage: &'static [Step],
    /// The question.
    pub question: &'static str,
    /// What kind of answer it has.
    pub answer: AnswerKind,
    /// Places with what to do there.
    pub look: &'static [(&'static str, &'static str)],
    /// The next one with each wrong answer, the last one again and again.
    pub hints: &'static [&'static str],
    /// Why the answer, `{answer}`, is right.
    pub explanation: &'static str,
    /// What repairs it, as in a real system.
    pub fix: &'static str,
    /// What shows that it is repaired, beside what is shown of every scenario.
    pub healed: &'static str,
    /// A request of this kind is answered as ever once it is repaired.
    pub sound: Subject,
    /// The right answer, from what was staged, sent and answered.
    pub(super) truth: TruthFn,
    /// The answer that the telemetry gives to somebody who knows the question alone.
    pub(super) solve: SolveFn,
}

/// An answer, or why there is none.
pub(super) type Found<'a> = LocalBoxFuture<'a, Result<Answer, String>>;
/// See [`Scenario::truth`].
pub(super) type TruthFn = for<'a> fn(&'a Scene, &'a Eyes) -> Found<'a>;
/// See [`Scenario::solve`].
pub(super) type SolveFn = for<'a> fn(&'a Eyes) -> Found<'a>;
/// A number out of the counters of all roles.
pub(super) type Reading = fn(&CountSnapshot) -> f64;

/// One thing that is done to set the stage.
pub enum Step {
    /// Sets one of these faults, drawn by the seed: the cause.
    Fault(&'static [FaultChoice]),
    /// Clears the fault again.
    Clear,
    /// Sends requests of this kind, from so many to so many, drawn by the seed.
    Send(Subject, usize, usize),
    /// The same, of a kind that is drawn too: these requests are the cause.
    Cause(&'static [Subject], usize, usize),
    /// GETs of this path at the gateway that ask not to be recorded.
    Unsampled(&'static str, usize, usize),
    /// Notes a number under this name, to be told with the question.
    Note(&'static str, Reading),
    /// Waits for a condition.
    Wait(Wait),
}

/// A condition to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Every recorded trace that was sent is at the backend and has stopped growing.
    Traced,
    /// Every accepted order has its notification, or a dead letter took its place.
    Delivered,
    /// One of the orders is notified and its CONSUMER span recorded, or it takes too long for that.
    Begun,
}

impl Step {
    /// In words, for the documents.
    pub fn words(&self) -> String {
        let many = |least: usize, most: usize| {
            if least == most { least.to_string() } else { format!("{least} to {most}") }
        };
        let route = |subject: &Subject| {
            let shape = crate::lab::expect::Shape::of(*subject);
            format!("`{}` ({})", shape.route, shape.name)
        };
        match self {
            Self::Fault(choices) => {
                let choices: Vec<_> = choices.iter().map(FaultChoice::words).collect();
                format!("fault {}", choices.join(" or "))
            }
            Self::Clear => "clear it".to_owned(),
            Self::Send(subject, least, most) => format!("send {} × {}", many(*least, *most), route(subject)),
            Self::Cause(subjects, least, most) => {
                let kinds: Vec<_> = subjects.iter().map(route).collect();
                format!("send {} × {}", many(*least, *most), kinds.join(" or "))
            }
            Self::Unsampled(path, least, most) => {
                format!("send {} × `GET {path}` that ask not to be recorded", many(*least, *most))
            }
            Self::Note(name, _) => format!("note the {name}"),
            Self::Wait(Wait::Traced) => "wait until the traces are whole".to_owned(),
            Self::Wait(Wait::Delivered) => {
                "wait until each order is notified or its message is dead".to_owned()
            }
            Self::Wait(Wait::Begun) => "wait until one order is notified, or for some seconds".to_owned(),
        }
    }
}

/// A fault at a role.
pub struct FaultChoice {
    /// Its row in [`crate::schema::FAULTS`].
    pub fault: &'static str,
    /// Where.
    pub role: Role,
    /// Its parameters.
    pub settings: &'static [(&'static str, Setting)],
}

impl FaultChoice {
    fn words(&self) -> String {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| value.words(name)).collect();
        let settings =
            if settings.is_empty() { String::new() } else { format!(" ({})", settings.join(", ")) };
        format!("`{}` at {}{settings}", self.fault, self.role)
    }
}

/// The value of a fault's parameter.
#[derive(Clone, Copy)]
pub enum Setting {
    /// A whole number, drawn by the seed.
    Between(u64, u64),
    /// A share.
    Ratio(f64),
    /// A route template.
    Route(&'static str),
}

impl Setting {
    fn words(self, name: &str) -> String {
        match self {
            Self::Between(least, most) if least == most => format!("{name} {least}"),
            Self::Between(least, most) => format!("{name} {least} to {most}"),
            Self::Ratio(ratio) => format!("{name} {ratio}"),
            Self::Route(route) => format!("{name} {route}"),
        }
    }
}
