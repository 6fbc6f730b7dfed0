//! Each limit of a lock probe, at its last moment and one nanosecond later.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
mod lock_probe_pair;

use core::time::Duration;

use common::{HOME, TIMING, at, host, identity, machine};
use ha_core::{Machine, StorageRequest};
use ha_datastore::ProbeTaker;
use ha_datastore::format::ProbeNonce;
use ha_datastore::lock_probe::{
    Answer, HolderInput, Inconclusive, OwnFile, ProbeTakerConfig, Question, Refusal, TakerInput, Verdict,
};
use lock_probe_pair::{HOLDER, Locks, Pair, TAKER};

const NS: Duration = Duration::from_nanos(1);
const PERIOD: Duration = TIMING.heartbeat_period;
const VALID: Duration = TIMING.heartbeat_period.saturating_add(TIMING.datastore_io_timeout);
const NONCE: ProbeNonce = ProbeNonce::new(1);

/// A pair whose hosts hear nothing but what the test says.
fn quiet(locks: Locks) -> Pair {
    Pair { deaf: [true, true], ..Pair::new(locks) }
}

fn holder_hears(pair: &mut Pair) {
    pair.holder.handle_input(pair.now, HolderInput::Heard { at: pair.now }).unwrap();
}

fn taker_hears(pair: &mut Pair) {
    pair.taker.handle_input(pair.now, TakerInput::Heard { at: pair.now }).unwrap();
}

fn ask(pair: &mut Pair, question: Question, echoed: ha_core::Instant) {
    pair.taker.handle_input(pair.now, TakerInput::Asked { question, echoed }).unwrap();
    pair.drain();
}

fn answer(pair: &mut Pair, answer: Answer) {
    pair.holder.handle_input(pair.now, HolderInput::Answered(answer)).unwrap();
    pair.drain();
}

const fn try_it() -> Question {
    Question::Try { nonce: NONCE, valid_for: VALID }
}

const fn refused(why: Refusal) -> Answer {
    Answer::Refused { nonce: NONCE, why }
}

/// A holder that has asked, at `pair.now`, when it has just heard the taker.
fn asked() -> (Pair, ProbeNonce) {
    let mut pair = quiet(Locks::Shared);
    (0..3).for_each(|_| pair.serve(HOLDER, false));
    holder_hears(&mut pair);
    pair.serve(HOLDER, false);
    let Some(Question::Try { nonce, valid_for }) = pair.questions.pop_front() else { panic!("not asked") };
    assert_eq!(valid_for, VALID);
    (pair, nonce)
}

#[test]
fn a_holder_asks_while_it_heard_the_taker_within_one_heartbeat() {
    for (silence, asks) in [(PERIOD, 1), (PERIOD + NS, 0)] {
        let mut pair = quiet(Locks::Shared);
        holder_hears(&mut pair);
        let heard = pair.now;
        // The write is asked for late too, so that it is not the one that is overdue.
        pair.serve(HOLDER, false);
        pair.now = heard.after(silence);
        pair.serve(HOLDER, false);
        (0..2).for_each(|_| pair.serve(HOLDER, false));
        assert_eq!(pair.questions.len(), asks, "{silence:?}");
    }
}

#[test]
fn a_holder_asks_only_after_a_write_within_the_io_timeout() {
    for (took, asks) in [(TIMING.datastore_io_timeout, 1), (TIMING.datastore_io_timeout + NS, 0)] {
        let mut pair = quiet(Locks::Shared);
        (0..3).for_each(|_| pair.serve(HOLDER, false));
        pair.now = at(0).after(took);
        holder_hears(&mut pair);
        pair.serve(HOLDER, false);
        assert_eq!(pair.questions.len(), asks, "{took:?}");
    }
}

#[test]
fn an_answer_counts_while_the_hosts_hear_each_other_and_before_its_time_is_over() {
    let held = |nonce| Answer::Held { nonce, nonce_seen: true };
    for (late, hears, rests_for) in [
        (PERIOD, false, PERIOD),
        (PERIOD + NS, false, VALID * 4),
        (VALID * 2 - NS, true, PERIOD),
        (VALID * 2, true, VALID * 4),
    ] {
        let (mut pair, nonce) = asked();
        pair.now = pair.now.after(late);
        if hears {
            holder_hears(&mut pair);
        }
        answer(&mut pair, held(nonce));
        pair.requests[HOLDER].clear();
        let next = pair.holder.poll_timeout().map(|deadline| deadline.at);
        assert_eq!(next, Some(pair.now.after(rests_for)), "{late:?}");
    }
}

#[test]
fn answers_of_other_rounds_and_other_questions_are_dropped() {
    let (mut pair, nonce) = asked();
    answer(&mut pair, Answer::Held { nonce: NONCE, nonce_seen: true });
    answer(&mut pair, Answer::StillHeld { nonce });
    assert_eq!(pair.holder.ignored(), 2);
    answer(&mut pair, Answer::Taken { nonce, nonce_seen: true });
    answer(&mut pair, Answer::Taken { nonce, nonce_seen: true });
    assert_eq!(pair.holder.ignored(), 3, "while it locks again");
    let file = pair.requests[HOLDER].iter().map(|request| matches!(request, StorageRequest::Unlock { .. }));
    assert_eq!(file.collect::<Vec<_>>(), [true, false], "let go, then asked for afresh");
}

