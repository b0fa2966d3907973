//! Attachments: who is alive, as the kernel knows it.
//!
//! Slot *j* is alive if and only if somebody holds an open-file-description lock on byte `TOKEN_BASE + j` of the object.
//! The holder is an open file description that nothing refers to but a mapping without access, hidden from forked
//! children: so the lock lives exactly as long as the address space, whatever is done to descriptors, and the kernel
//! drops it when the process dies, in any PID namespace.
//!
//! `me`, this process's owner id, is a word that a forked child reads as 0: the child is not attached, and gets a slot
//! of its own when it first needs one.
//!
//! Taking a slot, step by step; a death between any two leaves a slot that the next taker takes the same way:
//! 1. lock its byte; 2. raise `slots_high` over it; 3. `generation += 1` (release), *from here everything owned by the
//!    old generation is owned by a dead process*; 4. fill in what people read; 5. `state = LIVE`.
//!
//! A region in a file outlives the machine's run, and a power cut may leave its pages of different ages: a lock word of a
//! generation that the table does not know of yet. So the first taker since the start goes on far beyond
//! ([`layout::GENERATION_JUMP`]).

use std::os::fd::AsFd;

use nix::errno::Errno;
use parking_lot::{Mutex, RwLock};

use super::header::Geometry;
use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, LiveHeader, Slot};
use crate::protocol::owner::{generation_of, owner_id, short_generation, slot_index};
use crate::segment::Location;
use crate::sys::file::ObjectFile;
use crate::sys::fork::WipedWord;
use crate::sys::map::Token;
use crate::sys::{clock, ofd, process};
use crate::view::SharedBytes;

/// One process's membership of a region.
pub(crate) struct Attachment {
    /// Without locks of its own; asked about the locks of others. Replaced when somebody closed it under us.
    object: RwLock<ObjectFile>,
    location: Location,
    me: WipedWord,
    /// Held by whoever read a non-zero `me`; after fork a child forgets the parent's, whose addresses it does not have.
    /// Locked only inside [`crate::sys::fork::exclude`].
    token: Mutex<Option<Token>>,
}

/// The shared words that attachments live in.
pub(crate) struct Slots<'a> {
    pub live: &'a LiveHeader,
    pub geometry: &'a Geometry,
    pub bytes: SharedBytes<'a>,
}

impl Slots<'_> {
    /// The slot; `None` for an index beyond the table, which only corruption yields.
    pub fn get(&self, index: u32) -> Option<&Slot> {
        if index >= self.geometry.slot_count {
            return None;
        }
        self.bytes.record(self.geometry.slot_offset(index)).ok()
    }

    /// Whether the owner's slot went to somebody else, which proves it dead.
    pub fn is_replaced(&self, owner: u32) -> bool {
        self.get(slot_index(owner))
            .is_some_and(|slot| short_generation(slot.generation.load(Acquire)) != generation_of(owner))
    }

    /// Number of slots ever used, never beyond the table.
    pub fn high(&self) -> u32 {
        self.live.slots_high.load(SeqCst).min(self.geometry.slot_count)
    }
}

impl Attachment {
    /// Not attached yet; the object must be open for reading and writing.
    pub fn new(object: ObjectFile, location: Location) -> Result<Attachment> {
        let me = WipedWord::new()
            .map_err(|errno| Error::from_errno(errno as i32, "attach to region", location.display()))?;
        Ok(Attachment { object: RwLock::new(object), location, me, token: Mutex::new(None) })
    }

    /// This process's owner id, or 0 when it is not attached.
    #[inline]
    pub fn me(&self) -> u32 {
        self.me.get().load(Relaxed)
    }

    /// This process's owner id, or 0 when it was never attached: also when [`Attachment::me`] was taken away because the
    /// region lost pages.
    pub fn holder(&self) -> u32 {
        self.me.second().load(Relaxed)
    }

    /// The object, for work that takes its time.
    pub fn object(&self) -> std::result::Result<ObjectFile, Errno> {
        ObjectFile::duplicate(self.object.read().as_fd())
    }

    /// Length of the object in bytes, now.
    pub fn object_len(&self) -> std::result::Result<u64, Errno> {
        self.object.read().size()
    }

    /// Where [`Attachment::me`] is read from, for languages that read it themselves.
    pub fn me_word(&self) -> &AtomicU32 {
        self.me.get()
    }

