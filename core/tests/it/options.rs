//! The space of options: whatever is asked, of whatever object, is mapped as asked or refused with the error that fits, and
//! no mapping and no descriptor stays behind.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::common::{Helper, role, say};
use shmkit::{
    ErrorKind, HugePages, MapOptions, Mapping, MemoryLock, Protection, SYSV_PRIVATE, Seals, Segment, Sharing,
    SysvSegment,
};

const SIZE: usize = 10_000;
const PAGE: usize = 4096;
const CASES: u32 = 1500;

/// What is mapped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Path,
    MissingPath,
    Descriptor,
    Memfd,
    ReadOnlySegment,
    SealedMemfd,
    Sysv,
    Anonymous,
}

#[derive(Clone, Debug)]
struct Asked {
    kind: Kind,
    len: Option<usize>,
    offset: u64,
    protection: Protection,
    private: bool,
    populate: bool,
    no_reserve: bool,
    create: bool,
    grow: bool,
    huge_pages: HugePages,
    lock: Option<MemoryLock>,
    reserve: usize,
    fault_guard: bool,
}

impl Asked {
    fn options(&self) -> MapOptions {
        let mut options = MapOptions::new()
            .offset(self.offset)
            .protection(self.protection)
            .sharing(if self.private { Sharing::Private } else { Sharing::Shared })
            .populate(self.populate)
            .no_reserve(self.no_reserve)
            .create(self.create)
            .grow(self.grow)
            .huge_pages(self.huge_pages)
            .reserve(self.reserve)
            .fault_guard(self.fault_guard);
        if let Some(len) = self.len {
            options = options.len(len);
        }
        self.lock.map_or(options.clone(), |lock| options.lock_memory(lock))
    }

    /// Whether the outcome also depends on what this machine has, or on rules of its own.
    fn is_exotic(&self) -> bool {
        self.huge_pages != HugePages::AsSystem || self.lock.is_some() || self.reserve > 0
    }

    fn needs_writable(&self) -> bool {
        !self.private && self.protection == Protection::ReadWrite || self.create || self.grow
    }

    /// The length that it has when it is mapped, or how it is refused.
    fn expected(&self) -> Result<usize, ErrorKind> {
        match self.kind {
            Kind::Anonymous if self.len.unwrap_or(0) == 0 => Err(ErrorKind::InvalidLength),
            Kind::Anonymous if self.offset != 0 || self.create || self.grow => {
                Err(ErrorKind::InvalidArgument)
            }
            Kind::Anonymous => Ok(self.len.unwrap_or(0)),
            Kind::Sysv if self.len.unwrap_or(SIZE) > SIZE => Err(ErrorKind::OutOfRange),
            Kind::Sysv
                if self.len.unwrap_or(SIZE) != SIZE
                    || self.offset != 0
                    || self.create
                    || self.grow
                    || self.private =>
            {
                Err(ErrorKind::InvalidArgument)
            }
            Kind::Sysv => Ok(SIZE),
            _ => self.expected_of_file(),
        }
    }

