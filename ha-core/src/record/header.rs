use alloc::vec::Vec;

use bytes::Bytes;

use super::{BLOCK, Generation, HEADER, OLDEST_READER, RecordFault, SealError, Slot, VERSION};
use crate::{BootId, ClusterId, HostId, Identity, Incarnation};

const MAGIC: [u8; 4] = *b"vHAr";
/// The header's own sum covers everything before it.
const SUMMED: usize = HEADER - 4;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum RecordKind {
    /// In `host-<n>-hb`.
    Heartbeat = 1,
    /// In `host-<n>-poweron`.
    Poweron = 2,
    /// In `protectedlist`.
    ListOwner = 3,
    /// In `protectedlist.<n>`.
    List = 4,
    /// In `poweredoff/<vm uuid>`.
    PowerOffMarker = 5,
    /// In a virtual machine's lock file.
    VmLock = 6,
    /// In the logs of `protectedlist.<n>`, after its slots.
    ListLog = 7,
    /// In the host-local file `clusterconfig`.
    ClusterConfig = 8,
    /// In the host-local file `hostlist`.
    HostList = 9,
    /// In the host-local file `vmmetadata`.
    VmMetadata = 10,
    /// In the host-local file `fdm.cfg`.
    FdmConfig = 11,
    /// In `host-<n>-probe`.
    Probe = 12,
}

impl RecordKind {
    /// The number that records carry.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// A record that passed every check: its writer, its generation and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed<T> {
    /// Who wrote it.
    pub writer: Identity,
    /// Which write of its file it is.
    pub generation: Generation,
    /// What it says.
    pub content: T,
}

/// A whole record whose payload is not decoded yet.
pub type Record<'a> = Sealed<&'a [u8]>;

/// What a reader knows beforehand of the record in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The kind of the file.
    pub kind: RecordKind,
    /// The own cluster.
    pub cluster: ClusterId,
    /// The only host that writes the file; `None` if every host does, under a lock.
    pub writer: Option<HostId>,
    /// The slot that was read.
    pub slot: Slot,
}

/// Makes a slot area of `area` bytes: header, payload, zeros. It belongs into the generation's slot.
///
/// # Errors
///
/// [`SealError`] if `area` is no slot area or the payload does not fit into it.
pub fn seal(
    kind: RecordKind,
    writer: &Identity,
    generation: Generation,
    payload: &[u8],
    area: usize,
) -> Result<Bytes, SealError> {
    if !is_area(area) {
        return Err(SealError::AreaSize { area });
    }
    let too_long = SealError::TooLong { needed: payload.len(), available: area - HEADER };
    let length = u32::try_from(payload.len()).map_err(|_| too_long)?;
    if payload.len() > area - HEADER {
        return Err(too_long);
    }
    Ok(assemble(kind, writer, generation, payload, length, area))
}

/// Makes a slot area of one block around a payload whose fixed length is known to fit.
#[must_use]
pub fn seal_block<const N: usize>(
    kind: RecordKind,
    writer: &Identity,
    generation: Generation,
    payload: &[u8; N],
) -> Bytes {
    const { assert!(N <= BLOCK - HEADER, "the payload does not fit into one block") };
    #[allow(clippy::cast_possible_truncation, reason = "asserted to be below 4096")]
    let length = N as u32;
    assemble(kind, writer, generation, payload, length, BLOCK)
}

/// Opens a slot area.
///
/// # Errors
///
/// The first [`RecordFault`] in the order of the [module's](super) check list.
pub fn open<'a>(area: &'a [u8], expected: &Expectation) -> Result<Record<'a>, RecordFault> {
    let wrong_size = RecordFault::WrongSize { found: area.len() };
    if !is_area(area.len()) {
        return Err(wrong_size);
    }
    let (head, body) = area.split_first_chunk::<HEADER>().ok_or(wrong_size)?;
    if is_zero(area) {
        return Err(RecordFault::NeverWritten);
    }
    let header = Header::parse(head)?;
    header.check(expected)?;
    let bad_length = RecordFault::BadLength { found: header.length };
    let length = usize::try_from(header.length).map_err(|_| bad_length)?;
    let (payload, rest) = body.split_at_checked(length).ok_or(bad_length)?;
    if crc32fast::hash(payload) != header.payload_sum {
        return Err(RecordFault::BadPayload);
    }
    if !is_zero(rest) {
        return Err(RecordFault::NotZeroAfterPayload);
    }
    Ok(Sealed { writer: header.writer, generation: header.generation, content: payload })
}

