//! Values in the words of commands.

use core::fmt;
use core::time::Duration;

use ha_core::HostId;

/// The longest span in a command.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A host in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// This one.
    Host(HostId),
    /// The one that leads when the command is carried out.
    Master,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::Master => f.write_str("master"),
        }
    }
}

/// Reads a host: its number, its name, or `master`.
pub(super) fn who(word: &str, hosts: u32) -> Result<Who, String> {
    if word == "master" {
        return Ok(Who::Master);
    }
    let number = word.strip_prefix("host-").unwrap_or(word).parse().ok();
    match number.filter(|number| (1..=hosts).contains(number)) {
        Some(number) => Ok(Who::Host(HostId::new(number))),
        None => {
            Err(format!("`{word}` is no host; accepted: 1 to {hosts}, host-1 to host-{hosts}, or master"))
        }
    }
}

/// Reads a span such as `500ms` or `2s`.
pub(super) fn span(word: &str) -> Result<Duration, String> {
    let number = |unit: &str| word.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok());
    let millis = number("ms").map(|millis| Duration::from_millis(millis.into()));
    let span = millis.or_else(|| number("s").map(|seconds| Duration::from_secs(seconds.into())));
    span.filter(|span| *span <= LONGEST)
        .ok_or_else(|| format!("`{word}` is no span of time; accepted: such as 500ms or 2s, at most 86400s"))
}

/// The names of hosts, one after the other.
pub(super) fn list(hosts: &[HostId]) -> String {
    if hosts.is_empty() {
        return "nobody".into();
    }
    hosts.iter().map(HostId::to_string).collect::<Vec<_>>().join(", ")
}

/// A span in milliseconds, as people read it and as JSON has it.
pub(super) fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_numbers_and_names_within_the_cluster() {
        assert_eq!(who("3", 5), Ok(Who::Host(HostId::new(3))));
        assert_eq!(who("host-5", 5), Ok(Who::Host(HostId::new(5))));
        assert_eq!(who("master", 5), Ok(Who::Master));
        for word in ["0", "6", "host-6", "host-", "", "-1", "Master"] {
            let message = who(word, 5).unwrap_err();
            assert!(message.contains(&format!("`{word}`")) && message.contains("1 to 5"), "{message}");
        }
    }

    #[test]
    fn spans_need_a_unit_and_end_with_a_day() {
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("0s"), Ok(Duration::ZERO));
        assert_eq!(span("86400s"), Ok(LONGEST));
        for word in ["5", "s", "1.5s", "-1s", "86401s", "86400001ms", "2m"] {
            assert!(span(word).unwrap_err().contains(&format!("`{word}`")), "{word}");
        }
    }
}
