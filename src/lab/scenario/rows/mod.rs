//! The scenarios, a file for each subject.

pub(super) mod budget;
pub(super) mod calls;
pub(super) mod changes;
pub(super) mod failing;
pub(super) mod queue;
pub(super) mod reading;
pub(super) mod sampling;
pub(super) mod waiting;

use super::model::{FaultChoice, Setting};
use crate::lab::backend::count::CountSnapshot;
use crate::schema::{Role, faults, names};

/// Requests that the gateway has served, whose series has such a value of a label.
fn served(counts: &CountSnapshot, label: &str, is: impl Fn(&str) -> bool) -> f64 {
    let gateway = Role::Gateway.service().name;
    counts.sum(&format!("{}_count", names::HTTP_SERVER_DURATION), |key| {
        key.service == gateway && key.labels.get(label).is_some_and(|value| is(value))
    })
}

/// Requests wait at a role before they are handled.
const fn latency(role: Role, settings: &'static [(&'static str, Setting)]) -> FaultChoice {
    latency_of(faults::LATENCY, role, settings)
}

/// Something takes longer.
const fn latency_of(
    fault: &'static str,
    role: Role,
    settings: &'static [(&'static str, Setting)],
) -> FaultChoice {
    FaultChoice { fault, role, settings }
}

/// Requests are refused at a role.
const fn error(role: Role, settings: &'static [(&'static str, Setting)]) -> FaultChoice {
    FaultChoice { fault: faults::ERROR, role, settings }
}

/// A fault without parameters.
const fn plain(fault: &'static str, role: Role) -> FaultChoice {
    FaultChoice { fault, role, settings: &[] }
}
