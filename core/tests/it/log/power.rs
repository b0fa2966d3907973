//! Power cuts. A disk has, of each page, what it was at the last flush or at any moment since; some tear even pages. So images
//! of all files are kept from the last flush on; a cut takes each page, or each sector, from one of them, at random. Files
//! that were created since may be missing, and such as were removed may be there again. What was flushed must be there after.

use std::collections::BTreeMap;
use std::path::Path;

use shmkit::layout::{LOG_CONTROL_OFFSET, LogControl};
use shmkit::{ErrorKind, Log, LogOptions, ReadFrom, Reservation};

use super::Random;

const PAGE: usize = 4096;

/// The files of a directory.
type Image = BTreeMap<String, Vec<u8>>;

fn image(directory: &Path) -> Image {
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    std::fs::read_dir(directory).unwrap().map(file).collect()
}

/// What the disk may have: the first image is of the last flush.
fn cut(images: &[Image], random: &mut Random, directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    // A machine that had begun to write everything, or hardly anything, or this and that.
    let newest = [100, 90, 50, 10, 0][random.below(5) as usize];
    let last = images.last().unwrap();
    let unit = [PAGE, 512][random.below(2) as usize];
    let names: std::collections::BTreeSet<&String> = images.iter().flat_map(BTreeMap::keys).collect();
    for name in names {
        // Whether a name came or went since the last flush, and the disk knows of it.
        if !(images[0].contains_key(name) && last.contains_key(name))
            && (random.below(100) < newest) != last.contains_key(name)
        {
            continue;
        }
        // What a file was while it had its name; zeros before.
        let lived = images.iter().filter_map(|image| image.get(name));
        let born = vec![0; lived.clone().next().unwrap().len()];
        let first = if images[0].contains_key(name) { None } else { Some(&born) };
        let versions: Vec<&Vec<u8>> = first.into_iter().chain(lived).collect();
        let mut bytes = born.clone();
        for (index, part) in bytes.chunks_mut(unit).enumerate() {
            let version = match random.below(100) < newest {
                true => versions.len() - 1,
                false => random.below(versions.len() as u64) as usize,
            };
            part.copy_from_slice(&versions[version][index * unit..index * unit + part.len()]);
        }
        std::fs::write(directory.join(name), bytes).unwrap();
    }
}

/// A log, what was appended to it, and how much of that was flushed.
struct Scene {
    log: Log,
    records: Vec<Vec<u8>>,
    flushed: usize,
    images: Vec<Image>,
    reserved: Vec<(Reservation, Vec<u8>)>,
    /// Records that were committed behind an open reservation come later than their turn.
    order: BTreeMap<u64, Vec<u8>>,
    durable: BTreeMap<u64, Vec<u8>>,
}

impl Scene {
    fn step(&mut self, random: &mut Random) {
        let payload = |random: &mut Random| {
            let len = random.below(600) * random.below(4) / 2;
            (0..len).map(|_| random.below(256) as u8).collect::<Vec<u8>>()
        };
        match random.below(20) {
            0 => {
                self.log.flush().unwrap();
                self.durable = self.order.clone();
                self.flushed = self.records.len();
                self.images.clear();
            }
            1 => {
                let bytes = payload(random);
                let reservation = self.log.reserve(9, bytes.len()).unwrap();
                self.reserved.push((reservation, bytes));
            }
            2 if !self.reserved.is_empty() => {
                let (reservation, bytes) = self.reserved.remove(0);
                reservation.bytes().write_at(0, &bytes).unwrap();
                let position = reservation.commit().unwrap();
                self.add(position, bytes);
            }
            3 => {
                let parts: Vec<Vec<u8>> = (0..3).map(|_| payload(random)).collect();
                let batch: Vec<(u32, &[u8])> = parts.iter().map(|part| (9, &part[..])).collect();
                let positions = self.log.append_batch(&batch).unwrap();
                positions.into_iter().zip(parts).for_each(|(position, part)| self.add(position, part));
            }
            _ => {
                let bytes = payload(random);
                let position = self.log.append(9, &bytes).unwrap();
                self.add(position, bytes);
            }
        }
        self.images.push(image(self.log.directory()));
    }

