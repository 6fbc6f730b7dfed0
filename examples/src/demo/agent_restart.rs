//! The death of an agent alone, whose host starts it again.

use core::time::Duration;

use ha_core::{HostId, Instant};
use rustix::process::Signal;

use super::{Demo, Kill, KillHow};
use crate::failure::Failure;

impl Demo {
    /// Kills a host's agent and nothing else of it, and returns when the agent's last words were heard.
    ///
    /// # Errors
    ///
    /// A failure if there is no such host, or the system refuses.
    pub fn kill_agent(&mut self, host: HostId) -> Result<Kill, Failure> {
        self.pump(Duration::ZERO);
        let kill = self.kill_of(host, KillHow::Agent);
        self.signal_agent(host, Signal::KILL)?;
        self.wait_for(Duration::from_secs(5), "the end of an agent", |demo| {
            Ok(demo.process_of(host)?.agent_has_ended())
        })?;
        self.agent_ended(host)?;
        Ok(kill)
    }

    /// Forgets an agent that has ended, so that the next one is reached.
    pub(super) fn agent_ended(&mut self, host: HostId) -> Result<(), Failure> {
        self.process_of(host)?.forget_agent();
        self.pump(Duration::ZERO);
        self.observed.forget_role(host);
        Ok(())
    }

    /// Waits until every living host's agent is reached and follows one master that owns the datastore, and that
    /// master says anew of each virtual machine that it is protected, which it does only for those that it knows
    /// to run with their lock held. When the last of them was.
    ///
    /// # Errors
    ///
    /// A failure if that does not happen within the time that any step of the start may take.
    pub fn wait_until_protected_again(&mut self) -> Result<Instant, Failure> {
        let limit = self.start_limit();
        self.wait_for(limit, "every agent, one master, and its ownership of the datastore", |demo| {
            let reached = demo.reach_agents()?;
            Ok(reached && demo.master().is_some_and(|master| demo.observed.owns(master)))
        })?;
        let told = self.observed.events().len();
        self.protect(limit)?;
        let since = self.observed.events().iter().skip(told);
        let last = since.filter(|event| event.code == "vm-protected").map(|event| event.at).max();
        last.ok_or_else(|| Failure::new("no VM was protected again"))
    }
}
