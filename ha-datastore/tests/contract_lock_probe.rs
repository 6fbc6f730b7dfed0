//! The rules that every machine keeps (`ha_core::contract`), for the two sides of a lock probe.
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::storage_subject::{serve, show, storage_facts, storage_stray};
use common::{Disk, HOME, TIMING, host, identity, machine, ms};
use ha_core::contract::{self, Ending, Facts, Subject};
use ha_core::{Instant, Random, StorageFault};
use ha_datastore::format::ProbeNonce;
use ha_datastore::lock_probe::{
    Answer, HolderInput, HolderOutput, ProbeHolderConfig, ProbeTakerConfig, Question, Refusal, Rejected,
    TakerInput, TakerOutput,
};
use ha_datastore::{ProbeHolder, ProbeTaker};

/// The holder's world answers its questions too, now and then as another round's.
#[derive(Default)]
struct Holding {
    disk: Disk,
    asked: Option<ProbeNonce>,
}

impl Holding {
    fn answer_of_peer(&self, random: &mut Random) -> Answer {
        let right = self.asked.filter(|_| random.below(4) > 0);
        let nonce = right.unwrap_or_else(|| ProbeNonce::new(random.next_u64()));
        let nonce_seen = random.below(2) == 0;
        match random.below(6) {
            0 => Answer::Held { nonce, nonce_seen },
            1 | 2 => Answer::Taken { nonce, nonce_seen },
            3 | 4 => Answer::StillHeld { nonce },
            _ => Answer::Refused { nonce, why: Refusal::Fault(StorageFault::Io) },
        }
    }
}

impl Subject for Holding {
    type Machine = ProbeHolder;

    const MAX_OUTPUTS: usize = 6;
    const MAX_OPEN: usize = 2;

    fn world(_: u64) -> Self {
        Self::default()
    }

    fn make(seed: u64, now: Instant) -> ProbeHolder {
        let config = ProbeHolderConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            datastore: HOME,
            timing: TIMING,
            seed,
        };
        ProbeHolder::new(config, now)
    }

    fn sample(&mut self, random: &mut Random, now: Instant) -> Option<HolderInput> {
        Some(match random.below(40) {
            0 => HolderInput::Cancel,
            1 => HolderInput::Heard { at: Instant::from_nanos(random.next_u64()) },
            2..20 => HolderInput::Heard { at: now },
            20.. => HolderInput::Answered(self.answer_of_peer(random)),
        })
    }

    fn hostile(&mut self, random: &mut Random, _: Instant) -> Option<HolderInput> {
        Some(HolderInput::Answered(self.answer_of_peer(random)))
    }

    fn answer(
        &mut self,
        random: &mut Random,
        now: Instant,
        output: HolderOutput,
        ending: Ending,
    ) -> Option<HolderInput> {
        match output {
            HolderOutput::Storage(request) => {
                serve(&mut self.disk, random, now, request, ending).map(HolderInput::Storage)
            }
            HolderOutput::Ask(Question::Try { nonce, .. } | Question::StillHeld { nonce }) => {
                self.asked = Some(nonce);
                None
            }
            HolderOutput::Verdict(_) => None,
        }
    }

    fn stray(&mut self, random: &mut Random) -> Option<HolderInput> {
        Some(HolderInput::Storage(storage_stray(random, 1)))
    }

    fn is_unknown_request(rejected: &Rejected) -> bool {
        matches!(rejected, Rejected::UnknownRequest(_))
    }

    fn facts(output: &HolderOutput) -> Facts {
        match output {
            HolderOutput::Storage(request) => storage_facts(request),
            HolderOutput::Ask(_) | HolderOutput::Verdict(_) => Facts::TOLD,
        }
    }

    fn show(output: &HolderOutput) -> String {
        match output {
            HolderOutput::Storage(request) => show(request),
            told @ (HolderOutput::Ask(_) | HolderOutput::Verdict(_)) => format!("{told:?}"),
        }
    }
}

#[derive(Default)]
struct Trying {
    disk: Disk,
    asked: u64,
}

impl Trying {
    fn question(&mut self, random: &mut Random, now: Instant) -> TakerInput {
        self.asked += random.below(2);
        let nonce = ProbeNonce::new(self.asked);
        let question = match random.below(2) {
            0 => Question::Try { nonce, valid_for: ms(random.below(400)) },
            _ => Question::StillHeld { nonce },
        };
        let wild = Instant::from_nanos(random.next_u64());
        TakerInput::Asked { question, echoed: if random.below(9) == 0 { wild } else { now } }
    }
}

impl Subject for Trying {
    type Machine = ProbeTaker;

    const MAX_OUTPUTS: usize = 4;
    const MAX_OPEN: usize = 1;

    fn world(_: u64) -> Self {
        Self::default()
    }

    fn make(_: u64, now: Instant) -> ProbeTaker {
        let config = ProbeTakerConfig {
            identity: identity(2, 1),
            machine: machine(2, 1),
            datastore: HOME,
            holder: host(1),
            timing: TIMING,
        };
        ProbeTaker::new(config, now).unwrap()
    }

    fn sample(&mut self, random: &mut Random, now: Instant) -> Option<TakerInput> {
        Some(match random.below(20) {
            0 => TakerInput::Cancel,
            1 => TakerInput::Heard { at: Instant::from_nanos(random.next_u64()) },
            2..10 => TakerInput::Heard { at: now },
            10.. => self.question(random, now),
        })
    }

    fn hostile(&mut self, random: &mut Random, now: Instant) -> Option<TakerInput> {
        Some(self.question(random, now))
    }

    fn answer(
        &mut self,
        random: &mut Random,
        now: Instant,
        output: TakerOutput,
        ending: Ending,
    ) -> Option<TakerInput> {
        let TakerOutput::Storage(request) = output else { return None };
        serve(&mut self.disk, random, now, request, ending).map(TakerInput::Storage)
    }

    fn stray(&mut self, random: &mut Random) -> Option<TakerInput> {
        Some(TakerInput::Storage(storage_stray(random, 2)))
    }

    fn is_unknown_request(rejected: &Rejected) -> bool {
        matches!(rejected, Rejected::UnknownRequest(_))
    }

    fn facts(output: &TakerOutput) -> Facts {
        match output {
            TakerOutput::Storage(request) => storage_facts(request),
            TakerOutput::Answer(_) => Facts::TOLD,
        }
    }

    fn show(output: &TakerOutput) -> String {
        match output {
            TakerOutput::Storage(request) => show(request),
            TakerOutput::Answer(answer) => format!("{answer:?}"),
        }
    }
}

#[test]
fn the_holder_of_a_probe_keeps_the_contract() {
    contract::all::<Holding>(120).unwrap_or_else(|violation| panic!("{violation}"));
}

#[test]
fn the_taker_of_a_probe_keeps_the_contract() {
    contract::all::<Trying>(120).unwrap_or_else(|violation| panic!("{violation}"));
}
