use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::time::Duration;

use crate::{BootId, DatastoreId, HostId, HostState, Instant, StorageFault};

/// How far a verdict may shorten the wait (architecture 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// Time has passed without a sign of life; never shortens anything.
    Weak,
    /// A positive proof of the end: a freed lock with unanswered pings, a new boot id, a notice, a confirmation.
    Strong,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weak => "weak",
            Self::Strong => "strong",
        })
    }
}

/// One reason of a verdict. Ages are measured at the moment of the verdict, on the judge's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A network heartbeat that echoed us was heard this long ago.
    HeartbeatHeard {
        /// Since it arrived.
        age: Duration,
    },
    /// No network heartbeat for this long.
    HeartbeatSilent {
        /// Since the last one, or since the watch began.
        age: Duration,
    },
    /// Its control stream broke this long ago.
    StreamBroken {
        /// Since the break.
        age: Duration,
    },
    /// It answered a ping this long ago.
    PingAnswered {
        /// Since the answer.
        age: Duration,
    },
    /// Pings went unanswered.
    PingsUnanswered {
        /// How many were sent.
        pings: u32,
        /// Since the first was sent.
        age: Duration,
    },
    /// Its heartbeat file on this datastore moved this long ago.
    DatastoreMoved {
        /// Where.
        datastore: DatastoreId,
        /// Since the last change.
        age: Duration,
    },
    /// Its heartbeat file stood still while our own writes and reads there worked.
    DatastoreStill {
        /// Where.
        datastore: DatastoreId,
        /// For how long.
        age: Duration,
    },
    /// Its heartbeat file could not be read.
    DatastoreUnreadable {
        /// Where.
        datastore: DatastoreId,
        /// Why.
        fault: StorageFault,
    },
    /// Its heartbeat file's content tells nothing, or our own writes there do not work.
    DatastoreUnproven {
        /// Where.
        datastore: DatastoreId,
    },
    /// The lock of its heartbeat file was seen free, where looking is safe.
    LockFree {
        /// Where.
        datastore: DatastoreId,
        /// Since the look began.
        age: Duration,
    },
    /// The lock of its heartbeat file was seen held.
    LockHeld {
        /// Where.
        datastore: DatastoreId,
    },
    /// Its poweron file says that it is isolated.
    SaysIsolated,
    /// It runs under a new boot id, so every virtual machine of an earlier boot has stopped.
    NewBoot {
        /// The new boot.
        boot: BootId,
    },
    /// It announced a clean shutdown.
    CleanShutdown,
    /// An operator or a fence device confirmed its end.
    Confirmed,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeartbeatHeard { age } => write!(f, "heartbeat heard {} ago", Millis(*age)),
            Self::HeartbeatSilent { age } => write!(f, "no heartbeat for {}", Millis(*age)),
            Self::StreamBroken { age } => write!(f, "control stream broken {} ago", Millis(*age)),
            Self::PingAnswered { age } => write!(f, "ping answered {} ago", Millis(*age)),
            Self::PingsUnanswered { pings, age } => {
                write!(f, "{pings} pings unanswered since {} ago", Millis(*age))
            }
            Self::DatastoreMoved { datastore, age } => {
                write!(f, "heartbeat file on {datastore} moved {} ago", Millis(*age))
            }
            Self::DatastoreStill { datastore, age } => {
                write!(f, "heartbeat file on {datastore} still for {} while ours moved", Millis(*age))
            }
            Self::DatastoreUnreadable { datastore, fault } => {
                write!(f, "heartbeat file on {datastore} unreadable: {fault}")
            }
            Self::DatastoreUnproven { datastore } => {
                write!(f, "heartbeat file on {datastore} proves nothing")
            }
            Self::LockFree { datastore, age } => {
                write!(f, "heartbeat lock on {datastore} seen free {} ago", Millis(*age))
            }
            Self::LockHeld { datastore } => write!(f, "heartbeat lock on {datastore} held"),
            Self::SaysIsolated => f.write_str("its poweron file says isolated"),
            Self::NewBoot { boot } => write!(f, "it runs under the new boot {boot}"),
            Self::CleanShutdown => f.write_str("it announced a clean shutdown"),
            Self::Confirmed => f.write_str("its end was confirmed"),
        }
    }
}

/// A judgement of one host, with every reason it rests on. Every action keeps the verdict it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The judged host.
    pub host: HostId,
    /// The judgement.
    pub state: HostState,
    /// Whether it rests on proof or on time alone.
    pub strength: Strength,
    /// When it was reached, on the judge's clock.
    pub at: Instant,
    /// When suspicion began; `None` if the host was never suspected.
    pub suspected: Option<Instant>,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
}

impl Verdict {
    /// The verdict as one sentence with its reasons.
    #[must_use]
    pub fn why(&self) -> String {
        let mut text = String::new();
        let written = write!(text, "{} is {} by {} evidence", self.host, self.state, self.strength)
            .and_then(|()| {
                self.evidence.iter().enumerate().try_for_each(|(index, evidence)| {
                    write!(text, "{}{evidence}", if index == 0 { ": " } else { ", " })
                })
            })
            .and_then(|()| text.write_str("."));
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
        text
    }
}

struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0.as_millis())
    }
}
