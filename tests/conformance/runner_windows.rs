//! The runner's operations on window caches.

use std::collections::HashMap;
use std::rc::Rc;

use shmkit::{Flush, SharedBytes, WindowCache, WindowOptions};

use crate::{Command, Outcome, done, hex, refuse};

/// What a runner has named.
#[derive(Default)]
pub struct Windows {
    caches: HashMap<String, Rc<WindowCache>>,
    views: HashMap<String, CountedView>,
}

/// A view that owns its cache: names come and go in any order here, which no borrow could follow.
struct CountedView {
    bytes: SharedBytes<'static>,
    start: *const u8,
    cache: Rc<WindowCache>,
}

impl CountedView {
    fn new(cache: &Rc<WindowCache>, offset: u64, len: usize, writable: bool) -> shmkit::Result<CountedView> {
        let start = cache.pin(offset, len, writable)?;
        // SAFETY: `pin` checked the range and keeps it until `unpin`; the cache lives as long as this view.
        let bytes = unsafe { SharedBytes::new(start, len, writable) };
        Ok(CountedView { bytes, start: start.as_ptr(), cache: Rc::clone(cache) })
    }
}

impl Drop for CountedView {
    fn drop(&mut self) {
        assert!(self.cache.unpin(self.start, self.bytes.is_writable()), "a view that was never counted");
    }
}

fn open(command: &Command) -> Outcome<WindowCache> {
    let mut options = WindowOptions::new().writable(command.flag("writable"));
    if command.optional("pattern").is_some() {
        options = options.pattern(command.advice("pattern")?);
    }
    if let Some(len) = command.optional_number("window_len")? {
        options = options.window_len(len);
    }
    if let Some(count) = command.optional_number("windows")? {
        options = options.windows(count as u32);
    }
    Ok(options.open(command.text("path")?)?)
}

impl Windows {
    /// Does what a command says; the fields of its answer.
    pub fn run(&mut self, command: &Command) -> Outcome<String> {
        match command.op.as_str() {
            "windows_open" => {
                let cache = open(command)?;
                let (len, window_len, count) = (cache.len(), cache.window_len(), cache.window_count());
                self.caches.insert(command.text("w")?.to_owned(), Rc::new(cache));
                Ok(format!(" len={len} window_len={window_len} windows={count}"))
            }
            "windows_read" => {
                let mut bytes = vec![0; command.number("len")? as usize];
                self.cache(command)?.read_at(command.number("offset")?, &mut bytes)?;
                Ok(format!(" data={}", hex(&bytes)))
            }
            "windows_write" => {
                done(self.cache(command)?.write_at(command.number("offset")?, &command.bytes("data")?))
            }
            "windows_flush" => {
                let how = if command.flag("async") { Flush::Async } else { Flush::Sync };
                done(self.cache(command)?.flush(how))
            }
            "windows_stats" => {
                let stats = self.cache(command)?.stats();
                Ok(format!(
                    " hits={} misses={} evictions={} bypasses={} maps={} mapped={} views={}",
                    stats.hits,
                    stats.misses,
                    stats.evictions,
                    stats.bypasses,
                    stats.maps,
                    stats.mapped,
                    stats.views
                ))
            }
            "windows_close" => done(self.cache(command)?.close()),
            _ => self.view(command),
        }
    }

    fn cache(&self, command: &Command) -> Outcome<&Rc<WindowCache>> {
        let name = command.text("w")?;
        self.caches.get(name).map_or_else(|| refuse(format!("no window cache {name}")), Ok)
    }

    fn view(&mut self, command: &Command) -> Outcome<String> {
        let name = command.text("v")?;
        if command.op == "windows_view" {
            let (offset, len) = (command.number("offset")?, command.number("len")? as usize);
            let view = CountedView::new(self.cache(command)?, offset, len, command.flag("writable"))?;
            self.views.insert(name.to_owned(), view);
            return Ok(String::new());
        }
        let Some(view) = self.views.get(name) else { return refuse(format!("no view {name}")) };
        match command.op.as_str() {
            "windows_view_read" => {
                let mut bytes = vec![0; command.number("len")? as usize];
                view.bytes.read_at(command.number("offset")? as usize, &mut bytes)?;
                Ok(format!(" data={}", hex(&bytes)))
            }
            "windows_view_write" => {
                done(view.bytes.write_at(command.number("offset")? as usize, &command.bytes("data")?))
            }
            "windows_view_release" => {
                self.views.remove(name);
                Ok(String::new())
            }
            other => refuse(format!("unknown operation {other}")),
        }
    }
}
