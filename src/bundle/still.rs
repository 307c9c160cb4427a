//! Whether what is followed has changed, and holds still again.

/// What was seen last of a place that is looked at again and again. A build or a copy writes many files
/// one after the other; what looks the same twice is taken to be finished.
#[derive(Clone, Debug)]
pub struct Stillness<T> {
    seen: Option<T>,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is as what is in use.
    Same,
    /// It has changed, perhaps not for the last time.
    Moving,
    /// It has changed, and looks as it did the last time.
    Still,
}

impl<T> Default for Stillness<T> {
    fn default() -> Self {
        Self { seen: None }
    }
}

impl<T: PartialEq> Stillness<T> {
    /// Judges what is seen now, where `held` is what is in use.
    pub fn look(&mut self, held: Option<&T>, now: T) -> Look {
        if held == Some(&now) {
            self.seen = None;
            return Look::Same;
        }
        let still = self.seen.as_ref() == Some(&now);
        self.seen = Some(now);
        if still { Look::Still } else { Look::Moving }
    }

    /// Whether the last look found nothing new.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.seen.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_looks_the_same_twice() {
        let mut still = Stillness::default();
        let looks: Vec<Look> = [1, 2, 3, 3, 3].map(|now| still.look(Some(&1), now)).into();
        assert_eq!(looks, [Look::Same, Look::Moving, Look::Moving, Look::Still, Look::Still]);
        assert!(!still.is_settled());
        assert_eq!(still.look(Some(&3), 3), Look::Same);
        assert!(still.is_settled());
        assert_eq!(still.look(Some(&3), 2), Look::Moving, "what was seen before is forgotten");
    }

    #[test]
    fn without_anything_in_use_everything_is_a_change() {
        let mut still = Stillness::default();
        assert_eq!([still.look(None, 1), still.look(None, 1)], [Look::Moving, Look::Still]);
    }
}
