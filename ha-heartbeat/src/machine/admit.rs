//! What a caller may not do, found out before anything changes.

use ha_core::{Capability, DatastoreId, HostId, Rating};

use super::HostMonitor;
use crate::host::Host;
use crate::{Input, Rejected};

impl HostMonitor {
    pub(super) fn admit(&self, input: &Input) -> Result<(), Rejected> {
        match input {
            Input::Watch { host, datastores, .. } => self.admit_watch(*host, datastores),
            Input::Unwatch { host }
            | Input::Heard { host, .. }
            | Input::StreamOpened { host }
            | Input::StreamBroken { host }
            | Input::CleanShutdown { host } => self.watched(*host).map(|_| ()),
            Input::Datastore(evidence) => self.watched(evidence.host).map(|_| ()),
            Input::Pinged(done) => known(done.machine() == self.machine && self.desk.knows_ping(done.id())),
            Input::Looked(done) => known(done.machine() == self.machine && self.desk.knows_look(done.id())),
            Input::Confirmed { host, boot, incarnation } => {
                let known = self.watched(*host)?.life();
                if known == Some((*boot, *incarnation)) {
                    Ok(())
                } else {
                    Err(Rejected::OtherLife { host: *host, known })
                }
            }
        }
    }

    fn admit_watch(&self, host: HostId, datastores: &[(DatastoreId, Capability)]) -> Result<(), Rejected> {
        let limits = self.desk.limits;
        let room = u32::try_from(self.hosts.len()).is_ok_and(|hosts| hosts < limits.hosts);
        if !room && !self.hosts.contains_key(&host) {
            return Err(Rejected::TooManyHosts { limit: limits.hosts });
        }
        let given = datastores.len();
        if u32::try_from(given).is_ok_and(|given| given > limits.datastores) {
            return Err(Rejected::TooManyDatastores { given, limit: limits.datastores });
        }
        let unshared = datastores.iter().find(|(_, capability)| capability.rating == Rating::F0);
        match unshared {
            Some(&(datastore, _)) => Err(Rejected::LocksNotShared { datastore }),
            None => Ok(()),
        }
    }

    fn watched(&self, host: HostId) -> Result<&Host, Rejected> {
        self.hosts.get(&host).ok_or(Rejected::NotWatched { host })
    }
}

fn known(request: bool) -> Result<(), Rejected> {
    if request { Ok(()) } else { Err(Rejected::UnknownRequest) }
}
