//! Metrics of anyone: an hour of fine points and a day of coarse ones, bounded by series and by bytes.
//!
//! 1. [`value`] what a point says; [`exponential`] the histograms whose bounds are powers
//! 2. [`read`] a data point of OTLP as such a value, or why it is refused
//! 3. [`series`] the points of one series: delta made cumulative, resets seen, slots of time
//! 4. [`store`] all series within their bounds
//! 5. [`intake`] from an export into the store
//! 6. [`answer`] the API's list and its series of one metric; [`otlp_json`] the series as a file has them
//! 7. [`mod@charts`] the [`panels`], each a [`panel`]; its [`lines`] from the [`timeline`]s of its series, exemplars as [`dots`],
//!    and [`moments`]
//!
//! Percentiles are bounds, as everywhere in the console: a bucket says between which values something lies.

mod answer;
mod charts;
mod dots;
mod exponential;
mod intake;
mod lines;
mod moments;
mod otlp_json;
mod panel;
mod panels;
mod read;
mod series;
mod store;
mod timeline;
mod value;

pub(super) use answer::{list, metric};
pub(super) use charts::charts;
pub(super) use store::MetricStore;

#[cfg(test)]
mod tests;
