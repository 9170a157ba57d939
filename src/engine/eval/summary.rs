//! One model's result on one environment.

use serde::{Deserialize, Serialize};

use super::interval::interval;

/// The numbers of a summary's table, on the normalised 0..1 scale. The field names are the file format. A row in a file
/// or in a script may tell more, such as the instructions that led to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentScore {
    /// Episodes that were judged.
    pub n: u64,
    /// Episodes in which the environment broke; they are in no other number.
    pub failed: u64,
    pub mean: f64,
    /// The sample standard deviation (n − 1); 0 for fewer than two episodes.
    pub sd: f64,
    /// The share of episodes that the environment calls a success.
    pub success_rate: f64,
    /// The equal-tailed interval of the mean, see [`interval`].
    pub lower: f64,
    pub upper: f64,
}

impl EnvironmentScore {
    /// From `(normalised score, success)` of every episode that ended, the number of failed ones, and the interval's
    /// level. A score that is not a number counts as failed. Without episodes every number is 0.
    pub fn of(episodes: &[(f64, bool)], failed: u64, level: f64) -> Self {
        let judged: Vec<(f64, bool)> = episodes.iter().copied().filter(|(score, _)| !score.is_nan()).collect();
        let n = judged.len() as u64;
        let failed = failed + (episodes.len() - judged.len()) as u64;
        let sum: f64 = judged.iter().map(|(score, _)| score).sum();
        let share = |total: f64, count: u64| if count == 0 { 0.0 } else { total / count as f64 };
        let mean = share(sum, n);
        let squares: f64 = judged.iter().map(|(score, _)| (score - mean).powi(2)).sum();
        let successes = judged.iter().filter(|(_, success)| *success).count();
        let (lower, upper) = interval(sum, n, level);
        EnvironmentScore {
            n,
            failed,
            mean,
            sd: share(squares, n.saturating_sub(1)).sqrt(),
            success_rate: share(successes as f64, n),
            lower,
            upper,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_summed_up() {
        let score = EnvironmentScore::of(&[(1.0, true), (0.0, false), (0.5, false), (1.0, true)], 2, 0.80);
        assert_eq!((score.n, score.failed, score.mean, score.success_rate), (4, 2, 0.625, 0.5));
        assert!((score.sd - 0.4787135538781691).abs() < 1e-15, "{}", score.sd);
        assert_eq!((score.lower, score.upper), interval(2.5, 4, 0.80));
    }

    #[test]
    fn few_episodes_and_none_have_no_deviation() {
        let one = EnvironmentScore::of(&[(1.0, true)], 0, 0.80);
        assert_eq!((one.n, one.mean, one.sd, one.success_rate), (1, 1.0, 0.0, 1.0));
        let none = EnvironmentScore::of(&[], 3, 0.80);
        assert_eq!((none.n, none.failed, none.mean, none.sd, none.lower, none.upper), (0, 3, 0.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn a_score_that_is_not_a_number_is_a_failed_episode() {
        let score = EnvironmentScore::of(&[(f64::NAN, false), (1.0, true)], 0, 0.80);
        assert_eq!((score.n, score.failed, score.mean), (1, 1, 1.0));
    }

    #[test]
    fn the_field_names_are_the_file_format() {
        let score = EnvironmentScore::of(&[(1.0, true), (0.0, false)], 0, 0.80);
        let json = serde_json::to_value(score).unwrap();
        let names: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(names, ["n", "failed", "mean", "sd", "success_rate", "lower", "upper"]);
        assert_eq!(serde_json::from_value::<EnvironmentScore>(json).unwrap(), score);
    }
}
