use core::time::Duration;

use super::words::{Who, span, who};

/// The commands, for people.
pub(super) const COMMANDS: &str = "  kill H                end the host's process with SIGKILL
  start H               start a host that is down; it keeps what its earlier life made durable
  pause H, resume H     stop its process with SIGSTOP, let it go on with SIGCONT
  cut A B               neither hears the other; `cut A to B`: B does not hear A, A still hears B
  partition H ...       these and the rest do not hear each other
  isolate H             neither hears nor is heard by anybody, nor by the isolation address
  heal A B              the two hear each other; `heal H`: all its links; `heal all`: all links
  leave H, join H       enter maintenance, which ends its part in the election; come back
  datastores H N        it has N datastores connected (1 at first): more make a better master, 0 none at all
  expect master H [of H ...] [within 2s]
                        wait until H is the one master and all others follow it: those named after `of`, or all
                        who run, are in service and not isolated; `any` for H accepts whoever it is; it fails
                        after `within`, by default twice the bound that the timing promises
  wait 500ms            let time pass
  status                one line for each host
  quit                  end everything and sum up; so does the end of the input
H is a number, a name such as host-3, or `master` for the one that leads then. Commands stand on lines of their own or
between semicolons; # begins a comment.";

/// The most commands of a script.
const MAX_STEPS: usize = 10_000;

/// One command, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) command: Command,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Kill(Who),
    Start(Who),
    Pause(Who),
    Resume(Who),
    Cut { from: Who, to: Who, both_ways: bool },
    Partition(Vec<Who>),
    Isolate(Who),
    HealAll,
    HealHost(Who),
    Heal(Who, Who),
    Leave(Who),
    Join(Who),
    Datastores(Who, u32),
    Expect(Expectation),
    Wait(Duration),
    Status,
    Help,
    Quit,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expectation {
    /// The master; `None` for any.
    pub(super) master: Option<Who>,
    /// Who follows it, itself included; `None` for all who can.
    pub(super) of: Option<Vec<Who>>,
    /// For how long.
    pub(super) within: Option<Duration>,
}

/// Reads a script for a cluster of `hosts`; the error names the line and the word.
pub(super) fn parse(text: &str, hosts: u32) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let parsed = parse_line(content, hosts).map_err(|error| format!("line {line}: {error}"))?;
        if steps.len() + parsed.len() > MAX_STEPS {
            return Err(format!("line {line}: at most {MAX_STEPS} commands are accepted"));
        }
        steps.extend(parsed.into_iter().map(|step| Step { line, ..step }));
    }
    Ok(steps)
}

/// Reads one line, which may have several commands; the error names the command and the word.
pub(super) fn parse_line(line: &str, hosts: u32) -> Result<Vec<Step>, String> {
    let code = line.split('#').next().unwrap_or_default();
    let commands = code.split(';').map(str::trim).filter(|text| !text.is_empty());
    let step = |text: &str| match command(text, hosts) {
        Ok(command) => Ok(Step { line: 1, text: text.into(), command }),
        Err(error) => Err(format!("`{text}`: {error}")),
    };
    commands.map(step).collect()
}

fn command(text: &str, hosts: u32) -> Result<Command, String> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let host = |word: &str| who(word, hosts);
    let one = |usage: &str| match words.as_slice() {
        [word] => host(word),
        _ => Err(format!("expected `{usage}`")),
    };
    match name {
        "kill" => one("kill H").map(Command::Kill),
        "start" => one("start H").map(Command::Start),
        "pause" => one("pause H").map(Command::Pause),
        "resume" => one("resume H").map(Command::Resume),
        "isolate" => one("isolate H").map(Command::Isolate),
        "leave" => one("leave H").map(Command::Leave),
        "join" => one("join H").map(Command::Join),
        "cut" => cut(&words, hosts),
        "partition" => partition(&words, hosts),
        "heal" => match words.as_slice() {
            ["all"] => Ok(Command::HealAll),
            [one] => host(one).map(Command::HealHost),
            [one, other] => Ok(Command::Heal(host(one)?, host(other)?)),
            _ => Err("expected `heal A B`, `heal H` or `heal all`".into()),
        },
        "datastores" => match words.as_slice() {
            [one, number] => Ok(Command::Datastores(host(one)?, datastores(number)?)),
            _ => Err("expected `datastores H N`".into()),
        },
        "wait" => match words.as_slice() {
            [word] => span(word).map(Command::Wait),
            _ => Err("expected `wait SPAN`, such as `wait 500ms`".into()),
        },
        "expect" => expect(&words, hosts).map(Command::Expect),
        "status" if words.is_empty() => Ok(Command::Status),
        "help" if words.is_empty() => Ok(Command::Help),
        "quit" if words.is_empty() => Ok(Command::Quit),
        "status" | "help" | "quit" => Err(format!("expected `{name}` alone")),
        _ => Err(format!(
            "`{name}` is no command; accepted: kill, start, pause, resume, cut, partition, isolate, heal, leave, join, \
             datastores, expect, wait, status, help, quit"
        )),
    }
}

fn cut(words: &[&str], hosts: u32) -> Result<Command, String> {
    let (from, to, both_ways) = match words {
        [from, "to", to] => (from, to, false),
        [from, to] => (from, to, true),
        _ => return Err("expected `cut A B` or `cut A to B`".into()),
    };
    Ok(Command::Cut { from: who(from, hosts)?, to: who(to, hosts)?, both_ways })
}

