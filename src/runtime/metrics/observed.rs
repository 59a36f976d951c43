//! What was observed of each series, in a form that is read without making a page.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, Label};

use super::base2::Base2Histogram;
use super::exemplar::{BucketExemplar, Reservoir};
use super::options::{ExemplarFilter, ObservationOptions};
use crate::exposition::MetricSample;
use crate::schema::OtlpMetric;

/// The series that were asked for so far: as many as the schema has. Clones share them.
#[derive(Clone, Default)]
pub(in crate::runtime) struct Observations {
    all: Arc<RwLock<HashMap<Key, Arc<ObservedSeries>>>>,
    options: Arc<ObservationOptions>,
}

/// One series.
pub(in crate::runtime) struct ObservedSeries {
    /// Which one of the process's series it is, in the order in which they were first asked for.
    pub(in crate::runtime) number: usize,
    /// Its metric's name on the page, and its labels.
    pub(in crate::runtime) key: Key,
    /// What was observed.
    pub(in crate::runtime) value: ObservedValue,
}

/// What was observed of a series.
pub(in crate::runtime) enum ObservedValue {
    /// A sum that only grows.
    Counter(Arc<ObservedCounter>),
    /// A number that is set.
    Gauge(Arc<ObservedGauge>),
    /// A distribution.
    Histogram(Arc<ObservedHistogram>),
}

/// A counter of the page, and the same number beside it.
pub(in crate::runtime) struct ObservedCounter {
    inner: Counter,
    value: AtomicU64,
}

/// A gauge of the page, and the same number beside it, as its bits.
pub(in crate::runtime) struct ObservedGauge {
    inner: Gauge,
    value: AtomicU64,
}

/// A histogram of the page, and beside it its buckets and their exemplars.
pub(in crate::runtime) struct ObservedHistogram {
    inner: Histogram,
    bounds: &'static [f64],
    /// One for each bound, and one for what lies above the last.
    counts: Box<[AtomicU64]>,
    /// The bits of a number.
    sum: AtomicU64,
    exemplars: Reservoir,
    /// Empty but where exponential buckets are asked for.
    base2: Mutex<Option<Box<Base2Histogram>>>,
    /// What makes OTLP's unit of the metric's own.
    divisor: f64,
    options: Arc<ObservationOptions>,
}

impl Observations {
    /// What is kept beside the numbers from now on.
    pub(super) fn keep(&self, filter: ExemplarFilter, exponential: bool) {
        self.options.set(filter, exponential);
    }

    /// The one series of a key.
    pub(super) fn of(&self, key: &Key, new: impl FnOnce() -> ObservedValue) -> Arc<ObservedSeries> {
        let known = self.all.read().unwrap_or_else(|e| e.into_inner()).get(key).cloned();
        known.unwrap_or_else(|| {
            let mut all = self.all.write().unwrap_or_else(|e| e.into_inner());
            let number = all.len();
            let new = || Arc::new(ObservedSeries { number, key: key.clone(), value: new() });
            all.entry(key.clone()).or_insert_with(new).clone()
        })
    }

    /// A histogram that is not yet one of them.
    pub(super) fn histogram(&self, key: &Key, inner: Histogram, bounds: &'static [f64]) -> ObservedHistogram {
        ObservedHistogram {
            inner,
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0f64.to_bits()),
            exemplars: Reservoir::default(),
            base2: Mutex::default(),
            divisor: OtlpMetric::of(key.name()).map_or(1.0, |row| row.divisor),
            options: self.options.clone(),
        }
    }

    /// All of them, in order.
    pub(in crate::runtime) fn all(&self) -> Vec<Arc<ObservedSeries>> {
        let all = self.all.read().unwrap_or_else(|e| e.into_inner());
        let mut all: Vec<_> = all.values().cloned().collect();
        all.sort_unstable_by_key(|series| series.number);
        all
    }

    /// The exemplars of the series that a bucket of a page belongs to; empty before the first.
    pub(super) fn exemplars(&self, bucket: &MetricSample<'_>) -> Box<[Option<BucketExemplar>]> {
        let name = bucket.name.strip_suffix("_bucket").unwrap_or(bucket.name);
        let labels = bucket.labels.iter().filter(|(key, _)| *key != "le");
        let labels = labels.map(|(key, value)| Label::new((*key).to_owned(), value.clone().into_owned()));
        let key = Key::from_parts(name.to_owned(), labels.collect::<Vec<_>>());
        let series = self.all.read().unwrap_or_else(|e| e.into_inner()).get(&key).cloned();
        match series.as_deref() {
            Some(ObservedSeries { value: ObservedValue::Histogram(found), .. }) => found.exemplars(),
            _ => Box::default(),
        }
    }
}

impl ObservedCounter {
    pub(super) fn new(inner: Counter) -> Self {
        Self { inner, value: AtomicU64::new(0) }
    }

    pub(in crate::runtime) fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

impl CounterFn for ObservedCounter {
    fn increment(&self, value: u64) {
        self.inner.increment(value);
        CounterFn::increment(&self.value, value);
    }

