//! No I/O: who is master of a VM high-availability cluster, as one state machine per host.
//!
//! [`Election`] keeps the contract of [`ha_core::Machine`]. It is told which messages arrived, what the host's
//! own monitor has proven, whether an isolation address answered, and how late it is; it answers with messages
//! to transmit and with events. It never orders anything: being master is a role, acting as master is a right
//! that is read with the clock ([`Election::may_act`]), and every datastore's list is owned by its lock.
//!
//! # The algorithm
//!
//! It is FDM's election (fdm-facts 1) with the additions of architecture 10.
//!
//! * A **candidate** asks the hosts of the list for their votes by its [`Candidacy`], and answers a candidate with its
//!   own. When the window ends, the best [`Rank`] among the candidates that it hears both ways is master: most
//!   connected datastores, then the lexically highest managed object id. The window ends early when every other
//!   host of the list has voted or need not be waited for: it has said that it takes no part ([`Probe::TakesNoPart`]:
//!   maintenance, standby, no hypervisor service, no datastore), is proven dead ([`Input::HostDead`]), or is the lost
//!   master and has left a heartbeat period of candidacies unanswered; alive, it would have claimed at once.
//! * A **master** transmits its [`Claim`] to every host of the list every heartbeat period; that is also its
//!   heartbeat. Its term has a round above every round it knows, and that round is durable before the term is
//!   claimed ([`Output::StoreTerm`]): no crash makes a host reign twice in one term. When a master is lost, every
//!   candidate has its successor's round stored with its first candidacy, so that no failover waits for a disk.
//!   A master that leaves for maintenance says so, and its slaves elect a successor at once.
//! * A **slave** follows the highest term that was claimed to it both ways, and starts an election when the
//!   claims fall silent for `master_lost`, or at once when its own monitor proves the master dead. A master that still
//!   claims but no longer hears it is lost three heartbeat periods later than one that is silent.
//!
//! **Few messages.** The host that expects to win, by what it knows of the others' ranks and by their ids, asks everybody
//! at once. Any other gives its ask an eighth of a heartbeat period, or until shortly before the window's end once it
//! has come, and then asks in growing waves, the best first; it stops as soon as it hears of a better candidate both
//! ways. Before the window ends, whoever may win asks once more, so that it does not win by old votes. Without faults
//! an election of n hosts costs 2 n messages and n claims where it ends early, and less than 8 n in all with
//! `exact_fdm_timing`, the asks of the lost master included (`tests/datagrams.rs`). A host asks each other one at most
//! once in a window and once more at its end; only one that most others answer repeats its ask to the silent rest, at
//! pauses that double; and one that has heard nobody waits with the second wave until two heartbeat periods before the
//! end. So hosts that come up one by one, within a window or two, send at most twice n (n - 1) or 16 n in any window,
//! and from 32 on less than n (n - 1).
//!
//! **A better candidate** is waited for as long as it may need to claim: a window and two heartbeat periods from its
//! last message. Votes for this host count only while they are fresh.
//!
//! **Both ways.** A message counts as a vote, a claim or a sign of life only if it echoes a frame of ours that is not
//! older than three heartbeat periods (or `suspicion_after`): then the link has just worked in both directions. A
//! message that does not is answered once, so that the peer's next one does. Hence a host that hears others but is not
//! heard never becomes master, a host that is heard but does not hear captures nobody, and a recorded frame proves
//! nothing. Who hears whom elsewhere decides nothing here, so no lists of heard hosts travel; what a host must know of
//! others' links, whom they follow, their probes say.
//!
//! **Stickiness.** A running master keeps its role when a better candidate appears. A slave answers a candidate
//! with the name of its master. A candidate that hears at least as many slaves of a running master as
//! candidates waits, instead of unseating a master to which only its own link is broken; with the majority of
//! those it hears it elects, as any set of hosts without a master does (fdm-facts 1.1).
//!
//! **Rights.** A master that was echoed since its election began, or to which an isolation address has answered
//! since then, or for which none is configured, may act. One that hears nobody and gets no answer is master
//! without rights: so the last survivor restarts virtual machines, and an isolated host does not. A right once
//! gained is kept until the role ends, the host is declared isolated, or the agent was stopped for too long;
//! then fresh evidence is needed: an echo of a frame, or an answer to a ping, that was sent after that moment.
//!
//! **Two masters** compare [`Claim`]s: lists owned, then term, then rank. Lists owned and rank stay as they were
//! last transmitted until the meeting is over, and terms only rise. The worse one yields once it has received a better
//! claim that echoes it; one that has given up lists during its reign, only if that claim echoes a frame from after
//! that, since the other may have yielded to the better claim before. So both cannot yield, unless frames of one
//! sender overtake each other. If the worse one's own term was the higher one it waits as a
//! candidate, which tells the winner that higher round, and the winner takes a term above both.
//!
//! # What is promised
//!
//! Hosts that hear each other both ways have one master after `master_lost + election_window` and a few round
//! trips, if no frame is lost; `TimingPlan` has the bound with losses, and "what is not there yet" where it is missed.
//! In one life no host follows a term lower than one it has acknowledged. Nothing a peer sends panics or is an error.
//!
//! Two masters may exist at one time, in two partitions or for a short while; only locks keep them apart.
//!
//! # What the embedder must do
//!
//! * Authenticate frames and judge echoes (`ha_core::wire`) before it hands a message in.
//! * Put [`Election::highest_round`] into every frame's header and hand the header's round of others in.
//! * Report the heartbeats that slaves send to this master as [`Input::Contact`]. They are what proves the way
//!   back to the master; a slave transmits no election messages of its own while all is well.
//! * Make durable what each [`Output::StoreTerm`] asks for, and give the last one back in
//!   [`ElectionConfig::acknowledged`].
//! * Read what waits in its sockets before it lets time pass after a stop.
//!
//! # What is not there yet
//!
//! A slave does not wait for its disk before it follows: after a crash within that time it may follow a lower term.
//! A candidate that has its successor's round stored and then finds its old master again forgets in a restart which
//! term it followed: it follows that master only once it has raised its term, which it does when it hears of it.
//! Where five or more hosts hear each other only in part, a candidate may wait for ever for a better one that itself
//! waits for slaves of a master which neither of them hears: the master of their connected component, which watches
//! both of them through the datastores.
//!
//! # How it is checked
//!
//! `tests/model` runs [stateright](https://docs.rs/stateright) over the machine itself, in the canonical form that the
//! feature `model` offers (`ModelElection`, whose docs argue why that form is sound). A step of the model is one frame
//! delivered, one timer fired, or one fault; any host's clock may be the next to move, and a frame may take any time or
//! be lost. A newer frame of a kind replaces an older one on its link, so frames of one kind never overtake each
//! other; a host's monitor proves only hosts dead that are down; of the datastore there is the list's lock and its last
//! writer. `master_lost` is four heartbeat periods, the window two. Rounds above 8 are not followed further.
//!
//! * Always: no host reigns twice in one term or in a lower one, also across crashes; none follows a lower term than it
//!   has acknowledged; none becomes master that is heard by none of those it hears; no master acts before something
//!   shows that it is not cut off; an isolated one claims nothing and has no rights; two that meet do not both give
//!   way; no two lives write a list under one term.
//! * From **every** state that was reached: when all is healed, a fixed fair schedule of 20 rounds, with the hosts in
//!   either order, ends with one master that has rights and that all follow, unchanged for four rounds; so does a core
//!   of which nothing reaches the others for ever while they go on talking into it. With the links left as they are, no
//!   two hosts that reach each other are both left without a master; and a master that all follow keeps those that it
//!   reaches and that have just heard it, if they are a majority, whatever another host no longer hears.
//! * Seen: two masters at a time, a merge, a list handed over, a successor of a dead host.
//!
//! `tests/partial.rs` draws the links of three to eight hosts at random, each direction by itself: every connected
//! component of two hosts or more keeps a master, and none of its hosts changes its role or term any more.
//!
//! Each rule that protects all this can be taken away in the model (`Rule`), and nowhere
//! else; `tests/model/mutants.rs` names the check that then fails, in the smallest cluster that shows it.
//!
//! `cargo test` looks at every state within a few steps. The long run goes on for `MODEL_SECONDS` in each size, an hour
//! if it is not set:
//!
//! ```sh
//! cargo test --release -p ha-election --test model -- --ignored --nocapture
//! ```
//!
//! One such run, with 28 s for each size on two busy cores:
//!
//! | cluster | states | steps |
//! |---|---:|---:|
//! | two hosts, one dies | 1,267,873 | 9 |
//! | two masters meet | 1,562,767 | 11 |
//! | two hosts from cold, slow disks | 1,527,406 | 9 |
//! | two hosts, four faults | 2,904,250 | 6 |
//! | three hosts from cold | 942,908 | 7 |
//! | three hosts, two faults | 1,648,707 | 4 |
//! | three hosts, 64 matrices of cuts | 1,097,145 | 5 |
//! | four hosts, one fault | 607,623 | 4 |
//! | four hosts, all 4,096 matrices, settled and cold | 75,776 | 0 |
//!
//! States are those that were generated. Those within the given number of steps were looked at, and part of those one
//! step further; no size is exhausted, so what needs a longer history than that has not been ruled out. What the
//! checker has found is mended, each fault with a scenario in `tests/rules.rs` or `tests/waiting.rs`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod counters;
mod input;
mod machine;
mod message;
mod output;
mod peer;
mod role;
mod rules;

pub use config::{ConfigError, ElectionConfig};
pub use counters::ElectionCounters;
pub use input::{Input, Rejected};
pub use machine::Election;
#[cfg(feature = "model")]
pub use machine::ModelElection;
pub use message::{Candidacy, Claim, MAX_MESSAGE, Message, MessageError, MessageKind, Probe, Rank};
pub use output::{Event, Output, WaitReason};
pub use role::Role;
#[cfg(feature = "model")]
pub use rules::Rule;
