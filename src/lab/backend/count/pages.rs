//! Counters on the roles' own pages.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{BackendError, LARGEST_ANSWER, QUERY_WITHIN};
use super::{CountSnapshot, buckets_name, counted, key, series_names};
use crate::config::without_login;
use crate::exposition::{families, samples};
use crate::runtime::oneshot::OneShot;
use crate::schema::{Metric, names};

pub(super) async fn of_pages(pages: &[(&'static str, String)]) -> Result<CountSnapshot, BackendError> {
    let wanted: BTreeMap<String, &Metric> = counted()
        .flat_map(|metric| series_names(metric).into_iter().map(move |(_, name)| (name, metric)))
        .collect();
    let buckets = buckets_name();
    let mut found = CountSnapshot::default();
    for (service, base) in pages {
        let page = page(base).await?;
        for sample in samples(&page) {
            if sample.name == names::PROCESS_START {
                let start = sample.value.to_string();
                found.processes.entry((*service).to_owned()).or_default().insert(start);
            }
            let labels = || -> BTreeMap<String, String> {
                sample.labels.iter().map(|(key, value)| ((*key).to_owned(), value.to_string())).collect()
            };
            if sample.name == buckets {
                found.add_bucket(service, &labels(), sample.value);
            }
            let Some(metric) = wanted.get(sample.name) else { continue };
            let labels = labels();
            found.note(service, metric, &labels);
            found.add(key(service, sample.name, metric, &labels), sample.value);
        }
    }
    Ok(found)
}

/// The names of all metrics on the pages, with the service whose page it is.
pub(super) async fn names_on(
    pages: &[(&'static str, String)],
) -> Result<BTreeSet<(String, String)>, BackendError> {
    let mut found = BTreeSet::new();
    for (service, base) in pages {
        let page = page(base).await?;
        found.extend(families(&page).iter().map(|one| ((*service).to_owned(), one.name.to_owned())));
    }
    Ok(found)
}

async fn page(base: &str) -> Result<String, BackendError> {
    let url = format!("{}/metrics", without_login(base));
    match OneShot::new(QUERY_WITHIN, LARGEST_ANSWER).get(&format!("{base}/metrics")).await {
        Ok(answer) if answer.is_success() => Ok(String::from_utf8_lossy(&answer.body).into_owned()),
        Ok(answer) => Err(BackendError::Refused { url, status: answer.status.as_u16() }),
        Err(why) => Err(BackendError::Unanswered { url, why }),
    }
}
