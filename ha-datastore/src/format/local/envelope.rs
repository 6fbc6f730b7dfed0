use alloc::vec::Vec;

use bytes::Bytes;
use ha_core::record::{
    BLOCK, Expectation, Generation, HEADER, RecordFault, SealError, Sealed, Slot, open, seal,
};
use ha_core::{ClusterId, HostId, Identity, codec};
use xxhash_rust::xxh3::xxh3_64;

use super::{ConfigVersion, LocalFault, LocalFile, OptionsText};
use crate::format::cursor::Reader;

/// Sum and version, before the body.
const PREFIX: usize = 16;
const SUM: usize = 8;

/// Where the body begins in a file, in bytes.
pub(super) const PAYLOAD_AT: usize = HEADER + PREFIX;

/// The body of a file whose sums fit, and what stands before it.
pub(super) type Opened<'a> = Sealed<(ConfigVersion, &'a [u8])>;

/// The whole file around a body.
pub(super) fn seal_file(
    file: LocalFile,
    writer: &Identity,
    version: ConfigVersion,
    body: &[u8],
) -> Result<Bytes, SealError> {
    let (needed, available) = (PREFIX + body.len(), file.max_size() - HEADER);
    if needed > available {
        return Err(SealError::TooLong { needed, available });
    }
    let mut payload = Vec::with_capacity(needed);
    payload.extend_from_slice(&[0; SUM]);
    payload.extend_from_slice(&version.number().to_le_bytes());
    payload.extend_from_slice(body);
    let sum = xxh3_64(payload.get(SUM..).unwrap_or(&[]));
    payload.splice(..SUM, sum.to_le_bytes());
    seal(file.kind(), writer, Generation::FIRST, &payload, area(needed))
}

/// Checks all that does not depend on the body. Allocates nothing.
pub(super) fn open_file(
    file: LocalFile,
    bytes: &[u8],
    cluster: ClusterId,
    host: HostId,
) -> Result<Opened<'_>, RecordFault> {
    let found = bytes.len();
    if found > file.max_size() {
        return Err(RecordFault::WrongSize { found });
    }
    let expected = Expectation { kind: file.kind(), cluster, writer: Some(host), slot: Slot::A };
    let Sealed { writer, generation, content: payload } = open(bytes, &expected)?;
    if generation != Generation::FIRST {
        return Err(RecordFault::BadContent { field: "generation" });
    }
    // One spelling: no more blocks than the payload needs.
    if found != area(payload.len()) {
        return Err(RecordFault::WrongSize { found });
    }
    let mut reader = Reader::new(payload);
    let sum = reader.u64("sum")?;
    if xxh3_64(reader.rest()) != sum {
        return Err(RecordFault::BadPayload);
    }
    let version = ConfigVersion::new(reader.u64("version")?);
    Ok(Sealed { writer, generation, content: (version, reader.rest()) })
}

/// The whole file around options, which are all of its body.
pub(super) fn seal_options(
    file: LocalFile,
    writer: &Identity,
    version: ConfigVersion,
    options: &OptionsText,
) -> Result<Bytes, SealError> {
    seal_file(file, writer, version, &options.encoded()?)
}

/// What [`seal_options`] wrote.
pub(super) fn open_options(
    file: LocalFile,
    bytes: &[u8],
    cluster: ClusterId,
    host: HostId,
) -> Result<Sealed<(ConfigVersion, OptionsText)>, LocalFault> {
    let Sealed { writer, generation, content: (version, body) } = open_file(file, bytes, cluster, host)?;
    let options = codec::decode(body, OptionsText::MAX_ENCODED)?;
    Ok(Sealed { writer, generation, content: (version, options) })
}

/// Header and payload, rounded up to whole blocks.
const fn area(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(BLOCK)
}