    /// Takes a slot, if this process has none. Call inside [`crate::sys::fork::exclude`]: a child forked between the opening and
    /// the closing of the token's description would keep our lock alive after us.
    pub fn attach(&self, slots: &Slots<'_>) -> Result<u32> {
        let operation = "attach to region";
        if self.me() != 0 {
            return Ok(self.me());
        }
        let fail = |errno: Errno| Error::from_errno(errno as i32, operation, self.location.display());
        let name = self.location.path(operation).ok();
        let description = self.object.read().reopen(name.as_deref()).map_err(|errno| match name {
            Some(_) => fail(errno),
            None => Error::new(ErrorKind::Unsupported, operation, "")
                .with_detail(format!("a region without a name is opened anew through /proc: {errno}")),
        })?;
        let token = Token::of_file(description.as_fd()).map_err(fail)?;
        let taken = take_slot(slots, &description).map_err(fail).and_then(|taken| {
            taken.ok_or_else(|| {
                Error::new(ErrorKind::TooManyAttachments, operation, self.location.display())
                    .with_detail(format!("{} slots", slots.geometry.slot_count))
            })
        });
        drop(description);
        let (index, generation) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                token.unmap();
                return Err(error);
            }
        };
        // Self-test: a kernel or file system that does not show our lock would declare us dead.
        if !ofd::is_locked_elsewhere(self.object.read().as_fd(), token_byte(index)).unwrap_or(false) {
            token.unmap();
            return Err(Error::new(ErrorKind::Unsupported, operation, self.location.display())
                .with_detail("the file system has no open-file-description locks"));
        }
        *self.token.lock() = Some(token);
        let me = owner_id(index, generation);
        self.me.second().store(me, Relaxed);
        self.me.get().store(me, Release);
        Ok(me)
    }

    /// Gives the slot back. Only when nothing is held; call inside [`crate::sys::fork::exclude`].
    pub fn detach(&self, slots: &Slots<'_>) {
        let me = self.me.get().swap(0, Relaxed);
        if me == 0 {
            return;
        }
        if let Some(slot) = slots.get(slot_index(me)) {
            slot.state.store(layout::SLOT_FREE, Release);
        }
        self.abandon();
    }

    /// Leaves without giving the slot back, as the dead do: for a region whose slots are not there any more. Otherwise as
    /// [`Attachment::detach`].
    pub fn abandon(&self) {
        self.me.get().store(0, Relaxed);
        // A forked child has the parent's token, but not its page.
        if self.me.second().swap(0, Relaxed) != 0
            && let Some(token) = self.token.lock().take()
        {
            token.unmap();
        }
    }

    /// Whether the owner with this id is certainly dead.
    pub fn is_dead(&self, slots: &Slots<'_>, owner: u32) -> bool {
        // A slot beyond the table is corruption: taking the lock from somebody who may live would make it worse.
        slots.get(slot_index(owner)).is_some()
            && (slots.is_replaced(owner) || !self.is_locked(slot_index(owner)))
    }

    /// Whether the kernel holds a lock for this slot: somebody lives there. When in doubt: yes.
    pub fn is_locked(&self, index: u32) -> bool {
        let object = self.object.read();
        if ofd::is_locked_elsewhere(object.as_fd(), token_byte(index)) != Ok(false) {
            return true;
        }
        // Believe "no lock" only from a descriptor that sees our own.
        let me = self.me();
        let sound = me == 0 && object.is_intact()
            || me != 0 && ofd::is_locked_elsewhere(object.as_fd(), token_byte(slot_index(me))) == Ok(true);
        if sound {
            return false;
        }
        drop(object);
        self.reopen();
        true
    }

    /// A number that changes when a slot changes hands, is given back, or its owner dies. Asks the kernel about each other
    /// process that has not left.
    pub fn membership(&self, slots: &Slots<'_>) -> u64 {
        let me = self.me();
        let mut sum = 0u64;
        for index in 0..slots.high() {
            let Some(slot) = slots.get(index) else { continue };
            let generation = slot.generation.load(Acquire);
            let is_live = slot.state.load(Acquire) == layout::SLOT_LIVE
                && (me != 0 && slot_index(me) == index || self.is_locked(index));
            // What one slot adds tells its generations and states apart, and the factor one slot from the other.
            let here = u64::from(generation) << 1 | u64::from(is_live);
            sum = sum.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(here + 1);
        }
        sum
    }

    /// A second descriptor of the object; ESTALE when somebody closed ours.
    pub fn clone_fd(&self) -> std::result::Result<std::os::fd::OwnedFd, Errno> {
        let object = self.object.read();
        if object.is_intact() { object.to_owned_fd() } else { Err(Errno::ESTALE) }
    }

    /// Somebody closed our descriptor, and maybe reused its number: find the object again.
    #[cold]
    fn reopen(&self) {
        let name = self.location.path("attach to region").ok();
        let fresh = self.object.read().reopen(name.as_deref());
        if let Ok(fresh) = fresh {
            *self.object.write() = fresh;
        }
    }
}

/// Locks a slot's byte for the description and makes the slot ours: its index and new generation, or `None` when all
/// belong to the living.
fn take_slot(slots: &Slots<'_>, description: &ObjectFile) -> std::result::Result<Option<(u32, u32)>, Errno> {
    let high = slots.high();
    let is_free =
        |index: &u32| slots.get(*index).is_some_and(|slot| slot.state.load(Relaxed) == layout::SLOT_FREE);
    let free = (0..high).filter(is_free);
    let claimed = (0..high).filter(|index| !is_free(index));
    for index in free.chain(claimed).chain(high..slots.geometry.slot_count) {
        let Some(slot) = slots.get(index) else { continue };
        if !ofd::try_lock_byte(description.as_fd(), token_byte(index))? {
            continue;
        }
        slots.live.slots_high.fetch_max(index + 1, SeqCst);
        // A death before `boot` is stored makes the next taker jump once more; there is room for four.
        let step = if slot.boot.load(Relaxed) == process::boot_mark() { 1 } else { layout::GENERATION_JUMP };
        let generation = slot.generation.fetch_add(step, Release).wrapping_add(step);
        slot.boot.store(process::boot_mark(), Relaxed);
        slot.pid.store(process::pid(), Relaxed);
        slot.pid_namespace.store(process::pid_namespace(), Relaxed);
        slot.attached_ns.store(clock::monotonic_ns(), Relaxed);
        slot.waits_for.store(0, Relaxed);
        let mut label = [0; 16];
        let name = process::command_name();
        let len = name.len().min(label.len());
        label[..len].copy_from_slice(&name[..len]);
        for (word, bytes) in slot.label.iter().zip(bytemuck::cast::<_, [u64; 2]>(label)) {
            word.store(bytes, Relaxed);
        }
        slot.state.store(layout::SLOT_LIVE, Release);
        return Ok(Some((index, generation)));
    }
    Ok(None)
}

fn token_byte(index: u32) -> i64 {
    layout::TOKEN_BASE + i64::from(index)
}
