//! The rules that every machine keeps (`ha_core::contract`), for the isolation check.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

use core::time::Duration;

use ha_core::contract::{self, Ending, Facts, Subject, stray};
use ha_core::operation::PingOutcome;
use ha_core::{HostId, Incarnation, Instant, MachineId, Profile, Random, TimingConfig};
use ha_isolation::{Input, IsolationCheck, IsolationConfig, Output, Rejected};

const ADDRESSES: u32 = 3;
const ME: MachineId = MachineId { host: HostId::new(1), incarnation: Incarnation::new(1), lane: 2 };

/// Three isolation addresses.
struct World;

impl Subject for World {
    type Machine = IsolationCheck;

    const MAX_OUTPUTS: usize = 8;
    /// One ping of each address.
    const MAX_OPEN: usize = ADDRESSES as usize;

    fn world(_: u64) -> Self {
        Self
    }

    fn make(_: u64, now: Instant) -> IsolationCheck {
        let timing = TimingConfig::profile(Profile::Swift);
        IsolationCheck::new(now, IsolationConfig { machine: ME, addresses: ADDRESSES, timing }).unwrap()
    }

    fn sample(&mut self, random: &mut Random, now: Instant) -> Option<Input> {
        Some(match random.below(8) {
            0 => Input::Contact,
            1 => Input::Check,
            2.. => {
                let ago = Duration::from_millis(random.below(2_000));
                let since = if random.below(4) == 0 { now.after(ago) } else { now.before(ago) };
                Input::Alone { as_master: random.below(2) == 0, since }
            }
        })
    }

    fn answer(&mut self, random: &mut Random, _: Instant, output: Output, ending: Ending) -> Option<Input> {
        let Output::Ping { token, .. } = output else { return None };
        let answered = ending == Ending::Well && random.below(4) == 0;
        let outcome = if answered { PingOutcome::Answered } else { PingOutcome::Unanswered };
        Some(Input::Pinged(token.complete(outcome)))
    }

    fn stray(&mut self, random: &mut Random) -> Option<Input> {
        Some(Input::Pinged(stray(random, ME, PingOutcome::Answered)))
    }

    fn is_unknown_request(rejected: &Rejected) -> bool {
        matches!(rejected, Rejected::UnknownRequest(_))
    }

    fn facts(output: &Output) -> Facts {
        match output {
            Output::Ping { address, .. } => {
                Facts { slot: Some(format!("a ping of address {address}")), ..Facts::ASKED }
            }
            Output::Event(_) => Facts::TOLD,
        }
    }
}

#[test]
fn the_isolation_check_keeps_the_contract() {
    contract::all::<World>(100).unwrap_or_else(|violation| panic!("{violation}"));
}
