//! One number over the steps of training: a line a run, its band where an interval is known.

use std::ops::Range;

use plotters::prelude::*;

use super::Words;
use super::ink::{Ink, Result, drawn};
use crate::engine::report::curves::{Panel, Series, Stage};
use crate::engine::report::{smooth, words};

const HEIGHT: u32 = 168;
/// More points than this are not seen at this width.
const POINTS: usize = 400;
const THIN: u32 = 1;
const THICK: u32 = 2;

pub fn curve(id: &str, stage: &Stage, panel: &Panel) -> String {
    let words = Words { title: &panel.title, description: said(stage, panel) };
    let values = values(stage, panel);
    // What is left of adding up steps is no number to read.
    let nothing = (values.end - values.start) * 1e-9;
    drawn(id, HEIGHT, &words, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_top(6)
            .margin_right(16)
            .x_label_area_size(20)
            .y_label_area_size(50)
            .build_cartesian_2d(places(panel), values)?;
        let text = ("sans-serif", 11).into_font().color(&Ink::Muted.colour());
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(Ink::Rule.colour())
            .light_line_style(TRANSPARENT)
            .axis_style(Ink::Rule.colour())
            .x_labels(5)
            .y_labels(5)
            .x_label_formatter(&|place| words::brief(*place))
            .y_label_formatter(&|value| words::brief(if value.abs() < nothing { 0.0 } else { *value }))
            .label_style(text)
            .draw()?;
        for series in &panel.series {
            draw(&mut chart, series, stage.window)?;
        }
        Ok(())
    })
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn draw(chart: &mut Chart<'_, '_>, series: &Series, window: Option<usize>) -> Result<()> {
    let colour = Ink::Series(series.run).colour();
    let points: Vec<(f64, f64)> = series.points.iter().map(|point| (point.place, point.value)).collect();
    for stretch in series.points.chunk_by(|a, b| a.band.is_some() == b.band.is_some()) {
        let low = stretch.iter().filter_map(|point| Some((point.place, point.band?.0)));
        let high = stretch.iter().rev().filter_map(|point| Some((point.place, point.band?.1)));
        let outline: Vec<(f64, f64)> = low.chain(high).collect();
        if outline.len() > 2 {
            chart.draw_series([Polygon::new(outline, colour.mix(0.18).filled())])?;
        }
    }
    let (strength, width) = if window.is_some() { (0.3, THIN) } else { (1.0, THICK) };
    lines(chart, &smooth::thin(&points, POINTS), colour.mix(strength), width)?;
    if let Some(window) = window {
        let (places, values): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
        let smoothed: Vec<(f64, f64)> = places.into_iter().zip(smooth::moving_mean(&values, window)).collect();
        lines(chart, &every(&smoothed), colour.mix(1.0), THICK)?;
    }
    Ok(())
}

/// A line per stretch without a gap; a point that stands alone is a dot.
fn lines(chart: &mut Chart<'_, '_>, points: &[(f64, f64)], colour: RGBAColor, width: u32) -> Result<()> {
    for stretch in points.split(|(_, value)| !value.is_finite()) {
        match stretch {
            [] => {}
            [point] => drop(chart.draw_series([Circle::new(*point, 2, colour.filled())])?),
            _ => drop(chart.draw_series([PathElement::new(stretch.to_vec(), colour.stroke_width(width))])?),
        }
    }
    Ok(())
}

/// A smooth line needs no more of its points than can be seen, and always its last.
fn every(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(POINTS / 2).max(1);
    let is_kept = |place: &usize| place.is_multiple_of(step) || place + 1 == points.len();
    (0..points.len()).filter(is_kept).map(|place| points[place]).collect()
}

fn places(panel: &Panel) -> Range<f64> {
    let all = || panel.series.iter().flat_map(|series| series.points.iter().map(|point| point.place));
    let (first, last) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    if first < last { first..last } else { first - 0.5..first + 0.5 }
}

/// What the vertical axis spans. A long curve's few highest steps, of a start that is soon over, would flatten all the rest: there it is
/// what the smoothed line and nearly all steps need.
fn values(stage: &Stage, panel: &Panel) -> Range<f64> {
    let mut all: Vec<f64> = panel.series.iter().flat_map(of_series).filter(|value| value.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    let (Some(&least), Some(&most)) = (all.first(), all.last()) else { return 0.0..1.0 };
    let is_share = matches!(panel.key.split('.').next(), Some("success_mean" | "score_mean" | "clip_fraction"));
    let most = match stage.window {
        Some(_) => most.min(2.0 * all[(all.len() - 1) * 98 / 100] - least.min(0.0)),
        None => most,
    };
    let room = if most > least { 0.06 * (most - least) } else { least.abs().max(1.0) * 0.1 };
    let floor = if is_share || (least >= 0.0 && least < 0.3 * most) { 0.0 } else { least - room };
    floor..if is_share { (most + room).min(1.0) } else { most + room }
}

/// The highest number of a panel, where its scale ends below.
pub fn off_scale(stage: &Stage, panel: &Panel) -> Option<f64> {
    let most = panel.series.iter().map(|series| series.numbers.most).fold(f64::NEG_INFINITY, f64::max);
    (most > values(stage, panel).end).then_some(most)
}

fn of_series(series: &Series) -> impl Iterator<Item = f64> + '_ {
    series.points.iter().flat_map(|point| {
        let (low, high) = point.band.unwrap_or((point.value, point.value));
        [point.value, low, high]
    })
}

fn said(stage: &Stage, panel: &Panel) -> String {
    let of = |series: &Series| {
        let numbers = &series.numbers;
        let [first, last, least, most] = [numbers.first, numbers.last, numbers.least, numbers.most].map(words::brief);
        format!(
            "{}: {} {}s, from {first} to {last}, lowest {least}, highest {most}",
            series.run_name, numbers.n, stage.axis
        )
    };
    let said: Vec<String> = panel.series.iter().map(of).collect();
    format!("{}.", said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smooth_line_ends_where_it_ends() {
        let points: Vec<(f64, f64)> = (0..1001).map(|i| (f64::from(i), 0.0)).collect();
        let kept = every(&points);
        assert!(kept.len() <= POINTS / 2 + 1 && kept.last() == points.last());
    }
}
