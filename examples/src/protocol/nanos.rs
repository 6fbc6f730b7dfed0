//! Moments of the boot clock as their nanoseconds, for `#[serde(with = "nanos")]`.

use ha_core::Instant;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes the nanoseconds.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(at.as_nanos())
}

/// Reads the nanoseconds.
///
/// # Errors
///
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
    u64::deserialize(deserializer).map(Instant::from_nanos)
}
