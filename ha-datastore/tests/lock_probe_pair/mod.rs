//! Two hosts that probe a datastore's locks, and everything between them.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;

use bytes::Bytes;
use ha_core::operation::{LockOutcome, ReadReply};
use ha_core::{Instant, Machine, StorageCompletion, StorageFault, StorageRequest};
use ha_datastore::lock_probe::{
    Answer, HolderInput, HolderOutput, ProbeHolderConfig, ProbeTakerConfig, Question, TakerInput,
    TakerOutput, Verdict,
};
use ha_datastore::{ProbeHolder, ProbeTaker};

use crate::common::{HOME, TIMING, at, host, identity, machine, ms};

pub(crate) const HOLDER: usize = 0;
pub(crate) const TAKER: usize = 1;

/// What becomes of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locks {
    Shared,
    /// Each host has its own, for the one file.
    Local,
    /// Each host has its own file.
    TwoFiles,
}

/// What may happen instead of the plain next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deviation {
    /// The host's storage is next, although other things have waited longer.
    StorageFirst(usize),
    /// Its next request fails.
    Fault(usize),
    /// A word to the host is next.
    WordFirst(usize),
    /// The second word to it overtakes the first.
    Overtake(usize),
    Lose(usize),
    Repeat(usize),
    /// Its lock is lost; nobody tells it.
    LoseLock(usize),
    /// It does not hear the other one any more.
    Deafen(usize),
    /// Time passes up to the next deadline; what is out stays out.
    Leap,
}

/// Both machines, what is between them, and the datastore.
pub(crate) struct Pair {
    pub(crate) holder: ProbeHolder,
    pub(crate) taker: ProbeTaker,
    pub(crate) now: Instant,
    pub(crate) locks: Locks,
    /// Which host holds the lock of the one file, or its own.
    pub(crate) held: [bool; 2],
    pub(crate) deaf: [bool; 2],
    pub(crate) files: [Vec<u8>; 2],
    pub(crate) requests: [VecDeque<StorageRequest>; 2],
    pub(crate) questions: VecDeque<Question>,
    pub(crate) answers: VecDeque<Answer>,
    pub(crate) verdict: Option<Verdict>,
}

impl Pair {
    pub(crate) fn new(locks: Locks) -> Self {
        let now = at(0);
        let holder = ProbeHolderConfig {
            identity: identity(1, 1),
            machine: machine(1, 1),
            datastore: HOME,
            timing: TIMING,
            seed: 7,
        };
        let taker = ProbeTakerConfig {
            identity: identity(2, 1),
            machine: machine(2, 1),
            datastore: HOME,
            holder: host(1),
            timing: TIMING,
        };
        let mut pair = Self {
            holder: ProbeHolder::new(holder, now),
            taker: ProbeTaker::new(taker, now).unwrap(),
            now,
            locks,
            held: [false; 2],
            deaf: [false; 2],
            files: [vec![0; 8_192], vec![0; 8_192]],
            requests: [VecDeque::new(), VecDeque::new()],
            questions: VecDeque::new(),
            answers: VecDeque::new(),
            verdict: None,
        };
        pair.drain();
        pair
    }

    /// The plain next step: storage, then words, then time.
    pub(crate) fn step(&mut self) {
        self.pass();
        if !self.requests[HOLDER].is_empty() {
            self.serve(HOLDER, false);
        } else if !self.requests[TAKER].is_empty() {
            self.serve(TAKER, false);
        } else if !self.questions.is_empty() {
            self.deliver(TAKER);
        } else if !self.answers.is_empty() {
            self.deliver(HOLDER);
        } else {
            self.leap();
        }
    }

    /// What else could happen now.
    pub(crate) fn deviations(&self) -> Vec<Deviation> {
        let words = [self.answers.len(), self.questions.len()];
        let mut found = Vec::new();
        for host in [HOLDER, TAKER] {
            if !self.requests[host].is_empty() {
                found.extend([Deviation::StorageFirst(host), Deviation::Fault(host)]);
            }
            if words[host] > 0 {
                found.extend([Deviation::WordFirst(host), Deviation::Lose(host), Deviation::Repeat(host)]);
            }
            if words[host] > 1 {
                found.push(Deviation::Overtake(host));
            }
            if self.held[host] {
                found.push(Deviation::LoseLock(host));
            }
            if !self.deaf[host] {
                found.push(Deviation::Deafen(host));
            }
        }
        found.push(Deviation::Leap);
        found
    }

