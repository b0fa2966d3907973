//! Values: whole for every reader, and whole after every death.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::common::{Forked, Name};
use shmkit::{ErrorKind, Region, RegionOptions, ValueType};

fn region(name: &Name) -> Region {
    RegionOptions::new().arena_len(1 << 20).create(&**name, 64).unwrap()
}

fn kind<T>(result: Result<T, shmkit::Error>) -> ErrorKind {
    result.err().expect("an error").kind()
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
struct Reading {
    value: f64,
    count: u32,
    flags: [u8; 4],
}

impl ValueType for Reading {
    fn format() -> String {
        "dI4B".to_owned()
    }
}

#[test]
fn numbers_and_structs_are_what_was_stored() {
    let name = Name::new("value");
    let region = region(&name);
    let number = region.value("f64", 1.5f64).unwrap();
    assert_eq!(number.load().unwrap(), 1.5);
    number.store(2.5).unwrap();
    assert_eq!(number.update(|now| now * 2.0).unwrap(), 5.0);
    assert_eq!(region.value("f64", 0f64).unwrap().load().unwrap(), 5.0);
    let small = region.value("i16", -7i16).unwrap();
    assert_eq!(small.update(|now| now - 1).unwrap(), -8);
    let first = Reading { value: 0.5, count: 1, flags: *b"abcd" };
    let reading = region.value("reading", first).unwrap();
    let (seen, version) = reading.load_versioned().unwrap();
    assert_eq!(seen, first);
    let second = Reading { count: 2, ..first };
    assert!(reading.store_if(version, second).unwrap());
    assert!(!reading.store_if(version, first).unwrap(), "it is another by now");
    assert_eq!(reading.load().unwrap(), second);
    let table = region.value("table", [7u64; 100]).unwrap();
    table.store([8; 100]).unwrap();
    assert_eq!(table.load().unwrap(), [8; 100]);
    reading.close().unwrap();
    assert_eq!(kind(reading.load()), ErrorKind::Closed);
    assert_eq!(kind(reading.store(first)), ErrorKind::Closed);
}

#[test]
fn values_of_every_length_are_whole() {
    let name = Name::new("value-lengths");
    let region = Region::create(&*name, 64).unwrap();
    for len in (1..20).chain([127, 128, 129, 1000]) {
        let bytes: Vec<u8> = (1..=len).map(|byte| byte as u8).collect();
        let value = region.value_bytes(&format!("v{len}"), len, None, &bytes).unwrap();
        let mut seen = vec![0; len];
        let version = value.load(&mut seen).unwrap();
        assert_eq!(seen, bytes);
        let other: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        assert!(value.try_store(&other).unwrap());
        value.load(&mut seen).unwrap();
        assert_eq!(seen, other);
        assert!(!value.store_if(version, &bytes).unwrap(), "it is another one");
        value.store(&bytes).unwrap();
        value.load(&mut seen).unwrap();
        assert_eq!(seen, bytes);
    }
}

#[test]
fn the_types_must_be_the_same() {
    let name = Name::new("value-types");
    let region = region(&name);
    region.value("v", 1u32).unwrap();
    assert_eq!(kind(region.value("v", 1i32)), ErrorKind::ParameterMismatch);
    assert_eq!(kind(region.value("v", 1u64)), ErrorKind::ParameterMismatch);
    assert_eq!(kind(region.atomic_u32("v", 1)), ErrorKind::WrongKind);
    region.value("v", 1u32).unwrap();
    let reading = Reading { value: 0.5, count: 1, flags: *b"abcd" };
    region.value("r", reading).unwrap();
    for (size, format, expected) in [
        (16, Some("dI4B"), None),
        (0, Some("=dI4s"), None),
        (16, Some("dI"), Some(ErrorKind::ParameterMismatch)),
        (16, Some("dIf"), Some(ErrorKind::ParameterMismatch)),
        (16, Some("dz"), Some(ErrorKind::InvalidArgument)),
        (15, Some("dI4B"), Some(ErrorKind::InvalidArgument)),
        (16, None, None),
        (0, None, None),
        (15, None, Some(ErrorKind::ParameterMismatch)),
    ] {
        let opened = region.value_bytes("r", size, format, &[]);
        match expected {
            Some(expected) => assert_eq!(kind(opened), expected, "{size} {format:?}"),
            None => assert_eq!((opened.as_ref().unwrap().size(), opened.unwrap().format()), (16, "dI4B")),
        }
    }
    let bytes = region.value_bytes("r", 0, None, &[]).unwrap();
    assert_eq!(kind(bytes.load(&mut [0; 15])), ErrorKind::InvalidLength);
    assert_eq!(kind(bytes.store(&[0; 17])), ErrorKind::InvalidLength);
    assert_eq!(kind(region.value_bytes("none", 0, None, &[])), ErrorKind::NotFound);
    assert_eq!(region.value_bytes("raw", 3, None, b"abc").unwrap().format(), "");
    assert_eq!(kind(region.value_bytes("new", 3, None, b"ab")), ErrorKind::InvalidArgument);
}

/// A value whose words all say the same, or it is torn.
type Wide = [u64; 24];

#[test]
fn nobody_sees_a_half_and_no_update_is_lost() {
    const UPDATES: u64 = 3000;
    let name = Name::new("value-torn");
    let region = region(&name);
    let value = region.value::<Wide>("wide", [0; 24]).unwrap();
    let update = |count: u64| {
        let region = Region::open(&*name).unwrap();
        let value = region.value::<Wide>("wide", [0; 24]).unwrap();
        for _ in 0..count {
            value.update(|now| now.map(|word| word + 1)).unwrap();
        }
    };
    let child = Forked::run(|| update(UPDATES));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while !done.load(SeqCst) {
                let now = value.load().unwrap();
                assert!(now.iter().all(|word| *word == now[0]), "torn: {now:?}");
                assert!(now[0] >= last, "back in time");
                last = now[0];
            }
        });
        update(UPDATES);
        assert!(child.wait().success());
        done.store(true, SeqCst);
        reader.join().unwrap();
    });
    assert_eq!(value.load().unwrap(), [2 * UPDATES; 24]);
}

#[test]
fn a_killed_writer_leaves_a_whole_value() {
    let name = Name::new("value-killed");
    let region = region(&name);
    let value = region.value::<Wide>("wide", [0; 24]).unwrap();
    let mut seen = 0;
    for _ in 0..60 {
        let writer = Forked::run(|| {
            let region = Region::open(&*name).unwrap();
            let value = region.value::<Wide>("wide", [0; 24]).unwrap();
            loop {
                value.update(|now| now.map(|word| word + 1)).unwrap();
            }
        });
        while value.load().unwrap()[0] == seen {
            std::thread::yield_now();
        }
        writer.kill();
        let now = value.load().unwrap();
        assert!(now.iter().all(|word| *word == now[0]), "torn: {now:?}");
        seen = value.update(|now| now.map(|word| word + 1)).unwrap()[0];
        assert_eq!(seen, now[0] + 1, "the next writer goes on");
    }
}
