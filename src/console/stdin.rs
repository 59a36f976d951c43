//! Log lines on standard input: from `up`, or from a pipe such as `o11y-lab order | o11y-lab console`.

use std::io::{BufRead, IsTerminal};
use std::sync::Arc;

use super::logs::MAX_LINE;
use super::state::Console;
use crate::config::LIFELINE_VARIABLE;
use crate::lines::{LineSplitter, SplitLine};
use crate::runtime::Shutdown;

/// The value of the lifeline variable with which a parent feeds log lines and is missed when gone.
const FED_BY_PARENT: &str = "stdin-logs";

/// Reads standard input unless a person sits in front of it. Its end stops the console only when a
/// parent said that it would feed it. A thread, because reading standard input cannot be cancelled.
pub(super) fn follow(console: Arc<Console>, shutdown: Shutdown) {
    let lifeline = std::env::var_os(LIFELINE_VARIABLE);
    let fed = lifeline.as_ref().is_some_and(|value| value == FED_BY_PARENT);
    // With any other lifeline the shutdown itself reads standard input.
    if !fed && (lifeline.is_some_and(|value| value == "stdin") || std::io::stdin().is_terminal()) {
        return;
    }
    std::thread::spawn(move || {
        read_lines(std::io::stdin().lock(), |line| console.take_line(line));
        if fed {
            shutdown.begin();
        }
    });
}

/// Calls `take` for every line until the input ends or fails: with nothing for a line that is too
/// long or not UTF-8. Holds at most [`MAX_LINE`] bytes, whatever comes.
fn read_lines(mut input: impl BufRead, mut take: impl FnMut(Option<&str>)) {
    let mut splitter = LineSplitter::new(MAX_LINE);
    let mut hand_over = |line: SplitLine<'_>| {
        take(if line.cut { None } else { std::str::from_utf8(line.bytes).ok() });
    };
    loop {
        let mut chunk = match input.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let read = chunk.len();
        while let Some(line) = splitter.next(&mut chunk) {
            hand_over(line);
        }
        input.consume(read);
    }
    splitter.last().into_iter().for_each(hand_over);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8], chunk: usize) -> Vec<Option<String>> {
        let mut lines = Vec::new();
        read_lines(std::io::BufReader::with_capacity(chunk, input), |l| lines.push(l.map(str::to_owned)));
        lines
    }

    #[test]
    fn lines_are_cut_at_newlines_wherever_the_chunks_end() {
        for chunk in [1, 2, 3, 64] {
            let expected = [Some("one".into()), Some(String::new()), Some("two".into())];
            assert_eq!(read(b"one\n\ntwo", chunk), expected);
        }
    }

    #[test]
    fn a_line_that_is_too_long_or_not_text_is_reported_and_the_next_one_is_read() {
        let mut input = vec![b'x'; MAX_LINE + 1];
        input.extend_from_slice(b"\nnext\n\xff\n");
        assert_eq!(read(&input, 8_192), [None, Some("next".into()), None]);
    }
}
