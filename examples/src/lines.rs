//! One JSON value a line, over any stream between two processes of one machine.

use std::io::{self, BufRead, BufReader, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest accepted line, in bytes. A complete inventory of 512 virtual machines fits several times.
pub const MAX_LINE: usize = 1 << 20;

/// Writes one value and its line end with one call, so that two writers' lines cannot mix.
///
/// # Errors
///
/// Those of the stream.
pub fn send(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&encode(message)?)
}

/// The bytes of one line.
///
/// # Errors
///
/// `InvalidData` if the value has no JSON form.
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads values, one a line.
#[derive(Debug)]
pub struct Lines<R> {
    stream: BufReader<R>,
}

impl<R: Read> Lines<R> {
    /// Reads from `stream`.
    pub fn new(stream: R) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// The next value; `None` at the stream's end, also if it ends within a line.
    ///
    /// # Errors
    ///
    /// Those of the stream; `InvalidData` for a line that is longer than [`MAX_LINE`] or is not such a value.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = Vec::new();
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        self.stream.by_ref().take(limit).read_until(b'\n', &mut line)?;
        if line.last() == Some(&b'\n') {
            Ok(Some(serde_json::from_slice(&line)?))
        } else if line.len() < MAX_LINE {
            Ok(None)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 1 MiB"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_in_order_and_a_cut_line_is_the_end() {
        let mut stream = Vec::new();
        send(&mut stream, &1).unwrap();
        send(&mut stream, &"two\nlines").unwrap();
        stream.extend_from_slice(b"[3, 3");
        let mut lines = Lines::new(stream.as_slice());
        assert_eq!(lines.receive::<u32>().unwrap(), Some(1));
        assert_eq!(lines.receive::<String>().unwrap().as_deref(), Some("two\nlines"));
        assert_eq!(lines.receive::<Vec<u32>>().unwrap(), None);
    }

    #[test]
    fn a_line_that_is_not_such_a_value_is_an_error() {
        assert!(Lines::new(b"{}\n".as_slice()).receive::<u32>().is_err());
    }

    #[test]
    fn a_line_may_have_max_line_bytes_and_no_more() {
        let line = |bytes: usize| {
            let mut line = vec![b'1'; 1];
            line.resize(bytes - 1, b' ');
            line.push(b'\n');
            line
        };
        assert_eq!(Lines::new(line(MAX_LINE).as_slice()).receive::<u32>().unwrap(), Some(1));
        assert!(Lines::new(line(MAX_LINE + 1).as_slice()).receive::<u32>().is_err());
    }
}
