//! The rules that every machine keeps (`ha_core::contract`), for the monitor of hosts.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

mod common;

use common::{DS1, DS2, F1, F3, machine, ms, plan};
use ha_core::contract::{self, Ending, Facts, Subject, stray};
use ha_core::evidence::ContentState;
use ha_core::operation::{LookOutcome, PingOutcome};
use ha_core::{
    BootId, DatastoreEvidence, DatastoreId, HostId, Incarnation, Instant, Profile, Random, StorageFault,
    StorageRequest,
};
use ha_heartbeat::{Config, HostMonitor, Input, Output, Rejected};

/// Three hosts and two datastores, of which anything may be said.
struct World;

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(u64::try_from(bound).unwrap())).unwrap()
}

fn host(random: &mut Random) -> HostId {
    HostId::new(u32::try_from(random.below(3)).unwrap())
}

fn life(random: &mut Random) -> (BootId, Incarnation) {
    (BootId::from_bytes([u8::try_from(random.below(2)).unwrap(); 16]), Incarnation::new(random.below(3)))
}

fn evidence(random: &mut Random, now: Instant) -> DatastoreEvidence {
    let mut moment = || match random.below(8) {
        0 => None,
        1 => Some(now.after(ms(random.below(2_000)))),
        2.. => Some(now.before(ms(random.below(2_000)))),
    };
    let (first_look, last_change, last_good_round) = (moment(), moment(), moment());
    let states = [
        ContentState::Valid,
        ContentState::NeverWritten,
        ContentState::Unattributable,
        ContentState::Regressed,
        ContentState::Unreadable(StorageFault::Unknown),
    ];
    let (boot, incarnation) = life(random);
    let known = random.below(4) != 0;
    DatastoreEvidence {
        host: host(random),
        datastore: DatastoreId::new(u32::try_from(random.below(3)).unwrap()),
        boot: known.then_some(boot),
        incarnation: known.then_some(incarnation),
        first_look,
        last_change,
        last_good_round,
        state: states[below(random, states.len())],
        isolated: [None, Some(false), Some(true)][below(random, 3)],
    }
}

impl Subject for World {
    type Machine = HostMonitor;

    const MAX_OUTPUTS: usize = 32;
    /// Three pings and two looks at each host's locks, and what is still out from before a suspicion ended.
    const MAX_OPEN: usize = 64;

    fn world(_: u64) -> Self {
        Self
    }

    fn make(_: u64, now: Instant) -> HostMonitor {
        HostMonitor::new(Config { machine: machine(), plan: plan(Profile::Swift, F3) }, now)
    }

    fn sample(&mut self, random: &mut Random, now: Instant) -> Option<Input> {
        let host = host(random);
        Some(match random.below(12) {
            0..=3 => {
                let all = [(DS1, F3), (DS2, F1)];
                let datastores = all[..below(random, 3)].to_vec();
                let heard = (random.below(2) == 0).then(|| now.before(ms(400)));
                Input::Watch { host, datastores, heard }
            }
            4 if random.below(4) == 0 => Input::Unwatch { host },
            5 => Input::StreamBroken { host },
            6 => Input::StreamOpened { host },
            7 => {
                let (boot, incarnation) = life(random);
                Input::Confirmed { host, boot, incarnation }
            }
            8 => Input::CleanShutdown { host },
            9 | 10 => {
                let (boot, incarnation) = life(random);
                Input::Heard { host, boot, incarnation }
            }
            _ => Input::Datastore(evidence(random, now)),
        })
    }

    fn nothing_new(&mut self) -> Option<Input> {
        Some(Input::Unwatch { host: HostId::new(99) })
    }

    fn answer(&mut self, random: &mut Random, now: Instant, output: Output, ending: Ending) -> Option<Input> {
        match output {
            Output::Ping { token, .. } => {
                let answered = ending == Ending::Well && random.below(4) == 0;
                let outcome = if answered { PingOutcome::Answered } else { PingOutcome::Unanswered };
                Some(Input::Pinged(token.complete(outcome)))
            }
            Output::Storage(StorageRequest::LookAtLock { token, .. }) => {
                let outcome = match ending {
                    Ending::Well if random.below(3) == 0 => LookOutcome::Held,
                    Ending::Well => LookOutcome::Free { started: now },
                    Ending::Fault => LookOutcome::Fault(StorageFault::Stale),
                    Ending::Junk => LookOutcome::Free { started: Instant::from_nanos(random.next_u64()) },
                };
                Some(Input::Looked(token.complete(outcome)))
            }
            Output::Storage(other) => panic!("{other:?}"),
            Output::WatchDatastores { .. } | Output::UnwatchDatastores { .. } | Output::Event(_) => None,
        }
    }

    fn stray(&mut self, random: &mut Random) -> Option<Input> {
        Some(if random.below(2) == 0 {
            Input::Pinged(stray(random, machine(), PingOutcome::Answered))
        } else {
            Input::Looked(stray(random, machine(), LookOutcome::Held))
        })
    }

    fn is_unknown_request(rejected: &Rejected) -> bool {
        *rejected == Rejected::UnknownRequest
    }

    fn facts(output: &Output) -> Facts {
        match output {
            Output::Ping { .. } | Output::Storage(_) => Facts::ASKED,
            Output::WatchDatastores { .. } | Output::UnwatchDatastores { .. } | Output::Event(_) => {
                Facts::TOLD
            }
        }
    }
}

#[test]
fn the_monitor_keeps_the_contract() {
    contract::all::<World>(100).unwrap_or_else(|violation| panic!("{violation}"));
}
