//! The rules of the contract find what they are for: a good machine passes all, and each flaw fails its rule alone.
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test may")]
#![allow(clippy::wildcard_enum_match_arm, reason = "each flaw shows in one place")]

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;

use ha_core::contract::{self, Ending, Facts, Rule, Subject, Validity, stray};
use ha_core::operation::{Read, ReadReply, Write};
use ha_core::{
    Completion, Deadline, HostId, Incarnation, Instant, Machine, MachineId, MonotonicNow, Outbox, Random,
    RequestId, StorageFault, Token, TokenMint, UnknownRequest,
};

const PERIOD: Duration = Duration::from_millis(100);
const OVERDUE: Duration = Duration::from_millis(80);
const FRESH: Duration = Duration::from_millis(250);
const ME: MachineId = MachineId { host: HostId::new(1), incarnation: Incarnation::new(1), lane: 1 };
const SEEDS: u64 = 16;

/// What is wrong with a [`Keeper`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    Nothing,
    CountsGlobally,
    WritesTwiceAtATime,
    ReadsWhatItWrites,
    StaysDue,
    FiresTimerOnInput,
    TicksEarly,
    AnnouncesNothing,
    ForgetsOnTick,
    BelievesTheClock,
    OverflowsAtTheEnd,
    AsksWithoutBound,
    Floods,
    RefusesPeers,
    RefusesJunkAnswers,
    TakesAnyCompletion,
    ChangesWhileRefusing,
    IgnoresFaults,
    NeverRegains,
    IgnoresOverdue,
    ReadsRightsWithoutClock,
    ForgetsNotAfter,
    NotAfterIsNow,
}

#[derive(Debug)]
enum Input {
    Hello(u8),
    Look,
    Nothing,
    Written(Completion<Write>),
    Seen(Completion<Read>),
}

#[derive(Debug)]
#[expect(dead_code, reason = "some of it is read by `Debug` alone")]
enum Output {
    Write { token: Token<Write>, not_after: Option<Instant> },
    Read { token: Token<Read> },
    Put(u64),
    Reply(u64),
    Saw(Result<usize, StorageFault>),
    Overdue,
}

#[derive(Debug)]
enum Rejected {
    Unknown,
    Peer,
    Junk,
}

impl From<UnknownRequest> for Rejected {
    fn from(_: UnknownRequest) -> Self {
        Self::Unknown
    }
}

/// Writes every period, and holds a right while the last write is fresh; answers peers; looks when it is told to.
#[derive(Debug)]
struct Keeper {
    flaw: Flaw,
    clock: MonotonicNow,
    outbox: Outbox<Output>,
    mint: TokenMint,
    random: Random,
    next_write: Instant,
    writes: BTreeMap<RequestId<Write>, Instant>,
    overdue_told: bool,
    proven: Option<Instant>,
    spoilt: bool,
    reads: Vec<RequestId<Read>>,
}

impl Keeper {
    fn new(flaw: Flaw, seed: u64, now: Instant) -> Self {
        Self {
            flaw,
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            mint: TokenMint::new(ME),
            random: Random::from_seed(seed),
            next_write: now,
            writes: BTreeMap::new(),
            overdue_told: false,
            proven: None,
            spoilt: false,
            reads: Vec::new(),
        }
    }

    fn overdue_at(&self) -> Option<Instant> {
        let nanos = |asked: &Instant| Instant::from_nanos(asked.after(OVERDUE).as_nanos().saturating_add(1));
        self.writes.values().min().map(nanos)
    }

    fn may_act(&self, now: Instant) -> bool {
        let overdue = self.overdue_at().is_some_and(|at| at <= now) && self.flaw != Flaw::IgnoresOverdue;
        match self.flaw {
            Flaw::ReadsRightsWithoutClock => self.proven.is_some() && !self.overdue_told,
            _ => self.proven.is_some_and(|proven| now.since(proven) <= FRESH) && !overdue,
        }
    }

    fn write_due(&self) -> Option<Instant> {
        let most = if self.flaw == Flaw::WritesTwiceAtATime { 2 } else { 1 };
        (self.writes.len() < most || self.flaw == Flaw::StaysDue).then_some(self.next_write)
    }

    fn write_if_due(&mut self, now: Instant) {
        let early = if self.flaw == Flaw::TicksEarly { PERIOD / 2 } else { Duration::ZERO };
        let most = if self.flaw == Flaw::WritesTwiceAtATime { 2 } else { 1 };
        if self.writes.len() >= most || now < self.next_write.before(early) {
            return;
        }
        let (token, request) = self.mint.issue();
        let not_after = match self.flaw {
            Flaw::ForgetsNotAfter => None,
            Flaw::NotAfterIsNow => Some(now),
            _ => Some(now.after(PERIOD)),
        };
        self.outbox.push(Output::Write { token, not_after });
        self.writes.insert(request, now);
        self.next_write = now.after(PERIOD);
    }

    fn look(&mut self) {
        if self.flaw == Flaw::ReadsWhatItWrites {
            let value = self.random.next_u64();
            self.outbox.push(Output::Put(value));
        }
        if self.reads.is_empty() || self.flaw == Flaw::AsksWithoutBound {
            let (token, request) = self.mint.issue();
            self.outbox.push(Output::Read { token });
            self.reads.push(request);
        }
    }

