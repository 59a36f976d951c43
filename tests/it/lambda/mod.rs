//! The lambda role, on the runtime's own interface and on an emulator, and its caller.

mod caller;
mod emulator;
mod runtime;
pub mod standin;
