//! What the files of a datastore cost, beside the floors that no implementation can go below.
//!
//! `cargo bench -p ha-datastore --features fs --bench cost`, with `-- polling`, say, for that part alone. Every figure
//! and its floor come from one run and alternate in it, as medians; only their ratios say something on a shared
//! machine. Polling works on two threads, so it keeps its limit only where two processors are idle. `HA_BENCH_DIR`
//! names the folder to work in; it should lie on a disk.
#![allow(clippy::print_stdout, reason = "the table is this program's purpose")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on should stop where it is")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]

mod heartbeat;
mod list;
mod polling;

use std::path::PathBuf;
use std::time::Instant as Clock;

fn main() {
    println!("{:<52}{:>12}{:>12}{:>8}{:>8}", "what, in microseconds", "cost", "floor", "ratio", "limit");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let parts =
        [("heartbeat", heartbeat::measure as fn()), ("list", list::measure), ("polling", polling::measure)];
    for (name, measure) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            measure();
        }
    }
}

/// What something costs and its floor, in nanoseconds each round.
#[derive(Default)]
struct Measured {
    cost: Vec<f64>,
    floor: Vec<f64>,
}

impl Measured {
    fn round(&mut self, cost: impl FnOnce(), floor: impl FnOnce()) {
        self.cost.push(nanos(cost));
        self.floor.push(nanos(floor));
    }

    fn tell(self, what: &str, limit: f64) {
        let (cost, floor) = (median(self.cost) / 1e3, median(self.floor) / 1e3);
        println!("{what:<52}{cost:>12.3}{floor:>12.3}{:>8.2}{limit:>8.1}", cost / floor);
    }
}

fn nanos(work: impl FnOnce()) -> f64 {
    let began = Clock::now();
    work();
    began.elapsed().as_nanos() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let below = std::env::var_os("HA_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = below.join(format!("ha-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}
