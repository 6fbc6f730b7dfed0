use core::fmt;
use core::time::Duration;

use alloc::format;
use alloc::string::{String, ToString};

use crate::Profile;

/// Everything there is to say about one option. [`OPTIONS`](super::OPTIONS) has one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name, as vSphere spells it; case does not matter. Without the number, if it has one.
    pub name: &'static str,
    /// Whether the name is followed by a number.
    pub numbered: Numbered,
    /// Where it is set.
    pub layer: Layer,
    /// What its value is, its unit and its range.
    pub kind: Kind,
    /// What counts where it is not set.
    pub default: DefaultValue,
    /// What comes of setting it here.
    pub effect: Effect,
    /// What it means.
    pub meaning: &'static str,
    /// The fact in `fdm-facts` that it comes from.
    pub source: &'static str,
}

/// Whether an option's name is followed by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// One option, one name.
    No,
    /// `name0` to `name<last>`.
    To {
        /// The last number.
        last: u8,
    },
    /// The bare name, and `name0` to `name<last>`.
    BareAndTo {
        /// The last number.
        last: u8,
    },
}

/// Where an option is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// For the whole cluster (HA advanced options). Those named `das.config.fdm.x` can be set for one host
    /// too, as `fdm.x`.
    Cluster,
    /// On one host only.
    Host,
    /// For one virtual machine; a cluster's own text may set it as the default of all.
    VirtualMachine,
    /// In vCenter's own configuration.
    VCenter,
}

/// What an option's value is, with its unit and its range, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; `1` and `0` say the same.
    Bool,
    /// A span of time in seconds, with up to three decimals.
    Seconds {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A span of time in whole milliseconds.
    Milliseconds {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A whole number.
    Whole {
        /// What is counted.
        unit: Unit,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One of these words; case does not matter. One that begins with `cluster` leaves it to the cluster.
    Choice(&'static [&'static str]),
    /// An IPv4 or IPv6 address. Names are not accepted: a host that is cut off cannot look them up.
    Address,
    /// Any text but an empty one.
    Text,
}

/// What a whole number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Megahertz.
    Megahertz,
    /// Megabytes.
    Megabytes,
}

/// What counts where an option is not set, in the spelling that a configuration would use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// Nothing; or the sources name none.
    Unset,
    /// The same value under every profile.
    Same(&'static str),
    /// A value per profile.
    PerProfile {
        /// Under [`Profile::Vsphere`].
        vsphere: &'static str,
        /// Under [`Profile::Swift`].
        swift: &'static str,
    },
}

/// What comes of setting an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes what [`Options`](super::Options) hands to the machines.
    Used,
    /// It is accepted and checked, and does nothing yet: what it steers does not exist here so far.
    Planned,
    /// It is accepted and checked, and will never do anything here.
    WithoutEffect(&'static str),
}

impl OptionSpec {
    /// The default under `profile`, if there is one.
    #[must_use]
    pub const fn default_for(&self, profile: Profile) -> Option<&'static str> {
        match (self.default, profile) {
            (DefaultValue::Unset, _) => None,
            (DefaultValue::Same(value), _) => Some(value),
            (DefaultValue::PerProfile { vsphere, .. }, Profile::Vsphere) => Some(vsphere),
            (DefaultValue::PerProfile { swift, .. }, Profile::Swift) => Some(swift),
        }
    }
}

/// The name; for a numbered option the form of its names, such as `das.allowNetwork[0-9]`.
impl fmt::Display for OptionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.numbered {
            Numbered::No => f.write_str(self.name),
            Numbered::To { last } => write!(f, "{}[0-{last}]", self.name),
            Numbered::BareAndTo { last } => write!(f, "{0}, {0}[0-{last}]", self.name),
        }
    }
}

impl Numbered {
    /// Whether a name may end like this: no number, or this one.
    pub(super) fn accepts(self, number: Option<u8>) -> bool {
        match (self, number) {
            (Self::No | Self::BareAndTo { .. }, None) => true,
            (Self::To { last } | Self::BareAndTo { last }, Some(number)) => number <= last,
            (Self::No, Some(_)) | (Self::To { .. }, None) => false,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "cluster",
            Self::Host => "host",
            Self::VirtualMachine => "VM",
            Self::VCenter => "vCenter",
        })
    }
}

impl Kind {
    /// The kind or unit in a word.
    #[must_use]
    pub const fn unit(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Seconds { .. } => "seconds",
            Self::Milliseconds { .. } => "milliseconds",
            Self::Whole { unit: Unit::Count, .. } => "count",
            Self::Whole { unit: Unit::Megahertz, .. } => "MHz",
            Self::Whole { unit: Unit::Megabytes, .. } => "MB",
            Self::Choice(_) => "choice",
            Self::Address => "address",
            Self::Text => "text",
        }
    }

    /// The least and the greatest value, in the option's unit; `None` for what has no order.
    #[must_use]
    pub fn range(&self) -> Option<(String, String)> {
        match *self {
            Self::Bool | Self::Choice(_) | Self::Address | Self::Text => None,
            Self::Seconds { min, max } => Some((seconds(min), seconds(max))),
            Self::Milliseconds { min, max } => {
                Some((min.as_millis().to_string(), max.as_millis().to_string()))
            }
            Self::Whole { min, max, .. } => Some((min.to_string(), max.to_string())),
        }
    }
}

/// What a value of this kind looks like, for the end of "expected ...".
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = self.range().map(|(min, max)| format!(" from {min} to {max}")).unwrap_or_default();
        match self {
            Self::Bool => f.write_str("`true` or `false`"),
            Self::Seconds { .. } => write!(f, "seconds{range}, with at most three decimals"),
            Self::Milliseconds { .. } => write!(f, "whole milliseconds{range}"),
            Self::Whole { unit: Unit::Count, .. } => write!(f, "a whole number{range}"),
            Self::Whole { .. } => write!(f, "whole {}{range}", self.unit()),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Address => f.write_str("an IPv4 or IPv6 address"),
            Self::Text => f.write_str("a text that is not empty"),
        }
    }
}

/// A span in seconds, with as many decimals as it needs, at most three.
pub(super) fn seconds(span: Duration) -> String {
    let text = format!("{}.{:03}", span.as_secs(), span.subsec_millis());
    String::from(text.trim_end_matches('0').trim_end_matches('.'))
}