fn partition(words: &[&str], hosts: u32) -> Result<Command, String> {
    if words.is_empty() {
        return Err("expected `partition H ...`".into());
    }
    words.iter().map(|word| who(word, hosts)).collect::<Result<_, _>>().map(Command::Partition)
}

fn datastores(word: &str) -> Result<u32, String> {
    let number = word.parse().ok().filter(|number| *number <= 1_000);
    number.ok_or_else(|| format!("`{word}` is no number of datastores; accepted: 0 to 1000"))
}

fn expect(words: &[&str], hosts: u32) -> Result<Expectation, String> {
    let usage =
        || String::from("expected `expect master H`, then `of H ...` or `within SPAN` or both in this order");
    let ["master", master, rest @ ..] = words else { return Err(usage()) };
    let master = if *master == "any" { None } else { Some(who(master, hosts)?) };
    let (rest, within) = match rest {
        [rest @ .., "within", word] => (rest, Some(span(word)?)),
        _ => (rest, None),
    };
    let of = match rest {
        [] => None,
        ["of", group @ ..] if !group.is_empty() => {
            Some(group.iter().map(|word| who(word, hosts)).collect::<Result<_, _>>()?)
        }
        _ => return Err(usage()),
    };
    Ok(Expectation { master, of, within })
}

#[cfg(test)]
mod tests {
    use ha_core::HostId;

    use super::*;

    const fn host(number: u32) -> Who {
        Who::Host(HostId::new(number))
    }

    fn commands(text: &str) -> Vec<Command> {
        parse(text, 5).unwrap().into_iter().map(|step| step.command).collect()
    }

    #[test]
    fn every_command_is_read() {
        let text = "kill 1; start 1; pause master; resume host-2; isolate 3 # a comment; kill 2\n\n; leave 1;join 1\n\
                    heal all; heal 1; heal 1 2; datastores 2 0; wait 250ms; status; help; quit";
        let expected = vec![
            Command::Kill(host(1)),
            Command::Start(host(1)),
            Command::Pause(Who::Master),
            Command::Resume(host(2)),
            Command::Isolate(host(3)),
            Command::Leave(host(1)),
            Command::Join(host(1)),
            Command::HealAll,
            Command::HealHost(host(1)),
            Command::Heal(host(1), host(2)),
            Command::Datastores(host(2), 0),
            Command::Wait(Duration::from_millis(250)),
            Command::Status,
            Command::Help,
            Command::Quit,
        ];
        assert_eq!(commands(text), expected);
    }

    #[test]
    fn cuts_have_one_way_or_two_and_groups_any_size() {
        let cut = |both_ways| Command::Cut { from: host(1), to: host(2), both_ways };
        assert_eq!(commands("cut 1 2; cut 1 to 2"), [cut(true), cut(false)]);
        assert_eq!(commands("partition 1 2"), [Command::Partition(vec![host(1), host(2)])]);
    }

    #[test]
    fn expectations_name_master_group_and_time() {
        let within = Some(Duration::from_secs(2));
        let of = Some(vec![host(1), host(2)]);
        let expected = [
            Expectation { master: Some(host(2)), of: None, within: None },
            Expectation { master: None, of: None, within },
            Expectation { master: Some(host(2)), of: of.clone(), within: None },
            Expectation { master: Some(Who::Master), of, within },
        ];
        let text = "expect master 2; expect master any within 2s; expect master 2 of 1 2; \
                    expect master master of 1 2 within 2s";
        assert_eq!(commands(text), expected.map(Command::Expect));
    }

    #[test]
    fn a_mistake_is_told_with_its_line_its_word_and_what_is_accepted() {
        for (text, told) in [
            ("kill 6", ["line 1", "`6`", "1 to 5"]),
            ("status\nexplode 1", ["line 2", "`explode`", "kill, start"]),
            ("wait; kill 1", ["line 1", "`wait`", "wait SPAN"]),
            ("wait 5", ["line 1", "`5`", "500ms"]),
            ("cut 1 2 3", ["line 1", "`cut 1 2 3`", "`cut A to B`"]),
            ("heal", ["line 1", "`heal`", "`heal all`"]),
            ("datastores 1 1001", ["line 1", "`1001`", "0 to 1000"]),
            ("expect slave 1", ["line 1", "`expect slave 1`", "`expect master H`"]),
            ("expect master 1 of", ["line 1", "`expect master 1 of`", "`of H ...`"]),
            ("partition", ["line 1", "`partition`", "`partition H ...`"]),
            ("status 1", ["line 1", "`status 1`", "alone"]),
        ] {
            let message = parse(text, 5).unwrap_err();
            assert!(told.iter().all(|word| message.contains(word)), "{message}");
        }
    }

    #[test]
    fn a_script_has_a_limit() {
        let steps = |number: usize| "status;".repeat(number);
        assert_eq!(parse(&steps(MAX_STEPS), 5).map(|steps| steps.len()), Ok(MAX_STEPS));
        assert!(parse(&steps(MAX_STEPS + 1), 5).unwrap_err().contains("10000"));
    }
}
