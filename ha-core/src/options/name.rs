//! From the name that was given to the option that is meant.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::OptionError;
use super::spec::{Layer, OptionSpec};
use super::table::OPTIONS;
use crate::id::cut;

const CLUSTER_WIDE: &str = "das.config.fdm.";
const ON_A_HOST: &str = "fdm.";

/// The option that `found` names, and its canonical name, with its number.
pub(super) fn resolve(found: &str) -> Result<(&'static OptionSpec, String), OptionError> {
    let (stem, number) = numbered(found);
    let (whole, stem) = (Meant::by(found), Meant::by(stem));
    for spec in OPTIONS {
        let own = Meant::by(spec.name);
        let name = if whole.is(own) && spec.numbered.accepts(None) {
            String::from(spec.name)
        } else if let Some(number) =
            number.filter(|&number| stem.is(own) && spec.numbered.accepts(Some(number)))
        {
            format!("{}{number}", spec.name)
        } else {
            continue;
        };
        if spec.layer == Layer::Host && strip_prefix(found, CLUSTER_WIDE).is_some() {
            return Err(OptionError::HostOnly { found: cut(found), name: spec.name });
        }
        return Ok((spec, name));
    }
    Err(OptionError::Unknown { found: cut(found), nearest: nearest(&cut(found)) })
}

/// One spelling for all that mean the same: `fdm.x` for `das.config.fdm.x`. In two parts, so that comparing a name
/// with the whole table allocates nothing.
#[derive(Clone, Copy)]
struct Meant<'n> {
    prefix: &'static str,
    rest: &'n str,
}

impl<'n> Meant<'n> {
    fn by(name: &'n str) -> Self {
        match strip_prefix(name, CLUSTER_WIDE).or_else(|| strip_prefix(name, ON_A_HOST)) {
            Some(rest) => Self { prefix: ON_A_HOST, rest },
            None => Self::literally(name),
        }
    }

    const fn literally(name: &'n str) -> Self {
        Self { prefix: "", rest: name }
    }

    fn is(self, other: Self) -> bool {
        self.prefix == other.prefix && self.rest.eq_ignore_ascii_case(other.rest)
    }

    fn letters(self) -> impl Iterator<Item = char> {
        self.prefix.chars().chain(self.rest.chars()).map(|letter| letter.to_ascii_lowercase())
    }
}

fn strip_prefix<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A name and the number at its end, if that is written in the one accepted way.
fn numbered(name: &str) -> (&str, Option<u8>) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = name.get(stem.len()..).unwrap_or_default();
    let one_spelling = digits == "0" || !digits.starts_with('0');
    (stem, digits.parse().ok().filter(|_| one_spelling))
}

/// The option spelt most like `found`, if a third of the letters or fewer have to change: always two, at most six.
fn nearest(found: &str) -> Option<&'static OptionSpec> {
    let (stem, _) = numbered(found);
    let spellings = [Meant::literally(found), Meant::by(stem)].map(Meant::letters);
    let [given, meant] = spellings.map(Iterator::collect::<Vec<char>>);
    let mut nearest = None;
    let mut most = (meant.len() / 3).clamp(2, 6);
    for spec in OPTIONS {
        let spec_meant = Meant::by(spec.name);
        let mut distance = edits(&meant, spec_meant, most);
        if given != meant || !spec_meant.prefix.is_empty() {
            distance = sooner(distance, edits(&given, Meant::literally(spec.name), most));
        }
        // A name without its beginning, such as `hostTimeout`, is meant as the end of one.
        if let Some((_, end)) = spec.name.rsplit_once('.').filter(|_| !meant.contains(&'.')) {
            distance = sooner(distance, edits(&meant, Meant::literally(end), most));
        }
        if let Some(distance) = distance {
            nearest = Some(spec);
            // Only what is nearer still can take its place.
            let Some(less) = distance.checked_sub(1) else { break };
            most = less;
        }
    }
    nearest
}

fn sooner(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    one.into_iter().chain(other).min()
}

/// The Levenshtein distance, if it is at most `most`: letters to insert, remove or replace.
fn edits(from: &[char], to: Meant<'_>, most: usize) -> Option<usize> {
    let length = to.prefix.len() + to.rest.len();
    if from.len().abs_diff(length) > most {
        return None;
    }
    // Whatever does not stand in `to` at all has to go.
    let letters = to.letters().fold(0, |all, letter| all | bit(letter));
    if from.iter().filter(|letter| letters & bit(**letter) == 0).count() > most {
        return None;
    }
    let to: Vec<char> = to.letters().collect();
    // `row[i]` is the distance from what was read of `from` so far to the first i letters of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (read, letter) in from.iter().enumerate() {
        let mut left = read.saturating_add(1);
        let mut diagonal = read;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        let mut nearest = left;
        for (cell, other) in row.iter_mut().skip(1).zip(&to) {
            let replaced = diagonal.saturating_add(usize::from(letter != other));
            diagonal = *cell;
            left = replaced.min(left.min(diagonal).saturating_add(1));
            *cell = left;
            nearest = nearest.min(left);
        }
        if nearest > most {
            return None;
        }
    }
    row.last().copied().filter(|distance| *distance <= most)
}

/// The letter's place in a set of letters; none for what stands in no option's name.
fn bit(letter: char) -> u128 {
    if letter.is_ascii() { 1 << u32::from(letter) } else { 0 }
}
