//! Lines out of a stream of bytes, each of bounded length, however the stream is read.

/// Cuts chunks of bytes into lines. A line inside one chunk is not copied.
pub(crate) struct LineSplitter {
    longest: usize,
    /// The part of an unfinished line that came in earlier chunks.
    partial: Vec<u8>,
    cut: bool,
    /// Whether `partial` has been handed out and starts again with the next call.
    taken: bool,
}

/// One line without its newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SplitLine<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether it was longer than allowed; `bytes` is its beginning.
    pub(crate) cut: bool,
}

impl LineSplitter {
    /// At most `longest` bytes of each line are kept.
    pub(crate) fn new(longest: usize) -> Self {
        Self { longest, partial: Vec::new(), cut: false, taken: false }
    }

    /// The next line that ends in `chunk`, which is shortened by it; `None` once the rest of the chunk
    /// is the beginning of a line, which is kept.
    pub(crate) fn next<'s, 'c: 's>(&'s mut self, chunk: &mut &'c [u8]) -> Option<SplitLine<'s>> {
        self.start_again();
        let newline = chunk.iter().position(|byte| *byte == b'\n');
        let (part, rest) = match newline {
            Some(at) => (&chunk[..at], &chunk[at + 1..]),
            None => (*chunk, &[][..]),
        };
        *chunk = rest;
        if newline.is_some() && self.partial.is_empty() {
            let kept = &part[..part.len().min(self.longest)];
            return Some(SplitLine { bytes: kept, cut: kept.len() < part.len() });
        }
        let room = self.longest - self.partial.len();
        self.cut |= part.len() > room;
        self.partial.extend_from_slice(&part[..part.len().min(room)]);
        newline?;
        self.taken = true;
        Some(SplitLine { bytes: &self.partial, cut: self.cut })
    }

    /// The line that the stream ended in without a newline.
    pub(crate) fn last(&mut self) -> Option<SplitLine<'_>> {
        self.start_again();
        self.taken = true;
        (!self.partial.is_empty()).then_some(SplitLine { bytes: &self.partial, cut: self.cut })
    }

    fn start_again(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.partial.clear();
            // One verbose line must not hold on to its memory for the rest of the stream.
            self.partial.shrink_to(4096);
            self.cut = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], chunk: usize, longest: usize) -> Vec<(String, bool)> {
        let mut splitter = LineSplitter::new(longest);
        let mut lines = Vec::new();
        let owned = |line: SplitLine<'_>| (String::from_utf8_lossy(line.bytes).into_owned(), line.cut);
        for mut chunk in input.chunks(chunk) {
            while let Some(line) = splitter.next(&mut chunk) {
                lines.push(owned(line));
            }
        }
        lines.extend(splitter.last().map(owned));
        lines
    }

    #[test]
    fn lines_end_at_newlines_wherever_the_chunks_end_and_a_long_one_is_cut() {
        for chunk in 1..30 {
            let found = lines(b"one\n\ntwo and more\nthree\nfour", chunk, 5);
            let expected = [("one", false), ("", false), ("two a", true), ("three", false), ("four", false)];
            let expected: Vec<_> = expected.into_iter().map(|(line, cut)| (line.to_owned(), cut)).collect();
            assert_eq!(found, expected, "chunks of {chunk}");
        }
    }
}
