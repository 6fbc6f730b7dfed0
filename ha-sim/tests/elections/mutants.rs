//! A check that cannot fail is none: broken hosts, each of which breaks one invariant.

use core::time::Duration;
use std::collections::VecDeque;

use ha_core::wire::FrameKind;
use ha_core::{HostId, Instant};
use ha_sim::elections::{Act, Elections, Life, News, Node, StartError};
use ha_sim::scenario::{Ending, Fault, Pace, Trouble};
use ha_sim::{Invariant, Reign, Scenario, Stance};

/// A made-up host: it acts once, a millisecond after its start, and never again.
#[derive(Debug)]
struct Puppet<const PLAY: usize> {
    host: u32,
    due: Option<Instant>,
    stance: Stance,
    incarnation: u64,
    acts: VecDeque<Act<(u64, u64)>>,
}

const WELL: usize = 0;
const REPEATS_ITS_TERM: usize = 1;
const REIGNS_AS_ANOTHER: usize = 2;
const GOES_BACK: usize = 3;
const FOLLOWS_NOBODY: usize = 4;
const NEVER_SETTLES: usize = 5;
const REIGNS_BESIDE: usize = 6;
const CHANGES_LATER: usize = 7;
const REPEATS_ITS_FRAMES: usize = 8;
const SPEAKS_AS_ITS_LAST_LIFE: usize = 9;
const FORGETS_ITS_TERM: usize = 10;
const FOLLOWS_IN_SILENCE: usize = 11;

fn term(round: u64, host: u32) -> Reign {
    Reign { round, host }
}

impl<const PLAY: usize> Puppet<PLAY> {
    fn reign(&mut self, reign: Reign) {
        self.acts.push_back(Act::Reigns(reign));
        self.stance = Stance::Reigns(reign);
    }

    fn follow(&mut self, reign: Reign) {
        self.acts.push_back(Act::Follows(reign));
        self.stance = Stance::Follows(reign);
    }

    fn send(&mut self, frame: (u64, u64)) {
        self.acts.push_back(Act::Send { to: HostId::new(1), kind: FrameKind::Probe, frame });
    }

    /// What host-2 does wrong. Host-1 reigns in term 5, and others follow it.
    fn play(&mut self) {
        let master = term(4 + self.incarnation, 1);
        match (PLAY, self.host) {
            (REPEATS_ITS_TERM, 1) => (0..2).for_each(|_| self.reign(term(5, 1))),
            (FORGETS_ITS_TERM, 1) => self.reign(term(6 - self.incarnation, 1)),
            (_, 1) => self.reign(master),
            (REIGNS_AS_ANOTHER, 2) => self.reign(term(6, 3)),
            (GOES_BACK, 2) => {
                self.reign(term(7, 2));
                self.follow(term(5, 1));
            }
            (FOLLOWS_NOBODY, 2) => self.follow(term(6, 1)),
            (NEVER_SETTLES, 2) => self.stance = Stance::Looks,
            (REIGNS_BESIDE, 2) => self.reign(term(6, 2)),
            (FOLLOWS_IN_SILENCE, 2) => self.stance = Stance::Follows(term(5, 1)),
            (REPEATS_ITS_FRAMES, 2) => {
                self.follow(master);
                [(1, 1), (1, 2), (1, 2)].into_iter().for_each(|frame| self.send(frame));
            }
            (SPEAKS_AS_ITS_LAST_LIFE, 2) => self.send((1, self.incarnation)),
            _ => self.follow(term(5, 1)),
        }
    }
}

impl<const PLAY: usize> Node for Puppet<PLAY> {
    type Frame = (u64, u64);

    fn start(life: &Life<'_>, now: Instant) -> Result<Self, StartError> {
        let host = life.host.number();
        // Host-1 first.
        let due = Some(now.after(Duration::from_millis(u64::from(host))));
        let incarnation = life.incarnation;
        Ok(Self { host, due, stance: Stance::Looks, incarnation, acts: VecDeque::new() })
    }

    fn tell(&mut self, _: Instant, _: News<(u64, u64)>) {}

