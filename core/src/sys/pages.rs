//! What the kernel tells of pages: which are in memory (mincore(2)), what the page table says (ioctl `PAGEMAP_SCAN` of
//! /proc/self/pagemap, or the file itself), what the page cache says (cachestat(2)), sizes (/proc/self/smaps), limits and
//! pools. What costs a call for each page is asked in ranges.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use nix::errno::Errno;

use super::SysResult;
use super::map::{from_io, page_size};

/// Categories of `PAGEMAP_SCAN` (linux/fs.h).
pub mod category {
    pub const PRESENT: u64 = 1 << 3;
    pub const SWAPPED: u64 = 1 << 4;
    pub const ZERO: u64 = 1 << 5;
    pub const HUGE: u64 = 1 << 6;
    pub const SOFT_DIRTY: u64 = 1 << 7;
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct ScanRequest {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::Ioctl = 0xC000_0000 | (size_of::<ScanRequest>() as libc::Ioctl) << 16 | 0x6610;

/// Which pages of an address range are in memory, whoever brought them there: one byte each, of which bit 0 counts.
/// `addresses` are those of pages that are mapped.
pub fn in_core(addresses: Range<usize>, into: &mut [u8]) -> SysResult<()> {
    debug_assert!(into.len() >= addresses.len().div_ceil(page_size()));
    let start = std::ptr::without_provenance_mut::<libc::c_void>(addresses.start);
    // SAFETY: the kernel reads no memory at the addresses, and writes one byte for each page into `into`.
    Errno::result(unsafe { libc::mincore(start, addresses.len(), into.as_mut_ptr()) }).map(drop)
}

/// What the page table of this process says of an address range. Calls `found` with runs of pages that have one of the
/// [`category`] bits, and those bits; the result says whether huge pages were told from small ones.
pub fn page_table(addresses: Range<usize>, mut found: impl FnMut(Range<usize>, u64)) -> SysResult<bool> {
    let pagemap = from_io(File::open("/proc/self/pagemap"))?;
    match scan(&pagemap, addresses.clone(), &mut found) {
        // Linux before 6.7, or a sandbox that knows no ioctl of it.
        Err(Errno::ENOTTY | Errno::EINVAL | Errno::EPERM | Errno::ENOSYS) => {
            read_entries(&pagemap, addresses, &mut found).map(|()| false)
        }
        scanned => scanned.map(|()| true),
    }
}

fn scan(pagemap: &File, addresses: Range<usize>, found: &mut dyn FnMut(Range<usize>, u64)) -> SysResult<()> {
    use category::{HUGE, PRESENT, SOFT_DIRTY, SWAPPED, ZERO};
    let mut regions = [PageRegion::default(); 512];
    let mut start = addresses.start as u64;
    while start < addresses.end as u64 {
        let mut request = ScanRequest {
            size: size_of::<ScanRequest>() as u64,
            start,
            end: addresses.end as u64,
            regions: regions.as_mut_ptr().addr() as u64,
            regions_len: regions.len() as u64,
            category_anyof_mask: PRESENT | SWAPPED,
            return_mask: PRESENT | SWAPPED | ZERO | HUGE | SOFT_DIRTY,
            ..ScanRequest::default()
        };
        // The pointer goes in as a number.
        std::hint::black_box(regions.as_mut_ptr().expose_provenance());
        // SAFETY: the request has the size that it says, and leads to `regions`, which has room for what it says.
        let count = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut request) };
        let count = Errno::result(count)? as usize;
        for region in regions.iter().take(count) {
            found(region.start as usize..region.end as usize, region.categories);
        }
        if request.walk_end <= start {
            return Err(Errno::EIO);
        }
        start = request.walk_end;
    }
    Ok(())
}

/// proc(5), `/proc/pid/pagemap`: 8 bytes for each page.
fn read_entries(
    pagemap: &File,
    addresses: Range<usize>,
    found: &mut dyn FnMut(Range<usize>, u64),
) -> SysResult<()> {
    const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    const SOFT_DIRTY: u64 = 1 << 55;
    let page = page_size();
    let mut bytes = [0; 8 * 1024];
    let mut address = addresses.start;
    while address < addresses.end {
        let wanted = ((addresses.end - address).div_ceil(page) * 8).min(bytes.len());
        let got = from_io(pagemap.read_at(&mut bytes[..wanted], (address / page * 8) as u64))?;
        if got < 8 {
            return Err(Errno::EIO);
        }
        for entry in bytes[..got - got % 8].chunks_exact(8) {
            let entry = u64::from_ne_bytes(entry.try_into().unwrap_or_default());
            let mut categories = 0;
            for (bit, category) in [
                (PRESENT, category::PRESENT),
                (SWAPPED, category::SWAPPED),
                (SOFT_DIRTY, category::SOFT_DIRTY),
            ] {
                categories |= if entry & bit != 0 { category } else { 0 };
            }
            if entry & (PRESENT | SWAPPED) != 0 {
                found(address..address + page, categories);
            }
            address += page;
        }
    }
    Ok(())
}

