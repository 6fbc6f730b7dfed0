use serde_json::{Value, json};

use super::picture::Findings;
use super::words::millis;

/// What a run amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) findings: Findings,
    /// Commands that could not be carried out, and expectations that were not met.
    pub(super) failed: Vec<String>,
    /// Hosts that ended without having been killed.
    pub(super) ended_by_themselves: u32,
}

impl Summary {
    pub(super) fn is_good(&self) -> bool {
        let Findings { steps_back, terms_twice, .. } = self.findings;
        self.failed.is_empty() && self.ended_by_themselves == 0 && steps_back == 0 && terms_twice == 0
    }

    pub(super) fn text(&self) -> String {
        let Findings { reigns, steps_back, terms_twice, longest_without } = self.findings;
        let mut text = format!(
            "\n{reigns} terms reigned in; {:.1} ms at most without a master that all who ran followed.\n\
             {steps_back} hosts went back to a lower term, {terms_twice} terms had two reigns, {} hosts ended by \
             themselves.",
            millis(longest_without),
            self.ended_by_themselves,
        );
        for failed in &self.failed {
            text.push_str("\nfailed: ");
            text.push_str(failed);
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let Findings { reigns, steps_back, terms_twice, longest_without } = self.findings;
        json!({
            "event": "summary", "good": self.is_good(), "reigns": reigns, "steps_back": steps_back,
            "terms_twice": terms_twice, "longest_without_master_ms": millis(longest_without),
            "ended_by_themselves": self.ended_by_themselves, "failed": self.failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_one_fault_makes_a_run_bad() {
        let good = Summary { findings: Findings::default(), failed: Vec::new(), ended_by_themselves: 0 };
        assert!(good.is_good());
        let back = Findings { steps_back: 1, ..Findings::default() };
        let twice = Findings { terms_twice: 1, ..Findings::default() };
        for bad in [
            Summary { findings: back, ..good.clone() },
            Summary { findings: twice, ..good.clone() },
            Summary { ended_by_themselves: 1, ..good.clone() },
            Summary { failed: vec!["line 1".into()], ..good },
        ] {
            assert!(!bad.is_good(), "{bad:?}");
        }
    }
}
