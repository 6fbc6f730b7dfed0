//! The term that outlives the agent, in a file on the host's own disk.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::{fs, io};

use ha_core::Acknowledged;
use ha_datastore::fs::local::write_atomically;

use super::spawn;
use crate::failure::{Context, Failure};

/// Between two tries at a disk that fails.
const AGAIN: Duration = Duration::from_secs(1);

/// Stores terms on a thread of its own, because a disk may take its time.
#[derive(Debug)]
pub(crate) struct Terms(Sender<Acknowledged>);

impl Terms {
    /// Stores below `local`. `tell` hears of each term that is durable; the thread ends once it answers `false`.
    pub(crate) fn new(
        local: &Path,
        tell: impl Fn(Acknowledged) -> bool + Send + 'static,
    ) -> Result<Self, Failure> {
        let (terms, wanted) = channel::<Acknowledged>();
        let path = path(local);
        spawn("terms", move || {
            while let Ok(mut term) = wanted.recv() {
                while let Err(error) = write_atomically(&path, format!("{term}\n").as_bytes()) {
                    eprintln!("agent: {}: {error}", path.display());
                    match wanted.recv_timeout(AGAIN) {
                        Ok(newer) => term = newer,
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
                if !tell(term) {
                    return;
                }
            }
        })?;
        Ok(Self(terms))
    }

    /// The answer goes to `tell`. The election asks for one at a time, so nothing piles up.
    pub(crate) fn store(&self, term: Acknowledged) {
        // The thread ends only after the agent.
        self.0.send(term).ok();
    }
}

/// What an earlier life stored. A file that cannot be understood is never taken for a missing one.
pub(crate) fn stored(local: &Path) -> Result<Acknowledged, Failure> {
    let path = path(local);
    match fs::read_to_string(&path) {
        Ok(text) => text.trim_end().parse().context(|| format!("reading {}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Acknowledged::NONE),
        Err(error) => Err(error).context(|| format!("reading {}", path.display())),
    }
}

fn path(local: &Path) -> PathBuf {
    local.join("term")
}
