//! Advanced options: every `das.*` and `fdm.*` name of fdm-facts 15, checked, and applied where it counts.
//!
//! [`OPTIONS`] is the one table of them, with layer, unit, range, default, effect and meaning; `OPTIONS.md` is the
//! same table for people. A name is *known and used*, *known and without effect here* (the reason is told), *known
//! and planned* (accepted and checked, does nothing yet), or unknown: an error that suggests the nearest name.
//! Names are compared without regard to case, and `das.config.fdm.x` is the cluster-wide spelling of a host's
//! `fdm.x`.
//!
//! One [`Options`] holds what one text set. A host's own options, or those of a virtual
//! machine, go [`over`](Options::over) its cluster's. What is
//! used is handed out by [`apply_to`](Options::apply_to), [`apply_to_limits`](Options::apply_to_limits),
//! [`isolation_addresses`](Options::isolation_addresses) and [`node_goodness`](Options::node_goodness);
//! [`findings`](Options::findings) tells what is not. Whether spans fit together is for
//! [`TimingPlan::validate`](crate::TimingPlan::validate) to say.

mod error;
mod finding;
mod key_value;
mod name;
mod spec;
mod table;
mod toml;
mod value;

use core::net::IpAddr;
use core::time::Duration;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

pub use error::{LineError, OptionError};
pub use finding::Finding;
pub use spec::{DefaultValue, Effect, Kind, Layer, Numbered, OptionSpec, Unit};
pub use table::OPTIONS;
pub use value::Value;

use crate::{Limits, Profile, TimingConfig};

const ISOLATION_POLICY_DELAY: &str = "fdm.isolationPolicyDelaySec";

/// The options that are set, each checked against its [`OptionSpec`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    values: BTreeMap<String, (&'static OptionSpec, Value)>,
}

impl Options {
    /// FDM's shortest delay before the response to isolation; less counts as this (fdm-facts 7.4).
    pub const FDM_ISOLATION_POLICY_DELAY_MIN: Duration = Duration::from_secs(30);

    /// No option is set.
    #[must_use]
    pub const fn new() -> Self {
        Self { values: BTreeMap::new() }
    }

    /// Reads vSphere's form: one `name = value` a line. Blank lines and lines that begin with `#` are skipped; a
    /// value may stand in double quotes, which are dropped; nothing is escaped, and a `#` behind a value belongs
    /// to it.
    ///
    /// # Errors
    ///
    /// The first line that is not accepted: its number, what is wrong, and what would be right.
    pub fn parse_key_value(text: &str) -> Result<Self, LineError> {
        let mut options = Self::new();
        key_value::read(text, |name, value| options.set(name, value))?;
        Ok(options)
    }

    /// Reads a subset of TOML 1.0: comments,
    /// `[tables]`, keys that are bare, quoted or dotted, strings in `"` (with the escapes `\"`, `\\` and `\t`) or
    /// `'`, decimal numbers, `true` and `false`. Each value stands on one line. Arrays, inline tables, multi-line
    /// strings, exponents, other bases and dates are refused: no option has such a value. Not refused, though TOML
    /// does: a table that is both a header and part of a dotted key, and control characters in comments.
    ///
    /// An option's name is the path of its value, however it is written: `das.slotmeminmb = 64`,
    /// `"das.slotmeminmb" = 64`, or `slotmeminmb = 64` under `[das]`. A value may also be given as a string.
    /// Allocates at most [`max_allocated`](Self::max_allocated).
    ///
    /// # Errors
    ///
    /// As [`parse_key_value`](Self::parse_key_value).
    pub fn parse_toml(text: &str) -> Result<Self, LineError> {
        let mut options = Self::new();
        toml::read(text, |name, value| options.set(name, value))?;
        Ok(options)
    }

    /// The most memory, in bytes, that reading a text of `length` bytes holds at once, whatever the text says. Most
    /// of it goes to tables of TOML, of which each is remembered to refuse a second one.
    #[must_use]
    pub const fn max_allocated(length: usize) -> usize {
        length.saturating_mul(32).saturating_add(16 << 10)
    }

