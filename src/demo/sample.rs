//! Sample data for the demo: three private image pyramids (OME-Zarr 0.4), drawn from fixed seeds.
//!
//! A chunk is a pure function of dataset, level and position. It is drawn when it is first read
//! and kept after that, so that the demo starts at once and every run shows the same pictures.

use std::fmt::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;

/// Width and height of the finest level, in pixels.
const SIDE: u16 = 1024;
/// Width and height of a chunk, in pixels.
const CHUNK: u16 = 128;
/// Levels of a pyramid; each has half the width and height of the one before.
const LEVELS: u8 = 4;
/// Chunks of one pyramid, all levels together: 64 + 16 + 4 + 1.
const CHUNKS: usize = 85;
/// Width of a pixel of the finest level, in micrometres.
const PIXEL: f32 = 0.5;

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
}

impl SampleData {
    /// Plans the images; takes milliseconds, as chunks are drawn only when they are read.
    #[must_use]
    pub fn generate() -> SampleData {
        let drawn = std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new()));
        SampleData { neurites: grow_neurites(), drawn }
    }

    /// The object at this exact path (such as `/lab-a/neurons.zarr/0/3/4`), or `None`.
    ///
    /// Drawing a chunk for the first time takes milliseconds of computing.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<SampleObject> {
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

// --- metadata ---

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

/// The group's `.zattrs`; a coarse pixel's centre lies between the centres that it covers.
fn attributes(name: &str) -> String {
    let mut levels = String::new();
    for level in 0..LEVELS {
        let step = f32::from(1_u16 << level);
        let (scale, shift) = (PIXEL * step, PIXEL * (step - 1.0) / 2.0);
        let comma = if level == 0 { "" } else { "," };
        let _ = write!(
            levels,
            "{comma}{{\"path\":\"{level}\",\"coordinateTransformations\":[\
             {{\"type\":\"scale\",\"scale\":[{scale},{scale}]}},\
             {{\"type\":\"translation\",\"translation\":[{shift},{shift}]}}]}}"
        );
    }
    format!(
        "{{\"multiscales\":[{{\"version\":\"0.4\",\"name\":\"{name}\",\"axes\":[\
         {{\"name\":\"y\",\"type\":\"space\",\"unit\":\"micrometer\"}},\
         {{\"name\":\"x\",\"type\":\"space\",\"unit\":\"micrometer\"}}],\
         \"datasets\":[{levels}]}}]}}"
    )
}

/// A level's `.zarray`.
fn array(level: u8) -> String {
    let side = SIDE >> level;
    format!(
        "{{\"zarr_format\":2,\"shape\":[{side},{side}],\"chunks\":[{CHUNK},{CHUNK}],\
         \"dtype\":\"|u1\",\"compressor\":null,\"filters\":null,\"fill_value\":0,\
         \"order\":\"C\",\"dimension_separator\":\"/\"}}"
    )
}

// --- one chunk ---

/// A chunk's place, in pixels of the finest level.
struct Tile {
    left: f32,
    top: f32,
    /// Width of one of its pixels.
    step: f32,
}

impl Tile {
    fn new(level: u8, row: u8, column: u8) -> Tile {
        let step = f32::from(1_u16 << level);
        let span = f32::from(CHUNK) * step;
        Tile { left: f32::from(column) * span, top: f32::from(row) * span, step }
    }

