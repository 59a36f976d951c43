//! The writer's buffer and its thread.

use std::io::{self, ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{GATHER, WriterShared};

/// Time between two attempts to write to a sink that failed, such as a full disk.
const RETRY: Duration = Duration::from_millis(500);
/// The same for a sink that is not ready: a pipe that another program set to non-blocking.
const NOT_READY: Duration = Duration::from_millis(20);
/// A buffer that grew beyond this is not kept.
const KEPT: usize = 64 * 1024;

type Done = Box<dyn FnOnce() + Send>;

/// What waits to be written.
pub(super) struct LineQueue {
    /// Most bytes waiting.
    most: usize,
    waiting: Mutex<WaitingLine>,
    wake: Condvar,
}

#[derive(Default)]
struct WaitingLine {
    /// Whole lines.
    text: Vec<u8>,
    /// Lines dropped after those in `text`. None is taken until these are told of, so that the
    /// notice stands at their place.
    dropped: u64,
    /// To be told when all this is written.
    flushes: Vec<Done>,
    thread: Thread,
    /// The sink takes nothing any more.
    gone: bool,
    closed: bool,
}

/// What the writing thread does: only one that sleeps costs a system call to wake.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Thread {
    #[default]
    Writing,
    /// Sleeps until something comes.
    Idle,
    /// Sleeps for a moment, or until it gets urgent.
    Gathering,
}

impl WaitingLine {
    fn anything(&self) -> bool {
        !self.text.is_empty() || self.dropped > 0 || !self.flushes.is_empty()
    }
}

impl LineQueue {
    pub(super) fn new(most: usize) -> Self {
        Self { most, waiting: Mutex::default(), wake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, WaitingLine> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line; `false` where it is dropped.
    pub(super) fn push(&self, line: &[u8]) -> bool {
        let mut waiting = self.lock();
        if waiting.gone {
            return false;
        }
        let taken = waiting.dropped == 0 && waiting.text.len() + line.len() < self.most;
        if taken {
            waiting.text.extend_from_slice(line);
            waiting.text.push(b'\n');
        } else {
            waiting.dropped += 1;
        }
        let urgent = !taken || waiting.text.len() > self.most / 2;
        self.rouse(waiting, urgent);
        taken
    }

    /// Calls `done` when everything handed over so far is written, or never will be.
    pub(super) fn when_written(&self, done: impl FnOnce() + Send + 'static) {
        let mut waiting = self.lock();
        if waiting.gone {
            drop(waiting);
            return done();
        }
        waiting.flushes.push(Box::new(done));
        self.rouse(waiting, true);
    }

    /// Nothing further comes.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        drop(waiting);
        self.wake.notify_all();
    }

    fn rouse(&self, mut waiting: MutexGuard<'_, WaitingLine>, urgent: bool) {
        let asleep = match waiting.thread {
            Thread::Writing => false,
            Thread::Idle => true,
            Thread::Gathering => urgent,
        };
        if asleep {
            waiting.thread = Thread::Writing;
            drop(waiting);
            self.wake.notify_all();
        }
    }

    /// The next lines, gathered into `text`, with the count of those dropped behind them and the
    /// flushes to answer; `None` at the end.
    fn next(&self, text: &mut Vec<u8>) -> Option<(u64, Vec<Done>)> {
        let mut waiting = self.lock();
        loop {
            waiting = self.gather(waiting);
            if waiting.anything() {
                std::mem::swap(&mut waiting.text, text);
                return Some((std::mem::take(&mut waiting.dropped), std::mem::take(&mut waiting.flushes)));
            }
            if waiting.closed {
                return None;
            }
            waiting.thread = Thread::Idle;
            let idle = |w: &mut WaitingLine| w.thread == Thread::Idle && !w.closed;
            waiting = self.wake.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
            waiting.thread = Thread::Writing;
        }
    }

    /// Sleeps for [`GATHER`], unless something is urgent.
    fn gather<'a>(&self, mut waiting: MutexGuard<'a, WaitingLine>) -> MutexGuard<'a, WaitingLine> {
        let urgent = waiting.text.len() > self.most / 2 || waiting.dropped > 0;
        if !urgent && waiting.flushes.is_empty() {
            waiting.thread = Thread::Gathering;
            let sleep = |w: &mut WaitingLine| w.thread == Thread::Gathering && !w.closed;
            let woken = self.wake.wait_timeout_while(waiting, GATHER, sleep);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
            waiting.thread = Thread::Writing;
        }
        waiting
    }

    /// Sleeps for `time`; `false` where the writer was closed meanwhile.
    fn pause(&self, time: Duration) -> bool {
        let pause = self.wake.wait_timeout_while(self.lock(), time, |w| !w.closed);
        !pause.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// The sink is gone: answers who waits and returns the lines that are lost.
    fn abandon(&self) -> u64 {
        let mut waiting = self.lock();
        waiting.gone = true;
        let lost = lines_in(&std::mem::take(&mut waiting.text));
        let flushes = std::mem::take(&mut waiting.flushes);
        drop(waiting);
        flushes.into_iter().for_each(|done| done());
        lost
    }
}

/// The thread: writes to `sink` until the writer is dropped or the sink is gone for good.
pub(super) fn write(shared: &WriterShared, mut sink: impl Write) {
    let mut text = Vec::new();
    while let Some((dropped, flushes)) = shared.queue.next(&mut text) {
        let notice = if dropped > 0 { shared.events.notice(dropped) } else { None };
        if let Some(notice) = notice {
            text.extend_from_slice(notice.as_bytes());
            text.push(b'\n');
        }
        let lost = deliver(shared, &mut sink, &text);
        flushes.into_iter().for_each(|done| done());
        if let Some(lost) = lost {
            shared.count_dropped(lost + shared.queue.abandon());
            return;
        }
        text.clear();
        text.shrink_to(KEPT);
    }
}

/// Writes all of `text`, however often the sink fails in between; `Some` with the number of lines
/// lost where there is no hope.
fn deliver(shared: &WriterShared, sink: &mut impl Write, text: &[u8]) -> Option<u64> {
    let mut rest = text;
    let mut failing = false;
    while !rest.is_empty() {
        let error = match sink.write(rest) {
            Ok(0) => io::Error::from(ErrorKind::WriteZero),
            Ok(n) => {
                rest = &rest[n..];
                continue;
            }
            Err(error) => error,
        };
        let patience = match error.kind() {
            ErrorKind::Interrupted => continue,
            ErrorKind::WouldBlock => NOT_READY,
            // The reader is gone, as that of `up | head` is.
            ErrorKind::BrokenPipe => {
                shared.events.failed(&error);
                return Some(lines_in(rest));
            }
            _ => {
                if !std::mem::replace(&mut failing, true) {
                    shared.events.failed(&error);
                }
                RETRY
            }
        };
        if !shared.queue.pause(patience) {
            return Some(lines_in(rest));
        }
    }
    if failing {
        shared.events.works_again();
    }
    None
}

fn lines_in(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}
