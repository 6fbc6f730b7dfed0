use ha_core::VmEpoch;

use crate::format::MarkerState;

/// What a marker is to say, or says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The epoch of the instance that is meant.
    pub epoch: VmEpoch,
    /// How far its stop has come.
    pub state: MarkerState,
}

/// A mark that does not follow on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{:?} of {} does not follow on {:?} of {}", given.state, given.epoch, last.state, last.epoch)]
pub struct NotForward {
    /// What was given.
    pub given: Mark,
    /// What it was to follow on; *none* of the same epoch if nothing stands in the file.
    pub last: Mark,
}

/// Whether `given` may follow on what was last written or accepted.
///
/// The same again may always. A newer epoch begins with *none* or *intended*, as does a file that tells nothing.
pub(super) fn follows(last: Option<Mark>, given: Mark) -> Result<(), NotForward> {
    let blank = Mark { epoch: given.epoch, state: MarkerState::None };
    let last = last.unwrap_or(blank);
    let from = if given.epoch > last.epoch { MarkerState::None } else { last.state };
    let is_forward = given.epoch >= last.epoch
        && match (from, given.state) {
            (MarkerState::None, MarkerState::None | MarkerState::Intended)
            | (MarkerState::Intended, MarkerState::Intended | MarkerState::Done | MarkerState::Cancelled)
            | (MarkerState::Done, MarkerState::Done)
            | (MarkerState::Cancelled, MarkerState::Cancelled) => true,
            (MarkerState::None, MarkerState::Done | MarkerState::Cancelled)
            | (MarkerState::Intended, MarkerState::None)
            | (MarkerState::Done, MarkerState::None | MarkerState::Intended | MarkerState::Cancelled)
            | (MarkerState::Cancelled, MarkerState::None | MarkerState::Intended | MarkerState::Done) => {
                false
            }
        };
    if is_forward { Ok(()) } else { Err(NotForward { given, last }) }
}
