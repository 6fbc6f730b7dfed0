use alloc::collections::{BTreeMap, BTreeSet};

use ha_core::{HostId, Instant, VmUuid};

use crate::protocol::manager::{Detail, EventLine};

/// How many events are kept. A run has a few dozen per virtual machine.
const MAX_EVENTS: usize = 1 << 20;

/// What the agents have told the manager.
#[derive(Debug, Default)]
pub struct Observed {
    events: Vec<EventLine>,
    roles: BTreeMap<HostId, (String, Option<HostId>)>,
    running: BTreeMap<VmUuid, (HostId, u64)>,
    protected: BTreeSet<VmUuid>,
    owners: BTreeSet<HostId>,
    last_role_change: Option<Instant>,
}

impl Observed {
    /// Every event so far, in the order in which they reached the manager.
    #[must_use]
    pub fn events(&self) -> &[EventLine] {
        &self.events
    }

    /// Where a virtual machine was last said to run, and under which epoch.
    #[must_use]
    pub fn running(&self, vm: VmUuid) -> Option<(HostId, u64)> {
        self.running.get(&vm).copied()
    }

    /// The virtual machines whose protection was reported.
    #[must_use]
    pub const fn protected(&self) -> &BTreeSet<VmUuid> {
        &self.protected
    }

    /// The one master, if all of `hosts` agree on it.
    #[must_use]
    pub fn master_of_all(&self, hosts: impl IntoIterator<Item = HostId>) -> Option<HostId> {
        let mut agreed = None;
        for host in hosts {
            let (role, master) = self.roles.get(&host)?;
            let master = (*master)?;
            let fits = if master == host { role == "master" } else { role == "slave" };
            if !fits || agreed.is_some_and(|agreed| agreed != master) {
                return None;
            }
            agreed = Some(master);
        }
        agreed
    }

    /// Whether a host has said that it owns the datastore, and not since then that it has another role.
    #[must_use]
    pub fn owns(&self, host: HostId) -> bool {
        self.owners.contains(&host)
    }

    /// When an agent last changed its role.
    #[must_use]
    pub const fn last_role_change(&self) -> Option<Instant> {
        self.last_role_change
    }

    /// Forgets what a host's agent said of its role: that agent has ended.
    pub(super) fn forget_role(&mut self, host: HostId) {
        self.roles.remove(&host);
        self.owners.remove(&host);
    }

    pub(super) fn take_in(&mut self, line: EventLine) {
        match &line.detail {
            Detail::Role { role, master } => {
                self.roles.insert(line.host, (role.clone(), master.map(HostId::new)));
                self.owners.remove(&line.host);
                self.last_role_change = self.last_role_change.max(Some(line.at));
            }
            Detail::Owned => {
                self.owners.insert(line.host);
            }
            Detail::Vm { vm, epoch, .. } => match (line.code.as_str(), epoch) {
                ("vm-running", Some(epoch)) => {
                    self.running.insert(*vm, (line.host, *epoch));
                }
                ("vm-protected", _) => {
                    self.protected.insert(*vm);
                }
                _ => {}
            },
            Detail::None | Detail::Suspected { .. } | Detail::Judged { .. } => {}
        }
        if self.events.len() < MAX_EVENTS {
            self.events.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(host: u32, role: &str, master: Option<u32>) -> EventLine {
        EventLine {
            at: Instant::from_nanos(u64::from(host)),
            host: HostId::new(host),
            code: "role-changed".into(),
            text: String::new(),
            detail: Detail::Role { role: role.into(), master },
        }
    }

    #[test]
    fn a_master_is_one_that_all_hosts_agree_on() {
        let mut observed = Observed::default();
        let hosts = || (1..=3).map(HostId::new);
        observed.take_in(role(1, "slave", Some(3)));
        observed.take_in(role(3, "master", Some(3)));
        assert_eq!(observed.master_of_all(hosts()), None);
        observed.take_in(role(2, "candidate", None));
        assert_eq!(observed.master_of_all(hosts()), None);
        observed.take_in(role(2, "master", Some(2)));
        assert_eq!(observed.master_of_all(hosts()), None);
        observed.take_in(role(2, "slave", Some(3)));
        assert_eq!(observed.master_of_all(hosts()), Some(HostId::new(3)));
        observed.take_in(role(3, "candidate", Some(3)));
        assert_eq!(observed.master_of_all(hosts()), None);
        assert_eq!(observed.master_of_all([]), None);
    }
}