    /// Light (0 to 1) of every pixel: at its centre, or the mean of four points if it is coarse.
    fn fill(&self, light: fn(f32, f32) -> f32) -> Vec<f32> {
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
    fn paint(&self, light: &mut [f32], stroke: &Stroke) {
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
    fn develop(&self, light: &[f32]) -> Vec<u8> {
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

// --- neurons ---

/// One straight piece of a neurite, in pixels of the finest level.
#[derive(Debug, Clone, Copy)]
struct Stroke {
    from: [f32; 2],
    to: [f32; 2],
    radius: f32,
    light: f32,
}

/// The growing end of a neurite.
struct Tip {
    at: [f32; 2],
    heading: f32,
    radius: f32,
    light: f32,
    steps: u16,
}

/// A sequence of numbers from a seed.
struct Dice(u32);

impl Dice {
    /// The next number, from 0 up to 1.
    fn roll(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9);
        unit(hash(self.0.cast_signed(), 0, 11))
    }

    /// The next number, between two bounds.
    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.roll()
    }
}

/// Neurons in three depths: blurred and dim behind, sharp in front.
fn grow_neurites() -> Vec<Stroke> {
    let mut strokes = Vec::new();
    let mut dice = Dice(0x5EED);
    for (light, blur) in [(0.20, 5.0), (0.40, 1.6), (1.0, 0.0)] {
        for cell in 0..9_u8 {
            let (column, row) = (f32::from(cell % 3), f32::from(cell / 3));
            let x = (column + dice.between(0.1, 0.9)) * f32::from(SIDE) / 3.0;
            let y = (row + dice.between(0.1, 0.9)) * f32::from(SIDE) / 3.0;
            let light = light * dice.between(0.7, 1.0);
            grow_neuron(&mut strokes, &mut dice, [x, y], light, blur);
        }
    }
    strokes
}

/// One neuron: a body, dendrites that fork and taper, and one long thin axon with boutons.
fn grow_neuron(strokes: &mut Vec<Stroke>, dice: &mut Dice, at: [f32; 2], light: f32, blur: f32) {
    let first = dice.between(0.0, std::f32::consts::TAU);
    let body = dice.between(10.0, 14.0);
    let end = [at[0] + first.cos() * body * 0.9, at[1] + first.sin() * body * 0.9];
    strokes.push(Stroke { from: at, to: end, radius: body + blur, light });
    let mut tips = Vec::new();
    for arm in 0..6_u8 {
        let heading = first + f32::from(arm) * 1.05 + dice.between(-0.3, 0.3);
        let radius = dice.between(3.6, 5.6);
        tips.push(Tip { at, heading, radius, light: light * 0.9, steps: 46 });
    }
    let heading = first + dice.between(2.5, 3.8);
    tips.push(Tip { at, heading, radius: 1.7, light: light * 0.8, steps: 110 });
    while let Some(mut tip) = tips.pop() {
        while tip.steps > 0 && tip.radius > 0.75 {
            strokes.push(advance(&mut tip, dice, blur));
            let forks = tip.radius > 1.3 && dice.roll() < 0.045;
            if forks {
                let turn = dice.between(0.4, 0.9) * if dice.roll() < 0.5 { 1.0 } else { -1.0 };
                let radius = tip.radius * 0.82;
                tips.push(Tip { heading: tip.heading + turn, radius, ..tip });
                tip.heading -= turn * 0.5;
            }
            if tip.radius < 1.8 && dice.roll() < 0.16 {
                let (from, radius) = (tip.at, tip.radius * 1.9 + blur);
                strokes.push(Stroke { from, to: from, radius, light: tip.light });
            }
        }
    }
}

/// Moves a tip one step on, bending and tapering a little.
fn advance(tip: &mut Tip, dice: &mut Dice, blur: f32) -> Stroke {
    let from = tip.at;
    tip.heading += dice.between(-0.26, 0.26);
    tip.at = [from[0] + tip.heading.cos() * 7.0, from[1] + tip.heading.sin() * 7.0];
    tip.radius *= if tip.steps > 46 || tip.radius < 1.8 { 0.996 } else { 0.965 };
    tip.light *= 0.994;
    tip.steps -= 1;
    Stroke { from, to: tip.at, radius: tip.radius + blur, light: tip.light }
}

/// The faint light between neurons.
fn haze(x: f32, y: f32) -> f32 {
    let cloud = clouds(x / 190.0, y / 190.0, 3, 3);
    0.035 + 0.12 * cloud * cloud
}

// --- cells ---

/// Packed cells: membranes, cytoplasm of differing brightness, nuclei with nucleoli, some gaps.
fn cells(x: f32, y: f32) -> f32 {
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

/// The nearest cell's identity, and the distances to the two nearest centres, in cell widths.
struct Nearest {
    id: u32,
    first: f32,
    second: f32,
}

fn nearest_cell(u: f32, v: f32) -> Nearest {
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

// --- section ---

/// Stain by depth under the surface, in steps of 0.02: membrane, six layers, white matter.
const LAYERS: [f32; 22] = [
    0.10, 0.26, 0.22, 0.60, 0.70, 0.52, 0.46, 0.50, 0.82, 0.88, 0.62, 0.44, 0.66, 0.74, 0.58, 0.60,
    0.40, 0.22, 0.17, 0.15, 0.16, 0.18,
];

/// A stained section with two halves, folded layers around it, and nuclei with contours inside.
fn section(x: f32, y: f32) -> f32 {
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
fn layer(depth: f32) -> f32 {
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

// --- noise ---

const AROUND: [[i8; 2]; 9] =
    [[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1], [-1, -1], [1, -1], [-1, 1], [1, 1]];

/// Well-mixed bits from a place and a seed.
fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut bits = x.cast_unsigned().wrapping_mul(0x9E37_79B1)
        ^ y.cast_unsigned().wrapping_mul(0x85EB_CA77).rotate_left(13)
        ^ seed.wrapping_mul(0xC2B2_AE3D);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
    bits = (bits ^ (bits >> 12)).wrapping_mul(0x297A_2D39);
    bits ^ (bits >> 15)
}

/// The upper bits as a number from 0 up to 1.
fn unit(bits: u32) -> f32 {
    f32::from((bits >> 16) as u16) / 65_536.0
}

/// Smooth noise with about one hill per unit; 0 to 1.
fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (column, row) = (whole(x), whole(y));
    let (across, down) = (smooth(x - x.floor()), smooth(y - y.floor()));
    let corner = |dx, dy| unit(hash(column + dx, row + dy, seed));
    let upper = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * across;
    let lower = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * across;
    upper + (lower - upper) * down
}

/// Noise with finer noise on top; 0 to 1.
fn clouds(x: f32, y: f32, seed: u32, octaves: u8) -> f32 {
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
fn smooth(part: f32) -> f32 {
    let part = part.clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

/// The whole number below.
#[expect(clippy::cast_possible_truncation, reason = "coordinates stay far below the limits")]
fn whole(value: f32) -> i32 {
    value.floor() as i32
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data: &SampleData, path: &str) -> String {
        let object = data.get(path).expect(path);
        assert_eq!(object.content_type, "application/json");
        String::from_utf8(object.bytes.to_vec()).expect("metadata is text")
    }

    fn chunk(data: &SampleData, path: &str, level: u8, row: u8, column: u8) -> Vec<f32> {
        let object = data.get(&format!("{path}/{level}/{row}/{column}")).expect("a chunk");
        assert_eq!(object.content_type, "application/octet-stream");
        assert_eq!(object.bytes.len(), usize::from(CHUNK) * usize::from(CHUNK));
        object.bytes.iter().copied().map(f32::from).collect()
    }

    /// A chunk as the means of four pixels each of the four finer chunks under it.
    fn mean_of_finer(data: &SampleData, path: &str, level: u8, row: u8, column: u8) -> Vec<f32> {
        let side = usize::from(CHUNK);
        let mut means = vec![0.0; side * side];
        for (down, right) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let finer = chunk(data, path, level - 1, 2 * row + down, 2 * column + right);
            for (at, value) in finer.iter().enumerate() {
                let y = usize::from(down) * side / 2 + at / side / 2;
                let x = usize::from(right) * side / 2 + at % side / 2;
                means[y * side + x] += value / 4.0;
            }
        }
        means
    }

    #[test]
    fn the_group_says_what_it_is() {
        let data = SampleData::generate();
        for dataset in DATASETS {
            let group = text(&data, &format!("{}/.zgroup", dataset.path));
            assert_eq!(group, r#"{"zarr_format":2}"#);
            let attributes = text(&data, &format!("{}/.zattrs", dataset.path));
            let start = format!(
                r#"{{"multiscales":[{{"version":"0.4","name":"{}","axes":[{{"name":"y""#,
                dataset.name
            );
            assert!(attributes.starts_with(&start), "{attributes}");
            let coarsest = concat!(
                r#"{"path":"3","coordinateTransformations":[{"type":"scale","scale":[4,4]},"#,
                r#"{"type":"translation","translation":[1.75,1.75]}]}]}]}"#
            );
            assert!(attributes.ends_with(coarsest), "{attributes}");
        }
    }

    #[test]
    fn an_array_says_how_it_is_cut() {
        let data = SampleData::generate();
        assert_eq!(
            text(&data, "/lab-b/cells.zarr/1/.zarray"),
            concat!(
                r#"{"zarr_format":2,"shape":[512,512],"chunks":[128,128],"dtype":"|u1","#,
                r#""compressor":null,"filters":null,"fill_value":0,"order":"C","#,
                r#""dimension_separator":"/"}"#
            )
        );
    }

    #[test]
    fn every_chunk_has_a_slot_of_its_own() {
        let all = (0..LEVELS).flat_map(|level| (0..across(level)).map(move |row| (level, row)));
        let slots =
            all.flat_map(|(level, row)| (0..across(level)).map(move |c| slot(level, row, c)));
        assert_eq!(slots.collect::<Vec<_>>(), (0..CHUNKS).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_there_is_none() {
        let data = SampleData::generate();
        let paths = "/ /lab-a /lab-a/neurons.zarr /lab-a/neurons.zarr/ /lab-a/cells.zarr/.zattrs \
             /lab-a/neurons.zarr/4/.zarray /lab-a/neurons.zarr/0/8/0 /lab-a/neurons.zarr/3/0/1 \
             /lab-a/neurons.zarr/0/0 /lab-a/neurons.zarr/0/0/0/0 /lab-a/neurons.zarr/0/00/0 \
             /lab-a/neurons.zarr/0/+1/0 /lab-a/neurons.zarr/0/-1/0 lab-a/neurons.zarr/.zattrs";
        for path in paths.split(' ') {
            assert_eq!(data.get(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_is_taken_literally() {
        let data = SampleData::generate();
        for path in [
            "/lab-b/../lab-a/neurons.zarr/.zattrs",
            "/lab-a/neurons.zarr/../neurons.zarr/.zattrs",
            "/lab-a/neurons.zarr/./.zattrs",
            "/lab-a/neurons.zarr//.zattrs",
            "//lab-a/neurons.zarr/.zattrs",
            "/lab-a/neurons.zarr/%2e%2e/.zattrs",
            "/lab-a/neurons.zarr/0/../.zattrs",
            "/lab-a/neurons.zarr\\.zattrs",
        ] {
            assert_eq!(data.get(path), None, "{path}");
        }
    }

    #[test]
    fn runs_agree_and_images_differ() {
        let (one, other) = (SampleData::generate(), SampleData::generate());
        let thumbs = DATASETS.map(|dataset| one.get(&format!("{}/3/0/0", dataset.path)));
        assert_eq!(thumbs, DATASETS.map(|dataset| other.get(&format!("{}/3/0/0", dataset.path))));
        assert!(thumbs[0] != thumbs[1] && thumbs[1] != thumbs[2] && thumbs[0] != thumbs[2]);
    }

    #[test]
    fn a_level_resembles_the_mean_of_the_finer_one() {
        let data = SampleData::generate();
        for dataset in DATASETS {
            for (level, row, column) in [(3, 0, 0), (2, 1, 0), (1, 1, 2)] {
                let coarse = chunk(&data, dataset.path, level, row, column);
                let means = mean_of_finer(&data, dataset.path, level, row, column);
                let apart = coarse.iter().zip(&means).map(|(one, other)| (one - other).abs());
                let apart = apart.sum::<f32>() / f32::from(CHUNK * CHUNK);
                assert!(apart < 10.0, "{} level {level}: {apart} of 255 apart", dataset.name);
            }
        }
    }
}
