//! What is known of one place: how often it differs between the legs and by itself, what its
//! values look like, and whether its differences are noise.

use std::fmt::Write;
use std::str::FromStr;
use std::time::Duration;

use super::fresh::Fresh;
use super::rate::{FAST, Rate, SLOW, above};
use super::shape::Shapes;
use crate::{NoiseCause, NoiseLayer, NoiseLayers};

/// Differences of the primary with itself before a place is noise: two may be a change of state.
const FEW: f32 = 3.0;

/// How much more often than the primary with itself the legs may differ.
const TIMES: f32 = 1.5;

/// Standard errors by which they must differ more often: to stay reported while that is not
/// settled, and to be reported again once it was noise. Between the two, a place stays what it is.
const DOUBT: f32 = 2.0;
const PROOF: f32 = 4.0;

/// Answers to one request that are up to this far apart are given at one time.
const NEAR: Duration = Duration::from_secs(1);

/// Differences of late from which a place no longer differs seldom, and their share. Of Go's and
/// Java's points in time, one in a thousand ends in three zeros, which are left out.
const OFTEN: f32 = 2.5;
const OFTEN_SHARE: f32 = 0.05;

/// Comparisons with a second copy from which they count alone: it was asked at the same time.
const ENOUGH_COPIES: f32 = 8.0;

/// Comparisons with an answer just before from which it is asked whether they differ less.
const ENOUGH_NEAR: f32 = 30.0;

/// Comparisons of the primary with itself that speak against a class.
const ENOUGH_AGAINST: f32 = 8.0;

/// Comparisons that an endpoint has had, of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// The legs.
    pub(super) legs: u64,
    /// The primary with its answer to the same request up to a second before.
    pub(super) near: u64,
    /// The same, longer ago.
    pub(super) far: u64,
    /// The primary with its second copy.
    pub(super) copies: u64,
}

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Legs,
    Near,
    Far,
    Copies,
}

impl Sort {
    /// The primary and its answer that long before.
    pub(crate) fn after(apart: Duration) -> Self {
        if apart <= NEAR { Self::Near } else { Self::Far }
    }
}

impl Compared {
    pub(super) fn note(&mut self, sort: Sort) {
        match sort {
            Sort::Legs => self.legs += 1,
            Sort::Near => self.near += 1,
            Sort::Far => self.far += 1,
            Sort::Copies => self.copies += 1,
        }
    }
}

/// What is known of a place. Counts begin with its first difference.
#[derive(Clone, Debug)]
pub(super) struct Known {
    legs: Rate,
    legs_lately: Rate,
    near: Rate,
    far: Rate,
    copies: Rate,
    pub(super) shapes: Shapes,
    pub(super) fresh: Option<Box<Fresh>>,
    pub(super) noise: Option<NoiseCause>,
}

impl Known {
    /// A place that is first seen while what `compared` counts has been compared, the comparison
    /// that it is seen in left out.
    pub(super) fn new(compared: Compared) -> Self {
        Self {
            legs: Rate::from(compared.legs),
            legs_lately: Rate::from(compared.legs),
            near: Rate::from(compared.near),
            far: Rate::from(compared.far),
            copies: Rate::from(compared.copies),
            shapes: Shapes::default(),
            fresh: None,
            noise: None,
        }
    }

    /// Counts a difference in the comparison that `compared` counted last.
    pub(super) fn note(&mut self, sort: Sort, compared: Compared) {
        match sort {
            Sort::Legs => {
                self.legs.note(compared.legs, SLOW);
                self.legs_lately.note(compared.legs, FAST);
            }
            Sort::Near => self.near.note(compared.near, SLOW),
            Sort::Far => self.far.note(compared.far, SLOW),
            Sort::Copies => self.copies.note(compared.copies, SLOW),
        }
    }

