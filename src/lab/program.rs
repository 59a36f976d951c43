//! Where this very program is.

use std::io;
use std::path::PathBuf;

/// The path of the running program. The kernel tells where /proc is mounted; in an empty root it is what the caller named:
/// a path, or a word that is looked for in PATH, as the shell did.
///
/// # Errors
/// Neither is known.
pub(super) fn this_program() -> io::Result<PathBuf> {
    std::env::current_exe().or_else(|error| named(std::env::args_os().next().map(PathBuf::from)).ok_or(error))
}

fn named(first: Option<PathBuf>) -> Option<PathBuf> {
    let first = first?;
    if first.components().count() > 1 {
        return std::path::absolute(first).ok().filter(|file| file.is_file());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(&first)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_program_without_proc_is_found_by_the_name_it_was_called_by() {
        assert_eq!(named(Some("/bin/sh".into())), Some("/bin/sh".into()));
        assert!(named(Some("sh".into())).is_some_and(|found| found.is_absolute() && found.ends_with("sh")));
        assert_eq!(named(Some("/bin/no-such-program".into())), None);
        assert_eq!(named(None), None);
    }
}