/// Opens the header at the beginning of a slot area: who wrote there, and which generation. Of the payload it proves
/// nothing: a write that was cut short can have a whole header.
///
/// # Errors
///
/// [`RecordFault::WrongSize`] if `head` is shorter than [`HEADER`], [`RecordFault::NeverWritten`] if it is all zero,
/// else the first fault in the order of the [module's](super) check list.
pub fn open_head(head: &[u8], expected: &Expectation) -> Result<Sealed<()>, RecordFault> {
    let first = head.first_chunk::<HEADER>().ok_or(RecordFault::WrongSize { found: head.len() })?;
    if is_zero(head) {
        return Err(RecordFault::NeverWritten);
    }
    let header = Header::parse(first)?;
    header.check(expected)?;
    Ok(Sealed { writer: header.writer, generation: header.generation, content: () })
}

/// Whether all bytes are zero; by chunks, because most of a small record's area is.
#[must_use]
pub fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<64>();
    let zero = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all | byte) == 0;
    chunks.iter().all(|chunk| zero(chunk)) && zero(rest)
}

/// Whether a length is one of a slot area.
const fn is_area(length: usize) -> bool {
    length >= BLOCK && length.is_multiple_of(BLOCK)
}

fn assemble(
    kind: RecordKind,
    writer: &Identity,
    generation: Generation,
    payload: &[u8],
    length: u32,
    area: usize,
) -> Bytes {
    let mut bytes = Vec::with_capacity(area);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&kind.number().to_le_bytes());
    bytes.extend_from_slice(&[VERSION, OLDEST_READER]);
    bytes.extend_from_slice(writer.cluster.as_bytes());
    bytes.extend_from_slice(&writer.host.number().to_le_bytes());
    bytes.extend_from_slice(&generation.slot().index().to_le_bytes());
    bytes.extend_from_slice(writer.boot.as_bytes());
    bytes.extend_from_slice(&writer.incarnation.number().to_le_bytes());
    bytes.extend_from_slice(&generation.number().to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.resize(area, 0);
    Bytes::from(bytes)
}

/// A header whose own sum fits.
struct Header {
    kind: u16,
    version: u8,
    oldest_reader: u8,
    writer: Identity,
    slot: u32,
    generation: Generation,
    length: u32,
    payload_sum: u32,
}

impl Header {
    fn parse(head: &[u8; HEADER]) -> Result<Self, RecordFault> {
        let mut rest = head.as_slice();
        if take(&mut rest)? != MAGIC {
            return Err(RecordFault::BadMagic);
        }
        let (summed, sum) = head.split_at(SUMMED);
        if crc32fast::hash(summed).to_le_bytes() != sum {
            return Err(RecordFault::BadHeader);
        }
        let kind = u16::from_le_bytes(take(&mut rest)?);
        let [version, oldest_reader] = take(&mut rest)?;
        let cluster = ClusterId::from_bytes(take(&mut rest)?);
        let host = HostId::new(u32::from_le_bytes(take(&mut rest)?));
        let slot = u32::from_le_bytes(take(&mut rest)?);
        let boot = BootId::from_bytes(take(&mut rest)?);
        let incarnation = Incarnation::new(u64::from_le_bytes(take(&mut rest)?));
        let generation = Generation::new(u64::from_le_bytes(take(&mut rest)?));
        let length = u32::from_le_bytes(take(&mut rest)?);
        let payload_sum = u32::from_le_bytes(take(&mut rest)?);
        let writer = Identity { cluster, host, boot, incarnation };
        Ok(Self { kind, version, oldest_reader, writer, slot, generation, length, payload_sum })
    }

    fn check(&self, expected: &Expectation) -> Result<(), RecordFault> {
        let Self { version, oldest_reader, generation, .. } = *self;
        if oldest_reader > VERSION {
            return Err(RecordFault::NewerVersion { version, oldest_reader });
        }
        if self.kind != expected.kind.number() {
            return Err(RecordFault::WrongKind { found: self.kind });
        }
        if self.writer.cluster != expected.cluster {
            return Err(RecordFault::ForeignCluster { found: self.writer.cluster });
        }
        if expected.writer.is_some_and(|host| host != self.writer.host) {
            return Err(RecordFault::WrongWriter { found: self.writer.host });
        }
        if self.slot != expected.slot.index() || generation.slot() != expected.slot {
            return Err(RecordFault::WrongSlot { found: self.slot, generation });
        }
        Ok(())
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RecordFault> {
    let (field, after) = rest.split_first_chunk::<N>().ok_or(RecordFault::BadHeader)?;
    *rest = after;
    Ok(*field)
}
