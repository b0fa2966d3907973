//! The named objects of a region, as users handle them: listed, looked up, removed, and how openers treat a name.

use super::chain::{Chain, Entry};
use super::directory::Directory;
use super::{Memory, Region};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::ObjectKind;
use crate::protocol::party::Party;

/// What opening a named object may do.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ObjectMode {
    /// Finds the object, or creates it when it is missing. The default.
    #[default]
    FindOrCreate = 0,
    /// Finds it; fails with `NotFound` when it is missing.
    Find = 1,
    /// Creates it; fails with `AlreadyExists` when it is there.
    Create = 2,
}

impl ObjectMode {
    /// The one of this number, as it crosses the C ABI.
    pub fn from_number(number: u32) -> Option<ObjectMode> {
        let all = [ObjectMode::FindOrCreate, ObjectMode::Find, ObjectMode::Create];
        all.into_iter().find(|known| *known as u32 == number)
    }
}

/// A named object, as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Name.
    pub name: String,
    /// What it is; `None` for a kind that this version does not know.
    pub kind: Option<ObjectKind>,
    /// The kind's number in the byte format.
    pub kind_number: u32,
    /// The numbers it was created with; what they mean is the kind's business.
    pub parameters: [u64; 2],
    /// Bytes that it takes in the arena.
    pub size: usize,
    /// How many living processes have it open.
    pub users: usize,
}

impl Region {
    /// Another handle on the same region, through which named objects are only found, only created, or either.
    ///
    /// ```
    /// use shmkit::{ErrorKind, ObjectMode, Region};
    ///
    /// # let name = format!("doc-mode-{}", std::process::id());
    /// # let region = Region::create(name.as_str(), 4096)?;
    /// # Region::unlink(name.as_str())?;
    /// let existing = region.with_mode(ObjectMode::Find)?;
    /// assert_eq!(existing.mutex("totals").err().unwrap().kind(), ErrorKind::NotFound);
    /// let totals = region.mutex("totals")?; // finds or creates
    /// assert!(existing.mutex("totals").is_ok());
    /// let new = region.with_mode(ObjectMode::Create)?;
    /// assert_eq!(new.mutex("totals").err().unwrap().kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn with_mode(&self, mode: ObjectMode) -> Result<Region> {
        self.another(mode, "clone region")
    }

    /// What opening a named object through this handle may do.
    pub fn object_mode(&self) -> ObjectMode {
        self.mode
    }

    /// The named objects of the region, in the order of their names. Works on a read-only handle, and waits for nobody.
    ///
    /// Errors: `Closed`, `Corrupted`.
    pub fn objects(&self) -> Result<Vec<ObjectInfo>> {
        let memory = self.memory("list objects")?;
        let Some(chain) = Chain::of(memory)? else { return Ok(Vec::new()) };
        let listed: Result<Vec<_>> =
            chain.entries()?.into_iter().map(|entry| info(&chain, memory, entry)).collect();
        let mut listed = listed?;
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// The named object of this name, of whatever kind. Works on a read-only handle, and waits for nobody.
    ///
    /// Errors: `NotFound`, `Closed`, `Corrupted`.
    pub fn find_object(&self, name: &str) -> Result<ObjectInfo> {
        let operation = "find object";
        let memory = self.memory(operation)?;
        let chain = Chain::of(memory)?;
        let found = chain.as_ref().map(|chain| chain.find(name)).transpose()?.flatten();
        match (chain, found) {
            (Some(chain), Some(entry)) => info(&chain, memory, entry),
            _ => Err(Error::new(ErrorKind::NotFound, operation, memory.object_name(name))),
        }
    }

    /// Removes a named object; its name and its memory are free again.
    ///
    /// Errors: `NotFound`, `Busy` while a living process has it open.
    pub fn remove_object(&self, name: &str) -> Result<()> {
        let operation = "remove object";
        Directory::lock(self.memory(operation)?, operation)?.remove(operation, name, None)
    }
}

fn info(chain: &Chain<'_>, memory: &Memory, entry: Entry) -> Result<ObjectInfo> {
    let users = chain.members(&entry.place)?.filter(|owner| !memory.is_dead(*owner)).count();
    Ok(ObjectInfo {
        kind: ObjectKind::from_number(entry.kind),
        kind_number: entry.kind,
        parameters: entry.parameters,
        size: entry.place.block.len(),
        users,
        name: entry.name,
    })
}