    /// Whether the legs hardly ever differ here, the comparison at hand included.
    pub(super) fn is_seldom(&self, compared: Compared) -> bool {
        let mut lately = self.legs_lately;
        lately.note(compared.legs + 1, FAST);
        lately.differed < OFTEN || lately.differed < OFTEN_SHARE * lately.of
    }

    /// Decides anew; whether that is news.
    pub(super) fn decide(&mut self, layers: NoiseLayers, compared: Compared) -> bool {
        self.legs.catch_up(compared.legs, SLOW);
        self.legs_lately.catch_up(compared.legs, FAST);
        self.near.catch_up(compared.near, SLOW);
        self.far.catch_up(compared.far, SLOW);
        self.copies.catch_up(compared.copies, SLOW);
        let decided = self.cause(layers);
        let news = decided != self.noise;
        self.noise = decided;
        news
    }

    fn cause(&self, layers: NoiseLayers) -> Option<NoiseCause> {
        let (cause, own) = self.own(layers);
        let (few, limit) = if self.noise.is_some() { (1.0, PROOF) } else { (FEW, DOUBT) };
        if own.differed >= few {
            let by = above(self.legs, TIMES, own).max(above(self.legs_lately, TIMES, own));
            return (by < limit).then_some(cause);
        }
        // Where it was seen not to vary by itself, no class says that it does.
        let against = own.of >= ENOUGH_AGAINST;
        let nearly_all = self.legs_lately.differed >= 0.9 * self.legs_lately.of;
        let fresh = self.fresh.as_ref().is_some_and(|fresh| fresh.is_proven());
        let class = layers.has(NoiseLayer::Token) && fresh && nearly_all && !against;
        class.then_some(NoiseCause::Class)
    }

    /// How often the primary differs from itself, by the evidence that is nearest in time.
    fn own(&self, layers: NoiseLayers) -> (NoiseCause, Rate) {
        if layers.has(NoiseLayer::Secondary)
            && (self.copies.of >= ENOUGH_COPIES || self.copies.differed >= FEW)
        {
            return (NoiseCause::Secondary, self.copies);
        }
        if !layers.has(NoiseLayer::Itself) {
            return (NoiseCause::Itself, Rate::default());
        }
        // Ours: what changes with the time between two answers is state that changes, and the legs
        // are asked together.
        let slow_state = self.near.of >= ENOUGH_NEAR && above(self.far, 1.0, self.near) > DOUBT;
        let own = if slow_state { self.near } else { self.near.and(self.far) };
        (NoiseCause::Itself, own)
    }

    /// Written down without any value, for [`Known::read`].
    pub(super) fn write(&self) -> Box<str> {
        let mut out = String::from("1");
        for rate in [self.legs, self.legs_lately, self.near, self.far, self.copies] {
            let _ = write!(out, " {} {}", rate.differed, rate.of);
        }
        out.push(' ');
        self.shapes.write(&mut out);
        out.into()
    }

