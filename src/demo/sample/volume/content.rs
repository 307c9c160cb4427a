//! What the sample volumes show.

use super::super::noise::{hash, noise, smooth, unit, whole};
use super::super::section;
use super::cells::Cells;
use super::grid::Grid;

/// Voxels along x, y and z of every volume at its finest.
pub(super) const SIZE: [u16; 3] = [128, 128, 96];

/// A thing that a volume shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Brain tissue as an electron microscope shows it.
    Neuropil,
    /// Which neuron is where in the neuropil.
    Neurons,
    /// Packed cells with stained nuclei, as a light microscope shows them.
    Tissue,
    /// Which nucleus is where in the tissue.
    Nuclei,
    /// A whole brain, stained.
    Brain,
    /// A few bright specks in the dark: most chunks hold nothing.
    Specks,
}

impl Content {
    /// Whether it consists of labels and not of light.
    #[must_use]
    pub const fn is_labels(self) -> bool {
        matches!(self, Self::Neurons | Self::Nuclei)
    }

    /// The edge of a voxel, in nanometres.
    #[must_use]
    pub const fn voxel_nanometres(self) -> u32 {
        match self {
            Self::Neuropil | Self::Neurons => 16,
            Self::Tissue | Self::Nuclei | Self::Specks => 500,
            Self::Brain => 100_000,
        }
    }

    /// Draws it; the same at every run.
    #[must_use]
    pub fn draw(self) -> Grid {
        match self {
            Self::Neuropil => {
                let cells = neurites();
                Grid::image(SIZE, |at| neuropil(&cells, at))
            }
            Self::Neurons => {
                let cells = neurites();
                Grid::labels(SIZE, |at| cells.at(bend(at)).body)
            }
            Self::Tissue => {
                let cells = bodies();
                Grid::image(SIZE, |at| tissue(&cells, at))
            }
            Self::Nuclei => {
                let cells = bodies();
                Grid::labels(SIZE, |at| {
                    let site = cells.at(bend(at));
                    if nucleus(site.cell, site.centre) > 0.5 { site.cell } else { 0 }
                })
            }
            Self::Brain => Grid::image(SIZE, brain),
            Self::Specks => Grid::image(SIZE, speck),
        }
    }
}

fn neurites() -> Cells {
    Cells::scatter(SIZE, [17.0, 17.0, 15.0], 51, true)
}

fn bodies() -> Cells {
    Cells::scatter(SIZE, [24.0, 24.0, 24.0], 52, false)
}

/// Bends straight walls into living ones.
fn bend([x, y, z]: [f32; 3]) -> [f32; 3] {
    let wave = |along: f32, beside: f32, phase: f32| (along / 11.0 + beside / 23.0 + phase).sin();
    [
        x + 3.6 * wave(y, z, 0.3) + 1.1 * wave(3.1 * z, 2.3 * y, 1.9),
        y + 3.6 * wave(z, x, 2.1) + 1.1 * wave(2.9 * x, 2.7 * z, 4.0),
        z + 3.6 * wave(x, y, 4.4) + 1.1 * wave(3.3 * y, 2.5 * x, 0.8),
    ]
}

/// Dark membranes around grey cytoplasm, with mitochondria and vesicles in some of it.
fn neuropil(cells: &Cells, at: [f32; 3]) -> u8 {
    let site = cells.at(bend(at));
    let bits = hash(site.body.cast_signed(), 3, 61);
    let mut light = 0.70 + 0.16 * (unit(bits) - 0.5);
    light += 0.07 * (grain(at, 62) - 0.5);
    if site.wall > 1.6 && unit(bits.rotate_left(9)) < 0.75 {
        let blob = cloud([at[0] / 9.0, at[1] / 9.0, at[2] / 12.0], 63);
        let stripes = 0.06 * (at[0] * 1.3 + at[1] * 0.9 + at[2] * 0.4).sin();
        light -= (0.30 + stripes) * smooth((blob - 0.60) / 0.06) * smooth((site.wall - 1.6) / 0.8);
    }
    if site.wall > 2.2 && unit(bits.rotate_left(17)) < 0.45 {
        let vesicle = cloud(at.map(|along| along / 2.3), 64);
        light -= 0.22 * smooth((vesicle - 0.62) / 0.1);
    }
    let membrane = smooth((1.5 - site.wall) / 1.1);
    byte(light + (0.16 - light) * membrane + 0.09 * (grain(at, 65) - 0.5))
}

