use core::time::Duration;

use super::header::{FrameName, HEADER, Header};
use super::peer::Peer;
use super::roster::Roster;
use super::security::{Security, same_tag};
use super::{
    Channel, Echo, FRAME_OVERHEAD, FrameKind, IgnoredReason, Opened, Received, Refusal, RefusalReason,
};
use crate::{Identity, Instant};

/// What decides over a frame, besides what was heard of its sender: it does not change with frames.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) identity: Identity,
    pub(super) security: Security,
    pub(super) echo_fresh: Duration,
    pub(super) probe_spacing: Duration,
}

impl Gate {
    /// Opens a frame. The roster changes only once the tag was found good.
    #[inline]
    pub(super) fn open<'f>(
        &self,
        roster: &mut Roster,
        now: Instant,
        channel: Channel,
        bytes: &'f [u8],
    ) -> Opened<'f> {
        let unread = |reason| Opened::Refused(Refusal { reason, claimed_sender: None });
        if bytes.len() < FRAME_OVERHEAD {
            return unread(RefusalReason::TooShort);
        }
        if bytes.len() > channel.max_frame() {
            return unread(RefusalReason::TooLong);
        }
        let header = match Header::read(bytes) {
            Ok(header) => header,
            Err(reason) => return unread(reason),
        };
        let accepted = self.verify(roster, channel, &header, bytes).and_then(|(peer, payload)| {
            let name = FrameName { incarnation: header.incarnation, sequence: header.sequence };
            peer.accept(channel, name)?;
            Ok((peer, payload))
        });
        match accepted {
            Ok((peer, payload)) => self.understand(peer, now, channel, &header, payload),
            Err(reason) => Opened::Refused(Refusal { reason, claimed_sender: Some(header.sender) }),
        }
    }

    /// Whether the frame is a peer's, to us, under a key of ours. The tag comes last: it costs the most.
    #[inline]
    fn verify<'r, 'f>(
        &self,
        roster: &'r mut Roster,
        channel: Channel,
        header: &Header,
        bytes: &'f [u8],
    ) -> Result<(&'r mut Peer, &'f [u8]), RefusalReason> {
        let (covered, tag) = bytes.split_last_chunk().ok_or(RefusalReason::TooShort)?;
        let payload = covered.get(HEADER..).ok_or(RefusalReason::TooShort)?;
        if usize::try_from(header.payload) != Ok(payload.len()) {
            return Err(RefusalReason::LengthMismatch);
        }
        header.check_flags()?;
        let belongs = FrameKind::from_code(header.kind).is_none_or(|kind| kind.channel() == channel);
        if !belongs || header.is_stream() != (channel == Channel::Stream) {
            return Err(RefusalReason::WrongChannel);
        }
        if header.cluster != self.identity.cluster {
            return Err(RefusalReason::ForeignCluster);
        }
        if header.sender == self.identity.host {
            return Err(RefusalReason::FromOurselves);
        }
        if header.receiver != self.identity.host {
            return Err(RefusalReason::NotForUs);
        }
        let peer = roster.peer_mut(header.sender).ok_or(RefusalReason::UnknownSender)?;
        let expected = self.security.tag(header.key, covered).ok_or(RefusalReason::UnknownKey)?;
        if same_tag(&expected, tag) { Ok((peer, payload)) } else { Err(RefusalReason::BadTag) }
    }

    /// What an authentic, new frame says.
    #[inline]
    fn understand<'f>(
        &self,
        peer: &mut Peer,
        now: Instant,
        channel: Channel,
        header: &Header,
        payload: &'f [u8],
    ) -> Opened<'f> {
        if !header.is_understood() {
            return Opened::Ignored(IgnoredReason::NewerMinor { minor: header.minor });
        }
        let Some(kind) = FrameKind::from_code(header.kind) else {
            return Opened::Ignored(IgnoredReason::UnknownKind { code: header.kind });
        };
        let echo = match header.echo() {
            Some(echo) if echo.incarnation == self.identity.incarnation => {
                peer.judge_echo(channel, echo.sequence, now, self.echo_fresh)
            }
            Some(_) => Echo::Stale,
            None => Echo::None,
        };
        let fresh = matches!(echo, Echo::Fresh { .. });
        Opened::Accepted(Received {
            from: header.sender,
            boot: header.boot,
            incarnation: header.incarnation,
            kind,
            term: header.term(),
            sequence: header.sequence,
            payload,
            echo,
            probe: !fresh && peer.spend_probe(channel, now, self.probe_spacing),
            new_life: peer.announce_life(),
        })
    }
}
