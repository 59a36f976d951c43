//! No broker at all, in the clothes of one.

use std::path::Path;

use super::{Broker, Settings};

/// A folder for the queue's file.
pub struct EmbeddedFile(tempfile::TempDir);

impl EmbeddedFile {
    pub fn boxed() -> Box<dyn Broker> {
        Box::new(Self(tempfile::tempdir().expect("a temporary folder")))
    }
}

impl Broker for EmbeddedFile {
    fn settings(&self, queue: &str) -> Settings {
        vec![("QUEUE_TRANSPORT", "embedded".into()), ("QUEUE_NAME", queue.into())]
    }

    fn data_dir(&self) -> &Path {
        self.0.path()
    }

    fn stop(&self) {
        panic!("there is nothing to stop");
    }

    fn start(&self) {}
}
