//! One chunk: light at places of the image, turned into bytes.

use super::CHUNK;
use super::noise::{hash, unit, whole};

/// One straight piece of a neurite, in pixels of the finest level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) from: [f32; 2],
    pub(super) to: [f32; 2],
    pub(super) radius: f32,
    pub(super) light: f32,
}

/// A chunk's place, in pixels of the finest level.
pub(super) struct Tile {
    left: f32,
    top: f32,
    /// Width of one of its pixels.
    step: f32,
}

impl Tile {
    pub(super) fn new(level: u8, row: u8, column: u8) -> Tile {
        let step = f32::from(1_u16 << level);
        let span = f32::from(CHUNK) * step;
        Tile { left: f32::from(column) * span, top: f32::from(row) * span, step }
    }

    /// Light (0 to 1) of every pixel: at its centre, or the mean of four points if it is coarse.
    pub(super) fn fill(&self, light: fn(f32, f32) -> f32) -> Vec<f32> {
        let mut values = Vec::with_capacity(usize::from(CHUNK) * usize::from(CHUNK));
        for row in 0..CHUNK {
            for column in 0..CHUNK {
                let x = self.left + (f32::from(column) + 0.5) * self.step;
                let y = self.top + (f32::from(row) + 0.5) * self.step;
                let off = self.step / 4.0;
                values.push(if self.step < 2.0 {
                    light(x, y)
                } else {
                    let upper = light(x - off, y - off) + light(x + off, y - off);
                    let lower = light(x - off, y + off) + light(x + off, y + off);
                    (upper + lower) / 4.0
                });
            }
        }
        values
    }

    /// Lays a stroke over the chunk; the brighter light wins, so that strokes join without seams.
    pub(super) fn paint(&self, light: &mut [f32], stroke: &Stroke) {
        let place = |[x, y]: [f32; 2]| [(x - self.left) / self.step, (y - self.top) / self.step];
        let (from, to) = (place(stroke.from), place(stroke.to));
        // A stroke thinner than a pixel is widened to a pixel and dimmed in proportion.
        let thin = stroke.radius / self.step;
        let radius = (thin * thin + 0.8).sqrt();
        let glow = stroke.light * thin / radius;
        let [columns, rows] = [0, 1].map(|axis| {
            let (low, high) = (from[axis].min(to[axis]), from[axis].max(to[axis]));
            pixel(low - radius)..pixel(high + radius + 1.0)
        });
        for row in rows {
            for column in columns.clone() {
                let at = [f32::from(column) + 0.5, f32::from(row) + 0.5];
                let near = 1.0 - distance_squared(at, from, to) / (radius * radius);
                let index = usize::from(row) * usize::from(CHUNK) + usize::from(column);
                if near > 0.0 {
                    light[index] = light[index].max(glow * near * near.sqrt());
                }
            }
        }
    }

    /// Adds the camera's grain (less where a pixel averages many) and turns light into bytes.
    pub(super) fn develop(&self, light: &[f32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(light.len());
        let origin = (whole(self.left), whole(self.top));
        let mut at = (0, 0);
        for value in light {
            let grain = unit(hash(origin.0 + at.0, origin.1 + at.1, 7)) - 0.5;
            bytes.push(byte(value + grain * 0.045 / self.step));
            at = if at.0 + 1 == i32::from(CHUNK) { (0, at.1 + 1) } else { (at.0 + 1, at.1) };
        }
        bytes
    }
}

/// The square of the distance from a point to a line between two points.
fn distance_squared(at: [f32; 2], from: [f32; 2], to: [f32; 2]) -> f32 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let offset = [at[0] - from[0], at[1] - from[1]];
    let length = along[0] * along[0] + along[1] * along[1] + 1e-6;
    let part = ((along[0] * offset[0] + along[1] * offset[1]) / length).clamp(0.0, 1.0);
    let (dx, dy) = (offset[0] - part * along[0], offset[1] - part * along[1]);
    dx * dx + dy * dy
}

/// A row or column of a chunk, clamped to its edges.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn pixel(value: f32) -> u16 {
    value.clamp(0.0, f32::from(CHUNK)) as u16
}

/// Light as a byte.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn byte(light: f32) -> u8 {
    (light * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}