    /// Sets one option.
    ///
    /// # Errors
    ///
    /// An unknown name, a value that is not accepted, or a second value, in whichever spelling. Nothing is changed
    /// then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), OptionError> {
        let (spec, name) = name::resolve(name)?;
        if self.values.contains_key(&name) {
            return Err(OptionError::Twice { name });
        }
        let Some(checked) = Value::parse(spec.kind, value) else {
            return Err(OptionError::Value { name, found: crate::id::cut(value), expected: spec.kind });
        };
        self.values.insert(name, (spec, checked));
        Ok(())
    }

    /// These options, and those of `below` that these do not set: a host's or a virtual machine's over its cluster's.
    /// A choice such as `clusterIsolationResponse` gives way to what `below` sets.
    #[must_use]
    pub fn over(mut self, below: Self) -> Self {
        self.values.retain(|name, (_, value)| {
            !(value.leaves_it_to_the_cluster() && below.values.contains_key(name))
        });
        for (name, value) in below.values {
            self.values.entry(name).or_insert(value);
        }
        self
    }

    /// The value of an option, by any spelling of its name; `None` if it is not set, or unknown.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let (_, name) = name::resolve(name).ok()?;
        self.values.get(&name).map(|(_, value)| value)
    }

    /// Every option that is set, by canonical name, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'static OptionSpec, &Value)> {
        self.values.iter().map(|(name, (spec, value))| (name.as_str(), *spec, value))
    }

    /// `timing` with the spans that are set here. Nothing else changes; a plan for the result must be validated
    /// anew.
    ///
    /// Under [`Profile::Vsphere`] a `fdm.isolationPolicyDelaySec` of less than
    /// [30 s](Self::FDM_ISOLATION_POLICY_DELAY_MIN) counts as 30 s, as in FDM; under [`Profile::Swift`] it counts
    /// as it is.
    #[must_use]
    pub fn apply_to(&self, profile: Profile, timing: TimingConfig) -> TimingConfig {
        let span = |name, otherwise| self.span(name).unwrap_or(otherwise);
        let delay = self.span(ISOLATION_POLICY_DELAY).map(|given| counts_as(profile, given));
        TimingConfig {
            host_timeout: span("das.config.fdm.hostTimeout", timing.host_timeout),
            ping_window: span("das.config.fdm.icmpPingTimeout", timing.ping_window),
            dead_ping_interval: span("das.config.fdm.deadIcmpPingInterval", timing.dead_ping_interval),
            isolation_policy_delay: delay.unwrap_or(timing.isolation_policy_delay),
            ..timing
        }
    }

    /// `limits` with `das.perHostConcurrentFailoversLimit`, if that is set.
    #[must_use]
    pub fn apply_to_limits(&self, limits: Limits) -> Limits {
        let restarts = self.count("das.perHostConcurrentFailoversLimit");
        Limits { restarts_per_host: restarts.unwrap_or(limits.restarts_per_host), ..limits }
    }

    /// Whom to ping to learn whether this host is cut off, each once: the default `gateway` unless
    /// `das.usedefaultisolationaddress` is false, then `das.isolationaddress`, then the numbered ones by number.
    /// An empty list means that the host can never be isolated (fdm-facts 8.17).
    #[must_use]
    pub fn isolation_addresses(&self, gateway: Option<IpAddr>) -> Vec<IpAddr> {
        let use_gateway = self.flag("das.usedefaultisolationaddress").unwrap_or(true);
        let mut addresses: Vec<IpAddr> = gateway.filter(|_| use_gateway).into_iter().collect();
        let numbered =
            (0_u8..=10).filter_map(|number| self.address(&alloc::format!("das.isolationaddress{number}")));
        for address in self.address("das.isolationaddress").into_iter().chain(numbered) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// `fdm.nodeGoodness`: what replaces the number of connected datastores in this host's rank at elections.
    #[must_use]
    pub fn node_goodness(&self) -> Option<i64> {
        self.whole("fdm.nodeGoodness").and_then(|number| i64::try_from(number).ok())
    }

    /// `das.maxvmrestartcount`: starts of one virtual machine, the first included, before its restart is given up.
    /// Planned: so far every restart is tried for ever.
    #[must_use]
    pub fn max_restart_count(&self) -> Option<u32> {
        self.count("das.maxvmrestartcount")
    }

    /// `das.heartbeatDsPerHost`, for whoever chooses the heartbeat datastores. Planned: the agent itself takes those
    /// that the manager names.
    #[must_use]
    pub fn heartbeat_datastores_per_host(&self) -> Option<u32> {
        self.count("das.heartbeatDsPerHost")
    }

    /// What an operator should be told of the options that are set: those that do nothing, or nothing yet, or count
    /// as another value under `profile`.
    #[must_use]
    pub fn findings(&self, profile: Profile) -> Vec<Finding<'_>> {
        self.iter().filter_map(|(name, spec, value)| finding(profile, name, spec, value)).collect()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        match self.values.get(name)?.1 {
            Value::Bool(value) => Some(value),
            Value::Span(_) | Value::Whole(_) | Value::Choice(_) | Value::Address(_) | Value::Text(_) => None,
        }
    }

    fn span(&self, name: &str) -> Option<Duration> {
        match self.values.get(name)?.1 {
            Value::Span(span) => Some(span),
            Value::Bool(_) | Value::Whole(_) | Value::Choice(_) | Value::Address(_) | Value::Text(_) => None,
        }
    }

    fn whole(&self, name: &str) -> Option<u64> {
        match self.values.get(name)?.1 {
            Value::Whole(number) => Some(number),
            Value::Bool(_) | Value::Span(_) | Value::Choice(_) | Value::Address(_) | Value::Text(_) => None,
        }
    }

    fn count(&self, name: &str) -> Option<u32> {
        self.whole(name).and_then(|number| u32::try_from(number).ok())
    }

    fn address(&self, name: &str) -> Option<IpAddr> {
        match self.values.get(name)?.1 {
            Value::Address(address) => Some(address),
            Value::Bool(_) | Value::Span(_) | Value::Whole(_) | Value::Choice(_) | Value::Text(_) => None,
        }
    }
}

fn finding<'o>(
    profile: Profile,
    name: &'o str,
    spec: &'static OptionSpec,
    value: &Value,
) -> Option<Finding<'o>> {
    match (spec.effect, value) {
        (Effect::WithoutEffect(reason), _) => Some(Finding::WithoutEffect { name, reason }),
        (Effect::Planned, _) => Some(Finding::Planned { name }),
        (Effect::Used, &Value::Span(given)) if name == ISOLATION_POLICY_DELAY => {
            let counts_as = counts_as(profile, given);
            (counts_as != given).then_some(Finding::CountsAs { name, given, counts_as })
        }
        (Effect::Used, _) => None,
    }
}

fn counts_as(profile: Profile, isolation_policy_delay: Duration) -> Duration {
    match profile {
        Profile::Vsphere => isolation_policy_delay.max(Options::FDM_ISOLATION_POLICY_DELAY_MIN),
        Profile::Swift => isolation_policy_delay,
    }
}
