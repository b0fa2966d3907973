//! `shmkit log`, as a program.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use shmkit::{Log, LogOptions};

fn shmkit(command: &str, options: &[&str], directory: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_shmkit"));
    program.arg("log").arg(command).args(options).arg(directory);
    program
}

fn run(command: &str, options: &[&str], directory: &Path) -> Output {
    shmkit(command, options, directory).output().expect("the command starts")
}

/// What it prints when all is well.
fn output(command: &str, options: &[&str], directory: &Path) -> String {
    let done = run(command, options, directory);
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    String::from_utf8(done.stdout).expect("text")
}

fn filled() -> (tempfile::TempDir, Log) {
    let directory = tempfile::tempdir().unwrap();
    let log = LogOptions::new().segment_len(4096).create(directory.path().join("events")).unwrap();
    for number in 0..200 {
        log.append(20, format!("record {number}").as_bytes()).unwrap();
    }
    log.append(40, b"two\nlines \x1b[31m").unwrap();
    log.append(7, b"no text \xFF").unwrap();
    (directory, log)
}

#[test]
fn tail_shows_the_last_ones_across_segments() {
    let (_directory, log) = filled();
    let shown = output("tail", &["-n", "150"], log.directory());
    let texts: Vec<&str> = shown.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
    assert_eq!(texts.len(), 150);
    assert_eq!(texts[0], " INFO record 52");
    assert_eq!(texts[148..], [r"ERROR two\nlines \u{1b}[31m", "    7 no text \u{FFFD}"]);
    assert_eq!(output("tail", &[], log.directory()).lines().count(), 10);
    assert_eq!(output("tail", &["-n", "1000"], log.directory()).lines().count(), 202);
    let dated = shown.lines().next().unwrap().split_once(' ').unwrap().0;
    assert!(dated.len() == "2026-01-02T03:04:05.678901234Z".len() && dated.starts_with("20"), "{dated}");
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn tail_follows() {
    let (_directory, log) = filled();
    let mut follower = shmkit("tail", &["--follow", "-n", "1"], log.directory());
    let mut follower = Killed(follower.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(follower.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("no text"));
    for number in 0..100 {
        // One at a time: each must come through before the next one pushes it.
        log.append(10, format!("later {number}").as_bytes()).unwrap();
        assert!(lines.next().unwrap().ends_with(&format!("DEBUG later {number}")));
    }
}

#[test]
fn export_and_cat_give_everything() {
    let (directory, log) = filled();
    let lines = output("export", &["--format", "jsonl"], log.directory());
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 202);
    assert_eq!(records[3]["text"], "record 3");
    assert_eq!(records[3]["kind"], 20);
    assert_eq!(records[200]["text"], "two\nlines \x1b[31m");
    assert_eq!(records[201]["hex"], "6e6f207465787420ff");
    assert!(records[201].get("text").is_none());
    let text = output("export", &[], log.directory());
    assert_eq!(text, output("cat", &[], log.directory()));
    assert_eq!(text.lines().count(), 202);
    let path = directory.path().join("out");
    assert_eq!(output("export", &["-o", path.to_str().unwrap()], log.directory()), "");
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    let raw = run("cat", &["--raw"], log.directory()).stdout;
    assert!(raw.starts_with(b"record 0record 1") && raw.ends_with(b"\x1b[31mno text \xFF"));
}

#[test]
fn verify_and_stat_tell_of_a_damage_and_reading_goes_on_behind_it() {
    let (_directory, log) = filled();
    assert!(output("verify", &[], log.directory()).starts_with("202 good records, "));
    let bad = log.append(20, b"to be damaged").unwrap();
    log.append(20, b"behind").unwrap();
    drop(log.reserve(20, 5).unwrap());
    let base = bad - bad % 4096;
    let file = log.directory().join(format!("segment-{base:020}.log"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4096 + (bad - base) as usize + 30] ^= 1;
    // In place: the log has the file mapped.
    std::os::unix::fs::FileExt::write_all_at(
        &std::fs::OpenOptions::new().write(true).open(&file).unwrap(),
        &bytes,
        0,
    )
    .unwrap();
    let done = run("verify", &["--json"], log.directory());
    let verified: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert_eq!((&verified["records"], &verified["corruptions"]), (&Value::from(203), &Value::from(1)));
    assert_eq!(verified["abandoned"], 1);
    let done = run("cat", &[], log.directory());
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains(&format!("from position {bad} hold no records")), "{said}");
    assert!(String::from_utf8(done.stdout).unwrap().ends_with("behind\n"));
    let status: Value = serde_json::from_str(&output("stat", &["--json"], log.directory())).unwrap();
    assert_eq!((&status["abandoned"], &status["attached"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(status["segments"].as_array().unwrap().len() as u64, log.end() / 4096 + 1);
    let shown = output("stat", &[], log.directory());
    for line in ["durability     None", "attached       1 process", "kept           all; 0 segments removed"]
    {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn what_is_no_log_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for command in ["tail", "cat", "stat", "verify", "export"] {
        let done = run(command, &[], directory.path());
        assert_eq!(done.status.code(), Some(1));
        assert!(String::from_utf8(done.stderr).unwrap().contains("cannot open log"));
    }
}
