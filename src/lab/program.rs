//! Where this very program is.

use std::io;
use std::path::PathBuf;

/// The path of the running program. The kernel tells where /proc is mounted; in an empty root it is the path that the caller
/// named.
///
/// # Errors
/// Neither is known.
pub(super) fn this_program() -> io::Result<PathBuf> {
    std::env::current_exe().or_else(|error| named(std::env::args_os().next().map(PathBuf::from)).ok_or(error))
}

fn named(first: Option<PathBuf>) -> Option<PathBuf> {
    // A word alone was found in PATH, or is no file's name at all.
    let first = first.filter(|path| path.components().count() > 1)?;
    std::path::absolute(first).ok().filter(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_program_without_proc_is_found_by_the_path_it_was_called_by() {
        assert_eq!(named(Some("/bin/sh".into())), Some("/bin/sh".into()));
        assert_eq!(named(Some("sh".into())), None);
        assert_eq!(named(Some("/bin/no-such-program".into())), None);
        assert_eq!(named(None), None);
    }
}
