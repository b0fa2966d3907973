//! A storm over a pool: blocks are taken, written, freed, and passed on from process to process while some die.

use super::{BEGUN, COMPLETED, FIRST, Ledger, TURNS, storm};
use crate::common::PATIENCE;
use crate::kills::Random;
use shmkit::{Atomic, BlockState, ErrorKind, Pool, PoolBlock, PoolOptions, Region, Wait};

const BLOCKS: u32 = 12;

fn pool(region: &Region) -> Pool {
    region.pool("pool", PoolOptions::new(128, BLOCKS)).unwrap()
}

/// Whoever has a block is alone with it: it stays as it was written.
fn use_block(block: &PoolBlock<'_>, ledger: &Ledger<'_>, mark: u8) {
    block.write_at(0, &[mark; 128]).unwrap();
    std::hint::spin_loop();
    let mut bytes = [0; 128];
    block.read_at(0, &mut bytes).unwrap();
    ledger.expect(bytes == [mark; 128]);
}

/// Frees what was published by somebody who died before it told others the handle.
fn sweep(pool: &Pool, letterbox: u64) {
    let handles = pool.blocks().into_iter().filter(|block| block.state == BlockState::Published);
    for handle in handles.filter_map(|block| block.handle).filter(|handle| *handle != letterbox) {
        // Its publisher may live after all, or somebody was faster: then nobody finds anything under the handle.
        drop(pool.adopt(handle));
    }
}

/// Leaves a block in the letterbox, and takes what was there.
fn pass_on(pool: &Pool, block: PoolBlock<'_>, letterbox: &Atomic<u64>, ledger: &Ledger<'_>, worker: usize) {
    let old = letterbox.swap(block.publish().unwrap());
    match pool.adopt(old) {
        Ok(block) => {
            use_block(&block, ledger, worker as u8);
            ledger.count(worker, FIRST);
        }
        Err(error) => {
            ledger.expect(matches!(error.kind(), ErrorKind::InvalidBlock | ErrorKind::StaleHandle));
        }
    }
}

#[test]
fn blocks() {
    let work = |region: &Region, ledger: &Ledger<'_>, worker: usize| {
        let (pool, wait) = (pool(region), Wait::timeout(PATIENCE));
        let letterbox = region.atomic_u64("letterbox", 0).unwrap();
        let mut random = Random::new();
        sweep(&pool, letterbox.load());
        for _ in 0..TURNS {
            ledger.count(worker, BEGUN);
            let block = pool.allocate_with(&wait).unwrap();
            use_block(&block, ledger, random.below(256) as u8);
            let more = if random.below(2) == 0 { pool.try_allocate().unwrap() } else { None };
            if random.below(4) == 0 {
                pass_on(&pool, block, &letterbox, ledger, worker);
            }
            drop(more);
            ledger.count(worker, COMPLETED);
        }
    };
    storm(blocks, "storm-pool", work, |region, ledger| {
        let pool = pool(region);
        pool.recover().unwrap();
        let status = pool.status();
        assert_eq!((status.owned, status.damaged), (0, 0), "nobody is left: {status:?}");
        assert_eq!(status.free + status.published, BLOCKS, "{status:?}");
        sweep(&pool, 0);
        assert_eq!(std::iter::from_fn(|| pool.try_take().unwrap()).count(), BLOCKS as usize);
        assert!(ledger.total(FIRST) > 0, "blocks were passed on");
    });
}
