#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::ErrorKind;
use std::sync::Condvar;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// Says what is missing and remembers what it was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>, Arc<AtomicU64>);

impl Told {
    fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl WriterEvents for Told {
    fn notice(&self, lines: u64) -> Option<String> {
        Some(format!("{lines} missing"))
    }
    fn dropped(&self, lines: u64) {
        self.1.fetch_add(lines, Ordering::SeqCst);
    }
    fn failed(&self, error: &io::Error) {
        self.0.lock().unwrap().push(format!("{:?}", error.kind()));
    }
    fn works_again(&self) {
        self.0.lock().unwrap().push("works".to_owned());
    }
}

/// A sink that a test opens and shuts.
#[derive(Clone, Default)]
struct Sink(Arc<(Mutex<Inside>, Condvar)>);

#[derive(Default)]
struct Inside {
    text: Vec<u8>,
    /// Blocks every write.
    shut: bool,
    /// A write waits.
    stuck: bool,
    /// Fails every write once it holds so many bytes.
    full: Option<(usize, ErrorKind)>,
    writes: usize,
}

impl Sink {
    fn with<T>(&self, f: impl FnOnce(&mut Inside) -> T) -> T {
        let result = f(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        result
    }

    fn text(&self) -> String {
        self.with(|inside| String::from_utf8(inside.text.clone()).unwrap())
    }

    fn wait(&self, condition: impl Fn(&Inside) -> bool) {
        let inside = self.0.0.lock().unwrap();
        let (_inside, late) = self.0.1.wait_timeout_while(inside, LONG, |i| !condition(i)).unwrap();
        assert!(!late.timed_out());
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inside = self.0.0.lock().unwrap();
        inside.writes += 1;
        inside.stuck = inside.shut;
        self.0.1.notify_all();
        inside = self.0.1.wait_while(inside, |i| i.shut).unwrap();
        let mut most = bytes.len();
        if let Some((size, kind)) = inside.full {
            most = most.min(size.saturating_sub(inside.text.len()));
            if most == 0 {
                return Err(kind.into());
            }
        }
        inside.text.extend_from_slice(&bytes[..most]);
        self.0.1.notify_all();
        Ok(most)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[actix_web::test]
async fn what_was_handed_over_is_written_when_flush_returns() {
    let sink = Sink::default();
    let writer = LossyWriter::start(sink.clone(), Told::default()).unwrap();
    writer.line("one");
    writer.line("two");
    assert!(writer.flush(LONG).await);
    assert_eq!(sink.text(), "one\ntwo\n");
    writer.line("three");
    flush_all_blocking(LONG);
    assert_eq!(sink.text(), "one\ntwo\nthree\n");
}

#[test]
fn lines_of_a_moment_leave_with_one_write() {
    let sink = Sink::default();
    let writer = LossyWriter::start(sink.clone(), Told::default()).unwrap();
    // The first may go by itself on a busy machine; the rest gathers behind the sink.
    sink.with(|inside| inside.shut = true);
    writer.line("first");
    sink.wait(|inside| inside.stuck);
    (0..100).for_each(|i| writer.line(format!("{i}")));
    sink.with(|inside| inside.shut = false);
    sink.wait(|inside| inside.text.ends_with(b"\n99\n"));
    assert_eq!(sink.with(|inside| inside.writes), 2);
}

#[test]
fn a_sink_that_hangs_costs_lines_and_nobodys_time_and_what_is_missing_is_said_at_its_place() {
    let (sink, told) = (Sink::default(), Told::default());
    sink.with(|inside| inside.shut = true);
    let writer = LossyWriter::start(sink.clone(), told.clone()).unwrap();
    writer.line("first");
    sink.wait(|inside| inside.stuck);
    // Returning at all while the sink hangs is the proof.
    let line = "x".repeat(1023);
    (0..2 * CAPACITY / 1024).for_each(|_| writer.line(&line));
    writer.line("short, and still not before its turn");
    let dropped = writer.dropped();
    assert_eq!(dropped, told.1.load(Ordering::SeqCst));
    assert!(dropped as usize > CAPACITY / 1024, "{dropped}");
    sink.with(|inside| inside.shut = false);
    let notice = format!("\n{dropped} missing\n");
    sink.wait(|inside| inside.text.ends_with(notice.as_bytes()));
    writer.line("after");
    sink.wait(|inside| inside.text.ends_with(b"missing\nafter\n"));
    assert!(!sink.text().contains("short"));
    assert_eq!(writer.dropped(), dropped);
}

#[test]
fn a_full_disk_is_told_once_and_lines_go_on_whole_when_there_is_room_again() {
    let (sink, told) = (Sink::default(), Told::default());
    sink.with(|inside| inside.full = Some((6, ErrorKind::StorageFull)));
    let writer = LossyWriter::start(sink.clone(), told.clone()).unwrap();
    writer.line("four");
    writer.line("five");
    sink.wait(|inside| inside.writes > 2);
    assert_eq!((sink.text().as_str(), told.told()), ("four\nf", vec!["StorageFull".to_owned()]));
    sink.with(|inside| inside.full = None);
    sink.wait(|inside| inside.text == b"four\nfive\n");
    writer.line("six");
    sink.wait(|inside| inside.text == b"four\nfive\nsix\n");
    assert_eq!((told.told(), writer.dropped()), (vec!["StorageFull".to_owned(), "works".to_owned()], 0));
}

#[actix_web::test]
async fn a_reader_that_went_away_is_no_reason_to_wait() {
    let (sink, told) = (Sink::default(), Told::default());
    sink.with(|inside| inside.full = Some((0, ErrorKind::BrokenPipe)));
    let writer = LossyWriter::start(sink.clone(), told.clone()).unwrap();
    writer.line("lost");
    writer.flush(LONG).await;
    writer.line("into the void");
    assert!(writer.flush(LONG).await);
    assert_eq!((told.told(), writer.dropped()), (vec!["BrokenPipe".to_owned()], 2));
}

#[actix_web::test]
async fn a_flush_takes_no_longer_than_it_may() {
    let sink = Sink::default();
    sink.with(|inside| inside.shut = true);
    let writer = LossyWriter::start(sink.clone(), Told::default()).unwrap();
    writer.line("one");
    assert!(!writer.flush(Duration::from_millis(50)).await);
    sink.with(|inside| inside.shut = false);
    assert!(writer.flush(LONG).await);
}

#[test]
fn lines_of_many_threads_are_whole_and_each_threads_are_in_order() {
    let sink = Sink::default();
    let writer = LossyWriter::start(sink.clone(), Told::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let writer = &writer;
            scope.spawn(move || {
                (0..2000).for_each(|i| writer.line(format!("{thread} {i} {}", "y".repeat(i % 50))));
            });
        }
    });
    flush_all_blocking(LONG);
    let mut next = [0; 4];
    for line in sink.text().lines() {
        let parts: Vec<_> = line.split(' ').collect();
        let (thread, i) = (parts[0].parse::<usize>().unwrap(), parts[1].parse::<usize>().unwrap());
        assert_eq!((next[thread], parts[2].len()), (i, i % 50));
        next[thread] += 1;
    }
    assert_eq!(next, [2000; 4]);
}
