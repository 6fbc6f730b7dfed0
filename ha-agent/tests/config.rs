//! Which configurations no agent works with: each is refused by name, with what it is and what would do.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

mod common;

use core::net::IpAddr;
use core::time::Duration;

use common::{DATASTORE, SECOND, config, host};
use ha_agent::{Agent, AgentConfig, ConfigError, DatastoreEntry, HostEntry, Role};
use ha_core::options::Options;
use ha_core::timing::PlanError;
use ha_core::wire::WireConfigError;
use ha_core::{Capability, DatastoreId, Instant, Limits, Machine, Profile, Rating, TimingConfig};

const NOW: Instant = Instant::from_nanos(5_000_000_000);

/// The error of a configuration of three hosts that `spoil` has changed.
fn error(spoil: impl FnOnce(&mut AgentConfig)) -> ConfigError {
    let mut config = config(1, 3);
    spoil(&mut config);
    Agent::new(config, NOW).unwrap_err()
}

fn entry(number: u32, moid: &str) -> HostEntry {
    HostEntry { host: host(number), moid: moid.parse().unwrap() }
}

#[test]
fn a_valid_configuration_gives_a_plan_and_an_agent() {
    for profile in [Profile::Swift, Profile::Vsphere] {
        let config = AgentConfig { timing: TimingConfig::profile(profile), ..config(1, 3) };
        let plan = config.validate().unwrap();
        assert_eq!((plan.config, plan.capability), (config.timing, Capability::SAME_KERNEL));
        let agent = Agent::new(config, NOW).unwrap();
        assert_eq!((agent.plan(), agent.host(), agent.role()), (&plan, host(1), Role::Uninitialized));
        assert!(!agent.may_act(DATASTORE, NOW));
        assert!(agent.poll_timeout().is_some());
    }
}

#[test]
fn the_plan_is_that_of_the_weakest_heartbeat_datastore() {
    let entry = |number, rating, heartbeat| DatastoreEntry {
        datastore: DatastoreId::new(number),
        capability: Capability { rating, ..Capability::SAME_KERNEL },
        heartbeat,
    };
    let plan = |datastores| AgentConfig { datastores, ..config(1, 3) }.validate().unwrap();
    let same_kernel = entry(2, Rating::SameKernel, true);
    assert_eq!(plan(vec![entry(1, Rating::F3, false), same_kernel]).capability.rating, Rating::SameKernel);
    assert_eq!(plan(vec![same_kernel, entry(3, Rating::F3, true)]).capability.rating, Rating::F3);
    assert_eq!(plan(vec![entry(4, Rating::F1, true), same_kernel]).capability.rating, Rating::F1);
}

#[test]
fn options_are_taken_over_by_their_names() {
    let text = "das.config.fdm.hostTimeout = 0.6\ndas.perHostConcurrentFailoversLimit = 4\n\
                das.isolationaddress0 = 192.0.2.1\nfdm.nodeGoodness = 7\n";
    let options = Options::parse_key_value(text).unwrap();
    let gateway = Some(IpAddr::from([192, 0, 2, 254]));
    let before = config(1, 3);
    let after = before.clone().with_options(&options, Profile::Swift, gateway);
    assert_eq!(after.timing, TimingConfig { host_timeout: Duration::from_millis(600), ..before.timing });
    assert_eq!(after.limits, Limits { restarts_per_host: 4, ..before.limits });
    assert_eq!((after.isolation_addresses, after.node_goodness), (2, Some(7)));
    assert_eq!(after.validate().unwrap().declared_weak_without, Duration::from_millis(900));

    let none = before.clone().with_options(&Options::new(), Profile::Swift, None);
    assert_eq!((none.timing, none.limits, none.isolation_addresses), (before.timing, before.limits, 0));
}

#[test]
fn a_watchdog_that_this_agent_does_not_serve() {
    let watchdog = Duration::from_secs(5);
    let error = error(|config| config.timing.lease.watchdog = Some(watchdog));
    assert_eq!(error, ConfigError::WatchdogNotServed { watchdog });
    assert!(error.to_string().starts_with("`lease.watchdog` = 5s: "), "{error}");
}

#[test]
fn host_not_listed() {
    let error = error(|config| config.identity.host = host(4));
    assert_eq!(error, ConfigError::HostNotListed { host: host(4) });
    assert_eq!(error.to_string(), "the host list does not name this host, host-4");
}

#[test]
fn host_listed_twice() {
    let message = "the host list names host-2 twice, by its number or by its managed object id";
    let by_number = error(|config| config.hosts.push(entry(2, "host-9")));
    assert_eq!(by_number, ConfigError::HostListedTwice { host: host(2) });
    assert_eq!(by_number.to_string(), message);
    let by_moid = error(|config| config.hosts.push(entry(4, "host-2")));
    assert_eq!(by_moid, ConfigError::HostListedTwice { host: host(4) });
}

#[test]
fn too_many_hosts() {
    let limits = |hosts| Limits { hosts, ..config(1, 3).limits };
    let error = error(|config| config.limits = limits(2));
    assert_eq!(error, ConfigError::TooManyHosts { found: 3, limit: 2 });
    assert_eq!(error.to_string(), "the host list has 3 entries; at most 2 are accepted");
    assert!(AgentConfig { limits: limits(3), ..config(1, 3) }.validate().is_ok());
}

#[test]
fn too_many_datastores() {
    let limits = |datastores| Limits { datastores, ..config(1, 3).limits };
    let error = error(|config| config.limits = limits(0));
    assert_eq!(error, ConfigError::TooManyDatastores { found: 1, limit: 0 });
    assert_eq!(error.to_string(), "1 datastores are configured; at most 0 are accepted");
    assert!(AgentConfig { limits: limits(1), ..config(1, 3) }.validate().is_ok());
}

