use core::iter::Peekable;
use core::str::Chars;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{LineError, OptionError};

const VALUE: &str = "a string in quotes, a number, `true` or `false`";
const NEW_TABLE: &str = "a table that does not stand further up";

/// Reads the subset of TOML of [`Options::parse_toml`](super::Options::parse_toml), and hands each name and value to
/// `set` before it looks at the next line. Tables are flattened: the name of a value is its table's name, a dot, and
/// its key.
pub(super) fn read(
    text: &str,
    mut set: impl FnMut(&str, &str) -> Result<(), OptionError>,
) -> Result<(), LineError> {
    let mut table = String::new();
    let mut tables = BTreeSet::new();
    for (line, content) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let mut rest = content.trim().chars().peekable();
        let read = match rest.peek() {
            None | Some('#') => continue,
            Some('[') => header(&mut rest).and_then(|name| {
                table.clone_from(&name);
                let new = tables.insert(name);
                if new { end(&mut rest) } else { Err(OptionError::syntax(NEW_TABLE, &table)) }
            }),
            Some(_) => assignment(&mut rest).and_then(|(key, value)| {
                end(&mut rest)?;
                let name = if table.is_empty() { key } else { [table.as_str(), &key].join(".") };
                set(&name, &value)
            }),
        };
        read.map_err(|error| LineError { line, error })?;
    }
    Ok(())
}

type Rest<'t> = Peekable<Chars<'t>>;

fn header(rest: &mut Rest<'_>) -> Result<String, OptionError> {
    rest.next();
    let name = key(rest)?;
    match rest.next() {
        Some(']') => Ok(name),
        other => Err(unexpected("`]` after the table's name", other, rest)),
    }
}

fn assignment(rest: &mut Rest<'_>) -> Result<(String, String), OptionError> {
    let name = key(rest)?;
    match rest.next() {
        Some('=') => blanks(rest),
        other => return Err(unexpected("`=` after the name", other, rest)),
    }
    let value = match rest.peek() {
        Some(&quote @ ('"' | '\'')) => string(rest, quote)?,
        Some(_) | None => bare(rest)?,
    };
    Ok((name, value))
}

/// A key: parts in quotes or not, with dots between them. Blanks around it are skipped.
fn key(rest: &mut Rest<'_>) -> Result<String, OptionError> {
    let mut name = String::new();
    loop {
        blanks(rest);
        match rest.peek() {
            Some(&quote @ ('"' | '\'')) => name.push_str(&string(rest, quote)?),
            Some(_) | None => {
                let mut empty = true;
                while let Some(letter) =
                    rest.next_if(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
                {
                    name.push(letter);
                    empty = false;
                }
                if empty {
                    let other = rest.next();
                    return Err(unexpected("a name", other, rest));
                }
            }
        }
        blanks(rest);
        if rest.next_if_eq(&'.').is_none() {
            return Ok(name);
        }
        name.push('.');
    }
}

/// A string that ends on the same line.
fn string(rest: &mut Rest<'_>, quote: char) -> Result<String, OptionError> {
    rest.next();
    let mut text = String::new();
    loop {
        match rest.next() {
            Some(letter) if letter == quote => return Ok(text),
            Some('\\') if quote == '"' => match rest.next() {
                Some(letter @ ('"' | '\\')) => text.push(letter),
                Some('t') => text.push('\t'),
                other => return Err(unexpected("`\"`, `\\` or `t` after a backslash", other, rest)),
            },
            Some(letter) if letter == '\t' || !letter.is_control() => text.push(letter),
            other => return Err(unexpected("a closing quote on the same line", other, rest)),
        }
    }
}

/// A number or a truth value. Underscores between digits are dropped, and so is a plus.
fn bare(rest: &mut Rest<'_>) -> Result<String, OptionError> {
    let mut text = String::new();
    while let Some(letter) = rest.next_if(|letter| !letter.is_whitespace() && *letter != '#') {
        text.push(letter);
    }
    if matches!(text.as_str(), "true" | "false") {
        return Ok(text);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let one_spelling = whole == "0" || !whole.starts_with('0');
    if !one_spelling || !only_digits(whole) || !fraction.is_none_or(only_digits) {
        return Err(OptionError::syntax(VALUE, &text));
    }
    Ok(sign.chars().chain(digits.chars().filter(|&letter| letter != '_')).collect())
}

/// Digits, with single underscores between them.
fn only_digits(text: &str) -> bool {
    text.split('_').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn end(rest: &mut Rest<'_>) -> Result<(), OptionError> {
    blanks(rest);
    match rest.next() {
        None | Some('#') => Ok(()),
        other => Err(unexpected("the end of the line", other, rest)),
    }
}

fn blanks(rest: &mut Rest<'_>) {
    while rest.next_if(|letter| matches!(letter, ' ' | '\t')).is_some() {}
}

/// An error that repeats the line from `other` on.
fn unexpected(expected: &'static str, other: Option<char>, rest: &Rest<'_>) -> OptionError {
    let found: Vec<char> = other.into_iter().chain(rest.clone()).take(64).collect();
    if found.is_empty() {
        return OptionError::syntax(expected, "end of line");
    }
    OptionError::Syntax { expected, found: found.into_iter().collect() }
}
