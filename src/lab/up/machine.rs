//! The lifecycle of one child as a state machine: no process, no clock, no I/O.

use std::fmt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// After this long in good health, earlier crashes no longer count.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);
/// A child that was never ready is tried this often: what is wrong will not mend itself.
const ATTEMPTS_BEFORE_READY: u32 = 6;
/// What our own commands (and clap) exit with when the settings are wrong.
const BAD_CONFIGURATION: i32 = 2;

/// The state of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildState {
    /// It runs and `/ready` has not said 200 yet.
    Starting,
    /// `/ready` has said 200.
    Ready,
    /// It ended by itself and will be started again after this long.
    Restarting(Duration),
    /// It is over: drained, or not started again.
    Stopped,
}

impl fmt::Display for ChildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Restarting(_) => "restarting",
            Self::Stopped => "stopped",
        })
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChildExit {
    Code(i32),
    Signal(i32),
    /// It could not be started or waited for, and why.
    Failed(String),
}

impl From<ExitStatus> for ChildExit {
    fn from(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Failed(status.to_string()),
        }
    }
}

impl fmt::Display for ChildExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit status {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
            Self::Failed(reason) => write!(f, "could not run: {reason}"),
        }
    }
}

/// What to do about a child that ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterExit {
    /// Start it again after this long.
    Restart(Duration),
    /// Starting it again would not help.
    GiveUp,
}

/// The state and what it was before.
#[derive(Debug)]
pub(super) struct Lifecycle {
    state: ChildState,
    failures: u32,
    ever_ready: bool,
    ready_since: Option<Instant>,
}

impl Lifecycle {
    pub(super) fn new() -> Self {
        Self { state: ChildState::Starting, failures: 0, ever_ready: false, ready_since: None }
    }

    pub(super) fn state(&self) -> ChildState {
        self.state
    }

    /// Whether this is not its first start.
    pub(super) fn restarted(&self) -> bool {
        self.failures > 0
    }

    pub(super) fn started(&mut self) {
        self.state = ChildState::Starting;
    }

    pub(super) fn ready(&mut self, now: Instant) {
        self.state = ChildState::Ready;
        self.ever_ready = true;
        self.ready_since = Some(now);
    }

    /// It ended without being told to.
    pub(super) fn exited(&mut self, exit: &ChildExit, now: Instant) -> AfterExit {
        let healthy_for = self.ready_since.take().map(|since| now.saturating_duration_since(since));
        if healthy_for.is_some_and(|time| time >= HEALTHY_AFTER) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let hopeless = !self.ever_ready && self.failures >= ATTEMPTS_BEFORE_READY;
        if hopeless || *exit == ChildExit::Code(BAD_CONFIGURATION) {
            self.state = ChildState::Stopped;
            return AfterExit::GiveUp;
        }
        let wait = backoff(self.failures);
        self.state = ChildState::Restarting(wait);
        AfterExit::Restart(wait)
    }

    pub(super) fn stopped(&mut self) {
        self.state = ChildState::Stopped;
    }
}

/// 100 ms, doubled with each failure after the first, at most 5 s.
fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRASH: ChildExit = ChildExit::Signal(9);

    #[test]
    fn a_crashing_child_waits_longer_each_time_and_never_more_than_five_seconds() {
        let (mut machine, now) = (Lifecycle::new(), Instant::now());
        machine.ready(now);
        let waits: Vec<_> = (0..8)
            .map(|_| match machine.exited(&CRASH, now) {
                AfterExit::Restart(wait) => wait.as_millis(),
                AfterExit::GiveUp => 0,
            })
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(machine.state(), ChildState::Restarting(LONGEST_WAIT));
    }

    #[test]
    fn thirty_seconds_of_health_make_earlier_crashes_forgotten() {
        let (mut machine, start) = (Lifecycle::new(), Instant::now());
        machine.ready(start);
        machine.exited(&CRASH, start);
        machine.started();
        machine.ready(start);
        assert_eq!(machine.exited(&CRASH, start + HEALTHY_AFTER / 2), AfterExit::Restart(FIRST_WAIT * 2));
        machine.ready(start);
        assert_eq!(machine.exited(&CRASH, start + HEALTHY_AFTER), AfterExit::Restart(FIRST_WAIT));
    }

    #[test]
    fn a_child_that_was_never_ready_is_given_up_and_one_that_was_is_not() {
        let (mut never, mut once, now) = (Lifecycle::new(), Lifecycle::new(), Instant::now());
        once.ready(now);
        let tries = |machine: &mut Lifecycle| {
            (1..=20).find(|_| machine.exited(&ChildExit::Code(1), now) == AfterExit::GiveUp)
        };
        assert_eq!(tries(&mut never), Some(6));
        assert_eq!(never.state(), ChildState::Stopped);
        assert_eq!(tries(&mut once), None);
    }

    #[test]
    fn bad_configuration_is_given_up_at_once() {
        let mut machine = Lifecycle::new();
        machine.ready(Instant::now());
        assert_eq!(machine.exited(&ChildExit::Code(2), Instant::now()), AfterExit::GiveUp);
    }

    #[test]
    fn an_exit_is_told_in_words() {
        assert_eq!(CRASH.to_string(), "was killed by SIGKILL");
        assert_eq!(ChildExit::Code(1).to_string(), "ended with exit status 1");
        assert_eq!(ChildExit::Signal(64).to_string(), "was killed by signal 64");
    }
}