    fn reply(&mut self, told: Instant, now: Instant) {
        static EVERY_REPLY: AtomicU64 = AtomicU64::new(0);
        let number = match self.flaw {
            Flaw::CountsGlobally => EVERY_REPLY.fetch_add(1, Ordering::Relaxed),
            Flaw::BelievesTheClock => told.as_nanos(),
            Flaw::OverflowsAtTheEnd => now.as_nanos() + 1,
            _ => now.as_nanos() ^ self.random.next_u64(),
        };
        let copies = if self.flaw == Flaw::Floods { 100 } else { 1 };
        for _ in 0..copies {
            self.outbox.push(Output::Reply(number));
        }
    }

    fn written(&mut self, done: Completion<Write>) -> Result<(), Rejected> {
        if self.flaw == Flaw::TakesAnyCompletion && done.machine() != ME {
            return Ok(());
        }
        if self.flaw == Flaw::ChangesWhileRefusing && done.machine() != ME {
            self.next_write = self.next_write.after(OVERDUE);
        }
        let (request, outcome) = done.open(&self.mint)?;
        let asked = self.writes.remove(&request).ok_or(Rejected::Unknown)?;
        self.overdue_told = false;
        match outcome {
            Ok(()) if self.spoilt => {}
            Ok(()) => self.proven = Some(asked),
            Err(_) if self.flaw == Flaw::IgnoresFaults => {}
            Err(_) => {
                self.proven = None;
                self.spoilt = self.flaw == Flaw::NeverRegains;
            }
        }
        Ok(())
    }
}

impl Machine for Keeper {
    type Input = Input;
    type Output = Output;
    type Rejected = Rejected;

