//! What the runner's lines look like: commands are taken apart here, answers put together.

use std::collections::HashMap;
use std::path::Path;

use shmkit::{Advice, Error, Location, Protection, Sharing};

/// Why a command has no result.
pub enum Failure {
    /// The library refused: that is an answer.
    Library(Error),
    /// The command makes no sense: a defect of whoever sent it.
    Command(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Library(error)
    }
}

pub fn refuse<T>(text: impl Into<String>) -> Outcome<T> {
    Err(Failure::Command(text.into()))
}

pub type Outcome<T> = Result<T, Failure>;

/// One command: its name and its arguments.
pub struct Command {
    pub op: String,
    arguments: HashMap<String, String>,
}

impl Command {
    pub fn parse(line: &str) -> Outcome<Command> {
        let mut words = line.split_ascii_whitespace();
        let op = words.next().unwrap_or_default().to_owned();
        let mut arguments = HashMap::new();
        for word in words {
            let Some((key, value)) = word.split_once('=') else { return refuse(format!("no = in {word}")) };
            arguments.insert(key.to_owned(), decode(value)?);
        }
        Ok(Command { op, arguments })
    }

    pub fn text(&self, key: &str) -> Outcome<&str> {
        self.optional(key).map_or_else(|| refuse(format!("{} needs {key}", self.op)), Ok)
    }

    pub fn optional(&self, key: &str) -> Option<&str> {
        self.arguments.get(key).map(String::as_str)
    }

    pub fn flag(&self, key: &str) -> bool {
        self.optional(key) == Some("1")
    }

    pub fn number(&self, key: &str) -> Outcome<u64> {
        let text = self.text(key)?;
        text.parse().or_else(|_| refuse(format!("{key}={text} is no number")))
    }

    pub fn optional_number(&self, key: &str) -> Outcome<Option<u64>> {
        self.optional(key).map(|_| self.number(key)).transpose()
    }

    pub fn bytes(&self, key: &str) -> Outcome<Vec<u8>> {
        let text = self.text(key)?;
        let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
        bytes.map_or_else(|| refuse(format!("{key} is not hexadecimal")), Ok)
    }

    pub fn location(&self) -> Outcome<Location> {
        let name = self.text("name")?;
        Ok(if self.flag("path") { Path::new(name).into() } else { name.into() })
    }

    pub fn protection(&self) -> Outcome<Protection> {
        match self.optional("protection").unwrap_or("read") {
            "none" => Ok(Protection::None),
            "read" => Ok(Protection::Read),
            "read_write" => Ok(Protection::ReadWrite),
            other => refuse(format!("protection={other}")),
        }
    }

    pub fn sharing(&self) -> Outcome<Sharing> {
        match self.optional("sharing").unwrap_or("shared") {
            "shared" => Ok(Sharing::Shared),
            "private" => Ok(Sharing::Private),
            other => refuse(format!("sharing={other}")),
        }
    }

    pub fn advice(&self, key: &str) -> Outcome<Advice> {
        match self.text(key)? {
            "normal" => Ok(Advice::Normal),
            "random" => Ok(Advice::Random),
            "sequential" => Ok(Advice::Sequential),
            "will_need" => Ok(Advice::WillNeed),
            "dont_need" => Ok(Advice::DontNeed),
            other => refuse(format!("{key}={other}")),
        }
    }
}

/// The answer of a command that yields nothing.
pub fn done(result: shmkit::Result<()>) -> Outcome<String> {
    Ok(result.map(|()| String::new())?)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn decode(text: &str) -> Outcome<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten();
        let value = escaped.and_then(|pair| std::str::from_utf8(pair).ok());
        match value.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None if *first == b'%' => return refuse(format!("a broken escape in {text}")),
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).or_else(|_| refuse(format!("{text} is not UTF-8")))
}
