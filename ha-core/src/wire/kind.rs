/// How a frame travels. Each kind of frame belongs to exactly one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Single datagrams, for elections and heartbeats: may be lost, doubled and reordered.
    Datagram,
    /// The ordered stream between a master and one slave, for control.
    Stream,
}

impl Channel {
    /// The longest frame, header and tag included, in bytes: 1,200 so that no datagram is ever split
    /// (architecture 9), 1 MiB on a stream.
    #[must_use]
    pub const fn max_frame(self) -> usize {
        match self {
            Self::Datagram => 1_200,
            Self::Stream => 1 << 20,
        }
    }

    /// The longest payload, in bytes.
    #[must_use]
    pub const fn max_payload(self) -> usize {
        self.max_frame() - super::FRAME_OVERHEAD
    }
}

/// What a frame is for. Which payload belongs to a kind is said by the crate that speaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum FrameKind {
    /// Asks to be echoed, and echoes. Says nothing else.
    Probe = 1,
    /// A vote in an election.
    Candidacy = 2,
    /// "I am master in this term."
    Claim = 3,
    /// A network heartbeat. It never orders anything.
    Heartbeat = 4,
    /// Control between master and slave.
    Control = 16,
}

impl FrameKind {
    /// Every kind that this version knows.
    pub const ALL: [Self; 5] = [Self::Probe, Self::Candidacy, Self::Claim, Self::Heartbeat, Self::Control];

    /// The number in the frame.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The kind with this number, if this version knows it.
    #[must_use]
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::Probe),
            2 => Some(Self::Candidacy),
            3 => Some(Self::Claim),
            4 => Some(Self::Heartbeat),
            16 => Some(Self::Control),
            _ => None,
        }
    }

    /// The only channel on which this kind is accepted.
    #[must_use]
    pub const fn channel(self) -> Channel {
        match self {
            Self::Probe | Self::Candidacy | Self::Claim | Self::Heartbeat => Channel::Datagram,
            Self::Control => Channel::Stream,
        }
    }
}