    /// What was flushed and is kept is there, and nothing that was never appended.
    fn expect_flushed(&self, found: &BTreeMap<u64, Vec<u8>>, what: &str) {
        for (position, bytes) in self.durable.range(self.log.start()..) {
            assert_eq!(found.get(position), Some(bytes), "{what}: flushed, at {position}");
        }
        for (position, bytes) in found {
            assert_eq!(self.order.get(position), Some(bytes), "{what}: never appended, at {position}");
        }
    }

    fn add(&mut self, position: u64, bytes: Vec<u8>) {
        self.records.push(bytes.clone());
        self.order.insert(position, bytes);
    }
}

fn read_all(log: &Log) -> BTreeMap<u64, Vec<u8>> {
    let reader = log.reader(ReadFrom::Start).unwrap();
    let mut found = BTreeMap::new();
    for record in reader {
        let record = match record {
            // A segment whose name was lost, before one whose name was not.
            Err(error) if error.kind() == ErrorKind::Missed => continue,
            record => record.unwrap(),
        };
        assert!(found.insert(record.position(), record.to_vec()).is_none());
    }
    found
}

fn play(seed: u64) {
    let mut random = Random(seed);
    let directory = tempfile::tempdir().unwrap();
    let capacity = PAGE as u64 * (1 + random.below(3));
    let retained = [0, 0, 2][random.below(3) as usize];
    let options = LogOptions::new().segment_len(capacity).max_record_len(3000).retain_count(retained);
    let log = options.create(directory.path().join("log")).unwrap();
    let images = vec![image(log.directory())];
    let mut scene = Scene {
        log,
        records: Vec::new(),
        flushed: 0,
        images,
        reserved: Vec::new(),
        order: BTreeMap::new(),
        durable: BTreeMap::new(),
    };
    for _ in 0..random.below(120) {
        scene.step(&mut random);
    }
    for trial in 0..4 {
        let copy = directory.path().join(format!("cut{trial}"));
        cut(&scene.images, &mut random, &copy);
        let torn = image(&copy);
        let log = Log::open(&copy).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        if trial == 0 {
            // The power goes again while the log is made ready: the control object is written when the segments are on the
            // disk.
            let (again, ready) = (directory.path().join("again"), image(&copy));
            let mut between = ready.clone();
            between.insert("control".into(), torn["control"].clone());
            let images = if random.below(2) == 0 { [torn, between] } else { [between, ready] };
            cut(&images, &mut random, &again);
            let log = Log::open(&again).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            scene.expect_flushed(&read_all(&log), &format!("seed {seed}, cut again"));
            let verified = log.verify(|_| ()).unwrap();
            assert_eq!((verified.corruptions, verified.claimed), (0, 0), "seed {seed}, cut again");
        }
        let recovery = log.recovery().expect("the files moved");
        assert_eq!(recovery.end, log.end(), "seed {seed}");
        let found = read_all(&log);
        scene.expect_flushed(&found, &format!("seed {seed}"));
        // The log goes on, and is in order.
        let mut expected = found;
        for number in 0..20u8 {
            let bytes = vec![number; 400];
            expected.insert(log.append(1, &bytes).unwrap(), bytes);
        }
        let verified = log.verify(|_| ()).unwrap();
        assert_eq!((verified.corruptions, verified.claimed), (0, 0), "seed {seed}");
        expected.retain(|position, _| *position >= log.start());
        assert_eq!(read_all(&log), expected, "seed {seed}");
        drop(log);
        let again = Log::open(&copy).unwrap();
        assert_eq!((again.recovery(), read_all(&again)), (None, expected), "seed {seed}");
    }
}

#[test]
fn what_was_flushed_survives_any_power_cut() {
    let rounds = std::env::var("SHMKIT_POWER_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    (0..rounds).for_each(play);
}

#[test]
fn a_torn_tail_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let log = LogOptions::new().segment_len(8192).create(directory.path().join("log")).unwrap();
    log.append(1, b"flushed").unwrap();
    log.flush().unwrap();
    log.append(2, &[7; 2000]).unwrap();
    let position = log.append(3, b"its page survives").unwrap();
    let mut torn = image(log.directory());
    let segment = torn.iter_mut().find(|(name, _)| name.starts_with("segment")).unwrap().1;
    segment[PAGE + 100..PAGE + 300].fill(0);
    let copy = directory.path().join("copy");
    cut(&[torn], &mut Random(1), &copy);
    let log = Log::open(&copy).unwrap();
    let recovery = log.recovery().unwrap();
    assert_eq!((recovery.records, recovery.cuts, recovery.cut_bytes), (1, 1, 2024), "{recovery:?}");
    let status = log.status().unwrap();
    assert_eq!((status.cuts, status.cut_bytes, status.flushed_to), (1, 2024, log.end()));
    let found: Vec<u64> = read_all(&log).into_keys().collect();
    assert_eq!(found, [0, position]);
    let verified = log.verify(|_| ()).unwrap();
    assert_eq!((verified.cuts, verified.cut_bytes, verified.corruptions), (1, 2024, 0));
}

