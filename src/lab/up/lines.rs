//! Lines out of a child's pipe.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use crate::lines::{LineSplitter, SplitLine};

/// The longest line kept, in bytes; the rest of a longer one is thrown away.
const LONGEST: usize = 64 * 1024;

/// After so many lines the others have their turn: a service that floods its log must not keep the
/// console from being fed.
const TURN: usize = 64;

/// Reads `pipe` until it ends or breaks and hands every line, without its newline, to `each`. Bytes
/// that are no UTF-8 are replaced.
pub(super) async fn each_line(pipe: impl AsyncRead + Unpin, mut each: impl FnMut(&str)) {
    let mut reader = BufReader::with_capacity(16 * 1024, pipe);
    let mut splitter = LineSplitter::new(LONGEST);
    let mut hand_over = |line: SplitLine<'_>| {
        let text = String::from_utf8_lossy(line.bytes);
        let text = text.trim_end_matches('\r');
        if !text.is_empty() {
            each(text);
        }
    };
    let mut turn = 0;
    while let Ok(mut chunk) = reader.fill_buf().await {
        let read = chunk.len();
        if read == 0 {
            break;
        }
        while let Some(line) = splitter.next(&mut chunk) {
            hand_over(line);
            turn = (turn + 1) % TURN;
            if turn == 0 {
                tokio::task::yield_now().await;
            }
        }
        reader.consume(read);
    }
    splitter.last().into_iter().for_each(hand_over);
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines_of(bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        each_line(bytes, |line| lines.push(line.to_owned())).await;
        lines
    }

    #[actix_web::test]
    async fn lines_are_split_and_an_unfinished_last_one_counts() {
        assert_eq!(lines_of(b"one\r\n\ntwo\xff\nthree").await, ["one", "two\u{fffd}", "three"]);
    }

    #[actix_web::test]
    async fn an_endless_line_is_cut_and_the_next_one_is_whole() {
        let mut bytes = vec![b'x'; 3 * LONGEST];
        bytes.extend_from_slice(b"\nnext\n");
        let lines = lines_of(&bytes).await;
        assert_eq!((lines[0].len(), lines[1].as_str()), (LONGEST, "next"));
    }
}
