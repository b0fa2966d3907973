//! The runner's operations on pools.

use std::time::Duration;

use shmkit::{Atomic, BlockState, ErrorKind, Pool, PoolBlock, PoolOptions, Region, SharedBytes, Wait};

use crate::{Command, Outcome, done, refuse};

/// How long a player waits for a block. Others have them only for moments.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most blocks that a player has.
const MOST: usize = 4;

/// Opens the pool that the command names, or creates it; without `block_size`, only one that exists.
pub fn open(region: &Region, name: &str, command: &Command) -> Outcome<Pool> {
    let Some(size) = command.optional_number("block_size")? else { return Ok(region.find_pool(name)?) };
    let count = u32::try_from(command.number("count")?).unwrap_or(u32::MAX);
    let mut options = PoolOptions::new(size as usize, count);
    if let Some(alignment) = command.optional_number("alignment")? {
        options = options.alignment(alignment as usize);
    }
    Ok(region.pool(name, options)?)
}

/// Does what the command says with a pool; `post` is where players leave blocks for each other.
pub fn run(pool: &Pool, command: &Command, post: Option<&Atomic<u64>>) -> Outcome<String> {
    let block = || command.number("block");
    match command.op.as_str() {
        "pool_allocate" => {
            let timeout = command.optional_number("timeout_ms")?.map(Duration::from_millis);
            let block = pool.allocate_with(&timeout.map_or(Wait::FOREVER, Wait::timeout))?;
            Ok(format!(" block={}", block.into_handle()))
        }
        "pool_try_allocate" => {
            let block = pool.try_allocate()?.map_or(0, PoolBlock::into_handle);
            Ok(format!(" taken={} block={block}", u8::from(block != 0)))
        }
        "pool_write" => done(bytes_of(pool, block()?)?.write_at(0, &command.bytes("data")?)),
        "pool_read" => {
            let mut data = vec![0; command.number("len")? as usize];
            bytes_of(pool, block()?)?.read_at(0, &mut data)?;
            Ok(format!(" data={}", crate::hex(&data)))
        }
        "pool_free" => done(pool.free(block()?)),
        "pool_publish" => done(pool.publish(block()?)),
        "pool_adopt" => {
            let block = pool.adopt(block()?)?;
            let len = block.len();
            Ok(format!(" block={} size={len}", block.into_handle()))
        }
        "pool_recover" => Ok(format!(" count={}", pool.recover()?)),
        "pool_info" => {
            let status = pool.status();
            Ok(format!(
                " size={} stride={} total={} free={} owned={} published={} damaged={} recovered={}",
                status.block_size,
                status.stride,
                status.total,
                status.free,
                status.owned,
                status.published,
                status.damaged,
                status.recovered
            ))
        }
        "pool_blocks" => Ok(blocks(pool)),
        "pool_play" => play(pool, post, command.number("seed")?, command.number("count")?),
        _ => refuse(format!("unknown operation {}", command.op)),
    }
}

/// The bytes of a block that this process has.
fn bytes_of(pool: &Pool, block: u64) -> shmkit::Result<SharedBytes<'_>> {
    let start = pool.address(block)?;
    // SAFETY: an address of the pool, which keeps that many bytes there.
    Ok(unsafe { SharedBytes::new(start, pool.block_size(), true) })
}

fn blocks(pool: &Pool) -> String {
    let (mut states, mut mine, mut published) = (String::new(), 0, Vec::new());
    for block in pool.blocks() {
        states.push(match block.state {
            BlockState::Free => 'f',
            BlockState::Owned => 'o',
            BlockState::Published => 'p',
            BlockState::Damaged => 'd',
        });
        mine += u32::from(block.mine);
        if block.state == BlockState::Published {
            published.extend(block.handle.map(|handle| handle.to_string()));
        }
    }
    format!(" states={states} mine={mine} published={}", published.join(","))
}

/// So many steps at random, on blocks that hold one byte all over; some go to others by way of the post. In the end all
/// that it has are freed.
fn play(pool: &Pool, post: Option<&Atomic<u64>>, seed: u64, count: u64) -> Outcome<String> {
    let Some(post) = post else { return refuse("pool_play needs post") };
    let (fill, mut random) = (seed as u8, seed);
    let mut held: Vec<PoolBlock<'_>> = Vec::new();
    for _ in 0..count {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if held.is_empty() || held.len() < MOST && random & 1 != 0 {
            let block =
                if held.is_empty() { Some(pool.allocate_timeout(PATIENCE)?) } else { pool.try_allocate()? };
            if let Some(block) = block {
                block.write_at(0, &vec![fill; block.len()])?;
                held.push(block);
            }
            continue;
        }
        let block = held.swap_remove((random >> 8) as usize % held.len());
        if !holds_only(&block, fill)? {
            return refuse("somebody else wrote into a block");
        }
        if random >> 1 & 3 != 0 {
            block.free()?;
            continue;
        }
        let handle = post.swap(block.publish()?);
        match pool.adopt(handle) {
            Ok(block) => {
                let mut first = [0];
                block.read_at(0, &mut first)?;
                if !holds_only(&block, first[0])? {
                    return refuse("somebody wrote into a published block");
                }
                block.write_at(0, &vec![fill; block.len()])?;
                held.push(block);
            }
            // Nothing lay there, or somebody who lists the published ones was faster.
            Err(error) if [ErrorKind::StaleHandle, ErrorKind::InvalidBlock].contains(&error.kind()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for block in held {
        block.free()?;
    }
    Ok(String::new())
}

fn holds_only(block: &PoolBlock<'_>, fill: u8) -> shmkit::Result<bool> {
    let mut bytes = vec![0; block.len()];
    block.read_at(0, &mut bytes)?;
    Ok(bytes.iter().all(|byte| *byte == fill))
}
