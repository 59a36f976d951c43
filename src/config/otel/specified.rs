//! What the specification says of each `OTEL_*` variable, and what this program does with it.
//!
//! A table for the documents: nothing is configured here. The tests hold it against the variables that are
//! read, and against the tests that each row names.

mod exporters;
mod sdk;

/// The version of the specification that the rows were read from.
pub const OTEL_SPECIFICATION: &str = "1.60.0";

/// One row: a variable, or one with its forms for single signals.
#[derive(Debug)]
pub struct OtelVariable {
    /// The general name first.
    pub names: &'static [&'static str],
    /// What the specification asks, in a clause.
    pub specified: &'static str,
    /// What happens here, where it is not just that.
    pub here: OtelSupport,
}

/// How far this program goes with a variable.
#[derive(Debug)]
pub enum OtelSupport {
    /// As specified.
    Whole {
        /// Tests that show it, by their functions' names.
        tests: &'static [&'static str],
    },
    /// As specified, but for this.
    But {
        /// What differs.
        difference: &'static str,
        /// Tests that show it.
        tests: &'static [&'static str],
    },
    /// It has no effect, and where it is set a line of the log says so.
    None {
        /// Why not, or what to use.
        instead: &'static str,
    },
}

/// Every variable of the specification, and those of its signals.
pub fn otel_variables() -> impl Iterator<Item = &'static OtelVariable> {
    sdk::ROWS.iter().chain(exporters::ROWS)
}

const fn row(names: &'static [&'static str], specified: &'static str, here: OtelSupport) -> OtelVariable {
    OtelVariable { names, specified, here }
}

/// Shown for several variables.
const LIMITS: &str = "every_limit_and_every_size_has_its_own_variable_and_the_general_one_behind_it";
/// Shown for several variables.
const REPORTED: &str = "an_unknown_name_is_reported_and_the_default_stays";
