//! `shmkit.Pool`.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use shmkit::{BlockState, ErrorKind};

use crate::arguments::{Place, limit, natural};
use crate::error::{Result, on_exit};
use crate::object::{Named, Origin, address};
use crate::pool_block::PoolBlock;
use crate::waiting;

const ALLOCATE: &str = "allocate block";

/// Blocks of one size, allocated and freed without a lock, from `Region.pool`.
///
/// A block belongs to the process that allocated it and comes back when that process dies. It is handed to another process
/// without a copy: `PoolBlock.publish` returns a handle, a number, and `adopt` takes the block there. `with` closes the handle at
/// its end.
#[pyclass(frozen, weakref, module = "shmkit")]
pub struct Pool {
    object: Named<shmkit::Pool>,
}

impl Pool {
    pub fn new(core: shmkit::Pool, origin: &Arc<Origin>) -> Pool {
        Pool { object: Named::new(core, origin) }
    }

    /// A block, if there is one at once.
    #[inline]
    pub fn allocate_quickly(slf: &Bound<'_, Pool>) -> Option<PoolBlock> {
        let handle = slf.get().object.core.try_take().ok()??;
        PoolBlock::new(slf, handle).ok()
    }

    #[inline]
    pub fn named(&self) -> &Named<shmkit::Pool> {
        &self.object
    }
}

#[pymethods]
impl Pool {
    /// Takes a block, waiting for one at most `timeout` seconds (None: as long as it takes), then raises TimeoutError. The
    /// block may hold what its last owner left in it. Raises ClosedError.
    #[pyo3(signature = (timeout=None))]
    fn allocate(slf: &Bound<'_, Self>, timeout: Option<f64>) -> Result<PoolBlock> {
        let object = slf.get().named();
        let core = &object.core;
        if let Some(handle) = core.try_take()? {
            return Ok(PoolBlock::new(slf, handle)?);
        }
        let limit = match timeout {
            None => None,
            given => limit(given, Place { operation: ALLOCATE, object: &object.label() })?,
        };
        let give_back = |handle| {
            let _ = core.free(handle);
        };
        let taken = waiting::wait(slf.py(), limit, &|| core.is_closed(), |wait| core.take(wait), give_back)?;
        match taken {
            Some(handle) => Ok(PoolBlock::new(slf, handle)?),
            None => Err(object.error(ErrorKind::Timeout, ALLOCATE)),
        }
    }

    /// Takes a block if one is free or belongs to somebody who died; None if there is none. In a pool of more
    /// than 512 blocks for each attached process, one may be missed for up to 10 ms that somebody frees while another is
    /// looking at it. Raises ClosedError.
    fn try_allocate(slf: &Bound<'_, Self>) -> Result<Option<PoolBlock>> {
        let taken = slf.get().named().core.try_take()?;
        Ok(taken.map(|handle| PoolBlock::new(slf, handle)).transpose()?)
    }

    /// Takes the block that was published under this handle; it has a new handle then. Of several who try, one gets it.
    ///
    /// Raises StaleHandleError (somebody adopted it before), InvalidBlockError (it is not published), ClosedError.
    fn adopt(slf: &Bound<'_, Self>, handle: &Bound<'_, PyAny>) -> Result<PoolBlock> {
        let object = slf.get().named();
        let label = object.label();
        let place = Place { operation: "adopt block", object: &label };
        let handle = natural(handle, ErrorKind::InvalidBlock, place)? as u64;
        Ok(PoolBlock::new(slf, object.core.take_published(handle)?)?)
    }

    /// Takes back now what the dead have, and returns how many blocks came back. Whoever finds no free block does the same.
    fn recover(&self) -> Result<u32> {
        Ok(self.object.core.recover()?)
    }

    /// How many blocks there are of each kind, and who has how many: `shmkit.PoolStatus`. Raises ClosedError.
    fn status<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyDict>> {
        self.object.expect_open("inspect pool")?;
        let status = self.object.core.status();
        let answer = PyDict::new(py);
        answer.set_item(intern!(py, "block_size"), status.block_size)?;
        answer.set_item(intern!(py, "stride"), status.stride)?;
        answer.set_item(intern!(py, "total"), status.total)?;
        answer.set_item(intern!(py, "free"), status.free)?;
        answer.set_item(intern!(py, "owned"), status.owned)?;
        answer.set_item(intern!(py, "published"), status.published)?;
        answer.set_item(intern!(py, "damaged"), status.damaged)?;
        answer.set_item(intern!(py, "recovered"), status.recovered)?;
        let owners: PyResult<Vec<_>> = status
            .owners
            .iter()
            .map(|owner| {
                let told = PyDict::new(py);
                told.set_item(intern!(py, "slot"), owner.slot)?;
                told.set_item(intern!(py, "pid"), owner.pid)?;
                told.set_item(intern!(py, "alive"), owner.alive)?;
                told.set_item(intern!(py, "count"), owner.count)?;
                Ok(told)
            })
            .collect();
        answer.set_item(intern!(py, "owners"), owners?)?;
        Ok(answer)
    }

    /// What each block is, in the order of their places: `shmkit.PoolBlockStatus`. Raises ClosedError.
    fn blocks<'py>(&self, py: Python<'py>) -> Result<Vec<Bound<'py, PyDict>>> {
        self.object.expect_open("inspect pool")?;
        let told = self.object.core.blocks().into_iter().map(|block| {
            let told = PyDict::new(py);
            let state = match block.state {
                BlockState::Free => intern!(py, "free"),
                BlockState::Owned => intern!(py, "owned"),
                BlockState::Published => intern!(py, "published"),
                BlockState::Damaged => intern!(py, "damaged"),
            };
            told.set_item(intern!(py, "index"), block.index)?;
            told.set_item(intern!(py, "state"), state)?;
            told.set_item(intern!(py, "handle"), block.handle)?;
            told.set_item(intern!(py, "slot"), block.slot)?;
            told.set_item(intern!(py, "pid"), block.pid)?;
            told.set_item(intern!(py, "mine"), block.mine)?;
            Ok(told)
        });
        Ok(told.collect::<PyResult<_>>()?)
    }

    /// Bytes of a block.
    #[getter]
    fn block_size(&self) -> usize {
        self.object.core.block_size()
    }

    /// Number of blocks.
    #[getter]
    fn count(&self) -> u32 {
        self.object.core.count()
    }

    /// What the blocks are aligned to.
    #[getter]
    fn alignment(&self) -> usize {
        self.object.core.block_alignment()
    }

    /// Ends the use of this handle; repeating it does nothing. A thread that waits gets ClosedError.
    ///
    /// Raises BusyError when this is the process's last handle and the process has blocks.
    fn close(&self) -> Result<()> {
        Ok(self.object.core.close()?)
    }

    /// The name in its region.
    #[getter]
    fn name(&self) -> &str {
        self.object.core.name()
    }

    /// Whether this handle was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.object.core.is_closed()
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes the handle. What the body raised goes on, also when the handle cannot be closed.
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        _exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        on_exit(exc_type, self.close())
    }

    fn __len__(&self) -> usize {
        self.object.core.count() as usize
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        self.object.reduce(py, "pool", PyDict::new(py))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let state = if this.closed() {
            "closed".to_owned()
        } else {
            let status = this.object.core.status();
            format!("{} of {} blocks free", status.free, status.total)
        };
        format!("<shmkit.Pool at {} {}: {state}>", address(slf), this.object.place())
    }
}
