//! Shards of a precomputed volume: `neuroglancer_uint64_sharded_v1`, with the identity as hash.
//!
//! A shard begins with where the index of each of its minishards lies; both, and the offsets of the
//! chunks, count from the end of that list.
//!
//! Source: the Neuroglancer documentation, "Sharded format".

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Files;
use super::grid::{Grid, corner, places};

const PRESHIFT_BITS: u32 = 1;
const MINISHARD_BITS: u32 = 2;
const SHARD_BITS: u32 = 2;

/// What `info` says about the shards.
pub(super) fn parameters() -> Value {
    json!({
        "@type": "neuroglancer_uint64_sharded_v1",
        "preshift_bits": PRESHIFT_BITS,
        "hash": "identity",
        "minishard_bits": MINISHARD_BITS,
        "shard_bits": SHARD_BITS,
        "minishard_index_encoding": "raw",
        "data_encoding": "raw",
    })
}

/// Chunks by number.
type Chunks = BTreeMap<u64, Vec<u8>>;

/// Writes all chunks of a volume.
pub(super) fn write(files: &mut Files, prefix: &str, grid: &Grid, chunk: [u16; 3]) {
    let count = [0, 1, 2].map(|axis| grid.size[axis] / chunk[axis]);
    let mut shards: BTreeMap<u64, BTreeMap<u64, Chunks>> = BTreeMap::new();
    for place in places(grid.size, chunk) {
        let number = morton(place, count);
        let hash = number >> PRESHIFT_BITS;
        let shard = (hash >> MINISHARD_BITS) & ((1 << SHARD_BITS) - 1);
        let minishard = hash & ((1 << MINISHARD_BITS) - 1);
        let chunks = shards.entry(shard).or_default().entry(minishard).or_default();
        chunks.insert(number, grid.cut(corner(place, chunk), chunk));
    }
    for (shard, minishards) in shards {
        // As many digits as the bits need.
        let digits = SHARD_BITS.div_ceil(4) as usize;
        files.bytes(&format!("{prefix}{shard:0digits$x}.shard"), encode(&minishards));
    }
}

fn encode(minishards: &BTreeMap<u64, Chunks>) -> Vec<u8> {
    let (mut list, mut body) = (Vec::new(), Vec::new());
    for minishard in 0..1_u64 << MINISHARD_BITS {
        let Some(chunks) = minishards.get(&minishard) else {
            put(&mut list, [body.len() as u64; 2]);
            continue;
        };
        let index = store(&mut body, chunks);
        let start = body.len() as u64;
        body.extend_from_slice(&index);
        put(&mut list, [start, body.len() as u64]);
    }
    list.extend(body);
    list
}

/// Adds chunks to a body, and returns their index: all numbers, all offsets, all lengths. Numbers
/// are told from the number before, offsets from the end of the chunk before.
fn store(body: &mut Vec<u8>, chunks: &Chunks) -> Vec<u8> {
    let (mut numbers, mut offsets, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    let (mut before, mut end) = (0, 0);
    for (number, voxels) in chunks {
        let start = body.len() as u64;
        put(&mut numbers, [number - before]);
        put(&mut offsets, [start - end]);
        put(&mut lengths, [voxels.len() as u64]);
        body.extend_from_slice(voxels);
        (before, end) = (*number, body.len() as u64);
    }
    [numbers, offsets, lengths].concat()
}

fn put<const COUNT: usize>(list: &mut Vec<u8>, numbers: [u64; COUNT]) {
    for number in numbers {
        list.extend_from_slice(&number.to_le_bytes());
    }
}

/// A chunk's number: the bits of its place in turns, as many of each axis as its count needs.
fn morton(place: [u16; 3], count: [u16; 3]) -> u64 {
    let (mut number, mut next) = (0, 0);
    for bit in 0..16 {
        for axis in 0..3 {
            if u32::from(count[axis]) > 1 << bit {
                number |= u64::from(place[axis] >> bit & 1) << next;
                next += 1;
            }
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunks_number_has_the_bits_that_its_axes_need() {
        let count = [4, 4, 3];
        for (place, number) in
            [([0, 0, 0], 0), ([1, 0, 0], 1), ([0, 1, 0], 2), ([0, 0, 1], 4), ([3, 3, 2], 59)]
        {
            assert_eq!(morton(place, count), number, "{place:?}");
        }
        assert_eq!(morton([5, 0, 1], [8, 1, 2]), 0b1011, "no bit of y, one of z");
    }
}
