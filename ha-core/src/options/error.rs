use alloc::string::String;

use super::spec::{Kind, OptionSpec};
use crate::id::cut;

/// Why an option was not accepted. Texts that were given are cut to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// No option has this name.
    #[error("`{found}` is not an option{}", suggestion(*nearest))]
    Unknown {
        /// The name that was given.
        found: String,
        /// The option whose name is spelt most alike, if any is alike at all.
        nearest: Option<&'static OptionSpec>,
    },
    /// The value is not of the option's kind, or out of its range.
    #[error("`{name}` = `{found}`: expected {expected}")]
    Value {
        /// The option.
        name: String,
        /// The value that was given.
        found: String,
        /// What would have been accepted.
        expected: Kind,
    },
    /// An option is set twice, perhaps in two spellings.
    #[error("`{name}` is set a second time; set it once")]
    Twice {
        /// The option.
        name: String,
    },
    /// A host's own option is set for the whole cluster.
    #[error("`{found}` would set `{name}` on every host; set `{name}` on one host instead")]
    HostOnly {
        /// The name that was given.
        found: String,
        /// The name to use on the host.
        name: &'static str,
    },
    /// The text is not in the form that was asked for.
    #[error("expected {expected}, found `{found}`")]
    Syntax {
        /// What would have been accepted.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
}

/// An [`OptionError`] and the line it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct LineError {
    /// The line, the first being 1.
    pub line: usize,
    /// What is wrong with it.
    pub error: OptionError,
}

impl OptionError {
    pub(super) fn syntax(expected: &'static str, found: &str) -> Self {
        Self::Syntax { expected, found: cut(found) }
    }
}

fn suggestion(nearest: Option<&'static OptionSpec>) -> String {
    nearest.map(|spec| alloc::format!("; did you mean `{spec}`?")).unwrap_or_default()
}
