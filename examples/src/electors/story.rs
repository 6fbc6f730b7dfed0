use std::io::{self, Write};

use ha_core::{HostId, Instant, Term};
use ha_election::Role;
use serde_json::{Map, Value, json};

use super::protocol::{News, Status};
use super::words::{list, millis};

/// Tells what happens, for people or, as one JSON object a line, for programs.
#[derive(Debug)]
pub(super) struct Story {
    json: bool,
    began: Instant,
    commanded: Instant,
}

/// One thing to tell.
#[derive(Debug)]
pub(super) struct Entry {
    event: &'static str,
    text: String,
    fields: Value,
}

impl Entry {
    /// `fields` is an object; it must not name the times or the event itself.
    pub(super) fn new(event: &'static str, text: impl Into<String>, fields: Value) -> Self {
        Self { event, text: text.into(), fields }
    }

    /// That all who can follow this master do.
    pub(super) fn leads(master: HostId, term: Term, followers: &[HostId]) -> Self {
        let names: Vec<String> = followers.iter().map(HostId::to_string).collect();
        let text = match followers {
            [] => format!("==> {master} leads in term {term}, alone"),
            [_] => format!("==> {master} leads in term {term}; {} follows", list(followers)),
            _ => format!("==> {master} leads in term {term}; {} follow", list(followers)),
        };
        let fields = json!({ "host": master.to_string(), "term": term.to_string(), "followers": names });
        Self::new("leads", text, fields)
    }

    /// What a host has told of itself; `None` for what is not for the person.
    pub(super) fn news(host: HostId, news: &News) -> Option<Self> {
        let with = |fields: Value| with_host(host, fields);
        Some(match news {
            News::Ready { .. } | News::Status { .. } => return None,
            News::Role { role, reason } => {
                let role = Role::from(*role);
                let why = reason.as_deref().unwrap_or("its term was raised");
                let (word, term) = in_words(role);
                let fields =
                    json!({ "role": word, "term": term.map(|term| term.to_string()), "reason": why });
                Self::new("role", format!("{host} is {role}: {why}"), with(fields))
            }
            News::Rights(held) => {
                let text = if *held { "may act as master" } else { "may no longer act as master" };
                Self::new("rights", format!("{host} {text}"), with(json!({ "held": held })))
            }
            News::Yielded { to, term } => {
                let (to, term) = (HostId::new(*to), term.0);
                let text = format!("{host} gives way to {to}, which claims term {term}");
                let fields = json!({ "to": to.to_string(), "term": term.to_string() });
                Self::new("yielded", text, with(fields))
            }
            News::ElectionGoesOn { reason } => {
                let text = format!("{host} goes on looking for a master: {reason}");
                Self::new("election-goes-on", text, with(json!({ "reason": reason })))
            }
            News::InvalidMaster { host: claimed } => {
                let claimed = HostId::new(*claimed);
                let text = format!("{host} hears {claimed} claim what it cannot");
                Self::new("invalid-master", text, with(json!({ "claimed": claimed.to_string() })))
            }
            News::Isolated { isolated, reason } => {
                let text = if *isolated { "declares itself isolated" } else { "is no longer isolated" };
                let fields = json!({ "isolated": isolated, "reason": reason });
                Self::new("isolated", format!("{host} {text}: {reason}"), with(fields))
            }
        })
    }

    /// One line of `status`. `state` is how its process is.
    pub(super) fn status(host: HostId, state: &'static str, status: Option<&Status>) -> Self {
        let Some(status) = status else {
            return Self::new(
                "status",
                format!("{host}  {state}"),
                with_host(host, json!({ "state": state })),
            );
        };
        let role = Role::from(status.role);
        let rights = if status.rights { ", may act" } else { "" };
        let isolated = if status.isolated { ", isolated" } else { "" };
        let Status { datastores, life, round, sent, cut, received, refused, stalls, .. } = status;
        let role_text = format!("{role}{rights}{isolated}");
        let text = format!(
            "{host}  {state:<7}  {role_text:<34}  life {life}  round {round}  datastores {datastores}  sent {sent}  \
             received {received}  refused {refused}  cut {cut}  stalls {stalls}"
        );
        let (word, term) = in_words(role);
        let fields = json!({
            "state": state, "role": word, "term": term.map(|term| term.to_string()), "rights": status.rights,
            "isolated": status.isolated, "datastores": datastores, "life": life, "round": round, "sent": sent,
            "cut": cut, "received": received, "refused": refused, "stalls": stalls,
        });
        Self::new("status", text, with_host(host, fields))
    }
}

impl Story {
    pub(super) const fn new(json: bool, began: Instant) -> Self {
        Self { json, began, commanded: began }
    }

    /// The same story, which begins at `now`.
    pub(super) const fn begin_at(&self, now: Instant) -> Self {
        Self::new(self.json, now)
    }

    /// From now on, times count from a command at `now`, too.
    pub(super) const fn command(&mut self, now: Instant) {
        self.commanded = now;
    }

    /// How long ago the last command was.
    pub(super) fn since_command(&self, at: Instant) -> f64 {
        millis(at.since(self.commanded))
    }

    /// Tells of something that happened at `at`.
    pub(super) fn tell(&self, at: Instant, entry: &Entry) {
        let (start, command) = (millis(at.since(self.began)), self.since_command(at));
        if self.json {
            let mut line = Map::new();
            line.insert("at_ms".into(), json!(start));
            line.insert("since_command_ms".into(), json!(command));
            line.insert("event".into(), json!(entry.event));
            if let Value::Object(fields) = &entry.fields {
                line.extend(fields.clone());
            }
            write(&Value::Object(line).to_string());
        } else {
            write(&format!("{start:>10.1} {command:>9.1}  {}", entry.text));
        }
    }

    /// Tells people, not programs.
    pub(super) fn remark(&self, text: &str) {
        if !self.json {
            write(text);
        }
    }

    /// The last word.
    pub(super) fn end(&self, text: &str, fields: &Value) {
        if self.json {
            write(&fields.to_string());
        } else {
            write(text);
        }
    }
}

/// Whoever has closed the output does not want to know.
fn write(line: &str) {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).ok();
}

fn with_host(host: HostId, mut fields: Value) -> Value {
    if let Value::Object(fields) = &mut fields {
        fields.insert("host".into(), json!(host.to_string()));
    }
    fields
}

fn in_words(role: Role) -> (&'static str, Option<Term>) {
    match role {
        Role::Uninitialized => ("uninitialized", None),
        Role::Candidate => ("candidate", None),
        Role::Slave { term, .. } => ("slave", Some(term)),
        Role::Master { term } => ("master", Some(term)),
    }
}
