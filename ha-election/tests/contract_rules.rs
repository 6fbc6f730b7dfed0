//! The rules that every machine keeps (`ha_core::contract`), for the election.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]

mod common;

use core::time::Duration;

use common::{SWIFT, config, host};
use ha_core::contract::{self, Ending, Facts, Subject};
use ha_core::{Acknowledged, HostId, Instant, Random, Round, Term};
use ha_election::{
    Candidacy, Claim, Election, ElectionConfig, Event, Input, Message, Output, Probe, Rank, Rejected,
};

/// Host 1 of three; nobody but the isolation address answers it.
struct World {
    stood: bool,
    asked: Option<Instant>,
}

fn any_host(random: &mut Random) -> HostId {
    host(u32::try_from(random.below(5)).unwrap())
}

fn any_message(random: &mut Random, from: HostId) -> Message {
    let round = Round::new(random.below(6).wrapping_sub(1));
    let moid = format!("host-{}", random.below(5)).parse().unwrap();
    let rank = Rank { goodness: i64::try_from(random.below(4)).unwrap() - 1, moid };
    let liar = if random.below(4) == 0 { any_host(random) } else { from };
    let term = Term::new(round, liar);
    match random.below(3) {
        0 => Message::Candidacy(Candidacy { rank }),
        1 => Message::Claim(Claim { lists_owned: u32::try_from(random.below(3)).unwrap(), term, rank }),
        _ => Message::Probe(
            [Probe::Here, Probe::Follows(term), Probe::TakesNoPart]
                [usize::try_from(random.below(3)).unwrap()],
        ),
    }
}

impl Subject for World {
    type Machine = Election;

    const RIGHTS: usize = 1;
    /// The right rests on links and addresses, not on storage.
    const BACKED_RIGHTS: usize = 0;
    const MAX_OUTPUTS: usize = 16;

    fn world(_: u64) -> Self {
        Self { stood: false, asked: None }
    }

    fn make(seed: u64, now: Instant) -> Election {
        Election::new(now, ElectionConfig { seed, ..config(1, &[1, 2, 3], SWIFT) }).unwrap()
    }

    fn sample(&mut self, random: &mut Random, now: Instant) -> Option<Input> {
        let flag = random.below(2) == 0;
        let count = u32::try_from(random.below(4)).unwrap();
        Some(match random.below(13) {
            0..=3 => Input::Standing { connected_datastores: 2, eligible: true },
            4 => Input::Standing { connected_datastores: count, eligible: flag },
            5 => Input::HostDead { host: any_host(random) },
            6 => Input::HostAlive { host: any_host(random) },
            7 => Input::AddressAnswered { asked: now.before(Duration::from_millis(random.below(300))) },
            8 => Input::Isolated { isolated: random.below(4) == 0 },
            9 => Input::RoundSeen { round: Round::new(random.below(4).wrapping_sub(1)) },
            10 => Input::ListsOwned { count },
            11 => Input::RoundSeen { round: Round::new(random.below(100)) },
            _ => Input::Resumed,
        })
    }

    fn hostile(&mut self, random: &mut Random, now: Instant) -> Option<Input> {
        let from = any_host(random);
        let sent = now.before(Duration::from_millis(random.below(300)));
        let known_round = (random.below(2) == 0).then(|| Round::new(random.next_u64() >> random.below(64)));
        if random.below(4) == 0 {
            return Some(Input::Contact { from, echoes: sent, known_round });
        }
        let message = any_message(random, from);
        Some(Input::Receive { from, message, echoes: (random.below(4) != 0).then_some(sent), known_round })
    }

    fn steady(&mut self, _: Instant) -> Option<Input> {
        if !self.stood {
            self.stood = true;
            return Some(Input::Standing { connected_datastores: 2, eligible: true });
        }
        self.asked.take().map(|asked| Input::AddressAnswered { asked })
    }

    fn nothing_new(&mut self) -> Option<Input> {
        Some(Input::RoundSeen { round: Round::ZERO })
    }

    fn answer(&mut self, _: &mut Random, now: Instant, output: Output, ending: Ending) -> Option<Input> {
        match output {
            Output::Event(Event::AddressCheckWanted) => {
                self.asked = Some(now);
                None
            }
            // A store that fails is tried again until it is well: no answer until then.
            Output::StoreTerm { acknowledged } => {
                (ending == Ending::Well).then_some(Input::TermStored { acknowledged })
            }
            Output::Transmit { .. } | Output::Event(_) => None,
        }
    }

    fn stray(&mut self, random: &mut Random) -> Option<Input> {
        let round = Round::new(0xFEED_FACE_0000_0000 + random.below(4));
        Some(Input::TermStored { acknowledged: Acknowledged::reserved(round) })
    }

    fn is_unknown_request(rejected: &Rejected) -> bool {
        matches!(rejected, Rejected::NotAskedToStore { .. })
    }

    fn facts(output: &Output) -> Facts {
        match output {
            Output::StoreTerm { .. } => Facts { slot: Some("term".into()), ..Facts::ASKED },
            Output::Transmit { .. } | Output::Event(_) => Facts::TOLD,
        }
    }

    fn rights(election: &Election, now: Instant) -> Vec<bool> {
        vec![election.may_act(now)]
    }
}

#[test]
fn the_election_keeps_the_contract() {
    contract::all::<World>(100).unwrap_or_else(|violation| panic!("{violation}"));
}
