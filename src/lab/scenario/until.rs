//! Waiting: a question that is asked again and again, until it is answered or the time is over.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// Why a question is not answered.
pub(super) enum Unmet {
    /// It may be, later.
    NotYet(String),
    /// Asking again is of no use.
    Never(String),
}

impl Unmet {
    /// What is missing, in words.
    pub(super) fn yet(why: impl Into<String>) -> Self {
        Self::NotYet(why.into())
    }
}

/// What goes wrong while it is asked ends the wait.
impl From<String> for Unmet {
    fn from(why: String) -> Self {
        Self::Never(why)
    }
}

/// Asks with a pause in between, and once at least.
///
/// # Errors
/// What was missing the last time, or why asking is of no use.
pub(super) async fn until<T>(
    within: Duration,
    pause: Duration,
    mut ask: impl AsyncFnMut() -> Result<T, Unmet>,
) -> Result<T, String> {
    let end = Instant::now() + within;
    loop {
        match ask().await {
            Ok(found) => return Ok(found),
            Err(Unmet::Never(why)) => return Err(why),
            Err(Unmet::NotYet(why)) if Instant::now() >= end => return Err(why),
            Err(Unmet::NotYet(_)) => sleep(pause).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_asks_until_there_is_an_answer_or_no_hope_or_no_time() {
        let long = Duration::from_secs(60);
        let mut asked = 0;
        let found = until(long, Duration::ZERO, async || {
            asked += 1;
            if asked == 3 { Ok("there") } else { Err(Unmet::yet("not there")) }
        });
        assert_eq!(found.await, Ok("there"));
        assert_eq!(asked, 3);
        let hopeless = until::<()>(long, long, async || Err("broken".to_owned().into()));
        assert_eq!(hopeless.await, Err("broken".to_owned()));
        let late = until::<()>(Duration::ZERO, long, async || Err(Unmet::yet("late")));
        assert_eq!(late.await, Err("late".to_owned()));
    }
}