#[test]
fn a_wrong_flushed_position_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = LogOptions::new().segment_len(4096).create(directory.path().join("log")).unwrap();
    let positions: Vec<u64> = (0..20).map(|number| log.append(number, &[1; 500]).unwrap()).collect();
    let whole = image(log.directory());
    let wrong = [0, 8, positions[3], positions[3] + 8, 4096, log.end(), log.end() + 8, 1 << 40, u64::MAX];
    for (number, flushed_to) in wrong.into_iter().enumerate() {
        let mut changed = whole.clone();
        let control = changed.get_mut("control").unwrap();
        let at = control.len() - PAGE + LOG_CONTROL_OFFSET + std::mem::offset_of!(LogControl, flushed_to);
        control[at..at + 8].copy_from_slice(&flushed_to.to_ne_bytes());
        let copy = directory.path().join(format!("copy{number}"));
        cut(&[changed], &mut Random(1), &copy);
        let found: Vec<u64> = read_all(&Log::open(&copy).unwrap()).into_keys().collect();
        assert_eq!(found, positions, "{flushed_to}");
    }
}

#[test]
fn a_segment_without_its_header_keeps_its_records() {
    let directory = tempfile::tempdir().unwrap();
    let log = LogOptions::new().segment_len(8192).create(directory.path().join("log")).unwrap();
    log.append(1, b"good").unwrap();
    let whole = image(log.directory());
    let name = whole.keys().find(|name| name.starts_with("segment")).unwrap().clone();
    let damages: [fn(&mut Vec<u8>); 3] =
        [|file| file[..PAGE].fill(0), |file| file[24] = 1, |file| file.truncate(PAGE + 100)];
    for (number, damage) in damages.into_iter().enumerate() {
        let mut torn = whole.clone();
        damage(torn.get_mut(&name).unwrap());
        let copy = directory.path().join(format!("copy{number}"));
        cut(&[torn], &mut Random(1), &copy);
        let log = Log::open(&copy).unwrap();
        assert_eq!(read_all(&log).into_values().collect::<Vec<_>>(), [b"good"]);
        log.append(2, b"better").unwrap();
        assert_eq!(read_all(&Log::open(&copy).unwrap()).len(), 2);
    }
}

#[test]
fn a_directory_that_is_no_log_is_refused_by_its_own_name() {
    let directory = tempfile::tempdir().unwrap();
    let log = LogOptions::new().segment_len(8192).create(directory.path().join("log")).unwrap();
    log.append(1, &[1; 100]).unwrap();
    let whole = image(log.directory());
    let name = whole.keys().find(|name| name.starts_with("segment")).unwrap().clone();
    let mut number = 0;
    let mut expect = |kind: ErrorKind, change: &dyn Fn(&mut Image)| {
        number += 1;
        let mut changed = whole.clone();
        change(&mut changed);
        let copy = directory.path().join(format!("copy{number}"));
        cut(&[changed], &mut Random(1), &copy);
        let error = Log::open(&copy).unwrap_err();
        assert_eq!(error.kind(), kind, "{number}: {error}");
    };
    expect(ErrorKind::NotFound, &|files| drop(files.remove("control")));
    expect(ErrorKind::Truncated, &|files| files.get_mut("control").unwrap().truncate(5000));
    expect(ErrorKind::BadMagic, &|files| files.get_mut("control").unwrap()[0] = 0);
    expect(ErrorKind::VersionMismatch, &|files| files.get_mut(&name).unwrap()[8] = 9);
    expect(ErrorKind::WrongKind, &|files| {
        let len = files["control"].len();
        files.get_mut("control").unwrap()[len - PAGE] ^= 1;
    });
    expect(ErrorKind::Corrupted, &|files| {
        let len = files["control"].len();
        files.get_mut("control").unwrap()[len - PAGE + 8] ^= 1;
    });
}
