//! Lines out of a pipe, each of bounded length.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader};

/// The longest line kept; the rest of a longer one is thrown away.
const LONGEST: usize = 64 * 1024;

/// After so many lines the others have their turn: a service that floods its log must not keep the
/// console from being fed.
const TURN: usize = 64;

/// Reads `pipe` to its end and hands every line, without its newline, to `each`. Bytes that are no
/// UTF-8 are replaced.
pub(super) async fn each_line(pipe: impl AsyncRead + Unpin, mut each: impl FnMut(&str)) {
    let mut reader = BufReader::with_capacity(16 * 1024, pipe);
    let mut line = Vec::new();
    let mut turn = 0;
    while next_line(&mut reader, &mut line).await {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches('\r');
        if !text.is_empty() {
            each(text);
        }
        line.clear();
        // One verbose line must not hold on to its memory for the rest of a child's life.
        line.shrink_to(4096);
        turn = (turn + 1) % TURN;
        if turn == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Fills `line` up to the next newline; `false` at the end, or once the pipe is broken.
async fn next_line(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> bool {
    loop {
        let Ok(bytes) = reader.fill_buf().await else { return false };
        if bytes.is_empty() {
            return !line.is_empty();
        }
        let newline = bytes.iter().position(|b| *b == b'\n');
        let end = newline.unwrap_or(bytes.len());
        let room = LONGEST - line.len();
        line.extend_from_slice(&bytes[..end.min(room)]);
        reader.consume(newline.map_or(end, |at| at + 1));
        if newline.is_some() {
            return true;
        }
    }
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
