//! Sample volumes: images and segmentations in three dimensions, in the formats that viewers read.
//!
//! A volume is a pure function of its place in [`VOLUMES`]: nothing of it is stored, and every run
//! shows the same.

mod cells;
mod content;
mod grid;
mod ome;
mod precomputed;
mod shards;
mod zarr2;
mod zarr3;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

pub use self::content::Content;
pub use self::grid::Grid;
use super::{Bucket, SampleObject};

/// A format that viewers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An array of Zarr version 2.
    Zarr2,
    /// An array of Zarr version 3.
    Zarr3,
    /// An array of Zarr version 3 that has objects only for chunks that are not empty.
    Zarr3Sparse,
    /// An array of Zarr version 3, in shards.
    Zarr3Sharded,
    /// A pyramid as OME-Zarr 0.4.
    Ome04,
    /// A pyramid as OME-Zarr 0.5.
    Ome05,
    /// A precomputed volume, raw.
    Precomputed,
    /// A precomputed volume, raw, in shards.
    PrecomputedSharded,
    /// A precomputed segmentation, compressed.
    PrecomputedSegmentation,
}

impl Format {
    /// The scheme by which Neuroglancer opens it, such as `zarr3`.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Zarr2 | Self::Ome04 => "zarr2",
            Self::Zarr3 | Self::Zarr3Sparse | Self::Zarr3Sharded | Self::Ome05 => "zarr3",
            Self::Precomputed | Self::PrecomputedSharded | Self::PrecomputedSegmentation => {
                "precomputed"
            }
        }
    }
}

/// One sample volume, and the rule that opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// The name people see.
    pub name: &'static str,
    /// Where it lies.
    pub bucket: Bucket,
    /// Its path there, with no slash at the end.
    pub path: &'static str,
    /// The name of the demo's rule that opens it; none is needed for what is public.
    pub rule: Option<&'static str>,
    /// How it is stored.
    pub format: Format,
    /// What it shows.
    pub content: Content,
}

/// The sample volumes: each format at least once, for one lab, the other, both and everybody.
pub const VOLUMES: [Volume; 9] = {
    use Content::{Brain, Neurons, Neuropil, Nuclei, Specks, Tissue};
    use Format::{
        Ome04, Ome05, Precomputed, PrecomputedSegmentation, PrecomputedSharded, Zarr2, Zarr3,
        Zarr3Sharded, Zarr3Sparse,
    };
    const fn volume(
        name: &'static str,
        bucket: Bucket,
        path: &'static str,
        rule: &'static str,
        format: Format,
        content: Content,
    ) -> Volume {
        let rule = if rule.is_empty() { None } else { Some(rule) };
        Volume { name, bucket, path, rule, format, content }
    }
    [
        volume("Neuropil", Bucket::Data, "/lab-a/neuropil", "lab-a", Zarr3Sharded, Neuropil),
        volume(
            "Neurons",
            Bucket::Data,
            "/lab-a/neurons",
            "lab-a",
            PrecomputedSegmentation,
            Neurons,
        ),
        volume("Tissue", Bucket::Data, "/lab-b/tissue.ome.zarr", "lab-b", Ome04, Tissue),
        volume("Nuclei", Bucket::Data, "/lab-b/nuclei.zarr", "lab-b", Zarr2, Nuclei),
        volume("Atlas", Bucket::Data, "/atlas/brain.zarr", "atlas", Zarr3, Brain),
        volume(
            "Shared tissue",
            Bucket::Archive,
            "/shared/tissue.ome.zarr",
            "shared",
            Ome05,
            Tissue,
        ),
        volume(
            "Shared neuropil",
            Bucket::Archive,
            "/shared/neuropil",
            "shared",
            PrecomputedSharded,
            Neuropil,
        ),
        volume("Specks", Bucket::Archive, "/shared/specks.zarr", "shared", Zarr3Sparse, Specks),
        volume("Public neuropil", Bucket::Public, "/neuropil", "", Precomputed, Neuropil),
    ]
};

impl Volume {
    /// All its objects, by their keys below [`Self::path`]; `grid` is what [`Content::draw`] drew.
    #[must_use]
    pub fn objects(&self, grid: Grid) -> BTreeMap<String, SampleObject> {
        let mut files = Files::default();
        let nanometres = self.content.voxel_nanometres();
        let zarr3 = |files: &mut Files, storage| {
            zarr3::array(files, "", &grid, Some(nanometres), storage);
        };
        let precomputed = |files: &mut Files, storage| {
            precomputed::volume(files, &grid, nanometres, storage);
        };
        match self.format {
            Format::Zarr2 => zarr2::array(&mut files, "", &grid, '.'),
            Format::Zarr3 => zarr3(&mut files, zarr3::Storage::Plain),
            Format::Zarr3Sparse => zarr3(&mut files, zarr3::Storage::Sparse),
            Format::Zarr3Sharded => zarr3(&mut files, zarr3::Storage::Sharded),
            Format::Ome04 => ome::version_0_4(&mut files, self.name, grid, nanometres),
            Format::Ome05 => ome::version_0_5(&mut files, self.name, grid, nanometres),
            Format::Precomputed => precomputed(&mut files, precomputed::Storage::Raw),
            Format::PrecomputedSharded => precomputed(&mut files, precomputed::Storage::Sharded),
            Format::PrecomputedSegmentation => {
                precomputed(&mut files, precomputed::Storage::CompressedSegmentation);
            }
        }
        files.0
    }
}

/// Voxels along an axis of a chunk, where the volume is a multiple of it.
const CHUNK: u16 = 32;

/// The size of a volume's chunks, of which it is a whole number along every axis.
fn chunk_of(grid: &Grid) -> [u16; 3] {
    grid.size.map(|side| if side.is_multiple_of(CHUNK) { CHUNK } else { side })
}

/// Objects being written.
#[derive(Default)]
struct Files(BTreeMap<String, SampleObject>);

impl Files {
    fn json(&mut self, key: &str, value: &Value) {
        self.put(key, "application/json", value.to_string().into());
    }

    fn bytes(&mut self, key: &str, bytes: Vec<u8>) {
        self.put(key, "application/octet-stream", bytes.into());
    }

    fn put(&mut self, key: &str, content_type: &'static str, bytes: Bytes) {
        self.0.insert(key.to_owned(), SampleObject { content_type, bytes });
    }
}
