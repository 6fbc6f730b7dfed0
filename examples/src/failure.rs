//! Errors as sentences.

use core::fmt;

/// What went wrong, as a sentence for the person at the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Failure {}

/// Says what was tried when something failed.
pub trait Context<T> {
    /// Turns any error into a [`Failure`] that begins with what was tried.
    ///
    /// # Errors
    ///
    /// The failure, if there was an error.
    fn context(self, tried: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, tried: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure(format!("{}: {error}", tried())))
    }
}
