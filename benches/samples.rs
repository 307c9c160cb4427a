//! What rounds of measuring gave.

use std::time::{Duration, Instant};

use crate::machine;

/// Rounds of one measurement; peers take turns within each.
pub(crate) const ROUNDS: usize = 5;

/// One figure per round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// Round by round, so that what disturbs one round disturbs both sides of its quotient.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect())
    }

    pub(crate) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().copied().map(change).collect())
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The median, and in brackets the least and the most.
    pub(crate) fn show(&self) -> String {
        if self.0.is_empty() {
            return "–".to_owned();
        }
        let (least, most) = (number(self.least()), number(self.most()));
        if least == most {
            return least;
        }
        format!("{} ({least}–{most})", number(self.median()))
    }
}

/// Three significant digits, and all of a larger whole number.
pub(crate) fn number(figure: f64) -> String {
    let decimals = match figure.abs() {
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{figure:.decimals$}");
    if decimals > 0 {
        return text;
    }
    let digits = text.len();
    let mut grouped = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (digits - at) % 3 == 0 && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Runs an operation again and again on this thread, and returns how often per second of processor
/// time, which `openssl speed` counts too: a program that interferes costs it less than wall time.
pub(crate) fn per_second<T>(
    round: Duration,
    mut operation: impl FnMut(usize) -> T,
) -> anyhow::Result<f64> {
    let (begin, before) = (Instant::now(), machine::cpu_seconds_of_thread()?);
    let mut done = 0_u32;
    while begin.elapsed() < round {
        std::hint::black_box(operation(done as usize));
        done += 1;
    }
    Ok(f64::from(done) / (machine::cpu_seconds_of_thread()? - before))
}
