//! Two runs that must be one.

use ha_sim::elections::{Act, Elections, Elector, Frame, Intruder, Life, News, Node, StartError};
use ha_sim::scenario::Pace;
use ha_sim::{Scenario, Stance};

use ha_core::Instant;

/// An elector that speaks without bytes however small its cluster is.
#[derive(Debug)]
struct Plain(Elector);

/// One that heeds frames that are too short to be any.
#[derive(Debug)]
struct Gullible(Elector);

macro_rules! as_elector {
    () => {
        type Frame = Frame;

        fn tick(&mut self, now: Instant) {
            self.0.tick(now);
        }

        fn act(&mut self) -> Option<Act<Frame>> {
            self.0.act()
        }

        fn deadline(&self) -> Option<Instant> {
            self.0.deadline()
        }

        fn stance(&self) -> Stance {
            self.0.stance()
        }

        fn name(frame: &Frame) -> (u64, u64) {
            Elector::name(frame)
        }
    };
}

impl Node for Plain {
    as_elector!();

    fn start(life: &Life<'_>, now: Instant) -> Result<Self, StartError> {
        Elector::start_with(life, now, false).map(Self)
    }

    fn tell(&mut self, now: Instant, news: News<Frame>) {
        self.0.tell(now, news);
    }
}

impl Node for Gullible {
    as_elector!();

    fn start(life: &Life<'_>, now: Instant) -> Result<Self, StartError> {
        Elector::start(life, now).map(Self)
    }

    fn tell(&mut self, now: Instant, news: News<Frame>) {
        let short = matches!(&news, News::Frame(Frame::Sealed(bytes)) if bytes.len() < 120);
        self.0.tell(now, if short { News::Resumed } else { news });
    }
}

#[test]
fn the_ledger_of_large_clusters_judges_frames_as_the_wire_does() {
    for seed in 0..60 {
        let scenario = Scenario::generate(seed, 3 + u32::try_from(seed % 9).unwrap(), Pace::Swift);
        let wire = Elections::<Elector>::run(&scenario).unwrap();
        let ledger = Elections::<Plain>::run(&scenario).unwrap();
        assert_eq!(wire, ledger, "{scenario}");
    }
}

/// S9. The intruder's replays, damaged frames and forgeries change nothing at all, not even a moment.
#[test]
fn what_an_intruder_without_the_key_injects_changes_nothing() {
    let mut injected = 0;
    for seed in 0..60 {
        let pace = Pace::ALL[usize::try_from(seed % 3).unwrap()];
        let scenario = Scenario::generate(seed, 3 + u32::try_from(seed % 6).unwrap(), pace);
        let alone = Elections::<Elector>::run(&scenario).unwrap();
        let beset = Elections::<Elector>::run_with(&scenario, Intruder::without_key()).unwrap();
        injected += beset.intrusions;
        assert_eq!(alone.trace_hash, beset.trace_hash, "{scenario}");
        assert_eq!((alone.violation, alone.counts), (beset.violation, beset.counts));
    }
    assert!(injected > 20_000, "{injected}");
}

#[test]
fn a_host_that_heeds_forgeries_is_noticed() {
    let scenario = Scenario::generate(1, 4, Pace::Swift);
    let alone = Elections::<Gullible>::run(&scenario).unwrap();
    let beset = Elections::<Gullible>::run_with(&scenario, Intruder::without_key()).unwrap();
    assert_eq!(alone, Elections::<Gullible>::run(&scenario).unwrap());
    assert_ne!(alone.trace_hash, beset.trace_hash);
}

#[test]
fn recordings_that_meet_a_new_life_break_nothing() {
    let mut others = 0;
    for seed in 0..60 {
        let scenario = Scenario::generate(seed, 3 + u32::try_from(seed % 6).unwrap(), Pace::Swift);
        let within = Elections::<Elector>::run_with(&scenario, Intruder::without_key()).unwrap();
        let across = Elections::<Elector>::run_with(&scenario, Intruder::across_lives()).unwrap();
        assert_eq!(across.violation, None, "{scenario}");
        others += u32::from(within.trace_hash != across.trace_hash);
    }
    assert!(others > 0, "no recording met a new life");
}

/// S12. The numbers were written by another process.
#[test]
fn equal_seeds_give_equal_runs_in_this_process_and_in_any_other() {
    let hash =
        |seed| Elections::<Elector>::run(&Scenario::generate(seed, 7, Pace::Swift)).unwrap().trace_hash;
    let hashes = [hash(1), hash(2)];
    assert_eq!(hashes, [hash(1), hash(2)]);
    assert_ne!(hashes[0], hashes[1]);
    // A second process makes the same runs, and prints them where this one can read them.
    let again = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "twins::prints_its_hashes"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&again.stdout);
    assert!(text.contains(&format!("{hashes:?}")), "{text}");
}

#[test]
#[ignore = "what another process runs"]
fn prints_its_hashes() {
    let hash =
        |seed| Elections::<Elector>::run(&Scenario::generate(seed, 7, Pace::Swift)).unwrap().trace_hash;
    println!("{:?}", [hash(1), hash(2)]);
}
