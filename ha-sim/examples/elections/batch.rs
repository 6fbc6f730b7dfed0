//! Many seeds, on some threads.

use core::error::Error;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Mutex;
use std::thread;

use ha_sim::elections::{Elections, Elector, Outcome};
use ha_sim::scenario::Pace;
use ha_sim::{Scenario, Violation, shrink};
use serde_json::json;

use super::{Arguments, Hosts};

/// A scenario that violates an invariant.
struct Failure {
    scenario: Scenario,
    violation: Violation,
}

/// What all seeds came to.
#[derive(Default)]
struct Summary {
    runs: u64,
    datagrams: u64,
    slowest: Option<(Duration, u64)>,
    /// The longest settling, as a share of its bound.
    worst_share: f64,
    failures: Vec<Failure>,
}

type Failed = Box<dyn Error + Send + Sync>;

/// Whether every seed kept every invariant.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failed> {
    if let Some(seed) = arguments.seed {
        println!("{:#}", scenario(arguments, seed));
    }
    let summary = all(arguments)?;
    let mut failures = Vec::new();
    for failure in &summary.failures {
        failures.push(if arguments.keep_going {
            (failure.scenario.clone(), failure.violation.clone())
        } else {
            smallest(arguments, failure)?
        });
    }
    report(arguments, &summary, &failures);
    Ok(failures.is_empty())
}

fn scenario(arguments: &Arguments, seed: u64) -> Scenario {
    let Hosts { least, most } = arguments.hosts;
    let hosts = least + u32::try_from(seed % u64::from(most - least + 1)).unwrap_or(0);
    // Three hosts in a row have each pace once.
    let pace = arguments.pace.unwrap_or(Pace::ALL[usize::try_from(seed / 7 % 3).unwrap_or(0)]);
    Scenario::generate(seed, hosts, pace)
}

fn all(arguments: &Arguments) -> Result<Summary, Failed> {
    let (first, count) = arguments.seed.map_or((arguments.first, arguments.seeds), |seed| (seed, 1));
    let next = AtomicU64::new(first);
    let stop = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    let work = || -> Result<(), Failed> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let scenario = scenario(arguments, seed);
            let outcome = Elections::<Elector>::run(&scenario)?;
            if let Some(violation) = &outcome.violation {
                eprintln!("seed {seed} ({} hosts, {}): {violation}", scenario.hosts, scenario.pace);
            }
            let mut summary = summary.lock().map_err(|_| "another thread has failed")?;
            summary.take(scenario, outcome);
            if !summary.failures.is_empty() && !arguments.keep_going {
                stop.store(true, Ordering::Relaxed);
            }
            if summary.runs % (count / 20).max(1) == 0 {
                eprintln!("{} of {count} seeds, {} violations", summary.runs, summary.failures.len());
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a thread has panicked")?)
    })?;
    let mut summary = summary.into_inner().map_err(|_| "a thread has panicked")?;
    summary.failures.sort_by_key(|failure| failure.scenario.seed);
    Ok(summary)
}

impl Summary {
    fn take(&mut self, scenario: Scenario, outcome: Outcome) {
        self.runs += 1;
        self.datagrams += outcome.counts.total();
        if let Some(settled) = outcome.settled_after {
            self.worst_share = self.worst_share.max(settled.as_secs_f64() / outcome.bound.as_secs_f64());
            self.slowest = self.slowest.max(Some((settled, scenario.seed)));
        }
        if let Some(violation) = outcome.violation {
            self.failures.push(Failure { scenario, violation });
        }
    }
}

/// The same failure with as few faults as can be found.
fn smallest(arguments: &Arguments, failure: &Failure) -> Result<(Scenario, Violation), Failed> {
    let violated = |scenario: &Scenario| Elections::<Elector>::run(scenario).map(|outcome| outcome.violation);
    let smaller = shrink(
        &failure.scenario,
        arguments.shrink,
        |candidate| matches!(violated(candidate), Ok(Some(violation)) if violation.invariant == failure.violation.invariant),
    );
    let violation = violated(&smaller)?.unwrap_or_else(|| failure.violation.clone());
    Ok((smaller, violation))
}

fn report(arguments: &Arguments, summary: &Summary, failures: &[(Scenario, Violation)]) {
    let Summary { runs, datagrams, slowest, worst_share, .. } = summary;
    if arguments.json {
        let failures: Vec<_> = failures
            .iter()
            .map(|(scenario, violation)| {
                json!({
                    "seed": scenario.seed,
                    "hosts": scenario.hosts,
                    "pace": scenario.pace.to_string(),
                    "invariant": violation.invariant.id(),
                    "at_nanos": violation.at.as_nanos(),
                    "what": violation.what,
                    "timeline": format!("{scenario:#}"),
                })
            })
            .collect();
        let slowest = slowest.map(|(span, seed)| json!({ "seconds": span.as_secs_f64(), "seed": seed }));
        let report = json!({
            "runs": runs,
            "datagrams": datagrams,
            "slowest": slowest,
            "worst_share_of_bound": worst_share,
            "failures": failures,
        });
        println!("{report:#}");
        return;
    }
    for (scenario, violation) in failures {
        if arguments.keep_going {
            println!("seed {} ({} hosts, {}): {violation}", scenario.seed, scenario.hosts, scenario.pace);
        } else {
            println!("{scenario}{violation}\n");
        }
    }
    println!("{runs} runs, {datagrams} datagrams, {} violations", failures.len());
    if let Some((span, seed)) = slowest {
        println!(
            "slowest settling {span:?} (seed {seed}); the worst took {:.1} % of its bound",
            100.0 * worst_share
        );
    }
}