    /// Reads what [`Known::write`] wrote, where the endpoint has had `compared` by now; `None`
    /// where it is something else, such as what another version wrote.
    pub(super) fn read(text: &str, cause: Option<NoiseCause>, compared: Compared) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some("1") {
            return None;
        }
        let mut rate = |counted| {
            let mut number = || f32::from_str(words.next()?).ok();
            Some(Rate::known(number()?, number()?, counted))
        };
        let (legs, legs_lately) = (rate(compared.legs)?, rate(compared.legs)?);
        let (near, far) = (rate(compared.near)?, rate(compared.far)?);
        let copies = rate(compared.copies)?;
        let shapes = Shapes::read(words)?;
        let fresh = (cause == Some(NoiseCause::Class)).then(|| Box::new(Fresh::proven()));
        Some(Self { legs, legs_lately, near, far, copies, shapes, fresh, noise: cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place after these comparisons: of each sort, how many, and every how manieth differs.
    fn after(rounds: u64, every: [(Sort, u64, u64); 3]) -> Known {
        let mut compared = Compared::default();
        let mut known = Known::new(compared);
        for round in 0..rounds {
            for (sort, of, differs) in every {
                if of > 0 && round % of == 0 {
                    compared.note(sort);
                    if differs > 0 && (round / of) % differs == 0 {
                        known.note(sort, compared);
                        known.decide(NoiseLayers::ALL, compared);
                    }
                }
            }
        }
        known
    }

    const NOTHING: (Sort, u64, u64) = (Sort::Near, 0, 0);

    #[test]
    fn what_differs_by_itself_as_often_as_between_the_legs_is_noise() {
        for every in [1, 2, 10, 100] {
            let known = after(4_000, [(Sort::Legs, 1, every), (Sort::Far, 3, every), NOTHING]);
            assert_eq!(known.noise, Some(NoiseCause::Itself), "1 in {every}");
        }
        let known = after(6, [(Sort::Legs, 1, 1), (Sort::Copies, 1, 1), NOTHING]);
        assert_eq!(known.noise, Some(NoiseCause::Secondary));
    }

    #[test]
    fn what_differs_between_the_legs_far_more_often_is_not() {
        let known = after(2_000, [(Sort::Legs, 1, 1), (Sort::Far, 2, 50), NOTHING]);
        assert_eq!(known.noise, None);
        let known = after(2_000, [(Sort::Legs, 1, 1), (Sort::Far, 2, 0), NOTHING]);
        assert_eq!(known.noise, None);
    }

    #[test]
    fn state_that_changes_between_two_answers_is_no_noise() {
        // Half of the answers given long before differ, and hardly any of those given just before.
        let known = after(2_000, [(Sort::Legs, 1, 3), (Sort::Far, 2, 2), (Sort::Near, 4, 200)]);
        assert_eq!(known.noise, None);
    }

    #[test]
    fn noise_that_becomes_more_is_reported_again() {
        let mut compared = Compared::default();
        let mut known = Known::new(compared);
        for round in 0..3_000_u64 {
            compared.note(Sort::Legs);
            compared.note(Sort::Far);
            if round % 50 == 0 {
                known.note(Sort::Legs, compared);
                known.note(Sort::Far, compared);
                known.decide(NoiseLayers::ALL, compared);
            }
        }
        assert_eq!(known.noise, Some(NoiseCause::Itself));
        let swallowed = (0..100)
            .take_while(|_| {
                compared.note(Sort::Legs);
                known.note(Sort::Legs, compared);
                known.decide(NoiseLayers::ALL, compared);
                known.noise.is_some()
            })
            .count();
        assert!(swallowed < 25, "{swallowed}");
    }

    #[test]
    fn layers_that_are_off_say_nothing() {
        let mut known = after(100, [(Sort::Legs, 1, 1), (Sort::Far, 1, 1), (Sort::Copies, 1, 1)]);
        let compared = Compared { legs: 100, far: 100, copies: 100, ..Compared::default() };
        for (layers, cause) in [
            (vec![NoiseLayer::Itself], Some(NoiseCause::Itself)),
            (vec![NoiseLayer::Secondary], Some(NoiseCause::Secondary)),
            (vec![NoiseLayer::Token], None),
        ] {
            known.decide(layers.into_iter().collect(), compared);
            assert_eq!(known.noise, cause);
        }
    }

    #[test]
    fn what_is_known_survives_being_written() {
        let mut known = after(500, [(Sort::Legs, 1, 1), (Sort::Far, 3, 1), NOTHING]);
        known.shapes.learn(b"\"secret\"");
        let text = known.write();
        assert!(!text.contains("secret"), "{text}");
        let mut back = Known::read(&text, known.noise, Compared::default()).unwrap();
        assert_eq!(back.write(), text);
        assert!(!back.decide(NoiseLayers::ALL, Compared::default()));
        for broken in ["", "2 1", "1 1 1", "1 x 0 0 0 0 0 0 0 0 0 0 0 0", &text[..9]] {
            assert!(Known::read(broken, None, Compared::default()).is_none(), "{broken}");
        }
    }
}
