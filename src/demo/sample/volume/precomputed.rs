//! Neuroglancer's precomputed volumes: each chunk an object such as `0-32_96-128_0-32`, or many to
//! a shard, which [`super::shards`] writes.
//!
//! Source: the Neuroglancer documentation, "Precomputed volume format" and "Compressed segmentation
//! format".

use serde_json::{Value, json};

use super::Files;
use super::grid::{Grid, corner, places};
use super::shards;

/// How chunks are encoded and stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    /// As they are, an object each.
    Raw,
    /// As they are, in shards.
    Sharded,
    /// Labels in blocks, each with a table of the few that occur in it; an object each.
    CompressedSegmentation,
}

/// Voxels along each axis of a compressed block.
const BLOCK: u16 = 8;

/// Writes a volume of one scale.
pub(super) fn volume(files: &mut Files, grid: &Grid, nanometres: u32, storage: Storage) {
    let chunk = super::chunk_of(grid);
    let mut scale = json!({
        "key": "finest",
        "size": grid.size,
        "resolution": vec![nanometres; 3],
        "voxel_offset": [0, 0, 0],
        "chunk_sizes": [chunk],
        "encoding": "raw",
    });
    match storage {
        Storage::Raw => {}
        Storage::Sharded => scale["sharding"] = shards::parameters(),
        Storage::CompressedSegmentation => {
            scale["encoding"] = json!("compressed_segmentation");
            scale["compressed_segmentation_block_size"] = json!(vec![BLOCK; 3]);
        }
    }
    files.json("info", &info(grid, &scale));
    if storage == Storage::Sharded {
        return shards::write(files, "finest/", grid, chunk);
    }
    for place in places(grid.size, chunk) {
        let from = corner(place, chunk);
        let mut voxels = grid.cut(from, chunk);
        if storage == Storage::CompressedSegmentation {
            voxels = compress(&voxels, chunk);
        }
        let range = [0, 1, 2].map(|axis| format!("{}-{}", from[axis], from[axis] + chunk[axis]));
        files.bytes(&format!("finest/{}", range.join("_")), voxels);
    }
}

fn info(grid: &Grid, scale: &Value) -> Value {
    let labels = grid.width > 1;
    json!({
        "@type": "neuroglancer_multiscale_volume",
        "type": if labels { "segmentation" } else { "image" },
        "data_type": if labels { "uint32" } else { "uint8" },
        "num_channels": 1,
        "scales": [scale],
    })
}

/// One channel of labels; offsets count in words of four bytes.
fn compress(voxels: &[u8], chunk: [u16; 3]) -> Vec<u8> {
    let chunk = Grid { size: chunk, width: 4, bytes: voxels.to_vec() };
    let blocks = places(chunk.size, [BLOCK; 3]);
    let mut words: Vec<u32> = vec![0; 2 * blocks.len()];
    for (number, place) in blocks.into_iter().enumerate() {
        let block = chunk.cut(corner(place, [BLOCK; 3]), [BLOCK; 3]);
        let labels: Vec<u32> =
            block.as_chunks().0.iter().copied().map(u32::from_le_bytes).collect();
        let mut table = labels.clone();
        table.sort_unstable();
        table.dedup();
        let bits = [0, 1, 2, 4, 8, 16].into_iter().find(|bits| table.len() <= 1 << bits);
        let bits = bits.unwrap_or(32);
        let values_at = words.len();
        words.extend(pack(&labels, &table, bits));
        let table_at = words.len();
        words.extend(table);
        words[2 * number] = word(table_at) | bits << 24;
        words[2 * number + 1] = word(values_at);
    }
    // Before the channel stands where it begins.
    [1].into_iter().chain(words).flat_map(u32::to_le_bytes).collect()
}

/// Each label's place in the table, in so many bits, the lowest first.
fn pack(labels: &[u32], table: &[u32], bits: u32) -> Vec<u32> {
    if bits == 0 {
        return Vec::new();
    }
    let per_word = usize::try_from(32 / bits).unwrap_or(1);
    let places = labels.iter().map(|label| word(table.partition_point(|known| known < label)));
    let places: Vec<u32> = places.collect();
    places
        .chunks(per_word)
        .map(|some| {
            some.iter().rev().fold(0_u32, |word, place| word.checked_shl(bits).unwrap_or(0) | place)
        })
        .collect()
}

/// Volumes here are small.
fn word(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
