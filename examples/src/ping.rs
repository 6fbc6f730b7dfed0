//! One question and one answer by UDP: the demo's stand-in for ICMP echo, which needs privileges.

use core::net::SocketAddr;
use std::io;
use std::net::UdpSocket;

const QUESTION: &[u8; 8] = b"HA-PING?";
const ANSWER: &[u8; 8] = b"HA-PING!";

/// The length of either, in bytes.
pub const LEN: usize = 16;

/// The question with this number.
#[must_use]
pub fn question(number: u64) -> [u8; LEN] {
    packet(*QUESTION, number)
}

/// The number of the question that `datagram` answers; `None` if it is no answer.
#[must_use]
pub fn answered(datagram: &[u8]) -> Option<u64> {
    number_after(ANSWER, datagram)
}

/// The answer to `datagram`; `None` if it is no question.
///
/// Answers differ from questions, so two responders never keep each other busy.
#[must_use]
pub fn answer(datagram: &[u8]) -> Option<[u8; LEN]> {
    number_after(QUESTION, datagram).map(|number| packet(*ANSWER, number))
}

/// Answers every question that arrives, for ever. For a thread of its own.
pub fn respond(socket: &UdpSocket) -> ! {
    let mut datagram = [0; LEN + 1];
    loop {
        // An error of one datagram, such as the refusal of an earlier answer, says nothing about the next.
        if let Ok((length, from)) = socket.recv_from(&mut datagram)
            && let Some(answer) = answer(&datagram[..length])
        {
            drop(socket.send_to(&answer, from));
        }
    }
}

/// The next answer's number and sender; waits for it.
///
/// # Errors
///
/// Those of the socket.
pub fn next_answer(socket: &UdpSocket) -> io::Result<(u64, SocketAddr)> {
    let mut datagram = [0; LEN + 1];
    loop {
        let (length, from) = socket.recv_from(&mut datagram)?;
        if let Some(number) = answered(&datagram[..length]) {
            return Ok((number, from));
        }
    }
}

fn packet(kind: [u8; 8], number: u64) -> [u8; LEN] {
    let mut packet = [0; LEN];
    packet[..8].copy_from_slice(&kind);
    packet[8..].copy_from_slice(&number.to_le_bytes());
    packet
}

fn number_after(kind: &[u8; 8], datagram: &[u8]) -> Option<u64> {
    datagram.strip_prefix(kind)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_question_is_answered_and_an_answer_never() {
        let asked = question(7);
        let reply = answer(&asked).unwrap();
        assert_eq!(answered(&reply), Some(7));
        assert_eq!(answered(&asked), None);
        assert_eq!(answer(&reply), None);
        assert_eq!(answer(&asked[..LEN - 1]), None);
        assert_eq!(answer(&[asked.as_slice(), &[0]].concat()), None);
        assert_eq!(answer(&[]), None);
    }
}
