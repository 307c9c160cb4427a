//! Sample data for the demo, drawn from fixed seeds: three flat image pyramids (OME-Zarr 0.4) for the
//! built-in page, and [`VOLUMES`] for viewers.
//!
//! Images and volumes are pure functions of their place here. A chunk of an image, or a whole volume, is
//! drawn when it is first read and kept after that, so that the demo starts at once and every run shows
//! the same.

mod cells;
mod chunk;
mod metadata;
mod neurons;
mod noise;
mod section;
#[cfg(test)]
mod tests;
mod volume;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;

use self::cells::cells;
use self::chunk::{Stroke, Tile};
use self::metadata::{array, attributes};
use self::neurons::{grow_neurites, haze};
use self::section::section;
pub use self::volume::{Content, Format, Grid, VOLUMES, Volume};

/// Width and height of the finest level, in pixels.
const SIDE: u16 = 1024;
/// Width and height of a chunk, in pixels.
const CHUNK: u16 = 128;
/// Levels of a pyramid; each has half the width and height of the one before.
const LEVELS: u8 = 4;
/// Chunks of one pyramid, all levels together: 64 + 16 + 4 + 1.
const CHUNKS: usize = 85;

/// Where objects lie: an S3 bucket of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// Private, behind the first distribution.
    Data,
    /// Private, behind the second distribution, which may not list the bucket.
    Archive,
    /// Open to everybody, with no distribution of the site's in front.
    Public,
}

/// One sample image, and the rule that opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dataset {
    /// The name people see.
    pub name: &'static str,
    /// The path of its OME-Zarr group on the data host, with no slash at the end.
    pub path: &'static str,
    /// The name of the demo's rule that opens it, which is also its path prefix.
    pub rule: &'static str,
}

/// The sample images, in the order in which the viewer shows them.
pub const DATASETS: [Dataset; 3] = [
    Dataset { name: "Neurons", path: "/lab-a/neurons.zarr", rule: "lab-a" },
    Dataset { name: "Cells", path: "/lab-b/cells.zarr", rule: "lab-b" },
    Dataset { name: "Section", path: "/atlas/section.zarr", rule: "atlas" },
];

/// One object as the edge stand-in serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleObject {
    /// The media type: JSON for metadata, `application/octet-stream` for chunks.
    pub content_type: &'static str,
    /// The whole body; a chunk is 128 × 128 bytes, one per pixel, row by row.
    pub bytes: Bytes,
}

/// All sample objects: the plan of every image, and the chunks drawn so far.
#[derive(Debug)]
pub struct SampleData {
    neurites: Vec<Stroke>,
    drawn: [[OnceLock<Bytes>; CHUNKS]; DATASETS.len()],
    volumes: [OnceLock<BTreeMap<String, SampleObject>>; VOLUMES.len()],
}

impl SampleData {
    /// Plans the images; takes milliseconds, as chunks are drawn only when they are read.
    #[must_use]
    pub fn generate() -> SampleData {
        let drawn = std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new()));
        let volumes = std::array::from_fn(|_| OnceLock::new());
        SampleData { neurites: grow_neurites(), drawn, volumes }
    }

    /// Draws all volumes now, for whoever would not wait at the first read.
    pub fn draw_volumes(&self) {
        for (volume, objects) in VOLUMES.iter().zip(&self.volumes) {
            objects.get_or_init(|| volume.objects(volume.content.draw()));
        }
    }

    /// The object of a bucket at this exact path (such as `/lab-a/neurons.zarr/0/3/4`), or `None`.
    ///
    /// Drawing a chunk of an image for the first time takes milliseconds of computing, a volume a
    /// second or two.
    #[must_use]
    pub fn get(&self, bucket: Bucket, path: &str) -> Option<SampleObject> {
        for (volume, objects) in VOLUMES.iter().zip(&self.volumes) {
            let key = path.strip_prefix(volume.path).and_then(|key| key.strip_prefix('/'));
            if let Some(key) = key.filter(|_| volume.bucket == bucket) {
                return objects
                    .get_or_init(|| volume.objects(volume.content.draw()))
                    .get(key)
                    .cloned();
            }
        }
        if bucket == Bucket::Data { self.image(path) } else { None }
    }

    fn image(&self, path: &str) -> Option<SampleObject> {
        let (index, dataset, key) = DATASETS.iter().enumerate().find_map(|(index, dataset)| {
            Some((index, dataset, path.strip_prefix(dataset.path)?.strip_prefix('/')?))
        })?;
        match key {
            ".zgroup" => return Some(json("{\"zarr_format\":2}".to_owned())),
            ".zattrs" => return Some(json(attributes(dataset.name))),
            _ => {}
        }
        let (level, key) = key.split_once('/')?;
        let level = digit(level).filter(|level| *level < LEVELS)?;
        if key == ".zarray" {
            return Some(json(array(level)));
        }
        let (row, column) = key.split_once('/')?;
        let across = across(level);
        let row = digit(row).filter(|row| *row < across)?;
        let column = digit(column).filter(|column| *column < across)?;
        let slot = slot(level, row, column);
        let bytes = self.drawn[index][slot].get_or_init(|| self.draw(index, level, row, column));
        Some(SampleObject { content_type: "application/octet-stream", bytes: bytes.clone() })
    }

    fn draw(&self, index: usize, level: u8, row: u8, column: u8) -> Bytes {
        let tile = Tile::new(level, row, column);
        let mut light = match index {
            0 => tile.fill(haze),
            1 => tile.fill(cells),
            _ => tile.fill(section),
        };
        if index == 0 {
            self.neurites.iter().for_each(|stroke| tile.paint(&mut light, stroke));
        }
        tile.develop(&light).into()
    }
}

fn json(text: String) -> SampleObject {
    SampleObject { content_type: "application/json", bytes: text.into() }
}

/// A number below ten as zarr writes it: one digit, so that each chunk has exactly one path.
fn digit(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        _ => None,
    }
}

/// Chunks across one level: 8, 4, 2, 1.
fn across(level: u8) -> u8 {
    8 >> level
}

/// Where a chunk is kept: level by level, row by row.
fn slot(level: u8, row: u8, column: u8) -> usize {
    let before: usize = (0..level).map(|level| usize::from(across(level)).pow(2)).sum();
    before + usize::from(row) * usize::from(across(level)) + usize::from(column)
}
