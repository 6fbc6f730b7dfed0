//! What a state of the model is: the machines, what is under way between them, and what may still go wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use core::time::Duration;

use ha_core::{Acknowledged, HostId, Profile, Round, Term, TimingConfig};
use ha_election::{ElectionConfig, Message, MessageKind, ModelElection, Rule};

/// One heartbeat period. Every span of the model is a whole number of these, so ages are small numbers.
pub(crate) const PERIOD: Duration = Duration::from_nanos(8);
/// `master_lost` in periods; no frame older than this is echoed (`ha_core::wire`).
pub(crate) const LOST: u8 = 4;
/// An age past every limit.
pub(crate) const OLD: u8 = LOST + 1;

pub(crate) fn timing() -> TimingConfig {
    TimingConfig {
        heartbeat_period: PERIOD,
        suspicion_after: 3 * PERIOD,
        master_lost: u32::from(LOST) * PERIOD,
        election_window: 2 * PERIOD,
        early_end: true,
        ..TimingConfig::profile(Profile::Swift)
    }
}

pub(crate) fn host_id(host: usize) -> HostId {
    HostId::new(u32::try_from(host).unwrap() + 1)
}

pub(crate) fn index(host: HostId) -> usize {
    usize::try_from(host.number()).unwrap() - 1
}

/// What is in a frame: an election message, or a slave's heartbeat, which is `None`.
pub(crate) type Payload = Option<MessageKind>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Frame {
    pub(crate) message: Option<Message>,
    /// Periods of the sender's clock since it was sent.
    pub(crate) sent: u8,
    /// Age, by the receiver's clock, of the receiver's frame that this one echoes.
    pub(crate) echo: Option<u8>,
    pub(crate) round: Round,
}

/// One direction between two hosts. A newer frame of a kind takes the place of an older one, which is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    pub(crate) cut: bool,
    pub(crate) frames: BTreeMap<Payload, Frame>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Host {
    /// `None` while it is down.
    pub(crate) machine: Option<Arc<ModelElection>>,
    pub(crate) life: u8,
    pub(crate) paused: bool,
    pub(crate) isolated: bool,
    /// An isolation address answers its pings.
    pub(crate) address: bool,
    /// The machine wants to know whether it does.
    pub(crate) asked: bool,
    /// What its disk holds, and what it has been asked to hold.
    pub(crate) stored: Acknowledged,
    pub(crate) storing: Option<Acknowledged>,
    /// For each other host, the age (by that host's clock) of the newest frame that was heard of it.
    pub(crate) heard: Vec<Option<u8>>,
    /// What the checker notes for the properties, apart from the machine.
    pub(crate) witness: Witness,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Witness {
    /// Periods since a frame of each host arrived, and since one arrived that echoed.
    pub(crate) heard: Vec<u8>,
    pub(crate) echoed: Vec<u8>,
    /// Something has shown, since the last boot, stop or isolation, that this host is not cut off.
    pub(crate) vouched: bool,
    /// The highest term ever reigned in, in any life.
    pub(crate) reigned: Option<Term>,
    /// The highest term reigned in or followed, of what a crash has left on the disk.
    pub(crate) acknowledged: Option<Term>,
    /// To whom this host gave way and has not reigned since.
    pub(crate) gave_way_to: Option<usize>,
}

/// The one datastore's list: who holds its lock, and who wrote it last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct List {
    pub(crate) owner: Option<usize>,
    pub(crate) written: Option<(Term, u8)>,
    /// Whether a second host has written it after a first.
    pub(crate) handed_over: bool,
}

/// A property that a step has broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    TermRepeated,
    FollowedLower,
    UnheardMaster,
    IsolatedClaim,
    BothGaveWay,
    ListWrittenUnderOldTerm,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) hosts: Vec<Host>,
    /// By `from * hosts + to`.
    pub(crate) links: Vec<Link>,
    pub(crate) list: List,
    pub(crate) faults: u8,
    pub(crate) broken: Option<Broken>,
}

/// One size of the model: what there is, and what may happen.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    pub(crate) hosts: usize,
    pub(crate) faults: u8,
    pub(crate) without: Option<Rule>,
    /// Which kinds of faults are tried.
    pub(crate) kinds: Kinds,
    pub(crate) start: Start,
    /// Hosts below this number are the core; the others only make noise in the core's liveness check.
    pub(crate) core: usize,
    /// Check liveness from every state.
    pub(crate) liveness: bool,
    pub(crate) highest_round: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kinds {
    pub(crate) crash: bool,
    pub(crate) pause: bool,
    pub(crate) cut: bool,
    pub(crate) isolation: bool,
    pub(crate) list: bool,
    /// The disk answers when the checker says so, not at once.
    pub(crate) slow_disk: bool,
}

impl Kinds {
    pub(crate) const ALL: Self =
        Self { crash: true, pause: true, cut: true, isolation: true, list: true, slow_disk: false };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Every host is down.
    Down,
    /// Every host has just started.
    Cold,
    /// The highest host is master and all follow it.
    Settled,
    /// As `Settled`, once for each of the matrices of directed cuts.
    EveryMatrix,
    /// As `Cold`, once for each of those matrices.
    ColdEveryMatrix,
    /// Two masters that have not met: each host was alone until now.
    Apart,
}

impl State {
    pub(crate) fn down(size: &Size) -> Self {
        let host = |_| Host {
            machine: None,
            life: 0,
            paused: false,
            isolated: false,
            address: true,
            asked: false,
            stored: Acknowledged::NONE,
            storing: None,
            heard: vec![None; size.hosts],
            witness: Witness {
                heard: vec![OLD; size.hosts],
                echoed: vec![OLD; size.hosts],
                vouched: false,
                reigned: None,
                acknowledged: None,
                gave_way_to: None,
            },
        };
        Self {
            hosts: (0..size.hosts).map(host).collect(),
            links: vec![Link::default(); size.hosts * size.hosts],
            list: List::default(),
            faults: size.faults,
            broken: None,
        }
    }

    /// The term that a host reigns in or follows.
    pub(crate) fn term(&self, host: usize) -> Option<Term> {
        self.hosts[host].machine.as_ref()?.election().term()
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let hosts = self.hosts.len();
        (0..hosts).flat_map(move |from| (0..hosts).map(move |to| (from, to))).filter(|(from, to)| from != to)
    }

    pub(crate) fn link(&self, from: usize, to: usize) -> &Link {
        &self.links[from * self.hosts.len() + to]
    }

    pub(crate) fn link_mut(&mut self, from: usize, to: usize) -> &mut Link {
        let hosts = self.hosts.len();
        &mut self.links[from * hosts + to]
    }
}

impl Size {
    pub(crate) fn config(&self, host: usize, stored: Acknowledged) -> ElectionConfig {
        let entry = |host: usize| (host_id(host), format!("h{host}").parse().unwrap());
        ElectionConfig {
            me: host_id(host),
            hosts: (0..self.hosts).map(entry).collect(),
            node_goodness: None,
            isolation_address_configured: true,
            timing: timing(),
            seed: 0,
            acknowledged: stored,
        }
    }
}