/// Bright nuclei with a texture, in cells whose walls glow a little.
fn tissue(cells: &Cells, at: [f32; 3]) -> u8 {
    let site = cells.at(bend(at));
    let tone = unit(hash(site.cell.cast_signed(), 7, 71));
    let glow = 0.05 + 0.10 * tone + 0.30 * smooth((1.7 - site.wall) / 1.7);
    let inside = nucleus(site.cell, site.centre);
    let chromatin = (0.42 + 0.34 * tone) * (0.55 + 0.9 * cloud(at.map(|along| along / 3.4), 72));
    byte(glow + (chromatin - glow).max(0.0) * inside + 0.05 * (grain(at, 73) - 0.5))
}

/// How far inside its nucleus a place of a cell is: 0 outside, 1 inside.
fn nucleus(cell: u32, from_centre: f32) -> f32 {
    let radius = 5.2 + 3.4 * unit(hash(cell.cast_signed(), 9, 74));
    smooth((radius - from_centre) / 1.6 + 0.5)
}

/// Two halves with a folded rind in layers, and two hollows deep inside.
fn brain(at: [f32; 3]) -> u8 {
    let [u, v, w] = [0, 1, 2].map(|axis| 2.0 * (at[axis] + 0.5) / f32::from(SIZE[axis]) - 1.0);
    let across = u.abs();
    let round = (u * u / 0.80 + v * v / 0.92 + w * w / 0.86).sqrt();
    let fold = cloud([u * 4.4 + 9.0, v * 4.4 + 9.0, w * 4.0 + 9.0], 81) - 0.45;
    let cleft = 0.18 * smooth((0.09 - across) / 0.09) * smooth((0.35 - v) / 0.4);
    let depth = 1.0 - round - 0.34 * fold.max(0.0) * smooth((round - 0.25) / 0.5) - cleft;
    if depth <= 0.0 {
        return 0;
    }
    let (du, dv) = ((across - 0.13 - 0.7 * v * v) / 0.07, (v + 0.06) / 0.26);
    let hollow = smooth((1.0 - (du * du + dv * dv + w * w / 0.3).sqrt()) / 0.2);
    let stain = section::layer(depth) * (0.82 + 0.36 * cloud(at.map(|along| along / 2.6), 82));
    byte(stain * smooth(depth / 0.03) * (1.0 - hollow) + 0.03 * grain(at, 83))
}

/// One ball of light in each eighth of the volume that is drawn by lot.
fn speck(at: [f32; 3]) -> u8 {
    let corner = at.map(|along| whole(along / 32.0));
    let bits = hash(corner[0] + 5 * corner[1], corner[2], 91);
    if unit(bits) > 0.16 {
        return 0;
    }
    let away = at.map(|along| along - (along / 32.0).floor() * 32.0 - 15.5);
    let far = (away[0] * away[0] + away[1] * away[1] + away[2] * away[2]).sqrt();
    let radius = 7.0 + 7.0 * unit(bits.rotate_left(7));
    byte(smooth((radius - far) / 6.0) * (0.55 + 0.45 * grain(at, 92)))
}

/// Smooth noise in three dimensions; 0 to 1.
fn cloud([x, y, z]: [f32; 3], seed: u32) -> f32 {
    let layer = whole(z);
    let at = |layer: i32| noise(x, y, seed.wrapping_add(layer.cast_unsigned().wrapping_mul(977)));
    let (below, above) = (at(layer), at(layer + 1));
    below + (above - below) * smooth(z - z.floor())
}

/// Noise without any smoothness, one number per voxel; 0 to 1.
fn grain([x, y, z]: [f32; 3], seed: u32) -> f32 {
    unit(hash(whole(x), whole(y), seed.wrapping_add(whole(z).cast_unsigned() * 131)))
}

/// Light as a byte.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn byte(light: f32) -> u8 {
    (light * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}