    pub(crate) fn deviate(&mut self, deviation: Deviation) {
        self.pass();
        match deviation {
            Deviation::StorageFirst(host) => self.serve(host, false),
            Deviation::Fault(host) => self.serve(host, true),
            Deviation::WordFirst(host) => self.deliver(host),
            Deviation::Overtake(HOLDER) => self.answers.swap(0, 1),
            Deviation::Overtake(_) => self.questions.swap(0, 1),
            Deviation::Lose(HOLDER) => drop(self.answers.pop_front()),
            Deviation::Lose(_) => drop(self.questions.pop_front()),
            Deviation::Repeat(HOLDER) => self.answers.extend(self.answers.front().copied()),
            Deviation::Repeat(_) => self.questions.extend(self.questions.front().copied()),
            Deviation::LoseLock(host) => self.held[host] = false,
            Deviation::Deafen(host) => self.deaf[host] = true,
            Deviation::Leap => self.leap(),
        }
    }

    /// Lets everything end that is on its way.
    pub(crate) fn run_out(&mut self) {
        self.now = self.now.after(ms(5_000));
        self.tick();
        for _ in 0..50 {
            if self.requests[HOLDER].is_empty() && self.requests[TAKER].is_empty() {
                self.questions.clear();
            } else {
                self.step();
            }
        }
    }

    fn pass(&mut self) {
        self.now = self.now.after(ms(1));
        let at = self.now;
        if !self.deaf[HOLDER] {
            self.holder.handle_input(self.now, HolderInput::Heard { at }).unwrap();
        }
        if !self.deaf[TAKER] {
            self.taker.handle_input(self.now, TakerInput::Heard { at }).unwrap();
        }
    }

    fn leap(&mut self) {
        let deadlines = [self.holder.poll_timeout(), self.taker.poll_timeout()];
        if let Some(at) = deadlines.into_iter().flatten().map(|deadline| deadline.at).min() {
            self.now = self.now.max(at);
        }
        self.tick();
    }

    pub(crate) fn tick(&mut self) {
        self.holder.handle_timeout(self.now);
        self.taker.handle_timeout(self.now);
        self.drain();
    }

    fn deliver(&mut self, to: usize) {
        if to == HOLDER {
            let answer = self.answers.pop_front().unwrap();
            self.holder.handle_input(self.now, HolderInput::Answered(answer)).unwrap();
        } else {
            let question = self.questions.pop_front().unwrap();
            let asked = TakerInput::Asked { question, echoed: self.now };
            self.taker.handle_input(self.now, asked).unwrap();
        }
        self.drain();
    }

    pub(crate) fn serve(&mut self, host: usize, fails: bool) {
        let request = self.requests[host].pop_front().unwrap();
        if let Some(done) = self.carry_out(host, request, fails) {
            if host == HOLDER {
                self.holder.handle_input(self.now, HolderInput::Storage(done)).unwrap();
            } else {
                self.taker.handle_input(self.now, TakerInput::Storage(done)).unwrap();
            }
        }
        self.drain();
    }

    fn carry_out(&mut self, host: usize, request: StorageRequest, fails: bool) -> Option<StorageCompletion> {
        let file = if self.locks == Locks::TwoFiles { host } else { 0 };
        let range = |offset: u64, length: usize| {
            let from = usize::try_from(offset).unwrap();
            from..from + length
        };
        let fault = StorageFault::Io;
        Some(match request {
            StorageRequest::Write { token, offset, bytes, .. } => {
                // One that fails has happened all the same.
                self.files[file][range(offset, bytes.len())].copy_from_slice(&bytes);
                StorageCompletion::Write(token.complete(if fails { Err(fault) } else { Ok(()) }))
            }
            StorageRequest::Read { token, offset, length, .. } => {
                let bytes = &self.files[file][range(offset, usize::try_from(length).unwrap())];
                let reply = ReadReply { bytes: Bytes::copy_from_slice(bytes), started: self.now };
                StorageCompletion::Read(token.complete(if fails { Err(fault) } else { Ok(reply) }))
            }
            StorageRequest::Lock { token, not_after, .. } => {
                let elsewhere = self.locks == Locks::Shared && self.held[1 - host];
                StorageCompletion::Lock(token.complete(if self.now > not_after {
                    LockOutcome::Expired
                } else if fails {
                    LockOutcome::Fault(fault)
                } else if elsewhere {
                    LockOutcome::Held
                } else {
                    self.held[host] = true;
                    LockOutcome::Granted
                }))
            }
            StorageRequest::Unlock { .. } => {
                self.held[host] = false;
                return None;
            }
            StorageRequest::LookAtLock { .. } => panic!("nobody here looks at locks"),
        })
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.holder.poll_output() {
            match output {
                HolderOutput::Storage(request) => self.requests[HOLDER].push_back(request),
                HolderOutput::Ask(question) => self.questions.push_back(question),
                HolderOutput::Verdict(verdict) => {
                    assert_eq!(self.verdict.replace(verdict), None, "one verdict");
                }
            }
        }
        while let Some(output) = self.taker.poll_output() {
            match output {
                TakerOutput::Storage(request) => self.requests[TAKER].push_back(request),
                TakerOutput::Answer(answer) => self.answers.push_back(answer),
            }
        }
    }
}
