use ha_core::{Acknowledged, HostId, Instant, Moid, Round, Term};

use super::{Election, MAX_INVALID_MASTERS, State};
use crate::peer::Stand;
use crate::rules::Rule;
use crate::{Claim, Event, Message, Probe, Rank};

impl Election {
    /// An authentic message. Only one that echoes us changes anything; any other is answered, so that the
    /// sender's next one can.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: HostId,
        message: Message,
        echoes: Option<Instant>,
        known_round: Option<Round>,
    ) {
        let Some(peer) = self.peers.get_mut(&from) else {
            self.counters.unlisted_sender.count();
            self.report_invalid(from, &message);
            return;
        };
        if contradicts(&message, from, &peer.moid) {
            self.counters.contradiction.count();
            self.report_invalid(from, &message);
            return;
        }
        peer.heard = Some(now);
        self.not_alone(now);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        match &message {
            Message::Candidacy(candidacy) => {
                peer.stood = Some(now);
                peer.goodness = Some(candidacy.rank.goodness);
            }
            Message::Claim(claim) => peer.goodness = Some(claim.rank.goodness),
            Message::Probe(_) => {}
        }
        self.heard_lost_master(from);
        let echoes = if self.keeps(Rule::Echo) { echoes } else { echoes.or(Some(now)) };
        let Some(sent) = echoes.filter(|sent| self.is_recent(now, *sent)) else {
            self.counters.not_echoed.count();
            self.hear_unechoed(now, from, &message);
            return;
        };
        self.note_contact(now, from, sent);
        if self.is_outlived(from, &message, known_round) {
            self.counters.lower_term.count();
            return;
        }
        self.note_stand(now, from, &message, known_round);
        match (&self.state, &message) {
            (State::Candidate(_), _) | (State::Master(_), Message::Candidacy(_)) => {
                self.learn_known(now, known_round);
            }
            // Two masters settle by their claims, and a host that follows another master is not this one's to win
            // over. A slave that repeated what it hears to its master would make two masters that never meet outbid
            // each other over it, and their slaves change sides, for ever.
            (State::Master(_), Message::Claim(_) | Message::Probe(_))
            | (State::Uninitialized | State::Slave(_), _) => {}
        }
        match message {
            Message::Candidacy(candidacy) => self.hear_candidacy(now, from, sent, &candidacy.rank),
            Message::Claim(claim) => self.hear_claim(now, &claim, sent),
            Message::Probe(probe) => {
                self.hear_probe(now, from, probe, known_round);
            }
        }
        self.review_rights(now);
        self.try_early_end(now);
    }

    /// A frame of another kind that echoes us.
    pub(super) fn take_contact(
        &mut self,
        now: Instant,
        from: HostId,
        echoes: Instant,
        known_round: Option<Round>,
    ) {
        if !self.peers.contains_key(&from) {
            self.counters.unlisted_sender.count();
            return;
        }
        self.heard_lost_master(from);
        if !self.is_recent(now, echoes) {
            self.counters.not_echoed.count();
            return;
        }
        self.note_contact(now, from, echoes);
        match self.state {
            State::Uninitialized | State::Slave(_) => {}
            // A slave's round is above its master's if it was read in a list.
            State::Candidate(_) | State::Master(_) => self.learn_known(now, known_round),
        }
        self.review_rights(now);
    }

    fn learn_known(&mut self, now: Instant, known_round: Option<Round>) {
        if let Some(round) = known_round {
            self.learn_round(now, round);
        }
    }

    /// Whether an echo of a frame that left here at `sent` shows that the sender hears this host. A sender that has
    /// become deaf goes on echoing the last frame that it got.
    fn is_recent(&self, now: Instant, sent: Instant) -> bool {
        now.since(sent) <= self.fresh_for() || !self.keeps(Rule::Echo)
    }

    /// Whether this candidacy was sent before its sender reigned in the term that this host acknowledged last. It
    /// came late and is no vote: that host may reign still.
    fn is_outlived(&self, from: HostId, message: &Message, known_round: Option<Round>) -> bool {
        let Acknowledged { round, host } = self.acknowledged;
        matches!(message, Message::Candidacy(_))
            && host == Some(from)
            && known_round.is_some_and(|known| known < round)
    }

    fn note_contact(&mut self, now: Instant, from: HostId, sent: Instant) {
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.heard = Some(now);
            peer.contact = Some(now);
            peer.dead = false;
        }
        self.evidence.heard_echo(sent, now);
    }

    fn note_stand(&mut self, now: Instant, from: HostId, message: &Message, known_round: Option<Round>) {
        let stand = match message {
            Message::Candidacy(candidacy) => Stand::Candidate(candidacy.rank.clone()),
            Message::Claim(_) => Stand::Master,
            Message::Probe(Probe::Follows(term)) => Stand::Follows(*term),
            Message::Probe(Probe::TakesNoPart) => Stand::Out(known_round.unwrap_or(Round::ZERO)),
            // It does not say, so it takes nothing back either.
            Message::Probe(Probe::Here) => return,
        };
        // Somebody follows it in a reign that began later than it said that it takes no part.
        if let Stand::Follows(term) = &stand
            && let Some(master) = self.peers.get_mut(&term.host)
            && matches!(&master.stand, Some((_, Stand::Out(round))) if *round < term.round)
        {
            master.stand = None;
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.stand = Some((now, stand));
        }
    }

    /// A message that does not echo us. It may be a recording, so it counts for nothing but an answer; a better
    /// candidate, if it is one, is given the time for one more exchange.
    fn hear_unechoed(&mut self, now: Instant, from: HostId, message: &Message) {
        if matches!(message, Message::Candidacy(candidacy) if candidacy.rank > self.rank()) {
            self.defer();
        }
        // Two hosts that take no part would tell each other so for ever, where frames travel for longer than echoes count.
        let asks = !matches!(message, Message::Probe(Probe::Here | Probe::TakesNoPart));
        if matches!(self.state, State::Uninitialized) && !asks {
            return;
        }
        // It cannot have got what we told it without an echo; or it has, and this has crossed with it.
        let is_candidate = matches!(self.state, State::Candidate(_));
        if is_candidate && self.peers.get(&from).is_some_and(|peer| peer.lacks_candidacy(true)) {
            self.tell_candidacy(now, from);
        } else {
            self.answer(now, from);
        }
    }

    fn hear_candidacy(&mut self, now: Instant, from: HostId, sent: Instant, rank: &Rank) {
        match &self.state {
            State::Candidate(running) => {
                // The last asks of a long window echo frames too old to count: who answers them knows nothing of this
                // host both ways yet, and its own window ends soon.
                let last = running.asking.has_confirmed();
                // If this was the last vote that was missing, the claim is the answer.
                self.try_early_end(now);
                let renewal = self.config.timing.heartbeat_period / 2;
                let better = *rank > self.rank();
                let Some(peer) = self.peers.get(&from) else { return };
                if peer.lacks_candidacy(better || last) {
                    self.tell_candidacy(now, from);
                } else if peer.may_lack_candidacy(now, sent, renewal) {
                    self.answer(now, from);
                }
            }
            State::Uninitialized | State::Slave(_) | State::Master(_) => self.answer(now, from),
        }
    }

    /// A candidate learns of a master, which may not know that it is here.
    fn ask_master_of_another(&mut self, now: Instant, master: HostId) {
        let untold = self.peers.get(&master).is_some_and(|peer| !peer.dead && peer.told.is_none());
        if untold {
            self.tell_candidacy(now, master);
        }
    }

    fn hear_probe(&mut self, now: Instant, from: HostId, probe: Probe, known_round: Option<Round>) {
        match (&self.state, probe) {
            // A claim wins over who follows a lower term, and nobody else: the two would answer each other for ever.
            (State::Master(reign), Probe::Follows(term)) => {
                if term < reign.term() && term.host != self.config.me {
                    self.answer(now, from);
                }
            }
            (State::Master(_), Probe::Here) => self.answer(now, from),
            (State::Slave(following), Probe::TakesNoPart) => {
                let Term { round, host } = following.term;
                // One from before this reign came late.
                if host == from && known_round.is_some_and(|known| known >= round) {
                    self.begin_election(now, "master takes no part any more");
                }
            }
            (State::Candidate(_), Probe::Follows(term)) => {
                self.ask_master_of_another(now, term.host);
            }
            // Our good-bye was lost.
            (State::Uninitialized, Probe::Follows(term)) if term.host == self.config.me => {
                self.answer(now, from);
            }
            (State::Uninitialized | State::Slave(_), Probe::Here | Probe::Follows(_))
            | (State::Candidate(_), Probe::Here)
            | (State::Uninitialized | State::Candidate(_) | State::Master(_), Probe::TakesNoPart) => {}
        }
    }

    fn hear_claim(&mut self, now: Instant, claim: &Claim, sent: Instant) {
        let from = claim.term.host;
        let allowed = self.may_follow(claim.term);
        match &self.state {
            State::Uninitialized => {}
            State::Master(_) => self.meet_master(now, claim, sent),
            State::Candidate(_) if allowed => self.follow(now, claim.term, "master found"),
            State::Slave(_) if allowed => self.follow(now, claim.term, "higher term"),
            State::Candidate(_) => {
                self.counters.lower_term.count();
                self.demand_higher_round(claim.term);
                self.answer(now, from);
            }
            State::Slave(following) => {
                self.counters.lower_term.count();
                // From the own master it is merely late.
                if following.term.host != from {
                    self.answer(now, from);
                }
            }
        }
    }

    /// Tells of a claim that cannot be, once per source.
    fn report_invalid(&mut self, from: HostId, message: &Message) {
        let room = self.invalid_masters.len() < MAX_INVALID_MASTERS;
        if matches!(message, Message::Claim(_)) && room && self.invalid_masters.insert(from) {
            self.tell(Event::InvalidMaster { host: from });
        }
    }
}

/// Whether a message says something of its sender that the host list or its own frame denies.
fn contradicts(message: &Message, from: HostId, moid: &Moid) -> bool {
    match message {
        Message::Candidacy(candidacy) => candidacy.rank.moid != *moid,
        Message::Claim(claim) => claim.rank.moid != *moid || claim.term.host != from,
        Message::Probe(Probe::Follows(term)) => term.host == from,
        Message::Probe(Probe::Here | Probe::TakesNoPart) => false,
    }
}
