use alloc::vec::Vec;
use core::time::Duration;

use ha_core::record::RecordFault;
use ha_core::{DatastoreId, HostId, Round, Term, VmEpoch, VmUuid};

/// Lays out a payload field by field, little endian.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn term(&mut self, term: Term) -> &mut Self {
        self.u64(term.round.number()).u32(term.host.number())
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes a payload apart field by field. Every way to fail is [`RecordFault::BadContent`] with the field.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], RecordFault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(RecordFault::BadContent { field })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, RecordFault> {
        self.array(field).map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, RecordFault> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, RecordFault> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, RecordFault> {
        self.array(field).map(u64::from_le_bytes)
    }

    pub(super) fn duration(&mut self, field: &'static str) -> Result<Duration, RecordFault> {
        self.u64(field).map(Duration::from_nanos)
    }

    pub(super) fn host(&mut self, field: &'static str) -> Result<HostId, RecordFault> {
        self.u32(field).map(HostId::new)
    }

    pub(super) fn datastore(&mut self, field: &'static str) -> Result<DatastoreId, RecordFault> {
        self.u32(field).map(DatastoreId::new)
    }

    pub(super) fn uuid(&mut self, field: &'static str) -> Result<VmUuid, RecordFault> {
        self.array(field).map(VmUuid::from_bytes)
    }

    pub(super) fn epoch(&mut self, field: &'static str) -> Result<VmEpoch, RecordFault> {
        self.u64(field).map(VmEpoch::new)
    }

    pub(super) fn term(&mut self, field: &'static str) -> Result<Term, RecordFault> {
        Ok(Term::new(Round::new(self.u64(field)?), self.host(field)?))
    }

    /// A yes or no: one byte, 1 or 0.
    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, RecordFault> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            2.. => Err(RecordFault::BadContent { field }),
        }
    }

    /// A length of two bytes, then text.
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, RecordFault> {
        let bad = RecordFault::BadContent { field };
        let length = usize::from(self.u16(field)?);
        let (text, rest) = self.rest.split_at_checked(length).ok_or(bad)?;
        self.rest = rest;
        core::str::from_utf8(text).map_err(|_| bad)
    }

    /// Bytes that every writer leaves zero.
    pub(super) fn zeros<const N: usize>(&mut self, field: &'static str) -> Result<(), RecordFault> {
        check(self.array::<N>(field)? == [0; N], field)
    }

    /// The end of the payload.
    pub(super) const fn end(&self) -> Result<(), RecordFault> {
        check(self.rest.is_empty(), "length")
    }
}

/// `BadContent` unless `holds`.
pub(super) const fn check(holds: bool, field: &'static str) -> Result<(), RecordFault> {
    if holds { Ok(()) } else { Err(RecordFault::BadContent { field }) }
}

/// Nanoseconds as records carry them; the largest number for spans of more than 584 years.
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
