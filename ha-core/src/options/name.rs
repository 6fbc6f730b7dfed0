//! From the name that was given to the option that is meant.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{OptionError, cut};
use super::spec::{Layer, OptionSpec};
use super::table::OPTIONS;

const CLUSTER_WIDE: &str = "das.config.fdm.";
const ON_A_HOST: &str = "fdm.";

/// The option that `found` names, and its canonical name, with its number.
pub(super) fn resolve(found: &str) -> Result<(&'static OptionSpec, String), OptionError> {
    let key = key(found);
    let (stem, number) = numbered(&key);
    for spec in OPTIONS {
        let own = self::key(spec.name);
        let name = if own == key && spec.numbered.accepts(None) {
            String::from(spec.name)
        } else if let Some(number) =
            number.filter(|&number| own == stem && spec.numbered.accepts(Some(number)))
        {
            format!("{}{number}", spec.name)
        } else {
            continue;
        };
        if spec.layer == Layer::Host && found.to_ascii_lowercase().starts_with(CLUSTER_WIDE) {
            return Err(OptionError::HostOnly { found: cut(found), name: spec.name });
        }
        return Ok((spec, name));
    }
    Err(OptionError::Unknown { found: cut(found), nearest: nearest(&cut(found)) })
}

/// One spelling for all that mean the same: lower case, and `fdm.x` for `das.config.fdm.x`.
fn key(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    match lower.strip_prefix(CLUSTER_WIDE) {
        Some(rest) => format!("{ON_A_HOST}{rest}"),
        None => lower,
    }
}

/// A name and the number at its end, if that is written in the one accepted way.
fn numbered(key: &str) -> (&str, Option<u8>) {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = key.get(stem.len()..).unwrap_or_default();
    let one_spelling = digits == "0" || !digits.starts_with('0');
    (stem, digits.parse().ok().filter(|_| one_spelling))
}

/// The option spelt most like `found`, if a third of the letters or fewer (but always two) have to change.
fn nearest(found: &str) -> Option<&'static OptionSpec> {
    let lower = found.to_ascii_lowercase();
    let short = key(found);
    let (stem, _) = numbered(&short);
    let distance = |spec: &OptionSpec| {
        let own = spec.name.to_ascii_lowercase();
        // A name without its beginning, such as `hostTimeout`, is meant as the end of one.
        let end = match own.rsplit_once('.') {
            Some((_, end)) if !short.contains('.') => edits(stem, end),
            Some(_) | None => usize::MAX,
        };
        edits(&lower, &own).min(edits(stem, &key(&own))).min(end)
    };
    let (spec, edits) =
        OPTIONS.iter().map(|spec| (spec, distance(spec))).min_by_key(|&(_, distance)| distance)?;
    (edits <= (stem.chars().count() / 3).max(2)).then_some(spec)
}

/// The Levenshtein distance: letters to insert, remove or replace.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // `row[i]` is the distance from what was read of `from` so far to the first i letters of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (read, letter) in from.chars().enumerate() {
        let mut left = read.saturating_add(1);
        let mut diagonal = read;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, &other) in row.iter_mut().skip(1).zip(&to) {
            let replaced = diagonal.saturating_add(usize::from(letter != other));
            diagonal = *cell;
            left = replaced.min(left.min(diagonal).saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}
