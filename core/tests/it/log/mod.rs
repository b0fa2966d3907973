//! The log, with other processes, power cuts and hostile bytes.

mod damage;
mod follow;
mod forks;
mod hostile;
mod kills;
mod power;
mod trouble;

/// Numbers that look random and are the same each time (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        let mut state = self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0 = state;
        state >> 11
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