    fn expected_of_file(&self) -> Result<usize, ErrorKind> {
        let size = if self.kind == Kind::MissingPath { 0 } else { SIZE };
        let refused_writing = matches!(self.kind, Kind::ReadOnlySegment | Kind::SealedMemfd);
        if self.len == Some(0) || self.offset.checked_add(self.len.unwrap_or(0) as u64).is_none() {
            return Err(ErrorKind::InvalidLength);
        }
        if (self.create || self.grow) && self.len.is_none() {
            return Err(ErrorKind::InvalidArgument);
        }
        if self.kind == Kind::MissingPath && !self.create {
            return Err(ErrorKind::NotFound);
        }
        if refused_writing && self.needs_writable() {
            return Err(ErrorKind::ReadOnly);
        }
        let len = self.len.unwrap_or(size.saturating_sub(self.offset as usize));
        if len == 0 {
            return Err(ErrorKind::InvalidLength);
        }
        if self.offset as usize + len > size && !(self.create || self.grow) {
            return Err(ErrorKind::OutOfRange);
        }
        Ok(len)
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let kind = prop::sample::select(vec![
        Kind::Path,
        Kind::MissingPath,
        Kind::Descriptor,
        Kind::Memfd,
        Kind::ReadOnlySegment,
        Kind::SealedMemfd,
        Kind::Sysv,
        Kind::Anonymous,
    ]);
    let len =
        prop::option::weighted(0.7, prop::sample::select(vec![0, 1, 100, 4096, 5000, SIZE, 12_288, 20_000]));
    let offset = prop::sample::select(vec![0, 0, 0, 1, 4096, 9999, SIZE as u64, 30_000]);
    let protection = prop::sample::select(vec![
        Protection::None,
        Protection::Read,
        Protection::ReadWrite,
        Protection::ReadWrite,
    ]);
    let rarely = || prop::bool::weighted(0.2);
    let huge_pages = prop_oneof![
        8 => Just(HugePages::AsSystem),
        1 => Just(HugePages::Transparent),
        1 => Just(HugePages::Never),
        1 => Just(HugePages::Reserved),
        1 => Just(HugePages::Reserved2Mib),
    ];
    let lock =
        prop_oneof![8 => Just(None), 1 => Just(Some(MemoryLock::Now)), 1 => Just(Some(MemoryLock::OnFault))];
    let reserve = prop_oneof![8 => Just(0usize), 1 => Just(1), 1 => Just(1 << 20)];
    let flags = (any::<bool>(), rarely(), rarely(), rarely(), rarely(), any::<bool>());
    (kind, len, offset, protection, flags, huge_pages, lock, reserve).prop_map(
        |(kind, len, offset, protection, flags, huge_pages, lock, reserve)| {
            let (private, populate, no_reserve, create, grow, fault_guard) = flags;
            Asked {
                kind,
                len,
                offset,
                protection,
                private,
                populate,
                no_reserve,
                create,
                grow,
                huge_pages,
                lock,
                reserve,
                fault_guard,
            }
        },
    )
}

/// What the bytes of every object are at first.
fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

/// An object with its bytes, and the mapping that was asked of it.
struct Object {
    path: std::path::PathBuf,
    segment: Option<Segment>,
    sysv: Option<SysvSegment>,
}

impl Object {
    fn new(directory: &std::path::Path, asked: &Asked) -> Object {
        let path = directory.join("options-file");
        let _ = std::fs::remove_file(&path);
        let bytes: Vec<u8> = (0..SIZE).map(pattern).collect();
        let writable = MapOptions::new().protection(Protection::ReadWrite);
        let mut object = Object { path, segment: None, sysv: None };
        match asked.kind {
            Kind::MissingPath | Kind::Anonymous => {}
            Kind::Path | Kind::Descriptor | Kind::ReadOnlySegment => {
                std::fs::write(&object.path, bytes).unwrap();
                if asked.kind == Kind::ReadOnlySegment {
                    object.segment = Some(Segment::open_read_only(object.path.as_path()).unwrap());
                }
            }
            Kind::Memfd | Kind::SealedMemfd => {
                let segment = Segment::memfd("options", SIZE as u64).unwrap();
                writable.map_segment(&segment).unwrap().write_at(0, &bytes).unwrap();
                if asked.kind == Kind::SealedMemfd {
                    segment.seal(Seals::WRITE).unwrap();
                }
                object.segment = Some(segment);
            }
            Kind::Sysv => {
                let segment = SysvSegment::create(SYSV_PRIVATE, SIZE).unwrap();
                writable.map_sysv(&segment).unwrap().write_at(0, &bytes).unwrap();
                object.sysv = Some(segment);
            }
        }
        object
    }

    fn map(&self, options: &MapOptions, kind: Kind) -> shmkit::Result<Mapping> {
        match (kind, &self.segment, &self.sysv) {
            (_, Some(segment), _) => options.map_segment(segment),
            (_, _, Some(segment)) => options.map_sysv(segment),
            (Kind::Anonymous, ..) => options.map_anonymous(),
            (Kind::Descriptor, ..) => {
                let file = std::fs::File::options().read(true).write(true).open(&self.path).unwrap();
                options.map_file(&file)
            }
            _ => options.map_path(&self.path),
        }
    }

