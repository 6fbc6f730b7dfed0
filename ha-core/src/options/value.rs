use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use alloc::string::String;

use super::spec::{Kind, seconds};

/// The checked value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Seconds`] or [`Kind::Milliseconds`].
    Span(Duration),
    /// Of [`Kind::Whole`], in the option's unit.
    Whole(u64),
    /// Of [`Kind::Choice`], as the table spells it.
    Choice(&'static str),
    /// Of [`Kind::Address`].
    Address(IpAddr),
    /// Of [`Kind::Text`].
    Text(String),
}

impl Value {
    /// Whether it says that the cluster's value counts.
    pub(super) fn leaves_it_to_the_cluster(&self) -> bool {
        match self {
            Self::Choice(word) => word.starts_with("cluster"),
            Self::Bool(_) | Self::Span(_) | Self::Whole(_) | Self::Address(_) | Self::Text(_) => false,
        }
    }

    /// Reads a value of `kind`; `None` if it is none, or out of range.
    pub(super) fn parse(kind: Kind, text: &str) -> Option<Self> {
        match kind {
            Kind::Bool => boolean(text).map(Self::Bool),
            Kind::Seconds { min, max } => {
                seconds_of(text).filter(|span| (min..=max).contains(span)).map(Self::Span)
            }
            Kind::Milliseconds { min, max } => whole(text)
                .map(Duration::from_millis)
                .filter(|span| (min..=max).contains(span))
                .map(Self::Span),
            Kind::Whole { min, max, .. } => {
                whole(text).filter(|number| (min..=max).contains(number)).map(Self::Whole)
            }
            Kind::Choice(words) => {
                words.iter().find(|word| word.eq_ignore_ascii_case(text)).map(|word| Self::Choice(word))
            }
            Kind::Address => text.parse().ok().map(Self::Address),
            Kind::Text => (!text.is_empty()).then(|| Self::Text(String::from(text))),
        }
    }
}

/// As a configuration would spell it; a span in seconds.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Span(span) => write!(f, "{} s", seconds(*span)),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Choice(word) => f.write_str(word),
            Self::Address(address) => write!(f, "{address}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    if text == "1" || text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text == "0" || text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Decimal digits and nothing else: no sign, no unit, no spaces.
fn whole(text: &str) -> Option<u64> {
    let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| text.parse().ok()).flatten()
}

fn seconds_of(text: &str) -> Option<Duration> {
    let Some((before, after)) = text.split_once('.') else {
        return whole(text).map(Duration::from_secs);
    };
    let scale = match after.len() {
        1 => 100,
        2 => 10,
        3 => 1,
        _ => return None,
    };
    let millis = whole(after)?.saturating_mul(scale);
    Duration::from_secs(whole(before)?).checked_add(Duration::from_millis(millis))
}
