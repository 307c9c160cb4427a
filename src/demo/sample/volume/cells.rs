//! Space cut into irregular cells, some of which belong together.

use super::super::noise::{hash, unit, whole};

/// Cells around scattered centres, for the places of one volume.
pub(super) struct Cells {
    spacing: [f32; 3],
    /// Cells of the lattice along x, y and z, two beyond the volume on either side.
    count: [i32; 3],
    centres: Vec<Centre>,
}

#[derive(Clone, Copy)]
struct Centre {
    at: [f32; 3],
    cell: u32,
    /// The first cell of the chain that this one belongs to.
    body: u32,
}

/// What there is at a place.
pub(super) struct Site {
    /// The nearest cell's number, from 1.
    pub(super) cell: u32,
    /// The number of what that cell is a part of, from 1.
    pub(super) body: u32,
    /// How far its centre is.
    pub(super) centre: f32,
    /// About how far the nearest wall to another body is.
    pub(super) wall: f32,
}

/// The chance that a cell belongs to its neighbour's body.
const JOINED: f32 = 0.62;

impl Cells {
    /// Scatters centres `spacing` voxels apart over a volume; `joined` cells form longer bodies.
    pub(super) fn scatter(size: [u16; 3], spacing: [f32; 3], seed: u32, joined: bool) -> Self {
        let count = [0, 1, 2].map(|axis| whole(f32::from(size[axis]) / spacing[axis]) + 5);
        let mut cells = Self { spacing, count, centres: Vec::new() };
        for z in 0..count[2] {
            for y in 0..count[1] {
                for x in 0..count[0] {
                    let bits = hash(x, y, seed.wrapping_add(z.cast_unsigned() * 7919));
                    let jitter = [bits, bits.rotate_left(11), bits.rotate_left(22)].map(unit);
                    let at = [x, y, z].map(small);
                    let at = [0, 1, 2].map(|axis| (at[axis] - 2.0 + jitter[axis]) * spacing[axis]);
                    let cell = u32::try_from(cells.centres.len()).unwrap_or(0) + 1;
                    let body = if joined { cells.neighbours_body([x, y, z], bits) } else { None };
                    cells.centres.push(Centre { at, cell, body: body.unwrap_or(cell) });
                }
            }
        }
        cells
    }

    /// The body of the neighbour before along one axis, if the dice say so.
    fn neighbours_body(&self, [x, y, z]: [i32; 3], bits: u32) -> Option<u32> {
        if unit(hash(bits.cast_signed(), 5, 41)) > JOINED {
            return None;
        }
        let neighbour = match bits % 5 {
            0 => [x - 1, y, z],
            1 => [x, y - 1, z],
            _ => [x, y, z - 1],
        };
        self.index(neighbour).map(|index| self.centres[index].body)
    }

    fn index(&self, [x, y, z]: [i32; 3]) -> Option<usize> {
        usize::try_from((z * self.count[1] + y) * self.count[0] + x)
            .ok()
            .filter(|_| x >= 0 && y >= 0 && z >= 0)
    }

    /// Looks at the 27 cells around a place.
    pub(super) fn at(&self, at: [f32; 3]) -> Site {
        let base = [0, 1, 2].map(|axis| {
            let home = whole(at[axis] / self.spacing[axis]) + 2;
            home.clamp(1, self.count[axis] - 2)
        });
        let mut near = [(f32::MAX, 0); 27];
        let mut nearest = (f32::MAX, 0);
        let mut slot = 0;
        for z in base[2] - 1..=base[2] + 1 {
            for y in base[1] - 1..=base[1] + 1 {
                let start = self.index([base[0] - 1, y, z]).unwrap_or(0);
                for index in start..start + 3 {
                    let centre = self.centres[index].at;
                    let away = [centre[0] - at[0], centre[1] - at[1], centre[2] - at[2]];
                    let far = away[0] * away[0] + away[1] * away[1] + away[2] * away[2];
                    near[slot] = (far, index);
                    slot += 1;
                    if far < nearest.0 {
                        nearest = (far, index);
                    }
                }
            }
        }
        let home = self.centres[nearest.1];
        let mut other = f32::MAX;
        for (far, index) in near {
            if far < other && self.centres[index].body != home.body {
                other = far;
            }
        }
        let centre = nearest.0.sqrt();
        Site { cell: home.cell, body: home.body, centre, wall: (other.sqrt() - centre) / 2.0 }
    }
}

/// A count of cells as a number that can be measured.
fn small(count: i32) -> f32 {
    i16::try_from(count).map_or(0.0, f32::from)
}
