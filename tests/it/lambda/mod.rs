//! The lambda role on the Lambda runtime's own interface.

mod emulator;
mod runtime;
mod standin;
