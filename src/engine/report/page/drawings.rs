//! All figures of the page.

use serde::Serialize;

use crate::engine::report::curves::{Panel, Stage};
use crate::engine::report::figures::{bars, curve, differences};
use crate::engine::report::paired::{Pairing, Setting};
use crate::engine::report::scores::Scores;

/// The drawings, in the order of what they show.
#[derive(Debug, Serialize)]
pub struct Drawings {
    bars: Vec<String>,
    differences: Vec<Difference>,
    /// By stage, group and panel.
    stages: Vec<Vec<Vec<Drawn>>>,
}

#[derive(Debug, Serialize)]
struct Difference {
    title: String,
    setting: Setting,
    svg: String,
}

#[derive(Debug, Serialize)]
struct Drawn {
    svg: String,
    /// The highest number, where it is above the scale.
    off_scale: Option<f64>,
}

impl Drawings {
    /// `marked`: curves say their numbers where the pointer is.
    pub fn of(scores: Option<&Scores>, pairings: &[Pairing], stages: &[Stage], marked: bool) -> Self {
        let stages = stages.iter().enumerate();
        let bars = |scores: &Scores| -> Vec<String> {
            (0..scores.environments.len()).map(|place| bars::bars(&format!("bars-{place}"), scores, place)).collect()
        };
        Drawings {
            bars: scores.map(bars).unwrap_or_default(),
            differences: Difference::all(pairings),
            stages: stages.map(|(place, stage)| drawn(place, stage, marked)).collect(),
        }
    }

    /// How much they all are.
    pub fn bytes(&self) -> usize {
        let differences = self.differences.iter().map(|difference| &difference.svg);
        let curves = self.stages.iter().flatten().flatten().map(|drawn| &drawn.svg);
        self.bars.iter().chain(differences).chain(curves).map(String::len).sum()
    }
}

impl Difference {
    fn all(pairings: &[Pairing]) -> Vec<Self> {
        let reach = differences::reach(pairings);
        let drawn = |(place, pairing): (usize, &Pairing)| Difference {
            title: format!("{} − {}", pairing.candidate, pairing.against),
            setting: pairing.setting,
            svg: differences::differences(&format!("pair-{place}"), pairing, reach),
        };
        pairings.iter().filter(|pairing| !pairing.rows.is_empty()).enumerate().map(drawn).collect()
    }
}

fn drawn(number: usize, stage: &Stage, marked: bool) -> Vec<Vec<Drawn>> {
    let mut places = 0..;
    let mut draw = |panel: &Panel| {
        let id = format!("curve-{number}-{}", places.next().unwrap_or_default());
        Drawn { svg: curve::curve(&id, stage, panel, marked), off_scale: curve::off_scale(panel) }
    };
    stage.groups.iter().map(|group| group.panels.iter().map(&mut draw).collect()).collect()
}
