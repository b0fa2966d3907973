//! The runner's operations on values.

use shmkit::{Region, Value, ValueType};

use crate::{Command, Outcome, done, refuse};

/// What commands call `sample`: a struct of two kinds of numbers.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Sample {
    kind: u32,
    count: u32,
    position: [f64; 3],
}

impl ValueType for Sample {
    fn format() -> String {
        "2I3d".to_owned()
    }
}

/// A value as the numbers that commands name.
trait Numbers: ValueType {
    fn of(numbers: &[f64]) -> Option<Self>;
    fn numbers(&self) -> Vec<f64>;
}

impl Numbers for u64 {
    fn of(numbers: &[f64]) -> Option<u64> {
        matches!(numbers, [_]).then(|| numbers[0] as u64)
    }
    fn numbers(&self) -> Vec<f64> {
        vec![*self as f64]
    }
}

impl Numbers for f64 {
    fn of(numbers: &[f64]) -> Option<f64> {
        matches!(numbers, [_]).then(|| numbers[0])
    }
    fn numbers(&self) -> Vec<f64> {
        vec![*self]
    }
}

impl Numbers for [u16; 3] {
    fn of(numbers: &[f64]) -> Option<[u16; 3]> {
        numbers.try_into().ok().map(|numbers: [f64; 3]| numbers.map(|number| number as u16))
    }
    fn numbers(&self) -> Vec<f64> {
        self.iter().map(|number| f64::from(*number)).collect()
    }
}

impl Numbers for Sample {
    fn of(numbers: &[f64]) -> Option<Sample> {
        let &[kind, count, x, y, z] = numbers else { return None };
        Some(Sample { kind: kind as u32, count: count as u32, position: [x, y, z] })
    }
    fn numbers(&self) -> Vec<f64> {
        let [x, y, z] = self.position;
        vec![f64::from(self.kind), f64::from(self.count), x, y, z]
    }
}

/// A value of one of the types that commands know.
pub enum AnyValue {
    U64(Value<u64>),
    F64(Value<f64>),
    Shorts(Value<[u16; 3]>),
    Sample(Value<Sample>),
}

impl AnyValue {
    /// Opens the value that the command names, or creates it.
    pub fn open(region: &Region, name: &str, command: &Command) -> Outcome<AnyValue> {
        match command.text("type")? {
            "u64" => Ok(AnyValue::U64(region.value(name, initial(command, 1)?)?)),
            "f64" => Ok(AnyValue::F64(region.value(name, initial(command, 1)?)?)),
            "shorts" => Ok(AnyValue::Shorts(region.value(name, initial(command, 3)?)?)),
            "sample" => Ok(AnyValue::Sample(region.value(name, initial(command, 5)?)?)),
            other => refuse(format!("type={other}")),
        }
    }

    /// Does what the command says with this value.
    pub fn run(&self, command: &Command) -> Outcome<String> {
        match self {
            AnyValue::U64(value) => run(value, command),
            AnyValue::F64(value) => run(value, command),
            AnyValue::Shorts(value) => run(value, command),
            AnyValue::Sample(value) => run(value, command),
        }
    }

    pub fn close(&self) -> shmkit::Result<()> {
        match self {
            AnyValue::U64(value) => value.close(),
            AnyValue::F64(value) => value.close(),
            AnyValue::Shorts(value) => value.close(),
            AnyValue::Sample(value) => value.close(),
        }
    }
}

fn initial<T: Numbers>(command: &Command, count: usize) -> Outcome<T> {
    if command.optional("initial").is_some() {
        return number_list(command, "initial");
    }
    T::of(&vec![0.0; count]).map_or_else(|| refuse("no such type"), Ok)
}

fn number_list<T: Numbers>(command: &Command, key: &str) -> Outcome<T> {
    let text = command.text(key)?;
    let numbers: Option<Vec<f64>> = text.split(',').map(|number| number.parse().ok()).collect();
    numbers.and_then(|numbers| T::of(&numbers)).map_or_else(|| refuse(format!("{key}={text}")), Ok)
}

fn run<T: Numbers>(value: &Value<T>, command: &Command) -> Outcome<String> {
    match command.op.as_str() {
        "value_load" => {
            let numbers: Vec<String> = value.load()?.numbers().iter().map(f64::to_string).collect();
            Ok(format!(" value={}", numbers.join(",")))
        }
        "value_store" => done(value.store(number_list(command, "value")?)),
        "value_count" => {
            for _ in 0..command.number("count")? {
                let numbers = value.update(one_more)?.numbers();
                if numbers.iter().any(|number| *number != numbers[0]) {
                    return refuse("halves of two values");
                }
            }
            Ok(String::new())
        }
        "value_format" => Ok(format!(" format={} size={}", value.bytes().format(), value.bytes().size())),
        _ => refuse(format!("unknown operation {}", command.op)),
    }
}

/// The value with each of its numbers one higher.
fn one_more<T: Numbers>(value: T) -> T {
    let numbers: Vec<f64> = value.numbers().iter().map(|number| number + 1.0).collect();
    T::of(&numbers).unwrap_or(value)
}
