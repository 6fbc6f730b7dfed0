//! Liveness as safety: from any state, a fixed and fair schedule leads to one master that stays.

use ha_core::Term;
use ha_election::{ModelElection, Role};

use crate::state::{Host, Kinds, PERIOD, Size, State, host_id};
use crate::step::{Action, Gap};

/// Rounds of one period each: the silence of a lost master, two windows, and as many rounds to meet and to raise.
const ROUNDS: u32 = 16;
/// Rounds for which the result must stay.
const STABLE: u32 = 4;
/// Far more deliveries than a round of so few hosts can need.
const DELIVERIES: u32 = 2_000;

/// Which hosts the schedule heals and expects to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Healed {
    Everything,
    /// The core; nothing of it reaches the hosts outside, for ever, and they go on speaking into it.
    CoreOnly,
}

/// Whether the schedule settles from here, in both orders of the hosts.
pub(crate) fn settles(state: &State, size: &Size, healed: Healed) -> bool {
    [false, true].into_iter().all(|backwards| {
        let mut order: Vec<usize> = (0..state.hosts.len()).collect();
        if backwards {
            order.reverse();
        }
        run(state.clone(), size, healed, &order).is_some()
    })
}

/// The state in which the schedule has settled.
pub(crate) fn run(mut state: State, size: &Size, healed: Healed, order: &[usize]) -> Option<State> {
    let size = &with_fast_disks(size);
    let core = if healed == Healed::Everything { state.hosts.len() } else { size.core };
    heal(&mut state, size, core);
    let mut stable = 0;
    let mut before = None;
    for _ in 0..ROUNDS + STABLE {
        for host in order {
            state.pass(size, *host, PERIOD);
        }
        deliver_all(&mut state, size, order)?;
        let now = agreed(&state, core);
        stable = if now.is_some() && now == before { stable + 1 } else { 0 };
        if stable == STABLE {
            return Some(state);
        }
        before = now;
    }
    None
}

/// Whether a master that a majority follows, and can reach, keeps it whatever the other hosts cannot hear.
pub(crate) fn stays_loyal(state: &State, size: &Size) -> bool {
    let size = &with_fast_disks(size);
    let Some((master, followers)) = followed_by_most(state) else { return true };
    let mut later = state.clone();
    let order: Vec<usize> = (0..state.hosts.len()).collect();
    for _ in 0..ROUNDS {
        for host in &order {
            later.pass(size, *host, PERIOD);
        }
        if deliver_all(&mut later, size, &order).is_none() {
            return false;
        }
    }
    followers.into_iter().all(|host| later.term(host).is_some_and(|term| term.host == host_id(master)))
}

/// Whether, with the links as they are, no two hosts that reach each other are both left without a master.
pub(crate) fn is_governed(state: &State, size: &Size) -> bool {
    let size = &with_fast_disks(size);
    // With all links whole, the check of a healed cluster says more.
    if state.links.iter().all(|link| !link.cut) {
        return true;
    }
    let mut later = state.clone();
    let order: Vec<usize> = (0..state.hosts.len()).collect();
    for host in &order {
        revive(&mut later, size, *host);
    }
    for _ in 0..2 * ROUNDS {
        for host in &order {
            later.pass(size, *host, PERIOD);
        }
        if deliver_all(&mut later, size, &order).is_none() {
            return false;
        }
    }
    later.pairs().all(|(a, b)| {
        let apart = later.link(a, b).cut || later.link(b, a).cut;
        apart || later.term(a).is_some() || later.term(b).is_some()
    })
}

/// The master of a cluster that works but for its links and that all follow so far; and those that it can reach and
/// that have heard it within a period, if these are a majority.
fn followed_by_most(state: &State) -> Option<(usize, Vec<usize>)> {
    let works = |host: &Host| host.machine.is_some() && !host.paused && !host.isolated;
    let reigns = |host: &usize| state.term(*host).is_some_and(|term| term.host == host_id(*host));
    let mut masters = (0..state.hosts.len()).filter(reigns);
    let (master, None) = (masters.next()?, masters.next()) else { return None };
    let both_ways = |host: usize| !state.link(master, host).cut && !state.link(host, master).cut;
    let all_follow = (0..state.hosts.len()).all(|host| state.term(host) == state.term(master));
    let heard_lately = |host: usize| state.hosts[host].witness.echoed[master] <= 1;
    let follows = |host: &usize| *host != master && both_ways(*host) && heard_lately(*host);
    let followers: Vec<usize> = (0..state.hosts.len()).filter(follows).collect();
    let most = 2 * (followers.len() + 1) > state.hosts.len();
    (most && all_follow && state.hosts.iter().all(works)).then_some((master, followers))
}

fn with_fast_disks(size: &Size) -> Size {
    Size { kinds: Kinds { slow_disk: false, ..size.kinds }, ..size.clone() }
}

fn heal(state: &mut State, size: &Size, core: usize) {
    for (from, to) in state.pairs() {
        state.link_mut(from, to).cut = from < core && to >= core;
        if from < core && to >= core {
            state.link_mut(from, to).frames.clear();
        }
    }
    for host in 0..core {
        revive(state, size, host);
    }
}

fn revive(state: &mut State, size: &Size, host: usize) {
    if state.hosts[host].machine.is_none() {
        state.boot(size, host);
    }
    if state.hosts[host].paused {
        state.apply(size, Action::Resume(host, Gap::Seen));
    }
    if state.hosts[host].storing.is_some() {
        state.apply(size, Action::Stored(host));
    }
    state.address_answers(size, host);
}

fn deliver_all(state: &mut State, size: &Size, order: &[usize]) -> Option<()> {
    for _ in 0..DELIVERIES {
        let next = order.iter().find_map(|to| {
            order
                .iter()
                .filter(|from| *from != to && !state.hosts[*to].paused)
                .find_map(|from| state.link(*from, *to).frames.keys().next().map(|kind| (*from, *to, *kind)))
        });
        let Some((from, to, kind)) = next else { return Some(()) };
        state.deliver(size, from, to, kind);
    }
    None
}

/// The one term that all of the core reign in or follow, with rights for its master.
fn agreed(state: &State, core: usize) -> Option<Term> {
    let mut terms = state.hosts[..core].iter().map(|host| host.machine.as_ref()?.election().term());
    let first = terms.next()??;
    let master = state.hosts[..core].get(crate::state::index(first.host))?.machine.as_ref()?.election();
    let reigns = master.role() == (Role::Master { term: first }) && master.may_act(ModelElection::NOW);
    (reigns && terms.all(|term| term == Some(first))).then_some(first)
}
