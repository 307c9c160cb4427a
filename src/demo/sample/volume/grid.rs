//! Voxels in memory, and boxes cut out of them.

use std::num::NonZero;
use std::thread;

/// A volume: x runs fastest, then y, then z. A voxel is one byte of an image, or a label of four
/// bytes, the lowest first. Every format here stores a chunk's voxels in this very order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// Voxels along x, y and z.
    pub size: [u16; 3],
    /// Bytes of one voxel: 1 or 4.
    pub width: usize,
    /// All voxels.
    pub bytes: Vec<u8>,
}

impl Grid {
    /// An image: `light` says what is at each voxel.
    pub(super) fn image(size: [u16; 3], light: impl Fn([f32; 3]) -> u8 + Sync) -> Self {
        Self::fill(size, 1, |at, voxel| voxel[0] = light(at))
    }

    /// A segmentation: `label` says which thing is at each voxel, 0 for none.
    pub(super) fn labels(size: [u16; 3], label: impl Fn([f32; 3]) -> u32 + Sync) -> Self {
        Self::fill(size, 4, |at, voxel| voxel.copy_from_slice(&label(at).to_le_bytes()))
    }

    /// Fills layer by layer, on all processors.
    fn fill(size: [u16; 3], width: usize, put: impl Fn([f32; 3], &mut [u8]) + Sync) -> Self {
        let layer = usize::from(size[0]) * usize::from(size[1]) * width;
        let mut bytes = vec![0; layer * usize::from(size[2])];
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let share = usize::from(size[2]).div_ceil(workers).max(1);
        thread::scope(|scope| {
            let mut left: &mut [u8] = &mut bytes;
            let mut first = 0;
            while first < size[2] {
                let last = first.saturating_add(u16::try_from(share).unwrap_or(u16::MAX));
                let last = last.min(size[2]);
                let (mine, rest) = left.split_at_mut(layer * usize::from(last - first));
                left = rest;
                let (put, from) = (&put, first);
                scope.spawn(move || fill_layers(mine, size, from, width, put));
                first = last;
            }
        });
        Self { size, width, bytes }
    }

    /// The voxels of a box that lies inside.
    pub(super) fn cut(&self, from: [u16; 3], size: [u16; 3]) -> Vec<u8> {
        let [x, y, z] = from.map(usize::from);
        let [across, down, deep] = size.map(usize::from);
        let [width, height, _] = self.size.map(usize::from);
        let mut cut = Vec::with_capacity(across * down * deep * self.width);
        for layer in z..z + deep {
            for row in y..y + down {
                let start = ((layer * height + row) * width + x) * self.width;
                cut.extend_from_slice(&self.bytes[start..start + across * self.width]);
            }
        }
        cut
    }

    /// The image at half the size: each voxel is the mean of eight.
    #[must_use]
    pub fn halved(&self) -> Self {
        debug_assert_eq!(self.width, 1, "the mean of labels is no label");
        let size = self.size.map(|side| side / 2);
        let [width, height, _] = self.size.map(usize::from);
        let [across, down, deep] = size.map(usize::from);
        let mut bytes = Vec::with_capacity(across * down * deep);
        for z in 0..deep {
            for y in 0..down {
                for x in 0..across {
                    let start = (2 * z * height + 2 * y) * width + 2 * x;
                    let mut sum = 4_u16;
                    for corner in [0, width, width * height, width * height + width] {
                        let at = start + corner;
                        sum += u16::from(self.bytes[at]) + u16::from(self.bytes[at + 1]);
                    }
                    bytes.push((sum / 8).to_le_bytes()[0]);
                }
            }
        }
        Self { size, width: 1, bytes }
    }

    /// Whether nothing is in a box.
    pub(super) fn is_empty(&self, from: [u16; 3], size: [u16; 3]) -> bool {
        self.cut(from, size).iter().all(|byte| *byte == 0)
    }
}

fn fill_layers(
    bytes: &mut [u8],
    size: [u16; 3],
    first: u16,
    width: usize,
    put: &impl Fn([f32; 3], &mut [u8]),
) {
    let (mut x, mut y, mut z) = (0, 0, first);
    for voxel in bytes.chunks_exact_mut(width) {
        put([f32::from(x), f32::from(y), f32::from(z)], voxel);
        x += 1;
        if x == size[0] {
            (x, y) = (0, y + 1);
        }
        if y == size[1] {
            (y, z) = (0, z + 1);
        }
    }
}

/// The places of all boxes of a size in a volume, counted in boxes, x fastest.
///
/// Volumes here are whole numbers of boxes along every axis.
pub(super) fn places(volume: [u16; 3], size: [u16; 3]) -> Vec<[u16; 3]> {
    let [across, down, deep] = [0, 1, 2].map(|axis| volume[axis] / size[axis]);
    let mut places = Vec::new();
    for z in 0..deep {
        for y in 0..down {
            for x in 0..across {
                places.push([x, y, z]);
            }
        }
    }
    places
}

/// Where the box at a place begins, in voxels.
pub(super) fn corner(place: [u16; 3], size: [u16; 3]) -> [u16; 3] {
    [0, 1, 2].map(|axis| place[axis] * size[axis])
}
