//! Processes as people tell them apart.

use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use shmkit::{AttachmentStatus, RegionStatus};

use crate::human::{duration, printable};

/// A process by number and command: `4711 python`. `pid` is 0 when the slot it had belongs to somebody else.
pub fn process(status: &RegionStatus, slot: u32, pid: u32, alive: bool) -> String {
    if pid == 0 {
        return "a process that is gone".to_owned();
    }
    let attachment =
        status.attachments.iter().find(|attachment| attachment.slot == slot && attachment.pid == pid);
    let shown = attachment.map_or_else(|| pid.to_string(), name);
    if alive { shown } else { format!("{shown} (dead)") }
}

/// Number and command of somebody who is attached.
pub fn name(attachment: &AttachmentStatus) -> String {
    format!("{} {}", number(attachment), printable(&attachment.label))
}

/// Process id; one of another PID namespace means nothing here, so it says so.
pub fn number(attachment: &AttachmentStatus) -> String {
    if [0, own_namespace()].contains(&attachment.pid_namespace) {
        attachment.pid.to_string()
    } else {
        format!("{}@{}", attachment.pid, attachment.pid_namespace)
    }
}

/// Inode number of this process's PID namespace, as the kernel names it (pid_namespaces(7)); 0 without /proc.
fn own_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino())
}

/// Numbers of the living and of the dead whose slots nobody has taken.
pub fn living_and_dead(status: &RegionStatus) -> (usize, usize) {
    let living = status.attachments.iter().filter(|attachment| attachment.alive).count();
    (living, status.attachments.len() - living)
}

/// The living, by number and command.
pub fn living(status: &RegionStatus) -> String {
    let living = status.attachments.iter().filter(|attachment| attachment.alive);
    living.map(name).collect::<Vec<_>>().join(", ")
}

/// When the region was created.
pub fn created(status: &RegionStatus) -> String {
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    format!("{} ago", duration(now_ns.saturating_sub(status.created_ns)))
}
