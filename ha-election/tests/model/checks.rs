//! The properties, by name, and the run of a checker.

use core::time::Duration;
use std::time::Instant;

use ha_election::{ModelElection, Role};
use stateright::{Checker, Model, Property};

use crate::fair::{Healed, is_governed, run, settles, stays_loyal};
use crate::state::{Broken, OLD, Size, Start, State};
use crate::step::Action;

pub(crate) const TERMS_RISE: &str = "no host reigns twice in one term, nor in a lower one";
pub(crate) const NO_STEP_BACK: &str = "no host follows a lower term than it has acknowledged";
pub(crate) const NOT_UNHEARD: &str = "no host that is heard by none of those it hears becomes master";
pub(crate) const PROVEN: &str = "no master acts before something shows that it is not cut off";
pub(crate) const SILENT: &str = "an isolated host claims nothing and has no rights";
pub(crate) const ONE_YIELDS: &str = "two masters that meet do not both give way";
pub(crate) const ONE_WRITER: &str = "no two lives write a list under one term";
pub(crate) const SETTLES: &str = "healed, all settle on one master that stays";
pub(crate) const CORE_SETTLES: &str = "a healed core settles on one master that stays, whatever is outside";
pub(crate) const LOYAL: &str = "a master that most hosts follow keeps them, whoever else does not hear it";
pub(crate) const GOVERNED: &str = "whatever is cut, no two hosts that reach each other both lack a master";
pub(crate) const MERGE: &str = "a master gives way and follows the other";
pub(crate) const HAND_OVER: &str = "a second host writes the list";
pub(crate) const TWO_MASTERS: &str = "two masters that do not hear each other";
pub(crate) const RE_ELECTION: &str = "a host that is down has a successor with rights";

impl Model for Size {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let down = State::down(self);
        let cold = |mut state: State| {
            (0..self.hosts).for_each(|host| state.boot(self, host));
            state
        };
        let order: Vec<usize> = (0..self.hosts).collect();
        let settled = || run(cold(down.clone()), self, Healed::Everything, &order).unwrap();
        match self.start {
            Start::Down => vec![down],
            Start::Cold => vec![cold(down)],
            Start::Settled => vec![settled()],
            Start::EveryMatrix => with_every_matrix(&settled()),
            Start::ColdEveryMatrix => with_every_matrix(&cold(down)),
            Start::Apart => vec![self.apart(cold(down))],
        }
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_none() {
            state.actions(self, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        next.apply(self, action);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all: Vec<Property<Self>> = vec![
            Property::always(TERMS_RISE, |_, s: &State| s.broken != Some(Broken::TermRepeated)),
            Property::always(NO_STEP_BACK, |_, s: &State| s.broken != Some(Broken::FollowedLower)),
            Property::always(NOT_UNHEARD, |_, s: &State| s.broken != Some(Broken::UnheardMaster)),
            Property::always(PROVEN, |_, s: &State| acting(s).all(|host| s.hosts[host].witness.vouched)),
            Property::always(SILENT, |_, s: &State| {
                s.broken != Some(Broken::IsolatedClaim) && acting(s).all(|host| !s.hosts[host].isolated)
            }),
            Property::always(ONE_YIELDS, |_, s: &State| s.broken != Some(Broken::BothGaveWay)),
            Property::always(ONE_WRITER, |_, s: &State| s.broken != Some(Broken::ListWrittenUnderOldTerm)),
            Property::sometimes(MERGE, |_, s: &State| merged(s)),
            Property::sometimes(HAND_OVER, |_, s: &State| s.list.handed_over),
            Property::sometimes(TWO_MASTERS, |_, s: &State| two_masters(s)),
            Property::sometimes(RE_ELECTION, |_, s: &State| {
                let down =
                    |host: &crate::state::Host| host.machine.is_none() && host.witness.reigned.is_some();
                s.hosts.iter().any(down) && acting(s).next().is_some()
            }),
        ];
        if self.liveness {
            all.push(Property::always(SETTLES, |size: &Self, s: &State| {
                settles(s, size, Healed::Everything)
            }));
            all.push(Property::always(LOYAL, |size: &Self, s: &State| stays_loyal(s, size)));
            all.push(Property::always(GOVERNED, |size: &Self, s: &State| is_governed(s, size)));
            if self.core < self.hosts {
                all.push(Property::always(CORE_SETTLES, |size: &Self, s: &State| {
                    settles(s, size, Healed::CoreOnly)
                }));
            }
        }
        all
    }

    fn within_boundary(&self, state: &State) -> bool {
        let highest = |host: &crate::state::Host| {
            host.machine.as_ref().map_or(0, |machine| machine.election().highest_round().number())
        };
        state.hosts.iter().all(|host| highest(host) <= self.highest_round)
    }
}

impl Size {
    /// Every host has been alone for so long that it reigns, and now all hear each other again.
    fn apart(&self, mut state: State) -> State {
        state = with_cuts(&state, u32::MAX);
        for _ in 0..2 * OLD {
            (0..self.hosts).for_each(|host| state.apply(self, Action::Tick(host)));
        }
        with_cuts(&state, 0)
    }
}

fn with_every_matrix(state: &State) -> Vec<State> {
    (0..1_u32 << state.pairs().count()).map(|matrix| with_cuts(state, matrix)).collect()
}

fn with_cuts(state: &State, matrix: u32) -> State {
    let mut state = state.clone();
    for (bit, (from, to)) in state.pairs().enumerate() {
        let cut = matrix & 1 << bit != 0;
        state.link_mut(from, to).cut = cut;
        if cut {
            state.link_mut(from, to).frames.clear();
        }
    }
    state
}

/// Hosts that may act as master now. One that is paused may believe so too, but does nothing.
fn acting(state: &State) -> impl Iterator<Item = usize> + '_ {
    state.hosts.iter().enumerate().filter_map(|(host, it)| {
        let machine = it.machine.as_ref().filter(|_| !it.paused)?;
        machine.election().may_act(ModelElection::NOW).then_some(host)
    })
}

