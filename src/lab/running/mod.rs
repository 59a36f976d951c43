//! `status`, `logs`, `down` and `open`: what is done with a lab that runs on this machine, found by its data folder.

mod down;
mod logs;
mod open;
mod status;

pub use down::down;
pub use logs::logs;
pub use open::open;
pub use status::status;

use std::path::Path;

use super::up::{FoundLab, LabState, find};

/// Why a command about a lab that runs does not end with success.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct NotAsWanted {
    /// 1 where a part of the lab is not ready, 3 where no lab runs, as `systemctl status` has it.
    pub exit_code: u8,
    text: String,
}

/// The lab that runs on the data in `folder`.
fn lab(folder: &Path) -> anyhow::Result<LabState> {
    let text = match find(folder)? {
        FoundLab::Running(lab) => return Ok(*lab),
        FoundLab::None => format!("no lab runs on the data in {} (--data-dir, DATA_DIR)", folder.display()),
        FoundLab::Unknown => return Err(unknown(folder)),
    };
    Err(NotAsWanted { exit_code: 3, text }.into())
}

fn unknown(folder: &Path) -> anyhow::Error {
    let folder = folder.display();
    let text = format!(
        "something holds {folder}/up.lock and says nothing of itself: a lab that only begins, one in a container, or one whose processes /proc does not show"
    );
    NotAsWanted { exit_code: 1, text }.into()
}
