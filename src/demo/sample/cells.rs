//! Packed cells: the second image.

use super::noise::{clouds, hash, nearest_cell, noise, smooth, unit};

/// Packed cells: membranes, cytoplasm of differing brightness, nuclei with nucleoli, some gaps.
pub(super) fn cells(x: f32, y: f32) -> f32 {
    const SIZE: f32 = 46.0;
    let bend = [noise(x / 70.0, y / 70.0, 21) - 0.5, noise(x / 70.0, y / 70.0, 22) - 0.5];
    let (u, v) = ((x + bend[0] * 34.0) / SIZE, (y + bend[1] * 34.0) / SIZE);
    let nearest = nearest_cell(u, v);
    let tone = unit(nearest.id);
    let gap = smooth((noise(x / 210.0, y / 210.0, 23) - 0.24) / 0.1);
    let wall = (nearest.second - nearest.first) * SIZE;
    let membrane = 1.0 / (1.0 + (wall / 3.2) * (wall / 3.2));
    let texture = clouds(x / 9.0, y / 9.0, 24, 2);
    let cytoplasm = (0.10 + 0.30 * tone * tone) * (0.55 + 0.9 * texture);
    let radius = 0.19 + 0.09 * unit(hash(nearest.id.cast_signed(), 1, 25));
    let nucleus = smooth((radius - nearest.first) / 0.055);
    let chromatin = 0.62 + 0.5 * (noise(x / 4.5, y / 4.5, 26) - 0.3) + 0.2 * tone;
    let inside = cytoplasm + (chromatin - cytoplasm) * nucleus;
    (inside + (0.62 - inside).max(0.0) * membrane) * (0.08 + 0.92 * gap)
}