    fn absolute(&self, value: u64) {
        self.inner.absolute(value);
        CounterFn::absolute(&self.value, value);
    }
}

impl ObservedGauge {
    pub(super) fn new(inner: Gauge) -> Self {
        Self { inner, value: AtomicU64::new(0f64.to_bits()) }
    }

    pub(in crate::runtime) fn value(&self) -> f64 {
        f64::from_bits(self.value.load(Ordering::Relaxed))
    }
}

impl GaugeFn for ObservedGauge {
    fn increment(&self, value: f64) {
        self.inner.increment(value);
        GaugeFn::increment(&self.value, value);
    }

    fn decrement(&self, value: f64) {
        self.inner.decrement(value);
        GaugeFn::decrement(&self.value, value);
    }

    fn set(&self, value: f64) {
        self.inner.set(value);
        GaugeFn::set(&self.value, value);
    }
}

impl HistogramFn for ObservedHistogram {
    fn record(&self, value: f64) {
        self.inner.record(value);
        // An upper bound belongs to its bucket; what is no number lies above all bounds, as on the page.
        let bucket = match value.is_nan() {
            true => self.bounds.len(),
            false => self.bounds.partition_point(|bound| *bound < value),
        };
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        GaugeFn::increment(&self.sum, value);
        self.exemplars.offer(value, bucket, self.counts.len(), self.options.filter());
        if self.options.exponential() {
            // Waits for another observation of this very series at the most: what counts must not be lost.
            let mut base2 = self.base2.lock().unwrap_or_else(|e| e.into_inner());
            base2.get_or_insert_default().record(value / self.divisor);
        }
    }
}

impl ObservedHistogram {
    /// The upper bounds of all buckets but the last, in the metric's own unit.
    pub(in crate::runtime) fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// What is in each bucket alone, one more than there are bounds, and the sum of all, in the metric's own unit.
    pub(in crate::runtime) fn counts(&self) -> (Vec<u64>, f64) {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        (counts, f64::from_bits(self.sum.load(Ordering::Relaxed)))
    }

    /// The exemplar of each bucket, in the metric's own unit; empty before the first.
    pub(in crate::runtime) fn exemplars(&self) -> Box<[Option<BucketExemplar>]> {
        self.exemplars.copy().unwrap_or_default()
    }

    /// What was observed so far in exponential buckets, in OTLP's unit; counting begins again where it is
    /// `taken`.
    pub(in crate::runtime) fn base2(&self, taken: bool) -> Base2Histogram {
        let mut base2 = self.base2.lock().unwrap_or_else(|e| e.into_inner());
        let found = if taken { base2.take() } else { base2.clone() };
        *found.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, histogram, with_local_recorder};

    use super::*;
    use crate::exposition::families;
    use crate::runtime::metrics::{PageFormat, Recorder};
    use crate::schema::names;

    #[tokio::test]
    async fn the_page_and_what_is_kept_beside_it_say_the_same_of_every_kind_of_observation() {
        let (own, recorder) = Recorder::for_test();
        let (page, series) = with_local_recorder(&own, || {
            counter!(names::ORDERS_CREATED).increment(3);
            counter!(names::PROCESS_CPU).absolute(7_000_000_000_000);
            counter!(names::ORDERS_CREATED).increment(2);
            let pool = gauge!(names::DB_POOL, "state" => "used");
            pool.set(4.0);
            pool.increment(2.5);
            pool.decrement(1.0);
            // Below, on and above bounds, and beyond the last.
            for value in [0.0, 0.005, 0.0051, 0.75, 9.0, 1e9] {
                histogram!(names::DB_DURATION, "outcome" => "ok").record(value);
            }
            (recorder.render(PageFormat::Prometheus), recorder.series())
        });
        let (mut compared, families) = (0, families(&page));
        for series in series {
            let family = families.iter().find(|family| family.name == series.key.name()).unwrap();
            let samples = family.lines.iter().filter_map(|line| MetricSample::parse(line));
            let samples: Vec<_> = samples.map(|sample| sample.value).collect();
            match &series.value {
                ObservedValue::Counter(counter) if family.name == names::PROCESS_CPU => {
                    assert_eq!((&samples[..], counter.value()), (&[7e6][..], 7_000_000_000_000));
                }
                ObservedValue::Counter(counter) => assert_eq!(samples, [counter.value() as f64]),
                ObservedValue::Gauge(gauge) if family.name == names::DB_POOL => {
                    assert_eq!((&samples[..], gauge.value()), (&[5.5][..], 5.5));
                }
                // The system's own change from one reading to the next.
                ObservedValue::Gauge(_) => continue,
                ObservedValue::Histogram(histogram) => {
                    let (counts, sum) = histogram.counts();
                    let upto = |last: usize| counts[..=last].iter().sum::<u64>() as f64;
                    let expected: Vec<_> = (0..counts.len()).map(upto).chain([sum, 6.0]).collect();
                    assert_eq!(samples, expected);
                }
            }
            compared += 1;
        }
        assert!(compared >= 4, "{compared}");
    }
}