    fn tick(&mut self, now: Instant) {
        if self.stance == Stance::Looks {
            self.play();
            let later = PLAY == CHANGES_LATER && self.host == 2;
            self.due = later.then(|| now.after(Duration::from_secs(3)));
        } else {
            self.due = None;
            self.reign(term(9, 2));
        }
        if PLAY == NEVER_SETTLES && self.host == 2 {
            self.due = Some(now.after(Duration::from_secs(1)));
        }
    }

    fn act(&mut self) -> Option<Act<(u64, u64)>> {
        self.acts.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.due
    }

    fn stance(&self) -> Stance {
        self.stance
    }

    fn name(frame: &(u64, u64)) -> (u64, u64) {
        *frame
    }
}

fn noticed_in<const PLAY: usize>(scenario: &Scenario) -> Option<Invariant> {
    Elections::<Puppet<PLAY>>::run(scenario).unwrap().violation.map(|violation| violation.invariant)
}

fn noticed<const PLAY: usize>() -> Option<Invariant> {
    noticed_in::<PLAY>(&Scenario::quiet(3, 1, Pace::Swift))
}

/// A host is down for a moment after it has acted.
fn with_a_restart(host: u32) -> Scenario {
    let (at, lasts) = (Duration::from_millis(100), Duration::from_millis(100));
    let faults = vec![Fault { at, lasts, what: Trouble::Down(HostId::new(host)) }];
    Scenario { faults, calm_at: Duration::from_secs(1), ..Scenario::quiet(3, 1, Pace::Swift) }
}

#[test]
fn a_good_play_is_accepted() {
    assert_eq!(noticed::<WELL>(), None);
    assert_eq!(noticed_in::<WELL>(&with_a_restart(2)), None);
}

#[test]
fn a_term_of_two_reigns_is_noticed() {
    assert_eq!(noticed::<REPEATS_ITS_TERM>(), Some(Invariant::TermOnce));
    assert_eq!(noticed::<REIGNS_AS_ANOTHER>(), Some(Invariant::TermOnce));
}

#[test]
fn a_term_that_goes_back_is_noticed() {
    assert_eq!(noticed::<GOES_BACK>(), Some(Invariant::TermsRise));
    assert_eq!(noticed_in::<FORGETS_ITS_TERM>(&with_a_restart(1)), Some(Invariant::TermsRiseOverLives));
}

#[test]
fn a_term_that_nobody_began_is_noticed() {
    assert_eq!(noticed::<FOLLOWS_NOBODY>(), Some(Invariant::KnownReign));
    assert_eq!(noticed::<FOLLOWS_IN_SILENCE>(), Some(Invariant::TermsRise));
}

#[test]
fn frames_of_one_name_are_noticed() {
    assert_eq!(noticed::<REPEATS_ITS_FRAMES>(), Some(Invariant::FrameOnce));
    assert_eq!(noticed_in::<SPEAKS_AS_ITS_LAST_LIFE>(&with_a_restart(2)), Some(Invariant::FrameOnce));
}

#[test]
fn a_group_that_does_not_settle_or_does_not_stay_so_is_noticed() {
    assert_eq!(noticed::<NEVER_SETTLES>(), Some(Invariant::OneMaster));
    assert_eq!(noticed::<REIGNS_BESIDE>(), Some(Invariant::OneMaster));
    assert_eq!(noticed::<CHANGES_LATER>(), Some(Invariant::OneMaster));
}

#[test]
fn a_core_is_held_to_its_own_invariant() {
    let group =
        |hosts: [u32; 2]| Ending { groups: vec![hosts.map(HostId::new).to_vec()], ..Ending::default() };
    let of = |hosts| Scenario { ending: group(hosts), ..Scenario::quiet(3, 1, Pace::Swift) };
    assert_eq!(noticed_in::<NEVER_SETTLES>(&of([1, 2])), Some(Invariant::CoreSettles));
    assert_eq!(noticed_in::<NEVER_SETTLES>(&of([1, 3])), None, "who is outside may do as it likes");
}

/// The world itself gives incarnations; that they rise is checked all the same.
#[test]
fn lives_are_counted_from_one() {
    let outcome = Elections::<Puppet<WELL>>::run(&with_a_restart(3)).unwrap();
    assert_eq!(outcome.violation, None);
}
