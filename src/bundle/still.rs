//! Whether what is followed has changed, and holds still again.

/// What was seen of a place that is looked at again and again. A build or a copy writes many files one
/// after the other; what looks the same twice is taken to be finished.
#[derive(Clone, Debug)]
pub struct Stillness<T> {
    taken: Option<T>,
    seen: Option<T>,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing has changed since what was taken last.
    Same,
    /// It has changed, perhaps not for the last time.
    Moving,
    /// It has changed, and looks as it did the last time.
    Still,
}

impl<T: PartialEq> Stillness<T> {
    /// Begins with what is in use already, if anything is.
    #[must_use]
    pub const fn new(taken: Option<T>) -> Self {
        Self { taken, seen: None }
    }

    /// Judges what is seen now.
    pub fn look(&mut self, now: T) -> Look {
        if self.taken.as_ref() == Some(&now) {
            self.seen = None;
            return Look::Same;
        }
        let still = self.seen.as_ref() == Some(&now);
        self.seen = Some(now);
        if still { Look::Still } else { Look::Moving }
    }

    /// Notes that what is seen now is in use from now on.
    pub fn take(&mut self, now: T) {
        (self.taken, self.seen) = (Some(now), None);
    }

    /// Whether nothing has changed since what was taken last, as far as is known.
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
        let mut still = Stillness::new(Some(1));
        let looks: Vec<Look> = [1, 2, 3, 3, 3, 1, 3].map(|now| still.look(now)).into();
        let expected = [
            Look::Same,
            Look::Moving,
            Look::Moving,
            Look::Still,
            Look::Still,
            Look::Same,
            Look::Moving,
        ];
        assert_eq!(looks, expected);
        assert!(!still.is_settled());
        still.take(3);
        assert_eq!(still.look(3), Look::Same);
        assert!(still.is_settled());
    }

    #[test]
    fn without_anything_in_use_everything_is_a_change() {
        let mut still = Stillness::new(None);
        assert_eq!([still.look(1), still.look(1)], [Look::Moving, Look::Still]);
    }
}