fn role(state: &State, host: usize) -> Role {
    state.hosts[host].machine.as_ref().map_or(Role::Uninitialized, |machine| machine.election().role())
}

fn merged(state: &State) -> bool {
    state.hosts.iter().enumerate().any(|(host, it)| match role(state, host) {
        Role::Slave { master, .. } => it.witness.gave_way_to == Some(crate::state::index(master)),
        Role::Uninitialized | Role::Candidate | Role::Master { .. } => false,
    })
}

fn two_masters(state: &State) -> bool {
    state.pairs().any(|(a, b)| {
        let reign = |host| matches!(role(state, host), Role::Master { .. });
        reign(a) && reign(b)
    })
}

/// More steps than any run has time for.
pub(crate) const ENDLESS: usize = 1_000;

/// What a run found.
pub(crate) struct Found {
    pub(crate) discoveries: Vec<(&'static str, String)>,
}

impl Found {
    pub(crate) fn broken(&self) -> Vec<&'static str> {
        let examples = [MERGE, HAND_OVER, TWO_MASTERS, RE_ELECTION];
        self.discoveries.iter().map(|(name, _)| *name).filter(|name| !examples.contains(name)).collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.discoveries.iter().any(|(found, _)| *found == name)
    }

    /// Fails with the steps that lead to the first broken property.
    pub(crate) fn holds(self, examples: &[&str]) {
        let paths: Vec<String> = self
            .discoveries
            .iter()
            .filter(|(name, _)| self.broken().contains(name))
            .map(|(name, path)| format!("broken: {name}\n{path}"))
            .collect();
        assert!(paths.is_empty(), "{}", paths.concat());
        for name in examples {
            assert!(self.has(name), "never seen: {name}");
        }
    }
}

/// Checks every state within so many steps, or as many as the time allows, and prints what was looked at. Two threads
/// look at more in a given time, but may leave out a few states that are as far away as the last step.
#[allow(clippy::disallowed_methods, reason = "how long a run takes is told to people only")]
pub(crate) fn check(what: &str, size: Size, steps: usize, limit: Duration) -> Found {
    let threads = if steps == ENDLESS { 2 } else { 1 };
    let began = Instant::now();
    let checker =
        size.checker().threads(threads).target_max_depth(steps + 2).timeout(limit).spawn_bfs().join();
    let discoveries = checker
        .discoveries()
        .into_iter()
        .map(|(name, path)| {
            (name, path.into_actions().iter().map(|action| format!("{action:?}\n")).collect())
        })
        .collect();
    // The checker counts the first state as depth 1, and does not look at those of the greatest depth.
    let (states, reached) = (checker.unique_state_count(), checker.max_depth().saturating_sub(2));
    let took = began.elapsed();
    println!("{what}: {states} states to {reached} steps in {:.1} s", took.as_secs_f64());
    Found { discoveries }
}
