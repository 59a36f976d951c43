//! A thread that writes lines, so that a paused terminal or a slow disk never stops the lab.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Lines waiting for one writer.
const WAITING: usize = 2048;
/// The longest we wait at the end for what is still waiting.
const LAST_LINES: Duration = Duration::from_secs(1);

enum Item {
    Line(String),
    Flush(oneshot::Sender<()>),
}

/// The sending side. Never blocks: a line that finds the queue full is counted and dropped.
pub(super) struct Writer {
    items: SyncSender<Item>,
    dropped: Cell<u64>,
}

impl Writer {
    /// Starts the thread. `failed` is told once if the sink cannot be written to; from then on
    /// lines go nowhere, which is right for `up | head`.
    pub(super) fn start(
        sink: impl Write + Send + 'static,
        failed: impl FnOnce(&io::Error) + Send + 'static,
    ) -> Self {
        let (items, queue) = sync_channel(WAITING);
        std::thread::spawn(move || {
            if let Err(error) = write_all(sink, &queue) {
                failed(&error);
            }
        });
        Self { items, dropped: Cell::new(0) }
    }

    /// Hands over one line, without its newline.
    pub(super) fn line(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.items.try_send(Item::Line(line)) {
            self.dropped.set(self.dropped.get() + 1);
        }
    }

    /// Lines dropped because the sink was too slow.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Waits until everything handed over is written, but not for ever.
    pub(super) async fn flush(&self) {
        let deadline = Instant::now() + LAST_LINES;
        while Instant::now() < deadline {
            let (done, written) = oneshot::channel();
            match self.items.try_send(Item::Flush(done)) {
                Ok(()) => {
                    let _ = tokio::time::timeout(LAST_LINES, written).await;
                    return;
                }
                Err(TrySendError::Full(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }
}

fn write_all(mut sink: impl Write, queue: &Receiver<Item>) -> io::Result<()> {
    while let Ok(first) = queue.recv() {
        for item in std::iter::once(first).chain(queue.try_iter()) {
            match item {
                Item::Line(mut line) => {
                    line.push('\n');
                    sink.write_all(line.as_bytes())?;
                }
                Item::Flush(done) => {
                    sink.flush()?;
                    let _ = done.send(());
                }
            }
        }
        sink.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex, mpsc};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[actix_web::test]
    async fn what_was_handed_over_is_written_when_flush_returns() {
        let sink = Shared::default();
        let writer = Writer::start(sink.clone(), |_| ());
        writer.line("one".into());
        writer.line("two".into());
        writer.flush().await;
        assert_eq!(*sink.0.lock().unwrap(), b"one\ntwo\n");
    }

    #[actix_web::test]
    async fn a_sink_that_hangs_costs_lines_and_not_the_lab() {
        let (release, hang) = mpsc::channel();
        let (told, failure) = mpsc::channel();
        let writer = Writer::start(Stuck(hang), move |e| told.send(e.kind()).unwrap());
        for _ in 0..WAITING + 100 {
            writer.line("x".into());
        }
        assert!(writer.dropped() > 0);
        drop(release);
        assert_eq!(failure.recv_timeout(Duration::from_secs(10)).unwrap(), io::ErrorKind::BrokenPipe);
        writer.line("into the void".into());
        writer.flush().await;
    }
}
