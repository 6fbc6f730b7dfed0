//! What a running virtual machine writes down of itself, and how it is read back.
//!
//! Each instance has a file of its own in the virtual machine's home, `ledger-<epoch>-<instance>`, and writes one
//! line of [`LINE`] bytes per entry. The instance is its process number. Times are nanoseconds of the boot clock,
//! which all processes of one kernel share. Nothing here knows of agents: these are plain numbers and text.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::failure::{Context, Failure};

/// The length of one line with its end, in bytes.
pub const LINE: usize = 104;

const PREFIX: &str = "ledger-";

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The instance ran.
    Running,
    /// The instance ran and could not bind the virtual machine's socket: somebody else had it.
    BindFailed,
}

impl Mark {
    const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::BindFailed => "bind-failed",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::Running, Self::BindFailed].into_iter().find(|mark| mark.word() == word)
    }
}

/// Writes one instance's ledger.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    vm: String,
    epoch: u64,
    instance: u32,
    counter: u64,
}

impl Ledger {
    /// Creates the ledger of one instance of `vm` in its home.
    ///
    /// # Errors
    ///
    /// Those of the file system; `AlreadyExists` if the instance has one.
    pub fn create(home: &Path, vm: &str, epoch: u64, instance: u32) -> io::Result<Self> {
        let path = home.join(format!("{PREFIX}{epoch}-{instance}"));
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Self { file, vm: vm.into(), epoch, instance, counter: 0 })
    }

    /// Writes one entry, by one call, so that a kill leaves at most the last line cut.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn write(&mut self, now_ns: u64, mark: Mark) -> io::Result<()> {
        let Self { vm, epoch, instance, counter, .. } = self;
        let line =
            format!("{vm:<36} {epoch:>10} {instance:>10} {counter:>10} {now_ns:>20} {:<12}\n", mark.word());
        self.counter += 1;
        self.file.write_all(line.as_bytes())
    }
}

/// What one instance's ledger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The virtual machine.
    pub vm: String,
    /// The epoch it ran under.
    pub epoch: u64,
    /// Its process number.
    pub instance: u32,
    /// The first entry's time.
    pub first_ns: u64,
    /// The last entry's time.
    pub last_ns: u64,
    /// How many entries there are.
    pub entries: u64,
    /// How many of them tell of a failed bind.
    pub failed_binds: u64,
}

/// Reads every ledger in a virtual machine's home. One without a whole entry tells nothing and is left out.
///
/// # Errors
///
/// A failure if a ledger cannot be read or contains what no instance writes.
pub fn read_all(home: &Path) -> Result<Vec<Instance>, Failure> {
    let reading = || format!("reading {}", home.display());
    let mut instances = Vec::new();
    for entry in std::fs::read_dir(home).context(reading)? {
        let entry = entry.context(reading)?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let path = entry.path();
            let bytes = std::fs::read(&path).context(|| format!("reading {}", path.display()))?;
            instances.extend(parse(&bytes).context(|| path.display().to_string())?);
        }
    }
    instances.sort_by_key(|instance| (instance.first_ns, instance.epoch));
    Ok(instances)
}

fn parse(bytes: &[u8]) -> Result<Option<Instance>, Failure> {
    let mut whole: Option<Instance> = None;
    // `chunks_exact` leaves out a last line that a kill has cut.
    for (number, line) in (0_u64..).zip(bytes.chunks_exact(LINE)) {
        let bad = |what: &str| Failure::new(format!("line {}: {what}", number + 1));
        let entry = parse_line(line).ok_or_else(|| bad("not an entry"))?;
        if entry.counter != number {
            return Err(bad("entries are missing"));
        }
        let instance = whole.get_or_insert_with(|| Instance {
            vm: entry.vm.into(),
            epoch: entry.epoch,
            instance: entry.instance,
            first_ns: entry.now_ns,
            last_ns: entry.now_ns,
            entries: 0,
            failed_binds: 0,
        });
        if (entry.vm, entry.epoch, entry.instance) != (&*instance.vm, instance.epoch, instance.instance) {
            return Err(bad("an entry of another instance"));
        }
        if entry.now_ns < instance.last_ns {
            return Err(bad("the clock went back"));
        }
        instance.last_ns = entry.now_ns;
        instance.entries += 1;
        instance.failed_binds += u64::from(entry.mark == Mark::BindFailed);
    }
    Ok(whole)
}

struct Entry<'a> {
    vm: &'a str,
    epoch: u64,
    instance: u32,
    counter: u64,
    now_ns: u64,
    mark: Mark,
}

fn parse_line(line: &[u8]) -> Option<Entry<'_>> {
    let line = core::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let mut words = line.split_ascii_whitespace();
    let entry = Entry {
        vm: words.next()?,
        epoch: words.next()?.parse().ok()?,
        instance: words.next()?.parse().ok()?,
        counter: words.next()?.parse().ok()?,
        now_ns: words.next()?.parse().ok()?,
        mark: Mark::of_word(words.next()?)?,
    };
    words.next().is_none().then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

    fn written(entries: &[(u64, Mark)]) -> Vec<u8> {
        let home = std::env::temp_dir().join(format!("ha-ledger-{}-{}", std::process::id(), entries.len()));
        std::fs::create_dir_all(&home).unwrap();
        let mut ledger = Ledger::create(&home, VM, 2, 4_194_304).unwrap();
        for (now_ns, mark) in entries {
            ledger.write(*now_ns, *mark).unwrap();
        }
        let bytes = std::fs::read(home.join("ledger-2-4194304")).unwrap();
        let read = read_all(&home).unwrap();
        assert_eq!(read, parse(&bytes).unwrap().into_iter().collect::<Vec<_>>());
        std::fs::remove_dir_all(home).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = written(&[
            (u64::MAX - 1, Mark::BindFailed),
            (u64::MAX - 1, Mark::Running),
            (u64::MAX, Mark::Running),
        ]);
        assert_eq!(bytes.len(), 3 * LINE);
        let expected = Instance {
            vm: VM.into(),
            epoch: 2,
            instance: 4_194_304,
            first_ns: u64::MAX - 1,
            last_ns: u64::MAX,
            entries: 3,
            failed_binds: 1,
        };
        assert_eq!(parse(&bytes).unwrap(), Some(expected));
    }

    #[test]
    fn a_last_line_cut_by_a_kill_is_left_out() {
        let bytes = written(&[(1, Mark::Running), (2, Mark::Running)]);
        assert_eq!(parse(&bytes[..2 * LINE - 1]).unwrap().unwrap().last_ns, 1);
        assert_eq!(parse(&bytes[..LINE - 1]).unwrap(), None);
        assert_eq!(parse(&[]).unwrap(), None);
    }

    #[test]
    fn what_no_instance_writes_is_an_error() {
        let bytes =
            written(&[(5, Mark::Running), (6, Mark::Running), (7, Mark::Running), (8, Mark::Running)]);
        let line = |number: usize| &bytes[number * LINE..(number + 1) * LINE];
        assert!(parse(&[line(0), line(2)].concat()).unwrap_err().to_string().contains("missing"));
        let mut damaged = bytes.clone();
        damaged[LINE - 8] = b'x';
        assert!(parse(&damaged).unwrap_err().to_string().contains("not an entry"));
        let mut earlier = bytes.clone();
        earlier[LINE + 89] = b'4';
        assert!(parse(&earlier).unwrap_err().to_string().contains("went back"));
        let mut other = bytes;
        other[LINE + 46] = b'3';
        assert!(parse(&other).unwrap_err().to_string().contains("another instance"));
    }
}
