use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;

use ha_core::{ClusterId, HostId, Instant, Profile, Term};
use ha_datastore::fs::boot_clock;
use serde_json::json;

use super::config::ElectorConfig;
use super::host_process::{Heard, HostProcess};
use super::links::Links;
use super::picture::Picture;
use super::protocol::{Line, News, Order, Settings, Status, numbers};
use super::story::{Entry, Story};
use super::summary::Summary;
use crate::demo::addresses::Addresses;
use crate::demo::folder::Folder;
use crate::demo::layout::random_key;
use crate::failure::{Context, Failure};
use crate::ping;

/// How many messages may wait for the manager; then those who send them wait.
const WAITING: usize = 1_024;

/// How long the electors have to open their sockets.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The cluster under the manager's hands.
#[derive(Debug)]
pub(super) struct Manager {
    pub(super) story: Story,
    pub(super) hosts: BTreeMap<HostId, Slot>,
    pub(super) links: Links,
    pub(super) picture: Picture,
    /// Commands that were not carried out yet.
    pub(super) typed: VecDeque<String>,
    pub(super) typing_ended: bool,
    /// What the hosts have answered to the last question for their status.
    pub(super) statuses: BTreeMap<HostId, (u64, Status)>,
    pub(super) failed: Vec<String>,
    ended_by_themselves: u32,
    /// The hosts were let go; whoever is ready takes part at once.
    begun: bool,
    /// The agreement that was told last.
    told_leader: Option<(HostId, Term, Vec<HostId>)>,
    inbox: Receiver<Heard>,
    heard: SyncSender<Heard>,
    _folder: Folder,
}

/// One host of the cluster, whether it runs or not.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) process: Option<HostProcess>,
    pub(super) paused: bool,
    pub(super) in_service: bool,
    pub(super) datastores: u32,
    config: PathBuf,
    starts: u64,
    ready: bool,
}

impl Slot {
    /// Whether it is one who can follow a master, if it is not isolated.
    fn counts(&self) -> bool {
        self.process.is_some() && !self.paused && self.in_service && self.datastores > 0
    }
}

impl Manager {
    /// Starts `hosts` electors and lets them go once all are ready.
    pub(super) fn start(hosts: u32, profile: Profile, exact: bool, json: bool) -> Result<Self, Failure> {
        let run = uuid::Uuid::new_v4();
        let name = run.simple().to_string();
        let folder = Folder::temporary(&format!("ha-electors-{}", &name[..12]))?;
        let Addresses { hosts: addresses, isolation, pings } = Addresses::choose(hosts)?;
        let responder = thread::Builder::new().name("pings".into()).spawn(move || ping::respond(&pings));
        responder.context(|| "starting a thread".into())?;
        let all: Vec<HostId> = addresses.iter().map(|address| address.host).collect();
        let config = ElectorConfig {
            cluster: ClusterId::from_bytes(*run.as_bytes()),
            host: HostId::new(0),
            profile,
            exact,
            key: random_key()?,
            hosts: addresses,
            isolation,
        };
        let slot = |host: &HostId| {
            let local = folder.path().join(host.to_string());
            std::fs::create_dir(&local).context(|| format!("creating {}", local.display()))?;
            let config = ElectorConfig { host: *host, ..config.clone() }.save(&local)?;
            let (in_service, datastores) = (true, 1);
            Ok((
                *host,
                Slot {
                    process: None,
                    paused: false,
                    in_service,
                    datastores,
                    config,
                    starts: 0,
                    ready: false,
                },
            ))
        };
        let hosts = all.iter().map(slot).collect::<Result<_, Failure>>()?;
        let (heard, inbox) = sync_channel(WAITING);
        let mut manager = Self {
            story: Story::new(json, boot_clock()),
            hosts,
            links: Links::default(),
            picture: Picture::new(&all),
            typed: VecDeque::new(),
            typing_ended: false,
            statuses: BTreeMap::new(),
            failed: Vec::new(),
            ended_by_themselves: 0,
            begun: false,
            told_leader: None,
            inbox,
            heard,
            _folder: folder,
        };
        manager.start_all(&all)?;
        Ok(manager)
    }

    fn start_all(&mut self, all: &[HostId]) -> Result<(), Failure> {
        for host in all {
            self.start_host(*host)?;
        }
        let ready = self
            .pump(boot_clock().after(START_LIMIT), |manager| manager.hosts.values().all(|slot| slot.ready))?;
        if !ready {
            let waited = START_LIMIT.as_secs();
            return Err(Failure::new(format!("after {waited} s not every elector had opened its sockets")));
        }
        self.begun = true;
        self.story = self.story.begin_at(boot_clock());
        self.order_settings()
    }