#[test]
fn datastore_twice() {
    let error = error(|config| config.datastores.push(config.datastores[0]));
    assert_eq!(error, ConfigError::DatastoreTwice { datastore: DATASTORE });
    assert_eq!(error.to_string(), "datastore-1 is configured twice");
}

#[test]
fn no_heartbeat_datastore() {
    let without = error(|config| config.datastores[0].heartbeat = false);
    assert_eq!(without, ConfigError::NoHeartbeatDatastore { found: 1 });
    assert_eq!(
        without.to_string(),
        "none of the 1 configured datastores carries heartbeats; at least one must"
    );
    let none = error(|config| config.datastores.clear());
    assert_eq!(none, ConfigError::NoHeartbeatDatastore { found: 0 });
}

#[test]
fn too_many_isolation_addresses() {
    let error = error(|config| config.isolation_addresses = 12);
    assert_eq!(error, ConfigError::TooManyIsolationAddresses { found: 12 });
    assert_eq!(error.to_string(), "12 isolation addresses are configured; at most 11 are accepted");
    assert!(AgentConfig { isolation_addresses: 11, ..config(1, 3) }.validate().is_ok());
}

#[test]
fn timing_without_a_plan() {
    let storage = error(|config| config.datastores[0].capability.rating = Rating::F0);
    assert_eq!(storage, ConfigError::Timing { datastore: DATASTORE, error: PlanError::LocksNotShared });
    let spans = error(|config| config.timing.suspicion_after = Duration::from_millis(199));
    let (heartbeat_period, suspicion_after) = (Duration::from_millis(100), Duration::from_millis(199));
    let inequality = PlanError::SuspicionTooSoon { heartbeat_period, suspicion_after };
    assert_eq!(spans, ConfigError::Timing { datastore: DATASTORE, error: inequality });
    assert_eq!(
        spans.to_string(),
        "the timing has no valid plan for datastore-1: \
         2 x heartbeat_period = 2 x 100ms must be at most suspicion_after = 199ms"
    );
}

#[test]
fn timing_is_checked_for_every_datastore() {
    let second = DatastoreId::new(2);
    let error = error(|config| {
        let capability = Capability { rating: Rating::F0, ..Capability::SAME_KERNEL };
        config.datastores.push(DatastoreEntry { datastore: second, capability, heartbeat: true });
    });
    assert_eq!(error, ConfigError::Timing { datastore: second, error: PlanError::LocksNotShared });
}

#[test]
fn no_lease_below_f3() {
    let second = DatastoreId::new(2);
    let with = |rating, heartbeat| {
        move |config: &mut AgentConfig| {
            let capability = Capability { rating, ..Capability::UNDECLARED };
            config.datastores.push(DatastoreEntry { datastore: second, capability, heartbeat });
        }
    };
    let f2 = error(with(Rating::F2, false));
    assert_eq!(f2, ConfigError::NoLease { datastore: second, rating: Rating::F2 });
    assert_eq!(
        f2.to_string(),
        "datastore-2 is rated F2 and carries no heartbeats: below F3 every datastore must"
    );
    for accepted in [with(Rating::F2, true), with(Rating::F3, false)] {
        let mut config = config(1, 3);
        accepted(&mut config);
        assert!(config.validate().is_ok());
    }
}

#[test]
fn too_many_vms_per_host() {
    let most = AgentConfig::MAX_VMS_PER_HOST;
    let limits = |vms_per_host| Limits { vms_per_host, ..config(1, 3).limits };
    let error = error(|config| config.limits = limits(most + 1));
    assert_eq!(error, ConfigError::TooManyVmsPerHost { found: most + 1, limit: most });
    assert_eq!(
        error.to_string(),
        format!("{} virtual machines per host are too many; at most {most} are accepted", most + 1)
    );
    assert!(AgentConfig { limits: limits(most), ..config(1, 3) }.validate().is_ok());
}

#[test]
fn more_hosts_than_a_wire_can_name() {
    let error = error(|config| {
        config.limits.hosts = 5_000;
        config.hosts = (1..=4_097).map(|number| entry(number, &format!("host-{number}"))).collect();
    });
    assert_eq!(error, ConfigError::Wire(WireConfigError::TooManyHosts { hosts: 4_097, most: 4_096 }));
    assert_eq!(error.to_string(), "the host list has 4097 hosts, at most 4096 are possible");
}

#[test]
fn spans_too_short_for_an_election() {
    let error = error(|config| config.timing.heartbeat_period = Duration::from_nanos(7));
    let option = "heartbeat_period";
    assert_eq!(error, ConfigError::Election(ha_election::ConfigError::SpanTooShort { option }));
    assert_eq!(error.to_string(), "`heartbeat_period` is too short: at least 8 ns are needed");
}

#[test]
fn spans_too_short_for_the_isolation_check() {
    let error = error(|config| config.timing.master_isolated_after = Duration::from_nanos(1));
    let option = "master_isolated_after";
    assert_eq!(error, ConfigError::Isolation(ha_isolation::ConfigError::SpanTooShort { option }));
    assert_eq!(error.to_string(), "`master_isolated_after` is too short: at least 2 ns are needed");
}

#[test]
fn one_host_alone_is_a_cluster() {
    let mut bench = common::Bench::new([config(1, 1)]);
    assert!(bench.run_until(10 * SECOND, |bench| bench.master() == Some(host(1))), "{:#?}", bench.events);
}
