//! Parse, dispatch, print one error, exit.
fn main() {}