    fn handle_input(&mut self, told: Instant, input: Input) -> Result<(), Rejected> {
        match input {
            Input::Hello(255) if self.flaw == Flaw::RefusesPeers => return Err(Rejected::Peer),
            Input::Hello(_) => {
                let now = self.clock.advance(told);
                self.reply(told, now);
            }
            Input::Look => self.look(),
            Input::Nothing => {}
            Input::Written(done) => self.written(done)?,
            Input::Seen(done) => {
                let (request, outcome) = done.open(&self.mint)?;
                let index = self.reads.iter().position(|read| *read == request).ok_or(Rejected::Unknown)?;
                let saw = outcome.map(|reply| reply.bytes.len());
                if saw == Ok(0) && self.flaw == Flaw::RefusesJunkAnswers {
                    return Err(Rejected::Junk);
                }
                self.reads.swap_remove(index);
                self.outbox.push(Output::Saw(saw));
            }
        }
        let now = self.clock.advance(told);
        if self.flaw == Flaw::FiresTimerOnInput {
            self.write_if_due(now);
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        if self.flaw == Flaw::ForgetsOnTick {
            self.outbox = Outbox::new();
        }
        if !self.overdue_told && self.overdue_at().is_some_and(|at| at <= now) {
            self.overdue_told = true;
            self.outbox.push(Output::Overdue);
        }
        self.write_if_due(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let write = self.write_due().map(|at| Deadline::new(at, "write"));
        let overdue = self.overdue_at().filter(|_| !self.overdue_told);
        let own = Deadline::soonest([write, overdue.map(|at| Deadline::new(at, "overdue"))]);
        if self.flaw == Flaw::AnnouncesNothing {
            return own;
        }
        self.outbox.deadline(self.clock.latest(), own)
    }
}

trait Flawed {
    const FLAW: Flaw;
}

/// A register, and files of which only success matters.
struct World<F> {
    register: u64,
    flaw: PhantomData<F>,
}

impl<F: Flawed> Subject for World<F> {
    type Machine = Keeper;

    const RIGHTS: usize = 1;
    const MAX_OUTPUTS: usize = 8;
    const MAX_OPEN: usize = 4;

    fn world(_: u64) -> Self {
        Self { register: 0, flaw: PhantomData }
    }

    fn make(seed: u64, now: Instant) -> Keeper {
        Keeper::new(F::FLAW, seed, now)
    }

    fn sample(&mut self, _: &mut Random, _: Instant) -> Option<Input> {
        Some(Input::Look)
    }

    fn hostile(&mut self, random: &mut Random, _: Instant) -> Option<Input> {
        Some(Input::Hello(if random.below(2) == 0 { 255 } else { 0 }))
    }

    fn nothing_new(&mut self) -> Option<Input> {
        Some(Input::Nothing)
    }

    fn answer(&mut self, _: &mut Random, now: Instant, output: Output, ending: Ending) -> Option<Input> {
        match output {
            Output::Write { token, .. } => Some(Input::Written(token.complete(match ending {
                Ending::Well => Ok(()),
                Ending::Fault => Err(StorageFault::Unknown),
                Ending::Junk => Err(StorageFault::ReadBackDiffers),
            }))),
            Output::Read { token } => Some(Input::Seen(token.complete(match ending {
                Ending::Well => {
                    let length = usize::try_from(self.register % 64).unwrap();
                    Ok(ReadReply { bytes: vec![7; length + 1].into(), started: now })
                }
                Ending::Fault => Err(StorageFault::Io),
                Ending::Junk => Ok(ReadReply { bytes: Vec::new().into(), started: now }),
            }))),
            Output::Put(value) => {
                self.register = value;
                None
            }
            Output::Reply(_) | Output::Saw(_) | Output::Overdue => None,
        }
    }

    fn stray(&mut self, random: &mut Random) -> Option<Input> {
        Some(if random.below(2) == 0 {
            Input::Written(stray(random, ME, Ok(())))
        } else {
            Input::Seen(stray(random, ME, Err(StorageFault::Io)))
        })
    }

    fn is_unknown_request(rejected: &Rejected) -> bool {
        matches!(rejected, Rejected::Unknown)
    }

    fn facts(output: &Output) -> Facts {
        match output {
            Output::Write { not_after, .. } => Facts {
                awaits_answer: true,
                slot: Some("the file".into()),
                backs: Some(0),
                validity: not_after.map_or(Validity::Missing, Validity::Until),
            },
            Output::Read { .. } => Facts::ASKED,
            Output::Put(_) | Output::Reply(_) | Output::Saw(_) | Output::Overdue => Facts::TOLD,
        }
    }

    fn rights(machine: &Keeper, now: Instant) -> Vec<bool> {
        vec![machine.may_act(now)]
    }
}

/// The rules that a keeper with this flaw breaks, each once.
fn broken<F: Flawed>() -> Vec<Rule> {
    let mut broken: Vec<_> = contract::violations::<World<F>>(SEEDS).iter().map(|found| found.rule).collect();
    broken.dedup();
    assert_eq!(contract::all::<World<F>>(SEEDS).map_err(|found| found.rule).err(), broken.first().copied());
    broken
}

macro_rules! flaws {
    ($($test:ident: $flaw:ident breaks $rules:expr;)*) => {$(
        #[test]
        fn $test() {
            struct This;
            impl Flawed for This {
                const FLAW: Flaw = Flaw::$flaw;
            }
            assert_eq!(broken::<This>(), $rules, "{:?}", contract::violations::<World<This>>(SEEDS));
        }
    )*};
}

flaws! {
    a_good_machine_breaks_nothing: Nothing breaks [];
    a_global_counter: CountsGlobally breaks [Rule::R1];
    two_writes_of_one_file: WritesTwiceAtATime breaks [Rule::R2];
    a_read_that_waits_for_no_write: ReadsWhatItWrites breaks [Rule::R2];
    a_deadline_that_stays_due: StaysDue breaks [Rule::R3];
    an_input_that_fires_a_timer: FiresTimerOnInput breaks [Rule::R3];
    a_tick_before_its_time: TicksEarly breaks [Rule::R3];
    outputs_that_are_not_announced: AnnouncesNothing breaks [Rule::R4];
    outputs_that_a_tick_forgets: ForgetsOnTick breaks [Rule::R4];
    a_clock_that_is_believed: BelievesTheClock breaks [Rule::R5];
    requests_without_bound: AsksWithoutBound breaks [Rule::R6];
    a_flood_of_outputs: Floods breaks [Rule::R6];
    a_peer_that_is_refused: RefusesPeers breaks [Rule::R7];
    an_answer_that_is_refused: RefusesJunkAnswers breaks [Rule::R7];
    a_completion_of_another_machine: TakesAnyCompletion breaks [Rule::R8];
    a_refusal_that_changes_something: ChangesWhileRefusing breaks [Rule::R8];
    a_fault_that_ends_no_right: IgnoresFaults breaks [Rule::R9];
    a_right_that_never_comes_back: NeverRegains breaks [Rule::R9];
    an_overdue_write_that_suspends_nothing: IgnoresOverdue breaks [Rule::R9];
    rights_read_without_the_clock: ReadsRightsWithoutClock breaks [Rule::R10];
    a_write_without_not_after: ForgetsNotAfter breaks [Rule::NotAfter];
    a_write_that_is_too_late_at_once: NotAfterIsNow breaks [Rule::NotAfter];
}

#[test]
#[should_panic(expected = "overflow")]
fn a_panic_at_the_end_of_time_is_met() {
    struct This;
    impl Flawed for This {
        const FLAW: Flaw = Flaw::OverflowsAtTheEnd;
    }
    let _met = contract::r5_clock_back_and_extreme::<World<This>>(SEEDS);
}

#[test]
fn a_violation_says_how_to_see_it_again() {
    struct This;
    impl Flawed for This {
        const FLAW: Flaw = Flaw::RefusesPeers;
    }
    let violation = contract::all::<World<This>>(SEEDS).unwrap_err();
    assert_eq!((violation.rule, violation.seed), (Rule::R7, 0));
    let text = violation.to_string();
    assert!(
        text.starts_with("R7 (what a peer or a disk sends is never refused) is broken under seed 0 at step")
    );
    assert!(text.ends_with("Peer was refused: Peer"), "{text}");
}
