//! What a value is made of, as a text that all languages can write: Python's `struct` format.
//!
//! Two texts mean the same if they put the same types at the same offsets; the *canonical* text is the same for both:
//! without a prefix, the padding spelt out as `x`, equal types counted, and what only differs in name under one name.

/// The most bytes of a value.
pub(super) const MAX_SIZE: usize = 64 * 1024;
/// The most bytes of a canonical text.
pub(super) const MAX_TEXT: usize = 255;

/// Names of numbers, as Rust calls them.
const NAMES: [(&str, &str); 10] = [
    ("u8", "B"),
    ("i8", "b"),
    ("u16", "H"),
    ("i16", "h"),
    ("u32", "I"),
    ("i32", "i"),
    ("u64", "Q"),
    ("i64", "q"),
    ("f32", "f"),
    ("f64", "d"),
];

/// A parsed format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// The canonical text, without the padding at the end.
    pub text: String,
    /// Bytes.
    pub size: usize,
}

impl Format {
    /// What `text` means for a value of `size` bytes; `None` for as many as the text says, padded as C pads a struct if it
    /// aligns its members as C does.
    pub fn parse(text: &str, size: Option<usize>) -> Result<Format, String> {
        let text = text.trim();
        let text = NAMES.iter().find(|(name, _)| *name == text).map_or(text, |(_, code)| code);
        let (aligned, rest) = byte_order(text)?;
        let mut runs: Vec<(char, usize)> = Vec::new();
        let (mut offset, mut alignment) = (0usize, 1);
        let mut count: Option<usize> = None;
        for code in rest.chars().filter(|code| !code.is_whitespace()) {
            if let Some(digit) = code.to_digit(10) {
                let more = count.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize);
                count = Some(more);
                continue;
            }
            let (code, len) = member(code, aligned).ok_or_else(|| format!("'{code}' is no type"))?;
            let count = count.take().unwrap_or(1);
            if aligned {
                push(&mut runs, 'x', offset.next_multiple_of(len) - offset);
                offset = offset.next_multiple_of(len);
                alignment = alignment.max(len);
            }
            push(&mut runs, code, count);
            offset = offset.saturating_add(len.saturating_mul(count));
            if offset > MAX_SIZE {
                return Err(format!("more than {MAX_SIZE} bytes"));
            }
        }
        if count.is_some() {
            return Err("a count without a type".to_owned());
        }
        let size = size.unwrap_or(offset.next_multiple_of(alignment));
        if offset > size || size == 0 || size > MAX_SIZE {
            return Err(format!("a value of {size} bytes whose format has {offset}"));
        }
        while runs.last().is_some_and(|(code, _)| *code == 'x') {
            runs.pop();
        }
        let write = |(code, count): &(char, usize)| match count {
            1 => code.to_string(),
            count => format!("{count}{code}"),
        };
        let text: String = runs.iter().map(write).collect();
        if text.len() > MAX_TEXT {
            return Err(format!("a format of {} characters", text.len()));
        }
        Ok(Format { text, size })
    }

    /// A number that differs where the text does (FNV-1a).
    pub fn hash(&self) -> u64 {
        self.text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        })
    }
}

/// Whether members are aligned as C aligns them, and what follows the prefix that says so.
fn byte_order(text: &str) -> Result<(bool, &str), String> {
    let foreign = if cfg!(target_endian = "little") { ['>', '!'] } else { ['<', '<'] };
    match text.chars().next() {
        Some('@') => Ok((true, &text[1..])),
        Some(prefix) if foreign.contains(&prefix) => {
            Err(format!("'{prefix}' is not this machine's byte order"))
        }
        Some('=' | '<' | '>' | '!') => Ok((false, &text[1..])),
        _ => Ok((true, text)),
    }
}

/// The canonical name and the bytes of a type.
fn member(code: char, native: bool) -> Option<(char, usize)> {
    Some(match code {
        'x' => ('x', 1),
        'c' | 's' | 'B' => ('B', 1),
        'b' => ('b', 1),
        '?' => ('?', 1),
        'h' => ('h', 2),
        'H' => ('H', 2),
        'e' => ('e', 2),
        'i' => ('i', 4),
        'I' => ('I', 4),
        'f' => ('f', 4),
        'l' if !native => ('i', 4),
        'L' if !native => ('I', 4),
        'l' | 'q' => ('q', 8),
        'L' | 'Q' => ('Q', 8),
        'n' if native => ('q', 8),
        'N' if native => ('Q', 8),
        'd' => ('d', 8),
        _ => return None,
    })
}

fn push(runs: &mut Vec<(char, usize)>, code: char, count: usize) {
    match runs.last_mut() {
        _ if count == 0 => {}
        Some((last, before)) if *last == code => *before = before.saturating_add(count),
        _ => runs.push((code, count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> (String, usize) {
        let format = Format::parse(text, None).unwrap_or_else(|why| panic!("{text}: {why}"));
        (format.text, format.size)
    }

    #[test]
    fn texts_that_mean_the_same_become_the_same() {
        for (texts, text, size) in [
            (&["d", "@d", "=d", " 1d ", "f64"][..], "d", 8),
            (&["I", "u32"], "I", 4),
            (&["dd", "2d", "d d", "d1d"], "2d", 16),
            (&["Id", "@Id", "I4xd", "=I4xd"], "I4xd", 16),
            (&["dI", "dI4x", "@dI0d"], "dI", 16),
            (&["16s", "16B", "16c"], "16B", 16),
            (&["l", "q", "n"], "q", 8),
            (&["=l", "i"], "i", 4),
            (&["bhiq", "=bxhiq"], "bxhiq", 16),
        ] {
            for given in texts {
                assert_eq!(canonical(given), (text.to_owned(), size), "{given}");
            }
        }
        assert_eq!(canonical("=dI").1, 12, "packed: nothing at the end");
        assert_eq!(Format::parse("=dI", Some(16)), Format::parse("dI", None));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "x0d", "3", "d3", "z", "P", ">d", "!i", "=n", "99999999999999999999999d", "65537B", "d@d"]
        {
            let parsed = Format::parse(text, None);
            assert!(parsed.is_err() || text == "x0d", "{text}: {parsed:?}");
        }
        assert!(Format::parse("2d", Some(15)).is_err());
        let long: String = "bB".repeat(200);
        assert!(Format::parse(&long, None).is_err());
    }
}
