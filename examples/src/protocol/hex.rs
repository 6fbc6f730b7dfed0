//! Bytes as hexadecimal digits, for `#[serde(with = "hex")]`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes two digits a byte.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<B: AsRef<[u8]>, S: Serializer>(bytes: &B, serializer: S) -> Result<S::Ok, S::Error> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.as_ref().len() * 2);
    for byte in bytes.as_ref() {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    serializer.serialize_str(&text)
}

/// Reads two digits a byte.
///
/// # Errors
///
/// Those of the deserializer; any text that is not an even number of hexadecimal digits.
pub fn deserialize<'de, B: From<Vec<u8>>, D: Deserializer<'de>>(deserializer: D) -> Result<B, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = bytes_of(&text).ok_or_else(|| D::Error::custom("expected pairs of hexadecimal digits"))?;
    Ok(B::from(bytes))
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::bytes_of;

    #[test]
    fn only_pairs_of_digits_are_bytes() {
        assert_eq!(bytes_of("00ffA5"), Some(vec![0, 255, 0xa5]));
        assert_eq!(bytes_of(""), Some(vec![]));
        assert_eq!(bytes_of("0"), None);
        assert_eq!(bytes_of("+1"), None);
        assert_eq!(bytes_of("0é"), None);
    }
}
