use alloc::vec::Vec;

use super::RefusalReason;
use crate::{BootId, ClusterId, HostId, Incarnation, Round, Term};

pub(super) const MAGIC: [u8; 4] = *b"vHAw";
pub(super) const VERSION: u8 = 1;
pub(super) const MINOR: u8 = 0;
/// The versions that this program speaks.
const OLDEST: u8 = VERSION;
const NEWEST: u8 = VERSION;

pub(super) const HEADER: usize = 104;
pub(super) const TAG: usize = 16;

const ECHO_PRESENT: u32 = 1;
const TERM_PRESENT: u32 = 1 << 1;
pub(super) const STREAM: u32 = 1 << 2;
const KNOWN_FLAGS: u32 = ECHO_PRESENT | TERM_PRESENT | STREAM;

/// A frame of the peer, by its life and its number within that life and channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameName {
    pub(super) incarnation: Incarnation,
    pub(super) sequence: u64,
}

/// The 104 bytes before the payload. `WIRE.md` has the table of offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) minor: u8,
    pub(super) kind: u16,
    pub(super) key: u16,
    pub(super) payload: u32,
    pub(super) cluster: ClusterId,
    pub(super) sender: HostId,
    pub(super) receiver: HostId,
    pub(super) boot: BootId,
    pub(super) incarnation: Incarnation,
    term: Term,
    flags: u32,
    pub(super) sequence: u64,
    echo: FrameName,
}

/// What a sender puts into a header; the rest is fixed.
pub(super) struct Draft {
    pub(super) kind: u16,
    pub(super) key: u16,
    pub(super) payload: u32,
    pub(super) identity: crate::Identity,
    pub(super) receiver: HostId,
    pub(super) term: Option<Term>,
    pub(super) stream: bool,
    pub(super) sequence: u64,
    pub(super) echo: Option<FrameName>,
}

impl Draft {
    /// Appends exactly [`HEADER`] bytes. Fields that are absent are zero.
    pub(super) fn write(&self, frame: &mut Vec<u8>) {
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        let flags = flag(self.echo.is_some(), ECHO_PRESENT)
            | flag(self.term.is_some(), TERM_PRESENT)
            | flag(self.stream, STREAM);
        let (round, term_host) = self.term.map_or((0, 0), |term| (term.round.number(), term.host.number()));
        let (echo_incarnation, echo_sequence) =
            self.echo.map_or((0, 0), |echo| (echo.incarnation.number(), echo.sequence));

        frame.extend_from_slice(&MAGIC);
        frame.extend_from_slice(&[VERSION, MINOR, OLDEST, NEWEST]);
        frame.extend_from_slice(&self.kind.to_le_bytes());
        frame.extend_from_slice(&self.key.to_le_bytes());
        frame.extend_from_slice(&self.payload.to_le_bytes());
        frame.extend_from_slice(self.identity.cluster.as_bytes());
        frame.extend_from_slice(&self.identity.host.number().to_le_bytes());
        frame.extend_from_slice(&self.receiver.number().to_le_bytes());
        frame.extend_from_slice(self.identity.boot.as_bytes());
        frame.extend_from_slice(&self.identity.incarnation.number().to_le_bytes());
        frame.extend_from_slice(&round.to_le_bytes());
        frame.extend_from_slice(&term_host.to_le_bytes());
        frame.extend_from_slice(&flags.to_le_bytes());
        frame.extend_from_slice(&self.sequence.to_le_bytes());
        frame.extend_from_slice(&echo_incarnation.to_le_bytes());
        frame.extend_from_slice(&echo_sequence.to_le_bytes());
    }
}

impl Header {
    /// Reads the header, having looked at the magic and the version first: only they tell where the rest is.
    #[inline]
    pub(super) fn read(frame: &[u8]) -> Result<Self, RefusalReason> {
        let mut fields = Fields(frame);
        if fields.bytes::<4>()? != MAGIC {
            return Err(RefusalReason::BadMagic);
        }
        let [version, minor, oldest, newest] = fields.bytes()?;
        if version != VERSION || version < oldest || newest < version {
            return Err(RefusalReason::BadVersion);
        }
        Ok(Self {
            minor,
            kind: fields.u16()?,
            key: fields.u16()?,
            payload: fields.u32()?,
            cluster: ClusterId::from_bytes(fields.bytes()?),
            sender: HostId::new(fields.u32()?),
            receiver: HostId::new(fields.u32()?),
            boot: BootId::from_bytes(fields.bytes()?),
            incarnation: Incarnation::new(fields.u64()?),
            term: Term::new(Round::new(fields.u64()?), HostId::new(fields.u32()?)),
            flags: fields.u32()?,
            sequence: fields.u64()?,
            echo: FrameName { incarnation: Incarnation::new(fields.u64()?), sequence: fields.u64()? },
        })
    }

    /// Whether flags and optional fields agree.
    ///
    /// An unknown flag of our own or an older minor version is a mistake of the sender. One of a newer minor
    /// may be genuine, which only the tag can tell; see [`Header::is_understood`].
    #[inline]
    pub(super) fn check_flags(&self) -> Result<(), RefusalReason> {
        let newer = self.minor > MINOR;
        if !self.is_understood() && !newer {
            return Err(RefusalReason::UnknownFlags);
        }
        let no_echo = FrameName { incarnation: Incarnation::new(0), sequence: 0 };
        let no_term = Term::new(Round::ZERO, HostId::new(0));
        let stray_echo = !self.has(ECHO_PRESENT) && self.echo != no_echo;
        let stray_term = !self.has(TERM_PRESENT) && self.term != no_term;
        if stray_echo || stray_term { Err(RefusalReason::NonZeroAbsentField) } else { Ok(()) }
    }

    pub(super) const fn is_understood(&self) -> bool {
        self.flags & !KNOWN_FLAGS == 0
    }

    pub(super) const fn is_stream(&self) -> bool {
        self.has(STREAM)
    }

    pub(super) fn term(&self) -> Option<Term> {
        self.has(TERM_PRESENT).then_some(self.term)
    }

    pub(super) fn echo(&self) -> Option<FrameName> {
        self.has(ECHO_PRESENT).then_some(self.echo)
    }

    const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// The bytes not read yet. Total: running out is `TooShort`.
struct Fields<'f>(&'f [u8]);

impl Fields<'_> {
    #[inline]
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], RefusalReason> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(RefusalReason::TooShort)?;
        self.0 = rest;
        Ok(*bytes)
    }

    #[inline]
    fn u16(&mut self) -> Result<u16, RefusalReason> {
        self.bytes().map(u16::from_le_bytes)
    }

    #[inline]
    fn u32(&mut self) -> Result<u32, RefusalReason> {
        self.bytes().map(u32::from_le_bytes)
    }

    #[inline]
    fn u64(&mut self) -> Result<u64, RefusalReason> {
        self.bytes().map(u64::from_le_bytes)
    }
}
