//! Bytes as `hexdump -C` prints them.
//!
//! ```text
//! 00000000  45 00 00 54 6c 0a 40 00  40 01 4b 58 c0 a8 01 64  |E..Tl.@.@.KX...d|
//! 00000010  08 08 08 08                                       |....|
//! 00000014
//! ```

use std::fmt::Write;

const BYTES_A_LINE: usize = 16;

/// Offset, bytes in hexadecimal and as ASCII, sixteen a line, then the total length.
///
/// Every line ends with a line feed; nothing is left out and equal lines are not folded. Empty
/// for no bytes.
pub fn hexdump(bytes: &[u8]) -> String {
    let lines = bytes.len().div_ceil(BYTES_A_LINE);
    let mut text = String::with_capacity((lines + 1) * 79);
    for (number, line) in bytes.chunks(BYTES_A_LINE).enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{:08x} ", number * BYTES_A_LINE);
        for place in 0..BYTES_A_LINE {
            if place == BYTES_A_LINE / 2 {
                text.push(' ');
            }
            let _ = match line.get(place) {
                Some(byte) => write!(text, " {byte:02x}"),
                None => write!(text, "   "),
            };
        }
        text.push_str("  |");
        let printable = |&byte: &u8| byte == b' ' || byte.is_ascii_graphic();
        text.extend(line.iter().map(|byte| {
            if printable(byte) {
                char::from(*byte)
            } else {
                '.'
            }
        }));
        text.push_str("|\n");
    }
    if !bytes.is_empty() {
        let _ = writeln!(text, "{:08x}", bytes.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::hexdump;

    #[test]
    fn looks_like_hexdump_c() {
        let bytes: Vec<u8> = (b'0'..b'0' + 20).collect();
        assert_eq!(
            hexdump(&bytes),
            "00000000  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|\n\
             00000010  40 41 42 43                                       |@ABC|\n\
             00000014\n"
        );
        assert_eq!(hexdump(&[]), "");
    }
}
