//! Zarr version 3: one array, each chunk an object such as `c/0/3/2`, or several to a shard.
//!
//! A shard holds its chunks one after the other, and at its end an index: offset and length of each
//! chunk, eight bytes each, and the CRC-32C of them all.
//!
//! Source: the Zarr core specification, version 3, and its sharding codec.
//! `dimension_units` is `TensorStore`'s and Neuroglancer's.

use serde_json::{Value, json};

use super::Files;
use super::grid::{Grid, corner, places};

/// How an array's chunks are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    /// An object each.
    Plain,
    /// An object each, but none where there is nothing.
    Sparse,
    /// Eight to a shard.
    Sharded,
}

/// Writes an array under `prefix`, its axes in the order z, y, x.
pub(super) fn array(
    files: &mut Files,
    prefix: &str,
    grid: &Grid,
    nanometres: Option<u32>,
    storage: Storage,
) {
    let outer = super::chunk_of(grid);
    let inner = outer.map(|side| side / 2);
    let codec = if storage == Storage::Sharded { sharding(inner) } else { little_endian() };
    let attributes = match nanometres {
        Some(edge) => json!({ "dimension_units": vec![format!("{edge} nm"); 3] }),
        None => json!({}),
    };
    let about = json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": reversed(grid.size),
        "data_type": if grid.width == 1 { "uint8" } else { "uint32" },
        "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": reversed(outer) } },
        "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
        "codecs": [codec],
        "fill_value": 0,
        "dimension_names": ["z", "y", "x"],
        "attributes": attributes,
    });
    files.json(&format!("{prefix}zarr.json"), &about);
    for place in places(grid.size, outer) {
        let from = corner(place, outer);
        if storage == Storage::Sparse && grid.is_empty(from, outer) {
            continue;
        }
        let body = match storage {
            Storage::Plain | Storage::Sparse => grid.cut(from, outer),
            Storage::Sharded => shard(grid, from, outer, inner),
        };
        let [x, y, z] = place;
        files.bytes(&format!("{prefix}c/{z}/{y}/{x}"), body);
    }
}

fn shard(grid: &Grid, from: [u16; 3], size: [u16; 3], chunk: [u16; 3]) -> Vec<u8> {
    let (mut body, mut index) = (Vec::new(), Vec::new());
    for place in places(size, chunk) {
        let within = corner(place, chunk);
        let voxels = grid.cut([0, 1, 2].map(|axis| from[axis] + within[axis]), chunk);
        for number in [body.len(), voxels.len()] {
            index.extend_from_slice(&(number as u64).to_le_bytes());
        }
        body.extend_from_slice(&voxels);
    }
    let checksum = crc32c(&index);
    body.extend_from_slice(&index);
    body.extend_from_slice(&checksum.to_le_bytes());
    body
}

fn sharding(chunk: [u16; 3]) -> Value {
    json!({
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": reversed(chunk),
            "codecs": [little_endian()],
            "index_codecs": [little_endian(), { "name": "crc32c" }],
            "index_location": "end",
        },
    })
}

fn little_endian() -> Value {
    json!({ "name": "bytes", "configuration": { "endian": "little" } })
}

fn reversed([x, y, z]: [u16; 3]) -> [u16; 3] {
    [z, y, x]
}

/// RFC 3720 appendix B.4, bit by bit: an index is short.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut rest = u32::MAX;
    for byte in bytes {
        rest ^= u32::from(*byte);
        for _ in 0..8 {
            rest = if rest & 1 == 1 { (rest >> 1) ^ 0x82F6_3B78 } else { rest >> 1 };
        }
    }
    !rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_agrees_with_the_rfcs_examples() {
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46DD_794E);
    }
}
