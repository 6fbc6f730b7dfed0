//! Five electors on a made-up clock: they elect a master, it dies, the rest elect another.
//!
//! `cargo run -p ha-election --example five`
#![allow(clippy::print_stdout, reason = "an example tells its story")]
#![allow(clippy::std_instead_of_alloc, reason = "an example has std")]

use core::time::Duration;
use std::collections::BTreeMap;

use ha_core::{Acknowledged, HostId, Instant, Machine, Profile, Round, TimingConfig};
use ha_election::{ConfigError, Election, ElectionConfig, Event, Input, Message, Output, Role};

/// One way over the network.
const DELAY: Duration = Duration::from_millis(1);
/// An echo of a letter older than this proves nothing.
const RECENT: Duration = Duration::from_millis(200);

/// A frame, as far as this story needs one.
struct Letter {
    from: HostId,
    to: HostId,
    /// `None` is a heartbeat.
    message: Option<Message>,
    round: Round,
    sent: Instant,
    /// When the letter was sent that this one answers to: the last that its sender had from its receiver.
    echoes: Option<Instant>,
}

struct World {
    now: Instant,
    hosts: BTreeMap<HostId, Election>,
    network: Vec<(Instant, Letter)>,
    /// When the last letter was sent that one host has from another.
    heard: BTreeMap<(HostId, HostId), Instant>,
}

fn main() -> Result<(), ConfigError> {
    // As text, host-9 is above host-10: FDM's order.
    let numbers = [7, 8, 9, 10, 11];
    let mut world = World::new(&numbers)?;

    println!("--- five hosts start; host-8 has three datastores, the others two");
    for number in numbers {
        let connected_datastores = if number == 8 { 3 } else { 2 };
        world.input(HostId::new(number), Input::Standing { connected_datastores, eligible: true });
    }
    world.run_for(Duration::from_millis(250));

    println!("--- host-8 dies, and every survivor's own monitor has strong evidence of it");
    let dead = HostId::new(8);
    world.hosts.remove(&dead);
    for number in [7, 9, 10, 11] {
        world.input(HostId::new(number), Input::HostDead { host: dead });
    }
    world.run_for(Duration::from_millis(250));

    println!("--- host-9 dies without a trace: its silence has to last");
    world.hosts.remove(&HostId::new(9));
    world.run_for(Duration::from_millis(1_200));
    Ok(())
}

impl World {
    fn new(numbers: &[u32]) -> Result<Self, ConfigError> {
        let moid = |n: &u32| format!("host-{n}").parse().ok().map(|moid| (HostId::new(*n), moid));
        let list: Vec<_> = numbers.iter().filter_map(moid).collect();
        let mut hosts = BTreeMap::new();
        for number in numbers {
            let config = ElectionConfig {
                me: HostId::new(*number),
                hosts: list.clone(),
                node_goodness: None,
                isolation_address_configured: true,
                timing: TimingConfig::profile(Profile::Swift),
                seed: u64::from(*number),
                acknowledged: Acknowledged::NONE,
            };
            hosts.insert(config.me, Election::new(Instant::ORIGIN, config)?);
        }
        Ok(Self { now: Instant::ORIGIN, hosts, network: Vec::new(), heard: BTreeMap::new() })
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now.after(span);
        while self.now < end {
            self.now = self.now.after(DELAY / 2);
            let (due, later) = self.network.drain(..).partition(|(at, _)| *at <= self.now);
            self.network = later;
            for (_, letter) in due {
                self.deliver(letter);
            }
            for host in self.hosts.keys().copied().collect::<Vec<_>>() {
                let election = self.hosts.get_mut(&host);
                let outputs = election.map(|election| election.tick(self.now).collect()).unwrap_or_default();
                self.carry_out(host, outputs);
            }
        }
    }

    fn input(&mut self, host: HostId, input: Input) {
        let Some(election) = self.hosts.get_mut(&host) else { return };
        match election.step(self.now, input) {
            Ok(effects) => {
                let outputs = effects.collect();
                self.carry_out(host, outputs);
            }
            Err(rejected) => println!("{rejected}"),
        }
    }

    fn deliver(&mut self, letter: Letter) {
        let Letter { from, to, message, round, sent, echoes } = letter;
        self.heard.insert((to, from), sent);
        // `ha_core::wire` judges this: an echo counts while it is recent.
        let echoes = echoes.filter(|sent| self.now.since(*sent) <= RECENT);
        let known_round = Some(round);
        match (message, echoes) {
            (Some(message), echoes) => {
                self.input(to, Input::Receive { from, message, echoes, known_round });
                // A slave's heartbeat to its master, which `ha-heartbeat` would send by its own clock.
                if let Some(Role::Slave { master, .. }) = self.hosts.get(&to).map(Election::role)
                    && master == from
                {
                    self.send(to, from, None);
                }
            }
            (None, Some(echoes)) => self.input(to, Input::Contact { from, echoes, known_round }),
            (None, None) => {}
        }
    }

    fn send(&mut self, from: HostId, to: HostId, message: Option<Message>) {
        let round = self.hosts.get(&from).map_or(Round::ZERO, Election::highest_round);
        let echoes = self.heard.get(&(from, to)).copied();
        let letter = Letter { from, to, message, round, sent: self.now, echoes };
        self.network.push((self.now.after(DELAY), letter));
    }

    fn carry_out(&mut self, from: HostId, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Transmit { to, message } => self.send(from, to, Some(message)),
                // Nobody restarts here, so nothing has to outlive anything.
                Output::StoreTerm { acknowledged } => self.input(from, Input::TermStored { acknowledged }),
                // All addresses answer at once.
                Output::Event(Event::AddressCheckWanted) => {
                    self.input(from, Input::AddressAnswered { asked: self.now });
                }
                Output::Event(Event::RoleChanged { to, reason, .. }) => {
                    println!("{}  {from} is {to}: {reason}", self.now);
                }
                Output::Event(Event::RightsChanged { rights: true }) => {
                    println!("{}  {from} may act", self.now);
                }
                Output::Event(_) => {}
            }
        }
    }
}
