//! Numbers without a pattern, the same at every run.

/// Well-mixed bits from a place and a seed.
pub(super) fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut bits = x.cast_unsigned().wrapping_mul(0x9E37_79B1)
        ^ y.cast_unsigned().wrapping_mul(0x85EB_CA77).rotate_left(13)
        ^ seed.wrapping_mul(0xC2B2_AE3D);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
    bits = (bits ^ (bits >> 12)).wrapping_mul(0x297A_2D39);
    bits ^ (bits >> 15)
}

/// The upper bits as a number from 0 up to 1.
pub(super) fn unit(bits: u32) -> f32 {
    f32::from((bits >> 16) as u16) / 65_536.0
}

/// Smooth noise with about one hill per unit; 0 to 1.
pub(super) fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (column, row) = (whole(x), whole(y));
    let (across, down) = (smooth(x - x.floor()), smooth(y - y.floor()));
    let corner = |dx, dy| unit(hash(column + dx, row + dy, seed));
    let upper = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * across;
    let lower = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * across;
    upper + (lower - upper) * down
}

/// Noise with finer noise on top; 0 to 1.
pub(super) fn clouds(x: f32, y: f32, seed: u32, octaves: u8) -> f32 {
    let (mut sum, mut weight, mut total, mut scale) = (0.0, 1.0, 0.0, 1.0);
    for _ in 0..octaves {
        sum += weight * noise(x * scale, y * scale, seed);
        total += weight;
        weight *= 0.5;
        scale *= 2.03;
    }
    sum / total
}

/// A soft step from 0 to 1.
pub(super) fn smooth(part: f32) -> f32 {
    let part = part.clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

/// The whole number below.
#[expect(clippy::cast_possible_truncation, reason = "coordinates stay far below the limits")]
pub(super) fn whole(value: f32) -> i32 {
    value.floor() as i32
}

/// The nearest cell's identity, and the distances to the two nearest centres, in cell widths.
pub(super) struct Nearest {
    pub(super) id: u32,
    pub(super) first: f32,
    pub(super) second: f32,
}

/// The places around a place, itself first.
const AROUND: [[i8; 2]; 9] =
    [[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1], [-1, -1], [1, -1], [-1, 1], [1, 1]];

pub(super) fn nearest_cell(u: f32, v: f32) -> Nearest {
    let (column, row) = (whole(u), whole(v));
    let mut best = Nearest { id: 0, first: f32::MAX, second: f32::MAX };
    for [dx, dy] in AROUND {
        let id = hash(column + i32::from(dx), row + i32::from(dy), 20);
        let (dx, dy) = (f32::from(dx), f32::from(dy));
        let to_x = u.floor() + dx + 0.14 + 0.72 * unit(id) - u;
        let to_y = v.floor() + dy + 0.14 + 0.72 * unit(id.rotate_left(16)) - v;
        let distance = to_x * to_x + to_y * to_y;
        if distance < best.first {
            best = Nearest { id, first: distance, second: best.first };
        } else if distance < best.second {
            best.second = distance;
        }
    }
    Nearest { first: best.first.sqrt(), second: best.second.sqrt(), ..best }
}