/// Whether the kernel keeps soft-dirty bits at all (CONFIG_MEM_SOFT_DIRTY). A page that was just made has its bit set
/// where it does.
pub fn has_soft_dirty() -> SysResult<bool> {
    use std::sync::OnceLock;
    static KNOWN: OnceLock<bool> = OnceLock::new();
    if let Some(&known) = KNOWN.get() {
        return Ok(known);
    }
    let mut page = from_io(memmap2::MmapMut::map_anon(page_size()))?;
    page[0] = 1;
    let address = page.as_ptr().addr();
    let mut set = false;
    let pagemap = from_io(File::open("/proc/self/pagemap"))?;
    read_entries(&pagemap, address..address + page_size(), &mut |_, bits| {
        set |= bits & category::SOFT_DIRTY != 0;
    })?;
    Ok(*KNOWN.get_or_init(|| set))
}

/// Clears the soft-dirty bits of all pages of this process (proc(5), `clear_refs`).
pub fn clear_soft_dirty() -> SysResult<()> {
    from_io(std::fs::write("/proc/self/clear_refs", "4"))
}

/// What the page cache holds of a part of a file (cachestat(2), Linux 6.5): numbers of pages.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStat {
    pub cached: u64,
    pub dirty: u64,
    pub writeback: u64,
    pub evicted: u64,
    pub recently_evicted: u64,
}

/// Asks the page cache. `len` of 0 would mean the rest of the file.
pub fn cache_stat(file: BorrowedFd<'_>, offset: u64, len: u64) -> SysResult<CacheStat> {
    /// The same on all architectures; libc does not have it for all.
    const SYS_CACHESTAT: libc::c_long = 451;
    let range = [offset, len];
    let mut stat = CacheStat::default();
    // SAFETY: the range is two 64-bit numbers, and `stat` has the layout of `struct cachestat`.
    let status = unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), range.as_ptr(), &raw mut stat, 0) };
    Errno::result(status).map(|_| stat)
}

/// The file behind a mapped page, opened anew, and the offset in it: for asking the page cache. `None` when there is none,
/// or this process may not open it.
pub fn backing_file(address: usize) -> Option<(File, u64)> {
    let maps = BufReader::new(File::open("/proc/self/maps").ok()?);
    let line = maps
        .lines()
        .map_while(Result::ok)
        .find(|line| area(line).is_some_and(|area| area.contains(&address)))?;
    let mut words = line.splitn(6, ' ');
    let (range, _, offset, _, inode) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let offset = u64::from_str_radix(offset, 16).ok()?;
    let inode: u64 = inode.parse().ok()?;
    let path = PathBuf::from(words.next()?.trim_start());
    if inode == 0 {
        return None;
    }
    let is_it = |file: &File| file.metadata().is_ok_and(|meta| meta.is_file() && meta.ino() == inode);
    // The first leads to the file itself and needs a privilege; the second may lead to another one by now.
    let opened = File::open(format!("/proc/self/map_files/{range}")).or_else(|_| File::open(path)).ok();
    let file = opened.filter(is_it)?;
    Some((file, offset + (address - area(&line)?.start) as u64))
}

/// The addresses at the start of a line of /proc/self/maps or the head of an entry of smaps.
fn area(line: &str) -> Option<Range<usize>> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

/// Sums up the fields of all entries of /proc/self/smaps that overlap the addresses: `add(field, bytes)`.
pub fn memory_use(addresses: Range<usize>, mut add: impl FnMut(&str, u64)) -> SysResult<()> {
    let smaps = BufReader::new(from_io(File::open("/proc/self/smaps"))?);
    let mut inside = false;
    for line in smaps.lines() {
        let line = from_io(line)?;
        if let Some(area) = area(&line) {
            if area.start >= addresses.end {
                break;
            }
            inside = area.end > addresses.start;
        } else if inside
            && let Some((field, value)) = line.split_once(':')
            && let Some(kib) = value.trim().strip_suffix(" kB")
            && let Ok(kib) = kib.parse::<u64>()
        {
            add(field, kib << 10);
        }
    }
    Ok(())
}

/// Huge pages of one size that the system reserved.
#[derive(Clone, Debug)]
pub struct HugePool {
    pub total: u64,
    pub free: u64,
    /// The file that sets how many there are.
    pub knob: PathBuf,
}

impl HugePool {
    /// The pool of this size, if the kernel has one.
    pub fn of(size: usize) -> Option<HugePool> {
        let directory = PathBuf::from(format!("/sys/kernel/mm/hugepages/hugepages-{}kB", size >> 10));
        let number = |name: &str| std::fs::read_to_string(directory.join(name)).ok()?.trim().parse().ok();
        let reserved: u64 = number("resv_hugepages").unwrap_or(0);
        let free: u64 = number("free_hugepages")?;
        Some(HugePool {
            total: number("nr_hugepages")?,
            free: free.saturating_sub(reserved),
            knob: directory.join("nr_hugepages"),
        })
    }
}

/// The size of a reserved huge page where nobody names one (proc(5), `meminfo`).
pub fn default_huge_page() -> Option<usize> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib =
        meminfo.lines().find_map(|line| line.strip_prefix("Hugepagesize:")?.trim().strip_suffix(" kB"))?;
    Some(kib.parse::<usize>().ok()? << 10)
}

/// How many bytes this process may lock in memory; `None` without a limit.
pub fn lock_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills the struct.
    let status = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    (status == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Page faults and processor time: of this thread, or of the whole process.
pub fn usage(of_thread: bool) -> SysResult<libc::rusage> {
    // SAFETY: all zeros is a value of this struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let who = if of_thread { libc::RUSAGE_THREAD } else { libc::RUSAGE_SELF };
    // SAFETY: the call fills the struct.
    Errno::result(unsafe { libc::getrusage(who, &raw mut usage) }).map(|_| usage)
}