#[test]
fn a_taker_tries_while_it_heard_the_holder_within_one_heartbeat() {
    for (silence, reads) in [(PERIOD, 1), (PERIOD + NS, 0)] {
        let mut pair = quiet(Locks::Shared);
        taker_hears(&mut pair);
        pair.now = pair.now.after(silence);
        let echoed = pair.now;
        ask(&mut pair, try_it(), echoed);
        assert_eq!(pair.requests[TAKER].len(), reads, "{silence:?}");
        assert_eq!(pair.answers.pop_front(), (reads == 0).then_some(refused(Refusal::NotHeard)));
    }
}

#[test]
fn a_question_lapses_however_long_it_claims_to_be_valid() {
    for valid_for in [VALID, Duration::MAX] {
        for (age, reads) in [(VALID, 1), (VALID + NS, 0)] {
            let mut pair = quiet(Locks::Shared);
            let echoed = pair.now;
            pair.now = pair.now.after(age);
            taker_hears(&mut pair);
            ask(&mut pair, Question::Try { nonce: NONCE, valid_for }, echoed);
            assert_eq!(pair.requests[TAKER].len(), reads, "{age:?}");
            assert_eq!(pair.answers.pop_front(), (reads == 0).then_some(refused(Refusal::Expired)));
        }
    }
}

#[test]
fn a_lock_granted_after_the_hearing_lapsed_is_let_go_and_not_told() {
    let mut pair = quiet(Locks::Local);
    taker_hears(&mut pair);
    let echoed = pair.now;
    ask(&mut pair, try_it(), echoed);
    pair.serve(TAKER, false);
    pair.now = pair.now.after(PERIOD + NS);
    pair.serve(TAKER, false);
    assert_eq!(pair.answers.pop_front(), Some(refused(Refusal::NotHeard)));
    assert!(pair.held[TAKER]);
    pair.serve(TAKER, false);
    assert!(!pair.held[TAKER]);
}

#[test]
fn a_taker_keeps_a_lock_until_it_is_asked_again_or_its_time_is_over() {
    for (after, held) in [(VALID * 4 - NS, true), (VALID * 4, false)] {
        let mut pair = quiet(Locks::Local);
        taker_hears(&mut pair);
        let echoed = pair.now;
        ask(&mut pair, try_it(), echoed);
        (0..2).for_each(|_| pair.serve(TAKER, false));
        assert_eq!(pair.answers.pop_front(), Some(Answer::Taken { nonce: NONCE, nonce_seen: false }));
        pair.now = pair.now.after(after);
        taker_hears(&mut pair);
        ask(&mut pair, Question::StillHeld { nonce: NONCE }, echoed);
        let expected = if held { Answer::StillHeld { nonce: NONCE } } else { refused(Refusal::NotHeld) };
        assert_eq!(pair.answers.pop_front(), Some(expected), "{after:?}");
        pair.tick();
        pair.serve(TAKER, false);
        assert!(!pair.held[TAKER], "{after:?}");
    }
}

#[test]
fn one_question_is_tried_once_and_one_round_at_a_time() {
    let mut pair = quiet(Locks::Local);
    taker_hears(&mut pair);
    let echoed = pair.now;
    ask(&mut pair, try_it(), echoed);
    ask(&mut pair, try_it(), echoed);
    assert_eq!((pair.requests[TAKER].len(), pair.taker.ignored()), (1, 1));
    let other = ProbeNonce::new(2);
    ask(&mut pair, Question::Try { nonce: other, valid_for: VALID }, echoed);
    assert_eq!(pair.answers.pop_front(), Some(Answer::Refused { nonce: other, why: Refusal::Busy }));
}

#[test]
fn a_probe_that_is_cancelled_leaves_no_lock_behind() {
    // At each step of a probe of local locks, where both hosts take locks.
    for steps in 0..40 {
        let mut pair = Pair::new(Locks::Local);
        (0..steps).for_each(|_| pair.step());
        if pair.verdict.is_none() {
            pair.holder.handle_input(pair.now, HolderInput::Cancel).unwrap();
            pair.drain();
            assert_eq!(pair.verdict, Some(Verdict::Inconclusive { why: Inconclusive::Cancelled }));
        }
        pair.taker.handle_input(pair.now, TakerInput::Cancel).unwrap();
        pair.drain();
        pair.run_out();
        assert_eq!(pair.held, [false, false], "after {steps} steps");
    }
}

#[test]
fn a_host_cannot_probe_against_itself() {
    let config = ProbeTakerConfig {
        identity: identity(1, 1),
        machine: machine(1, 1),
        datastore: HOME,
        holder: host(1),
        timing: TIMING,
    };
    assert_eq!(ProbeTaker::new(config, at(0)).err(), Some(OwnFile { host: host(1) }));
}
