//! `docs/format.md` says what the code does: each field stands there with its offset and size.

use std::mem::offset_of;

use shmkit::layout::*;

const PAGE: &str = include_str!("../../../docs/format.md");

/// The part of the page under a heading that begins so.
fn section(heading: &str) -> &'static str {
    let start = PAGE.find(heading).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let rest = &PAGE[start + heading.len()..];
    &rest[..rest.find("\n#").unwrap_or(rest.len())]
}

/// The row of a field: its first cells are offset, bytes and name.
fn expect_row(heading: &str, offset: usize, bytes: usize, field: &str) {
    let row = format!("| {offset} | {bytes} | `{field}` |");
    assert!(section(heading).contains(&row), "{heading:?} lacks the row {row}");
}

macro_rules! expect_fields {
    ($heading:expr, $base:expr, $struct:ty, $($field:ident: $bytes:expr),* $(,)?) => {
        $(expect_row($heading, $base + offset_of!($struct, $field), $bytes, stringify!($field));)*
    };
}

#[test]
fn every_field_is_where_the_page_says() {
    expect_fields!(
        "### Fixed header", 0, FixedHeader,
        magic: 8, layout_version: 4, kind: 4, header_size: 4, slot_size: 4, page_size: 4, slot_count: 4,
        slots_offset: 8, arena_offset: 8, arena_len: 8, data_offset: 8, data_capacity: 8, created_ns: 8, id: 16,
        creator_pid: 4, checksum: 4,
    );
    expect_fields!("### Live header", LIVE_HEADER_OFFSET, LiveHeader, state: 4, slots_high: 4, data_len: 8);
    expect_fields!(
        "### Owner word", 0, OwnerWord, word: 4, deaths: 4, noticed_owner: 4, noticed_ns: 8
    );
    expect_fields!(
        "### Slot:", 0, Slot,
        generation: 4, state: 4, pid: 4, boot: 4, pid_namespace: 8, attached_ns: 8, label: 16, waits_for: 8, waits_ns: 8,
    );
    expect_fields!(
        "### Log parameters", 0, LogParameters,
        magic: 8, capacity: 8, max_record_len: 8, max_age_ns: 8, retain_count: 8, retain_bytes: 8, durability: 4,
        durability_value: 8, checksum: 4,
    );
    expect_fields!(
        "### Log words", LOG_CONTROL_OFFSET, LogControl,
        tail: 8, signal: 4, failures: 4, synced_to: 8, flush_lock: 24, flush_signal: 4, failed_errno: 4, started: 8,
        done: 8, flushed_to: 8, failed: 8, joined: 8, joined_before: 8, company: 8, flush_ns: 8, results: 512, upkeep_lock: 24, start: 8, removed_segments: 8, dead: 8,
        abandoned: 8, cuts: 8, cut_bytes: 8, recoveries: 8, home: 32,
    );
    expect_fields!(
        "### Segment header", 0, LogSegmentHeader,
        magic: 8, layout_version: 4, kind: 4, header_size: 4, record_header_size: 4, base: 8, capacity: 8,
        created_ns: 8, log_id: 16, checksum: 4,
    );
    expect_fields!("### Record:", 0, LogRecordHeader, word: 8, checksum: 4, kind: 4, time_ns: 8);
    expect_fields!(
        "## The arena", 0, ObjectHeader,
        size: 8, state: 4, kind: 4, name_len: 4, payload_offset: 8, payload_len: 8, parameters: 16,
    );
    expect_fields!(
        "### Heap record", 0, HeapRecord,
        lock: 24, used_len: 8, used_count: 8, repairs: 8, reclaimed: 8, bins_used: 16, bins: 512,
    );
}

#[test]
fn the_constants_are_what_the_page_says() {
    for (heading, text) in [
        ("# The byte format", format!("layout version **{LAYOUT_VERSION}**")),
        ("### Fixed header", format!("`{}`", MAGIC.escape_ascii())),
        ("### Fixed header", format!("`header_size` | {HEADER_SIZE} |")),
        ("### Fixed header", format!("`slot_size` | {SLOT_SIZE} |")),
        ("### Fixed header", format!("1 to {MAX_SLOT_COUNT}")),
        ("### Live header", format!("at offset {LIVE_HEADER_OFFSET}")),
        ("### Live header", format!("{STATE_READY:#010X}").replace("0X", "0x")),
        ("### Guard", format!("at offset {GUARD_OFFSET}")),
        ("## The arena", format!("{OBJECT_LIVE:#010X}").replace("0X", "0x")),
        ("## A heap", format!("A granule is {HEAP_GRANULE} bytes")),
        ("### Block word", format!("0…1 | {HEAP_FREE} free, {HEAP_USED} used, {HEAP_END} the end")),
        ("### Block word", format!("| {} | `PREVIOUS_FREE`", HEAP_PREVIOUS_FREE.trailing_zeros())),
        ("### Block word", format!("| {HEAP_SIZE_SHIFT}…63 | size")),
        ("### Block word", format!("{HEAP_FANOUT}n + 1 to {HEAP_FANOUT}n + {HEAP_FANOUT}")),
        ("### Block word", format!("`bins` 0 to {} are lists", HEAP_SMALL - 1)),
        ("### Slot:", format!("byte 2^{}", TOKEN_BASE.trailing_zeros())),
        ("### Log parameters", format!("`{}`", LOG_MAGIC.escape_ascii())),
        ("### Log words", format!("at offset {LOG_CONTROL_OFFSET}")),
        ("### Log words", format!("less than {LOG_TAIL_LAG} bytes before")),
        ("### Segment header", format!("`kind` | {KIND_LOG_SEGMENT}:")),
        ("### Segment header", format!("`header_size` | {LOG_SEGMENT_HEADER_SIZE} |")),
        ("### Segment header", format!("`record_header_size` | {LOG_RECORD_HEADER_SIZE} |")),
        ("### Segment header", format!("At {LOG_SEGMENT_LIVE_OFFSET} stands")),
        ("### Record:", format!("a header of {LOG_RECORD_HEADER_SIZE} bytes")),
        ("### Record:", format!("multiple of {LOG_RECORD_ALIGN}")),
        (
            "### Record:",
            format!(
                "state: {LOG_CLAIMED} claimed, {LOG_COMMITTED} complete, {LOG_ABANDONED} given up, {LOG_DEAD} its writer \
                 died, {LOG_FILL} fill, {LOG_CUT} fill"
            ),
        ),
    ] {
        assert!(section(heading).contains(&text), "{heading:?} lacks {text:?}");
    }
    let (_, rows) = section("## The arena").split_once("| kind | object |").expect("the table of kinds");
    let cells = rows.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let numbers: Vec<u32> =
        cells.flat_map(|cell| cell.split(", ")).filter_map(|number| number.trim().parse().ok()).collect();
    assert_eq!(numbers, ObjectKind::ALL.map(|kind| kind as u32), "the page lists the kinds by number");
}
