//! The payloads, byte by byte; numbers are little-endian.
//!
//! | message | layout |
//! |---|---|
//! | candidacy | rank |
//! | claim | lists owned u32, round u64, host u32, rank |
//! | probe | term, flags; or the term alone; or nothing |
//! | its term | round u64, host u32 of the term followed; round 0, in which nobody reigns: of none |
//! | its flags | u8; bit 0, where no term is followed: takes no part |
//! | rank | goodness i64, length u8 of the managed object id, the id |
//!
//! Bytes after the known fields belong to a newer minor version and are ignored, so that neighbours of two minor
//! versions elect one master. Such a version may not leave a field out: its probe that says more has a term and flags.
//! This one leaves out what says nothing.

use alloc::vec::Vec;

use ha_core::{HostId, Moid, ParseError, Round, Term};

use super::{Candidacy, Claim, Message, MessageKind, Probe, Rank};

/// The longest payload that is accepted, in bytes. The longest one written has 105.
pub const MAX_MESSAGE: usize = 200;

/// Stands where a probe names the term followed, if there is none: nobody reigns in round 0.
const NO_TERM: Term = Term::new(Round::ZERO, HostId::new(0));
/// A bit of a probe's flags.
const TAKES_NO_PART: u8 = 1;

/// A payload that is no election message. The fault is the sender's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than any version's message.
    #[error("the message has {found} bytes: at most {MAX_MESSAGE} are possible")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// It ends within a field.
    #[error("the message ends within its {field}")]
    Truncated {
        /// The field.
        field: &'static str,
    },
    /// Its managed object id is none.
    #[error(transparent)]
    Moid(#[from] ParseError),
    /// Its managed object id is not even text.
    #[error("the managed object id is not text")]
    NotText,
}

impl Message {
    /// Appends the payload to `out`; at most [`MAX_MESSAGE`] bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Candidacy(Candidacy { rank }) => encode_rank(rank, out),
            Self::Claim(Claim { lists_owned, term, rank }) => {
                out.extend_from_slice(&lists_owned.to_le_bytes());
                encode_term(*term, out);
                encode_rank(rank, out);
            }
            Self::Probe(Probe::Here) => {}
            Self::Probe(Probe::Follows(term)) => encode_term(*term, out),
            Self::Probe(Probe::TakesNoPart) => {
                encode_term(NO_TERM, out);
                out.push(TAKES_NO_PART);
            }
        }
    }

    /// Reads a payload of this kind. Total: any bytes give a message or an error. Allocates once at most, and no more
    /// bytes than the payload has; nothing for a probe.
    ///
    /// # Errors
    ///
    /// [`MessageError`] says which field is wrong.
    pub fn decode(kind: MessageKind, payload: &[u8]) -> Result<Self, MessageError> {
        if payload.len() > MAX_MESSAGE {
            return Err(MessageError::TooLong { found: payload.len() });
        }
        let mut fields = Fields { rest: payload };
        match kind {
            MessageKind::Candidacy => Ok(Self::Candidacy(Candidacy { rank: fields.rank()? })),
            MessageKind::Claim => Ok(Self::Claim(Claim {
                lists_owned: u32::from_le_bytes(fields.take("number of lists")?),
                term: fields.term()?,
                rank: fields.rank()?,
            })),
            MessageKind::Probe if payload.is_empty() => Ok(Self::Probe(Probe::Here)),
            MessageKind::Probe => {
                let term = fields.term()?;
                let flags = fields.rest.first().copied().unwrap_or_default();
                Ok(Self::Probe(match (term.round > Round::ZERO, flags & TAKES_NO_PART != 0) {
                    (true, _) => Probe::Follows(term),
                    (false, true) => Probe::TakesNoPart,
                    (false, false) => Probe::Here,
                }))
            }
        }
    }
}

fn encode_term(term: Term, out: &mut Vec<u8>) {
    out.extend_from_slice(&term.round.number().to_le_bytes());
    out.extend_from_slice(&term.host.number().to_le_bytes());
}

fn encode_rank(rank: &Rank, out: &mut Vec<u8>) {
    out.extend_from_slice(&rank.goodness.to_le_bytes());
    let moid = rank.moid.as_str().as_bytes();
    // `Moid` is at most 80 bytes long.
    out.push(u8::try_from(moid.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(moid);
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], MessageError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(MessageError::Truncated { field })?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn term(&mut self) -> Result<Term, MessageError> {
        let round = Round::new(u64::from_le_bytes(self.take("round")?));
        Ok(Term::new(round, HostId::new(u32::from_le_bytes(self.take("host")?))))
    }

    fn rank(&mut self) -> Result<Rank, MessageError> {
        let goodness = i64::from_le_bytes(self.take("goodness")?);
        let [length] = self.take("length of its managed object id")?;
        let (moid, rest) = self
            .rest
            .split_at_checked(usize::from(length))
            .ok_or(MessageError::Truncated { field: "managed object id" })?;
        self.rest = rest;
        let moid: Moid = core::str::from_utf8(moid).map_err(|_| MessageError::NotText)?.parse()?;
        Ok(Rank { goodness, moid })
    }
}
