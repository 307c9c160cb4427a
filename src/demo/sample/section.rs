//! A stained section: the third image.

use super::SIDE;
use super::noise::{clouds, nearest_cell, noise, smooth, unit, whole};

/// Stain by depth under the surface, in steps of 0.02: membrane, six layers, white matter.
const LAYERS: [f32; 22] = [
    0.10, 0.26, 0.22, 0.60, 0.70, 0.52, 0.46, 0.50, 0.82, 0.88, 0.62, 0.44, 0.66, 0.74, 0.58, 0.60,
    0.40, 0.22, 0.17, 0.15, 0.16, 0.18,
];

/// A stained section with two halves, folded layers around it, and nuclei with contours inside.
pub(super) fn section(x: f32, y: f32) -> f32 {
    let centre = f32::from(SIDE) / 2.0;
    let wave = noise(x / 120.0, y / 120.0, 31) - 0.5;
    let u = ((x - centre) / centre + 0.05 * wave).abs();
    let v = (y - centre) / centre + 0.05 * (noise(x / 110.0, y / 110.0, 32) - 0.5);
    let round = (u * u / 0.81 + v * v / 0.62).sqrt();
    let fold = noise(u * 4.6 + wave * 0.5, v * 4.6, 33) - 0.42;
    let cleft = 0.16 * smooth((0.10 - u) / 0.10) * smooth((0.25 - v) / 0.4);
    let depth = 1.0 - round - 0.30 * fold.max(0.0) * smooth((round - 0.2) / 0.6) - cleft;
    if depth <= 0.0 {
        return 0.015;
    }
    let stain = layer(depth);
    let core = smooth((depth - 0.40) / 0.06);
    let inner = if core > 0.0 { nuclei(u, v) } else { 0.0 };
    let base = stain + (inner - stain) * core;
    let hollow = ventricle(u, v);
    let speck = 0.66 + 0.80 * bodies(x, y, base);
    (base * speck * smooth(depth / 0.012) * (1.0 - hollow)).min(1.0)
}

/// The stain at a depth, between two entries of the table.
pub(super) fn layer(depth: f32) -> f32 {
    let place = depth / 0.02;
    let index = usize::try_from(whole(place)).unwrap_or(0).min(LAYERS.len() - 2);
    let part = (place - place.floor()).min(1.0);
    if index == LAYERS.len() - 2 {
        return LAYERS[index];
    }
    LAYERS[index] + (LAYERS[index + 1] - LAYERS[index]) * smooth(part)
}

/// Grey matter deep inside: regions in steps, like the contours of a map.
fn nuclei(u: f32, v: f32) -> f32 {
    let height = clouds(u * 4.2 + 3.0, v * 4.2, 34, 2) * 8.0;
    let terrace = height.floor() + smooth((height - height.floor() - 0.4) / 0.2);
    let rim = 1.0 - smooth((height - height.floor() - 0.5).abs() / 0.09);
    0.14 + 0.62 * smooth((terrace - 2.0) / 4.0) - 0.10 * rim
}

/// A curved hollow beside the midline: 1 inside, 0 outside.
fn ventricle(u: f32, v: f32) -> f32 {
    let (du, dv) = ((u - 0.13 - 0.9 * (v + 0.12) * (v + 0.12)) / 0.055, (v + 0.10) / 0.2);
    smooth((1.0 - (du * du + dv * dv).sqrt()) / 0.16)
}

/// Stained cell bodies, more and larger where the stain is strong; 0 to 1.
fn bodies(x: f32, y: f32, density: f32) -> f32 {
    let nearest = nearest_cell(x / 8.5, y / 8.5);
    let radius = (0.20 + 0.24 * unit(nearest.id.rotate_left(8))) * (0.5 + 0.7 * density);
    smooth((radius - nearest.first) / 0.16 + 0.5)
}
