//! Every fault a role can be told to have: what goes wrong, how much of it, and where.

mod table;

use serde_json::Value;

use super::{Role, Route};

pub use table::*;

/// The attribute of a span that a fault has hit; its value is the fault's name, or names with commas.
pub const FAULT_ATTRIBUTE: &str = "o11y_lab.fault";

/// What a role logs when a fault is set; its name is the line's field `fault`.
pub const FAULT_SET: &str = "Fault set";
/// What it logs when one ends: cleared by somebody, or because its time was over.
pub const FAULT_ENDS: [&str; 2] = ["Fault cleared", "Fault expired"];

/// One row of the fault table.
#[derive(Debug)]
pub struct Fault {
    /// Its name in commands, in `fault_active` and in [`FAULT_ATTRIBUTE`].
    pub name: &'static str,
    /// What goes wrong, in one sentence.
    pub meaning: &'static str,
    /// What can be set, beside [`SECONDS`].
    pub parameters: &'static [Parameter],
    /// The roles that can have it; the first is the one meant where none is named.
    pub roles: &'static [Role],
}

impl Fault {
    /// The row with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.name == name)
    }

    /// The rows that apply to a role.
    pub fn of(role: Role) -> impl Iterator<Item = &'static Self> {
        FAULTS.iter().filter(move |fault| fault.roles.contains(&role))
    }
}

/// One thing that can be set about a fault.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in JSON and, behind two dashes, on the command line.
    pub name: &'static str,
    /// What it is, with its unit.
    pub meaning: &'static str,
    /// What it may be.
    pub values: Values,
}

/// The values a parameter takes.
#[derive(Debug)]
pub enum Values {
    /// A whole number.
    Whole {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
        /// The one taken where none is given.
        default: u64,
    },
    /// A share: above 0, at most 1, which is what it is where none is given.
    Ratio,
    /// One of a few numbers, the first where none is given.
    OneOf(&'static [u64]),
    /// A route template of the role; all of them where none is given.
    Route,
}

/// A value that was found to be in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Checked {
    /// A whole number.
    Whole(u64),
    /// A share.
    Ratio(f64),
    /// A route template.
    Route(&'static str),
}

impl Values {
    /// What may be given, in words.
    pub fn range(&self) -> String {
        match self {
            Self::Whole { min, max, .. } => format!("a whole number from {min} to {max}"),
            Self::Ratio => "a number above 0 and at most 1".to_owned(),
            Self::OneOf(values) => format!("one of {}", list(values.iter())),
            Self::Route => "one of the role's route templates".to_owned(),
        }
    }

    /// What is taken where nothing is given, if anything.
    pub fn default(&self) -> Option<Checked> {
        match self {
            Self::Whole { default, .. } => Some(Checked::Whole(*default)),
            Self::Ratio => Some(Checked::Ratio(1.0)),
            Self::OneOf(values) => values.first().copied().map(Checked::Whole),
            Self::Route => None,
        }
    }

    /// Reads a value for a role with `routes`; the error is what it must be.
    pub fn check(&self, value: &Value, routes: &'static [Route]) -> Result<Checked, String> {
        let checked = match self {
            Self::Whole { min, max, .. } => {
                value.as_u64().filter(|n| (min..=max).contains(&n)).map(Checked::Whole)
            }
            Self::Ratio => value.as_f64().filter(|r| *r > 0.0 && *r <= 1.0).map(Checked::Ratio),
            Self::OneOf(values) => value.as_u64().filter(|n| values.contains(n)).map(Checked::Whole),
            Self::Route => {
                let mut paths = routes.iter().map(|route| route.path);
                return paths.find(|path| value == path).map(Checked::Route).ok_or_else(|| {
                    let mut paths: Vec<_> = routes.iter().map(|route| route.path).collect();
                    paths.dedup();
                    format!("one of {}", list(paths.iter()))
                });
            }
        };
        checked.ok_or_else(|| self.range())
    }
}

fn list(values: impl Iterator<Item = impl ToString>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::table::{MS, STATUS};
    use super::*;

    const ROUTES: &[Route] = &[Route { method: "GET", path: "/orders/{id}", statuses: &[] }];

    #[test]
    fn a_value_is_taken_only_within_its_range() {
        let check = |values: &Values, value: Value| values.check(&value, ROUTES);
        assert_eq!(check(&MS.values, json!(60_000)), Ok(Checked::Whole(60_000)));
        assert_eq!(check(&Values::Ratio, json!(1)), Ok(Checked::Ratio(1.0)));
        assert_eq!(check(&Values::Route, json!("/orders/{id}")), Ok(Checked::Route("/orders/{id}")));
        for (values, bad) in [
            (&MS.values, vec![json!(0), json!(60_001), json!(-1), json!(1.5), json!("5"), json!(null)]),
            (&Values::Ratio, vec![json!(0), json!(1.01), json!(-0.5), json!("0.5"), json!(true)]),
            (&STATUS.values, vec![json!(200), json!(404), json!(599), json!("500")]),
            (&Values::Route, vec![json!("/orders/3"), json!("/metrics"), json!(""), json!(3)]),
        ] {
            for bad in bad {
                assert!(check(values, bad.clone()).is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn every_status_that_can_be_injected_is_one_that_every_route_is_known_to_answer() {
        let Values::OneOf(statuses) = STATUS.values else { unreachable!() };
        for status in statuses {
            assert!(ROUTES[0].answers().iter().any(|answer| u64::from(*answer) == *status), "{status}");
        }
    }
}
