//! The learning rate's course: a factor between 0 and 1 per optimizer step, by transformers' formulas
//! (`transformers/optimization.py`).
//!
//! Steps count from 0, as in transformers, so **the first update of a run with warm-up has rate 0** and the last
//! update of a linear schedule still moves. The rule is kept exactly: a run here and a run there take the same rates.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// The shape after warm-up. The names are those of transformers' `lr_scheduler_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// 1 throughout; ignores warm-up, as in transformers.
    Constant,
    /// Rises over the warm-up, then 1.
    ConstantWithWarmup,
    /// Rises over the warm-up, then falls on a line.
    Linear,
    /// Rises over the warm-up, then falls on half a cosine.
    Cosine,
}

/// A schedule over `total_steps` optimizer steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scheduler {
    pub kind: ScheduleKind,
    /// Optimizer steps of warm-up, from [`warmup_steps`] where a ratio is given.
    pub warmup_steps: u64,
    pub total_steps: u64,
    /// Where the falling shapes end, as a part of the full rate: 0 in transformers' `linear` and `cosine`, its
    /// `min_lr_rate` in `cosine_with_min_lr`.
    pub min_lr_ratio: f64,
}

impl Scheduler {
    /// The factor on the learning rate for optimizer step `step`, counted from 0.
    pub fn factor(&self, step: u64) -> f64 {
        let (step, warmup, total) = (step as f64, self.warmup_steps as f64, self.total_steps as f64);
        if self.kind == ScheduleKind::Constant {
            return 1.0;
        }
        if step < warmup {
            return step / warmup;
        }
        let falling_steps = (total - warmup).max(1.0);
        match self.kind {
            ScheduleKind::Constant | ScheduleKind::ConstantWithWarmup => 1.0,
            ScheduleKind::Linear => self.above_minimum((total - step) / falling_steps),
            ScheduleKind::Cosine => {
                let progress = (step - warmup) / falling_steps;
                self.above_minimum(0.5 * (1.0 + (PI * progress).cos()))
            }
        }
    }

    /// Maps 1..0 onto 1..`min_lr_ratio`.
    fn above_minimum(&self, factor: f64) -> f64 {
        factor.max(0.0) * (1.0 - self.min_lr_ratio) + self.min_lr_ratio
    }
}

/// transformers' rule for `warmup_ratio`: that part of all steps, rounded up.
pub fn warmup_steps(warmup_ratio: f64, total_steps: u64) -> u64 {
    (warmup_ratio * total_steps as f64).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_named_as_transformers_names_it() {
        for (kind, name) in [
            (ScheduleKind::Constant, "constant"),
            (ScheduleKind::ConstantWithWarmup, "constant_with_warmup"),
            (ScheduleKind::Linear, "linear"),
            (ScheduleKind::Cosine, "cosine"),
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
        }
    }

    // math.ceil(num_training_steps * warmup_ratio), transformers/training_args.py get_warmup_steps
    #[test]
    fn a_warmup_ratio_is_rounded_up_to_whole_steps() {
        assert_eq!(warmup_steps(0.0, 100), 0);
        assert_eq!(warmup_steps(0.03, 100), 3);
        assert_eq!(warmup_steps(0.03, 101), 4);
        assert_eq!(warmup_steps(0.1, 5), 1);
    }

    #[test]
    fn the_first_update_with_warmup_has_rate_zero() {
        let linear = Scheduler { kind: ScheduleKind::Linear, warmup_steps: 10, total_steps: 100, min_lr_ratio: 0.0 };
        assert_eq!([0, 5, 10, 55, 100].map(|step| linear.factor(step)), [0.0, 0.5, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn the_falling_shapes_end_at_the_minimum() {
        for kind in [ScheduleKind::Linear, ScheduleKind::Cosine] {
            let schedule = Scheduler { kind, warmup_steps: 2, total_steps: 12, min_lr_ratio: 0.25 };
            assert_eq!(schedule.factor(2), 1.0);
            assert!((schedule.factor(7) - 0.625).abs() < 1e-15);
            assert!((schedule.factor(12) - 0.25).abs() < 1e-15);
        }
    }

    #[test]
    fn a_run_shorter_than_its_warmup_only_rises() {
        let schedule = Scheduler { kind: ScheduleKind::Cosine, warmup_steps: 8, total_steps: 4, min_lr_ratio: 0.0 };
        assert_eq!([0, 1, 3].map(|step| schedule.factor(step)), [0.0, 0.125, 0.375]);
    }
}
