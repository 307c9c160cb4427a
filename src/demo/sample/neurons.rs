//! Neurons: the first image.

use super::SIDE;
use super::chunk::Stroke;
use super::noise::{clouds, hash, unit};

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
pub(super) fn grow_neurites() -> Vec<Stroke> {
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
pub(super) fn haze(x: f32, y: f32) -> f32 {
    let cloud = clouds(x / 190.0, y / 190.0, 3, 3);
    0.035 + 0.12 * cloud * cloud
}