    /// A byte of the object itself, seen through a mapping of its own.
    fn byte(&self, kind: Kind, at: usize) -> Option<u8> {
        let mapping = match kind {
            Kind::Anonymous => return None,
            _ => self.map(&MapOptions::new(), kind).unwrap(),
        };
        let mut byte = [0];
        mapping.read_at(at, &mut byte).unwrap();
        Some(byte[0])
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if let Some(sysv) = &self.sysv {
            sysv.remove().unwrap();
        }
    }
}

/// Descriptors, and mappings of what this test maps; apart, address space that is only kept.
fn possessions() -> (usize, usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ours = |line: &&str| ["options", "/memfd:", "/SYSV"].iter().any(|name| line.contains(name));
    let mapped = maps.lines().filter(|line| line.split_whitespace().count() > 5).filter(ours).count();
    let kept =
        maps.lines().filter(|line| line.split_whitespace().count() == 5 && line.contains("---p")).count();
    (std::fs::read_dir("/proc/self/fd").unwrap().count(), mapped, kept)
}

fn check(asked: &Asked, directory: &std::path::Path) -> Result<(), TestCaseError> {
    let before = possessions();
    let object = Object::new(directory, asked);
    match (object.map(&asked.options(), asked.kind), asked.expected()) {
        (Ok(mapping), Ok(len)) => check_mapping(&mapping, len, asked, &object)?,
        (Ok(_), Err(kind)) => prop_assert!(false, "mapped, but {kind:?} was expected"),
        (Err(error), Err(kind)) if error.kind() == kind => {}
        (Err(error), expected) => {
            let honest = [
                ErrorKind::InvalidLength,
                ErrorKind::InvalidArgument,
                ErrorKind::OutOfRange,
                ErrorKind::OutOfMemory,
                ErrorKind::Unsupported,
                ErrorKind::PermissionDenied,
                ErrorKind::NoSpace,
            ];
            prop_assert!(
                asked.is_exotic() && honest.contains(&error.kind()),
                "{error}, but {expected:?} was expected"
            );
        }
    }
    drop(object);
    prop_assert_eq!(possessions(), before, "descriptors, mappings, kept addresses");
    Ok(())
}

fn check_mapping(mapping: &Mapping, len: usize, asked: &Asked, object: &Object) -> Result<(), TestCaseError> {
    prop_assert_eq!(mapping.len(), len);
    let anonymous = asked.kind == Kind::Anonymous;
    let protection = match asked.protection {
        Protection::Read if anonymous => Protection::ReadWrite,
        protection => protection,
    };
    let offset = asked.offset as usize;
    let mut byte = [0];
    let read = mapping.read_at(len - 1, &mut byte).map(|()| byte[0]);
    let at = offset + len - 1;
    let holds = if anonymous || asked.kind == Kind::MissingPath || at >= SIZE { 0 } else { pattern(at) };
    match protection {
        Protection::None => prop_assert_eq!(read.unwrap_err().kind(), ErrorKind::PermissionDenied),
        _ => prop_assert_eq!(read.unwrap(), holds),
    }
    let written = mapping.write_at(len - 1, &[0xfe]);
    if protection == Protection::ReadWrite {
        written.unwrap();
        let seen = if asked.private { holds } else { 0xfe };
        prop_assert!(object.byte(asked.kind, at).is_none_or(|byte| byte == seen), "who sees the store");
    } else {
        prop_assert_eq!(written.unwrap_err().kind(), ErrorKind::ReadOnly);
    }
    check_extras(mapping, len, asked)?;
    check_growth(mapping, len, asked)
}

/// The guard watches what can be cut, a lock holds the pages, and no huge page is where none is wanted.
fn check_extras(mapping: &Mapping, len: usize, asked: &Asked) -> Result<(), TestCaseError> {
    let is_file = !matches!(asked.kind, Kind::Anonymous | Kind::Sysv);
    prop_assert_eq!(mapping.is_guarded(), asked.fault_guard && is_file, "guard");
    prop_assert!(mapping.check().is_ok());
    let memory = mapping.memory_use().unwrap();
    let pages = len.next_multiple_of(PAGE) as u64;
    match asked.lock {
        Some(MemoryLock::Now) if asked.protection != Protection::None => {
            prop_assert!(memory.locked >= pages, "{memory:?}");
        }
        None => prop_assert_eq!(memory.locked, 0),
        _ => {}
    }
    prop_assert!(mapping.page_size() == PAGE || asked.huge_pages != HugePages::AsSystem);
    Ok(())
}

/// What was reserved can be used, without a move, as far as the object reaches or may grow.
fn check_growth(mapping: &Mapping, len: usize, asked: &Asked) -> Result<(), TestCaseError> {
    let capacity = mapping.capacity();
    prop_assert!(capacity >= asked.reserve.max(len), "{capacity}");
    let wanted = (len + 5000).min(capacity);
    let (end, base) = (asked.offset as usize + wanted, mapping.as_ptr());
    let reaches = match asked.kind {
        Kind::Anonymous => true,
        Kind::MissingPath => end <= asked.offset as usize + len,
        _ => end <= SIZE,
    };
    match mapping.resize(wanted) {
        Ok(()) => {
            prop_assert!(reaches || asked.create || asked.grow, "beyond the end");
            prop_assert_eq!((mapping.len(), mapping.as_ptr()), (wanted, base));
            let read = mapping.read_at(wanted - 1, &mut [0]);
            prop_assert_eq!(read.is_ok(), asked.protection != Protection::None);
        }
        Err(error) => {
            prop_assert_eq!(error.kind(), ErrorKind::OutOfRange, "{}", error);
            prop_assert!(!reaches && !asked.create && !asked.grow);
            prop_assert_eq!(mapping.len(), len);
        }
    }
    prop_assert_eq!(mapping.resize(capacity + 1).unwrap_err().kind(), ErrorKind::LimitExceeded);
    Ok(())
}

#[test]
fn any_options_map_as_asked_or_are_refused_and_leave_nothing() {
    // In a process of its own: other tests open and map as well.
    if role().is_some() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        TestRunner::new(config).run(&asked(), |asked| check(&asked, directory.path())).unwrap();
        say("done");
        return;
    }
    let mut helper = Helper::start(any_options_map_as_asked_or_are_refused_and_leave_nothing, &["options"]);
    helper.expect("done");
    helper.finish();
}
