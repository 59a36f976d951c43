//! What a fault does beside what is asked for: begun when it is set, undone when it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::FaultSettings;
use super::settings::bounded;
use crate::runtime::telemetry;
use crate::schema::faults;

/// How often a thread of a fault takes its turn.
const TURN: Duration = Duration::from_millis(50);
const TURNS_EACH_SECOND: u32 = 20;
/// Memory is taken in pieces of this size, each given back to the system whole.
const SLAB: usize = 4 << 20;

type OnChange = Box<dyn Fn(Option<&FaultSettings>) + Send + Sync>;

/// Everything that begins and ends with a fault.
pub(super) struct Effects {
    on_change: Mutex<Vec<(&'static str, OnChange)>>,
    /// What [`faults::MEMORY_GROWTH`] has taken.
    pub(super) kept: Arc<KeptMemory>,
}

impl Effects {
    /// Those of the runtime itself.
    pub(super) fn of_runtime() -> Self {
        let kept = Arc::<KeptMemory>::default();
        let effects = Self { on_change: Mutex::default(), kept: kept.clone() };
        effects.add(faults::MEMORY_GROWTH, move |settings| {
            if settings.is_none() {
                kept.release();
            }
        });
        effects.add(faults::DEPLOY, |settings| telemetry::set_next_version(settings.is_some()));
        effects.add(faults::CLOCK_SKEW, |settings| {
            telemetry::set_clock_behind(settings.map(FaultSettings::extra).unwrap_or_default());
        });
        effects.add(faults::CPU_BURN, thread_of("fault-cpu", |settings| burn(settings.percent)));
        effects.add(faults::LOG_FLOOD, thread_of("fault-log", |settings| flood(settings.lines)));
        effects
    }

    pub(super) fn add(
        &self,
        fault: &'static str,
        change: impl Fn(Option<&FaultSettings>) + Send + Sync + 'static,
    ) {
        lock(&self.on_change).push((fault, Box::new(change)));
    }

    /// A fault was set, or with no settings has ended.
    pub(super) fn changed(&self, fault: &str, settings: Option<&FaultSettings>) {
        lock(&self.on_change).iter().filter(|one| one.0 == fault).for_each(|one| (one.1)(settings));
    }
}

/// Runs what `turn` makes of the settings on a thread of its own for as long as the fault lasts: the
/// runtime's threads, which serve `/health` too, are left alone.
fn thread_of<T: FnMut() + Send + 'static>(
    name: &'static str,
    turn: impl Fn(&FaultSettings) -> T + Send + Sync + 'static,
) -> impl Fn(Option<&FaultSettings>) + Send + Sync {
    let running = Mutex::new(None);
    move |settings| {
        // The one before, if any, ends with its handle.
        *lock(&running) = settings.and_then(|settings| Turns::begin(name, turn(settings)));
    }
}

/// A thread that takes its turns until this is dropped.
struct Turns(Arc<AtomicBool>);

impl Turns {
    /// Without a thread there is no fault.
    fn begin(name: &'static str, mut turn: impl FnMut() + Send + 'static) -> Option<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let seen = ended.clone();
        let turns = move || {
            while !seen.load(Ordering::Relaxed) {
                let begun = Instant::now();
                turn();
                thread::sleep(TURN.saturating_sub(begun.elapsed()));
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(turns).ok()?;
        Some(Self(ended))
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Computes for a share of each turn.
fn burn(percent: Option<u64>) -> impl FnMut() + Send {
    let busy = TURN * bounded(percent) / 100;
    move || {
        let (begun, mut number) = (Instant::now(), 1_u64);
        while begun.elapsed() < busy {
            number = std::hint::black_box(number.rotate_left(7) ^ 0x9e37_79b9);
        }
    }
}

/// Logs so many lines in each second.
fn flood(lines: Option<u64>) -> impl FnMut() + Send {
    let (lines, mut due, mut count) = (bounded(lines), 0, 0_u64);
    move || {
        due += lines;
        while due >= TURNS_EACH_SECOND {
            due -= TURNS_EACH_SECOND;
            count += 1;
            tracing::info!(count, "Cache entry not found");
        }
    }
}

/// Memory that requests leave behind.
#[derive(Default)]
pub(super) struct KeptMemory(Mutex<Vec<Vec<u8>>>);

impl KeptMemory {
    /// Keeps so many KiB more; not where that would be more than there may be.
    pub(super) fn keep(&self, kib: Option<u64>) -> bool {
        let more = bounded(kib) as usize * 1024;
        let mut slabs = lock(&self.0);
        let kept: usize = slabs.iter().map(Vec::len).sum();
        if kept + more > faults::MOST_MEMORY_MIB << 20 {
            return false;
        }
        if slabs.last().is_none_or(|slab| slab.len() + more > SLAB) {
            slabs.push(Vec::with_capacity(SLAB));
        }
        // Written, or the system would not give the memory.
        let Some(slab) = slabs.last_mut() else { return false };
        slab.resize(slab.len() + more, 0x5a);
        const MIB: usize = 1 << 20;
        let (before, after) = (kept / (8 * MIB), (kept + more) / (8 * MIB));
        if after > before {
            tracing::warn!(count = slabs.len(), "Cache grows and nothing is removed from it");
        }
        true
    }

    fn release(&self) {
        *lock(&self.0) = Vec::new();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_up_to_its_bound_and_released_whole() {
        let kept = KeptMemory::default();
        let times = (0..1000).filter(|_| kept.keep(Some(1024))).count();
        // A request of the largest size leaves nothing over.
        assert_eq!(times, faults::MOST_MEMORY_MIB);
        kept.release();
        assert!(lock(&kept.0).is_empty() && kept.keep(Some(1)));
    }

    #[test]
    fn what_a_fault_began_ends_with_it_or_with_its_next_setting() {
        let effects = Effects { on_change: Mutex::default(), kept: Arc::default() };
        let (alive, seen) = (Arc::new(()), Arc::new(Mutex::new(Vec::new())));
        let (held, told) = (alive.clone(), seen.clone());
        effects.add(
            "x",
            thread_of("test", move |_| {
                let held = held.clone();
                move || drop(held.clone())
            }),
        );
        effects.add("x", move |settings| lock(&told).push(settings.is_some()));
        let settings = FaultSettings::default();
        effects.changed("x", Some(&settings));
        effects.changed("x", Some(&settings));
        effects.changed("y", Some(&settings));
        effects.changed("x", None);
        assert_eq!(*lock(&seen), [true, true, false]);
        let end = Instant::now() + Duration::from_secs(10);
        // The test's and the one that the effect makes others from.
        while Arc::strong_count(&alive) > 2 && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(Arc::strong_count(&alive), 2);
    }
}
