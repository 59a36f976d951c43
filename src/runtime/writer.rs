//! A bounded, lossy writer of lines: the thread that logs never waits for the one that reads.
//!
//! Lines gather in memory for [`GATHER`] and leave with one `write(2)`, made by a thread of the
//! writer's own. What the sink does not take in time fills the buffer; lines that find it full are
//! dropped, counted, and told of in the stream itself, at the place where they are missing. A writer
//! with nothing to write sleeps without waking up.

mod batch;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use batch::LineQueue;

/// How long lines wait for others. A process that is killed loses those of its last moment.
pub const GATHER: Duration = Duration::from_millis(20);
/// Most bytes of lines in memory for one writer: half of it waits, half is being written.
pub const CAPACITY: usize = 1024 * 1024;

/// What the owner of a writer says and learns. All of it is called outside the writer's lock.
pub trait WriterEvents: Send + Sync + 'static {
    /// The line, without its newline, that stands where `lines` were dropped.
    fn notice(&self, lines: u64) -> Option<String>;
    /// `lines` were dropped; called on the thread that logs.
    fn dropped(&self, _lines: u64) {}
    /// The sink took nothing for this reason; told once, until it works again.
    fn failed(&self, _error: &io::Error) {}
    /// The sink takes lines again.
    fn works_again(&self) {}
}

/// The sending side. Dropping it ends the thread once all is written.
pub struct LossyWriter {
    shared: Arc<WriterShared>,
}

struct WriterShared {
    queue: LineQueue,
    events: Box<dyn WriterEvents>,
    dropped: AtomicU64,
}

/// Every writer of this process, for [`flush_all`].
static WRITERS: Mutex<Vec<Weak<WriterShared>>> = Mutex::new(Vec::new());

impl LossyWriter {
    /// Starts the thread that writes to `sink`.
    ///
    /// # Errors
    /// No further thread could be had.
    pub fn start(sink: impl Write + Send + 'static, events: impl WriterEvents) -> io::Result<Self> {
        let shared = Arc::new(WriterShared {
            queue: LineQueue::new(CAPACITY / 2),
            events: Box::new(events),
            dropped: AtomicU64::new(0),
        });
        let writing = shared.clone();
        std::thread::Builder::new().name("lines".to_owned()).spawn(move || batch::write(&writing, sink))?;
        let mut writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|writer| writer.strong_count() > 0);
        writers.push(Arc::downgrade(&shared));
        drop(writers);
        Ok(Self { shared })
    }

    /// Hands over one line, without its newline. Never blocks and makes no system call, but for one
    /// to wake a thread that sleeps.
    pub fn line(&self, line: impl AsRef<[u8]>) {
        if !self.shared.queue.push(line.as_ref()) {
            self.shared.count_dropped(1);
        }
    }

    /// Lines dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// [`LossyWriter::flush`] for a thread that may block.
    pub fn written(&self, within: Duration) -> bool {
        self.shared.receipt().recv_timeout(within).is_ok()
    }

    /// Waits until everything handed over is written, at most `within`; whether it is.
    pub async fn flush(&self, within: Duration) -> bool {
        self.shared.flushed(within).await
    }
}

impl Drop for LossyWriter {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl WriterShared {
    fn count_dropped(&self, lines: u64) {
        if lines > 0 {
            self.dropped.fetch_add(lines, Ordering::Relaxed);
            self.events.dropped(lines);
        }
    }

    /// Gets a message once all that was handed over is written.
    fn receipt(&self) -> mpsc::Receiver<()> {
        let (done, written) = mpsc::sync_channel(1);
        self.queue.when_written(move || {
            let _ = done.send(());
        });
        written
    }

    async fn flushed(&self, within: Duration) -> bool {
        let (done, written) = oneshot::channel();
        self.queue.when_written(move || {
            let _ = done.send(());
        });
        matches!(tokio::time::timeout(within, written).await, Ok(Ok(())))
    }
}

fn writers() -> Vec<Arc<WriterShared>> {
    let writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    writers.iter().filter_map(Weak::upgrade).collect()
}

/// Waits until all writers of this process have written what they were handed, at most `within`.
pub async fn flush_all(within: Duration) {
    let all = writers();
    futures_util::future::join_all(all.iter().map(|writer| writer.flushed(within))).await;
}

/// [`flush_all`] where nothing async runs, as on the way out of the process.
pub fn flush_all_blocking(within: Duration) {
    let deadline = Instant::now() + within;
    let waits: Vec<_> = writers().iter().map(|writer| writer.receipt()).collect();
    for written in waits {
        let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// Standard output or error as a file: without the lock and the buffer that `std` puts before it.
///
/// # Errors
/// No further file descriptor could be had.
pub fn unbuffered(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(test)]
mod tests;
