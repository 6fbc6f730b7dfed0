use alloc::collections::BTreeMap;
use core::time::Duration;

use ha_core::{HostId, Instant, VmUuid};

use crate::protocol::manager::{EventLine, ManagerCommand};

/// How many commands to one host may be under way.
const PER_HOST: usize = 8;

/// After a refusal.
const PAUSE: Duration = Duration::from_millis(100);

/// A command that brought neither success nor refusal by then is sent again. Agents take repetitions well.
const PATIENCE: Duration = Duration::from_secs(10);

/// Commands that the manager wants carried out, one per virtual machine, each until an event says that it was.
#[derive(Debug)]
pub(super) struct Errands {
    done: &'static str,
    refused: &'static str,
    seen: usize,
    open: BTreeMap<VmUuid, Errand>,
}

#[derive(Debug)]
struct Errand {
    command: ManagerCommand,
    /// The one host that can do it; `None` for whoever is master.
    host: Option<HostId>,
    sent: Option<(HostId, Instant)>,
    not_before: Instant,
}

impl Errands {
    /// No errands yet. `done` and `refused` are the codes of the events that tell of their end; the first `seen`
    /// events are older and tell of none.
    pub(super) const fn new(done: &'static str, refused: &'static str, seen: usize) -> Self {
        Self { done, refused, seen, open: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, vm: VmUuid, host: Option<HostId>, command: ManagerCommand) {
        self.open.insert(vm, Errand { command, host, sent: None, not_before: Instant::ORIGIN });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes in what happened since the last turn. The commands to send now.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        events: &[EventLine],
        master: Option<HostId>,
    ) -> Vec<(HostId, ManagerCommand)> {
        for event in events.get(self.seen..).unwrap_or_default() {
            self.hear(now, event);
        }
        self.seen = events.len();
        let mut under_way: BTreeMap<HostId, usize> = BTreeMap::new();
        for errand in self.open.values_mut() {
            errand.sent = errand.sent.filter(|(_, sent)| now.since(*sent) < PATIENCE);
            if let Some((host, _)) = errand.sent {
                *under_way.entry(host).or_default() += 1;
            }
        }
        let mut commands = Vec::new();
        for errand in self.open.values_mut() {
            let Some(host) = errand.host.or(master) else { continue };
            let busy = under_way.entry(host).or_default();
            if errand.sent.is_none() && errand.not_before <= now && *busy < PER_HOST {
                *busy += 1;
                errand.sent = Some((host, now));
                commands.push((host, errand.command.clone()));
            }
        }
        commands
    }

    fn hear(&mut self, now: Instant, event: &EventLine) {
        let Some(vm) = event.detail.vm() else { return };
        if event.code == self.done {
            self.open.remove(&vm);
        } else if event.code == self.refused
            && let Some(errand) = self.open.get_mut(&vm)
        {
            errand.sent = None;
            errand.not_before = now.after(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use ha_core::VmId;

    use super::*;
    use crate::config::DATASTORE;
    use crate::protocol::manager::Detail;

    fn uuid(number: u8) -> VmUuid {
        VmUuid::from_bytes([number; 16])
    }

    fn command(number: u8) -> ManagerCommand {
        ManagerCommand::PowerOn { vm: VmId::new(uuid(number), DATASTORE, "a/a.vmx").unwrap() }
    }

    fn event(code: &str, number: u8) -> EventLine {
        let (at, host) = (Instant::ORIGIN, HostId::new(1));
        let detail = Detail::Vm { vm: uuid(number), epoch: None, target: None };
        EventLine { at, host, code: code.into(), text: String::new(), detail }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_refused_errand_is_sent_again_after_a_pause_and_a_done_one_is_not() {
        let host = HostId::new(1);
        let mut errands = Errands::new("done", "refused", 0);
        errands.add(uuid(1), Some(host), command(1));
        assert_eq!(errands.turn(at(0), &[], None), [(host, command(1))]);
        assert_eq!(errands.turn(at(1), &[], None), []);
        let refused = [event("refused", 1)];
        assert_eq!(errands.turn(at(2), &refused, None), []);
        assert_eq!(errands.turn(at(101), &refused, None), []);
        assert_eq!(errands.turn(at(102), &refused, None), [(host, command(1))]);
        assert_eq!(errands.turn(at(10_101), &refused, None), []);
        assert_eq!(errands.turn(at(10_102), &refused, None), [(host, command(1))]);
        let done = [event("refused", 1), event("done", 1)];
        assert_eq!(errands.turn(at(10_103), &done, None), []);
        assert!(errands.is_empty());
    }

    #[test]
    fn only_so_many_are_under_way_and_none_without_a_master() {
        let host = HostId::new(2);
        let mut errands = Errands::new("done", "refused", 0);
        for number in 0..10 {
            errands.add(uuid(number), None, command(number));
        }
        assert_eq!(errands.turn(at(0), &[], None), []);
        assert_eq!(errands.turn(at(0), &[], Some(host)).len(), PER_HOST);
        assert_eq!(errands.turn(at(1), &[event("done", 0)], Some(host)).len(), 1);
    }
}
