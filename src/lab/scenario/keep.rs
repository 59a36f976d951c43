//! A scene between two commands: a file of the user's, one for each lab, by its first port.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context as _;

use super::scene::Scene;
use crate::config::default_data_dir;

/// The largest file that is read, in bytes: a scene has some kilobytes.
const LARGEST: usize = 1 << 20;

fn file(port_base: u16) -> PathBuf {
    default_data_dir().join(format!("scenario-{port_base}.json"))
}

/// The scene that was kept for this lab, if one was. One that cannot be read is none.
pub(super) fn load(port_base: u16) -> Option<Scene> {
    let text = std::fs::read(file(port_base)).ok().filter(|text| text.len() <= LARGEST)?;
    serde_json::from_slice(&text).ok()
}

/// Keeps a scene in place of the one before.
///
/// # Errors
/// The file cannot be written.
pub(super) fn save(port_base: u16, scene: &Scene) -> anyhow::Result<()> {
    let file = file(port_base);
    let folder = file.parent().unwrap_or(&file);
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let text = serde_json::to_vec_pretty(scene)?;
    // Whole or not at all: another command may read it meanwhile.
    let part = file.with_extension("part");
    std::fs::write(&part, text).with_context(|| format!("writing {}", part.display()))?;
    std::fs::rename(&part, &file).with_context(|| format!("writing {}", file.display()))
}

/// Forgets it.
///
/// # Errors
/// The file cannot be removed.
pub(super) fn forget(port_base: u16) -> anyhow::Result<()> {
    let file = file(port_base);
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        _ => Ok(()),
    }
}