    /// Hands the manager lines that are typed, from a thread of their own.
    pub(super) fn listen(&self) -> Result<(), Failure> {
        let heard = self.heard.clone();
        let work = move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if heard.send(Heard::Typed(line)).is_err() {
                    return;
                }
            }
            heard.send(Heard::TypingEnded).ok();
        };
        let reader = thread::Builder::new().name("commands".into()).spawn(work);
        reader.map(drop).context(|| "starting a thread".into())
    }

    /// Starts the process of a host that has none.
    pub(super) fn start_host(&mut self, host: HostId) -> Result<(), Failure> {
        let heard = self.heard.clone();
        let Some(slot) = self.hosts.get_mut(&host) else { return Ok(()) };
        slot.starts += 1;
        slot.process = Some(HostProcess::start(host, slot.starts, &slot.config, heard)?);
        self.review(host);
        Ok(())
    }

    /// Kills the process of a host, and takes in what it still had told.
    pub(super) fn kill_host(&mut self, host: HostId) -> Result<(), Failure> {
        let Some(slot) = self.hosts.get_mut(&host) else { return Ok(()) };
        let Some(process) = &mut slot.process else { return Ok(()) };
        process.kill()?;
        slot.paused = false;
        let start = process.start;
        let deadline = boot_clock().after(START_LIMIT);
        while let Some(heard) = self.next(deadline)? {
            if matches!(heard, Heard::Ended { host: ended, start: life } if (ended, life) == (host, start)) {
                break;
            }
            self.take_in(heard)?;
        }
        self.end(host);
        Ok(())
    }

    /// Tells every host that listens how its surroundings are.
    pub(super) fn order_settings(&mut self) -> Result<(), Failure> {
        let all: Vec<HostId> = self.hosts.keys().copied().collect();
        for host in all {
            self.review(host);
            if self.hosts.get(&host).is_some_and(|slot| slot.ready && !slot.paused) {
                self.order_settings_of(host)?;
            }
        }
        self.tell_leader(boot_clock());
        Ok(())
    }

    /// Tells a host how its surroundings are, also if it is stopped: it reads that first when it goes on.
    pub(super) fn order_settings_of(&self, host: HostId) -> Result<(), Failure> {
        let Some(slot) = self.hosts.get(&host) else { return Ok(()) };
        let settings = Settings {
            cut_to: numbers(self.links.cut_to(host)),
            cut_from_address: self.links.is_cut_from_address(host),
            datastores: slot.datastores,
            in_service: slot.in_service,
        };
        slot.process.as_ref().map_or(Ok(()), |process| process.order(&Order::Settings(settings)))
    }

    /// Takes in what happens until `done`, or until `deadline`. Whether it was done.
    pub(super) fn pump(&mut self, deadline: Instant, done: impl Fn(&Self) -> bool) -> Result<bool, Failure> {
        loop {
            if done(self) {
                return Ok(true);
            }
            match self.next(deadline)? {
                Some(heard) => self.take_in(heard)?,
                None => return Ok(false),
            }
        }
    }

    fn next(&self, deadline: Instant) -> Result<Option<Heard>, Failure> {
        match self.inbox.recv_timeout(deadline.since(boot_clock())) {
            Ok(heard) => Ok(Some(heard)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Failure::new("nobody is left to hear")),
        }
    }

    fn take_in(&mut self, heard: Heard) -> Result<(), Failure> {
        match heard {
            Heard::Typed(line) => self.typed.push_back(line),
            Heard::TypingEnded => self.typing_ended = true,
            Heard::Told { host, start, line } if self.is_current(host, start) => self.hear(host, line)?,
            Heard::Ended { host, start } if self.is_current(host, start) => {
                self.ended_by_themselves += 1;
                let text = format!("{host} has ended by itself");
                let entry = Entry::new("ended", text, json!({ "host": host.to_string() }));
                self.story.tell(boot_clock(), &entry);
                self.end(host);
            }
            Heard::Told { .. } | Heard::Ended { .. } => {}
        }
        Ok(())
    }

    fn is_current(&self, host: HostId, start: u64) -> bool {
        let process = self.hosts.get(&host).and_then(|slot| slot.process.as_ref());
        process.is_some_and(|process| process.start == start)
    }

    fn hear(&mut self, host: HostId, line: Line) -> Result<(), Failure> {
        let Line { at, news } = line;
        if let Some(entry) = Entry::news(host, &news) {
            self.story.tell(at, &entry);
        }
        match news {
            News::Ready { life } => {
                self.picture.set_life(at, host, life);
                if let Some(slot) = self.hosts.get_mut(&host) {
                    slot.ready = true;
                }
                self.review(host);
                if self.begun {
                    self.order_settings_of(host)?;
                }
            }
            News::Role { role, .. } => self.picture.set_role(at, host, role.into()),
            News::Status { number, status } => {
                self.statuses.insert(host, (number, status));
            }
            News::Rights(_)
            | News::Yielded { .. }
            | News::ElectionGoesOn { .. }
            | News::InvalidMaster { .. }
            | News::Isolated { .. } => {}
        }
        self.tell_leader(at);
        Ok(())
    }

    fn end(&mut self, host: HostId) {
        if let Some(slot) = self.hosts.get_mut(&host) {
            (slot.process, slot.ready, slot.paused) = (None, false, false);
        }
        let now = boot_clock();
        self.picture.set_life(now, host, 0);
        self.review(host);
        self.tell_leader(now);
    }

    /// Whether a host counts may have changed.
    pub(super) fn review(&mut self, host: HostId) {
        let isolated = self.links.is_cut_from_address(host);
        let counts = self.hosts.get(&host).is_some_and(Slot::counts) && !isolated;
        self.picture.set_counts(boot_clock(), host, counts);
    }

    /// Tells who leads, if that is agreed on and was not told yet.
    fn tell_leader(&mut self, at: Instant) {
        let agreed = self.picture.agreed().map(|(master, term)| {
            let followers = self.picture.counting().into_iter().filter(|host| *host != master);
            (master, term, followers.collect())
        });
        if agreed == self.told_leader {
            return;
        }
        if let Some((master, term, followers)) = &agreed {
            self.story.tell(at, &Entry::leads(*master, *term, followers));
        }
        self.told_leader = agreed;
    }

    /// What the run amounts to.
    pub(super) fn summary(&self) -> Summary {
        Summary {
            findings: self.picture.findings(boot_clock()),
            failed: self.failed.clone(),
            ended_by_themselves: self.ended_by_themselves,
        }
    }
}
