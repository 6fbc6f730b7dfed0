//! The round that outlives the agent, in a file on the host's own disk.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::{fs, io};

use ha_core::Round;
use ha_datastore::fs::local::write_atomically;

use super::inbox::Wake;
use super::spawn;
use crate::failure::{Context, Failure};

/// Between two tries at a disk that fails.
const AGAIN: Duration = Duration::from_secs(1);

/// Stores rounds on a thread of its own, because a disk may take its time.
#[derive(Debug)]
pub(super) struct Rounds(Sender<Round>);

impl Rounds {
    pub(super) fn new(local: &Path, wakes: Sender<Wake>) -> Result<Self, Failure> {
        let (rounds, wanted) = channel::<Round>();
        let path = path(local);
        spawn("rounds", move || {
            while let Ok(mut round) = wanted.recv() {
                while let Err(error) = write_atomically(&path, format!("{}\n", round.number()).as_bytes()) {
                    eprintln!("agent: {}: {error}", path.display());
                    match wanted.recv_timeout(AGAIN) {
                        Ok(newer) => round = newer,
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
                if wakes.send(Wake::RoundStored(round)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self(rounds))
    }

    /// The answer is [`Wake::RoundStored`]. The agent asks for one at a time, so nothing piles up.
    pub(super) fn store(&self, round: Round) {
        // The thread ends only after the agent.
        self.0.send(round).ok();
    }
}

/// What an earlier life stored. A file that cannot be understood is never taken for a missing one.
pub(super) fn stored(local: &Path) -> Result<Round, Failure> {
    let path = path(local);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let number = text.trim_end().parse().context(|| format!("reading {}", path.display()))?;
            Ok(Round::new(number))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Round::ZERO),
        Err(error) => Err(error).context(|| format!("reading {}", path.display())),
    }
}

fn path(local: &Path) -> PathBuf {
    local.join("round")
}
