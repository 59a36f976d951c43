//! The commands that work on the system from outside: over HTTP and as processes, as a user would.

pub mod archive;
pub mod backend;
pub mod doctor;
pub mod expect;
pub mod fault;
pub mod healthcheck;
mod listener;
pub mod load;
mod output;
mod program;
pub mod queue;
pub mod running;
pub mod scenario;
pub mod score;
pub mod up;
pub mod verify;

pub(crate) use output::{CommandOutput, tolerate_closed_pipe};
