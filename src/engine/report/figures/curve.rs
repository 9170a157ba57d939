//! One number over the steps of training: a line a run, its band where an interval is known.

use std::ops::Range;

use plotters::prelude::*;

use super::Words;
use super::ink::{Ink, Mark, Result, drawn_with_marks};
use crate::engine::report::curves::{Panel, Series, Stage};
use crate::engine::report::{smooth, words};

const HEIGHT: u32 = 168;
/// More points than this are not seen at this width.
const POINTS: usize = 400;
/// Places of a figure that say their number, all its lines together.
const MARKS: usize = 200;
/// The largest number that is drawn: near the limit of numbers the marks of an axis have no end. And the least that an axis spans.
const LARGEST: f64 = f64::MAX / 4.0;
const LEAST: f64 = 1e-290;
const THIN: u32 = 1;
const THICK: u32 = 2;

/// `marked`: with the numbers of its points, which are seen when the pointer is over them.
pub fn curve(id: &str, stage: &Stage, panel: &Panel, marked: bool) -> String {
    let words = Words { title: &panel.title, description: said(stage, panel) };
    let values = values(panel);
    // What is left of adding up steps is no number to read.
    let nothing = (values.end - values.start) * 1e-9;
    drawn_with_marks(id, HEIGHT, &words, |area| {
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
            draw(&mut chart, series)?;
        }
        Ok(if marked { marks(&chart, stage, panel) } else { Vec::new() })
    })
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// What each point is, of as many as are told apart.
fn marks(chart: &Chart<'_, '_>, stage: &Stage, panel: &Panel) -> Vec<Mark> {
    let values = values(panel);
    let of = |series: &Series| -> Vec<Mark> {
        let name = if panel.series.len() > 1 { format!("{}, ", series.run_name) } else { String::new() };
        let points = smooth::thin(&drawable(series), (MARKS / panel.series.len()).max(2));
        let is_seen = |point: &&(f64, f64)| point.1 >= values.start && point.1 <= values.end;
        let mark = |point: &(f64, f64)| Mark {
            place: chart.backend_coord(point),
            text: format!("{name}{} {}: {}", stage.axis, words::brief(point.0), words::brief(point.1)),
        };
        points.iter().filter(is_seen).map(mark).collect()
    };
    panel.series.iter().flat_map(of).collect()
}

/// A line's points as they are drawn.
fn drawable(series: &Series) -> Vec<(f64, f64)> {
    series.points.iter().map(|point| (point.place, within(point.value))).collect()
}

/// What is no number stays none.
fn within(value: f64) -> f64 {
    if value.is_finite() { value.clamp(-LARGEST, LARGEST) } else { f64::NAN }
}

fn draw(chart: &mut Chart<'_, '_>, series: &Series) -> Result<()> {
    let (colour, window) = (Ink::Series(series.run).colour(), series.window);
    let points = drawable(series);
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
    if first < last { spread(first, last) } else { spread(first - 0.5, first + 0.5) }
}

/// A range that an axis can be divided in: between numbers of this size that lie closer, there are none.
fn spread(low: f64, high: f64) -> Range<f64> {
    let least = (1e-12 * low.abs().max(high.abs())).max(LEAST);
    if high - low >= least { low..high } else { low - least..high + least }
}

/// What the vertical axis spans. A long curve's few highest steps, of a start that is soon over, would flatten all the rest: there it is
/// what the smoothed line and nearly all steps need.
fn values(panel: &Panel) -> Range<f64> {
    let all = panel.series.iter().flat_map(of_series).map(within).filter(|value| value.is_finite());
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    let (Some(&least), Some(&most)) = (all.first(), all.last()) else { return 0.0..1.0 };
    let is_share = matches!(panel.key.split('.').next(), Some("success_mean" | "score_mean" | "clip_fraction"));
    let most = match panel.series.iter().any(|series| series.window.is_some()) {
        true => most.min(2.0 * all[(all.len() - 1) * 98 / 100] - least.min(0.0)),
        false => most,
    };
    let room = if most > least { 0.06 * (most - least) } else { least.abs().max(1.0) * 0.1 };
    let floor = if is_share || (least >= 0.0 && least < 0.3 * most) { 0.0 } else { least - room };
    spread(floor, if is_share { (most + room).min(1.0) } else { most + room })
}

/// The highest number of a panel, where its scale ends below.
pub fn off_scale(panel: &Panel) -> Option<f64> {
    let most = panel.series.iter().map(|series| series.numbers.most).fold(f64::NEG_INFINITY, f64::max);
    (most > values(panel).end).then_some(most)
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
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::engine::report::curves::{Numbers, Point};

    fn panel(values: &[f64]) -> Panel {
        let points: Vec<Point> = values
            .iter()
            .zip(1..)
            .map(|(value, step)| Point { place: f64::from(step), value: *value, band: None })
            .collect();
        let numbers = Numbers { n: values.len(), first: values[0], last: values[0], least: values[0], most: values[0] };
        let window = smooth::window(points.len());
        let series = vec![Series { run: 0, run_name: "a".into(), points, window, numbers }];
        Panel { key: "loss".into(), title: "Loss".into(), note: String::new(), also: Vec::new(), series }
    }

    fn stage() -> Stage {
        Stage {
            name: "sft".into(),
            title: String::new(),
            axis: "step",
            steps: 0,
            groups: Vec::new(),
            constant: Vec::new(),
            smoothed: false,
        }
    }

    #[test]
    fn numbers_near_their_limit_and_near_each_other_are_drawn() {
        let (done, drawn) = mpsc::channel();
        std::thread::spawn(move || {
            let next = |value: f64| f64::from_bits(value.to_bits() + 1);
            for values in [
                vec![1.7e308, 1.0],
                vec![-1.7e308, 1.7e308],
                vec![f64::MAX; 300],
                vec![f64::MIN, f64::NAN, f64::MAX, f64::INFINITY],
                vec![1.0, next(1.0)],
                vec![1e300, next(1e300)],
                vec![0.0, 5e-324],
                vec![0.0],
            ] {
                let svg = curve("x", &stage(), &panel(&values), true);
                done.send((values, svg)).unwrap();
            }
        });
        for _ in 0..8 {
            let (values, svg) = drawn.recv_timeout(Duration::from_secs(20)).expect("a drawing that ends");
            assert!(svg.len() < 100_000 && !svg.contains("NaN"), "{values:?}: {} bytes", svg.len());
        }
    }

    #[test]
    fn points_say_their_numbers_and_are_not_too_many() {
        let svg = curve("x", &stage(), &panel(&[0.5, f64::NAN, 0.25]), true);
        assert!(svg.contains("<title>step 1: 0.5</title>") && svg.contains("<title>step 3: 0.25</title>"), "{svg}");
        assert_eq!(svg.matches("<title>step").count(), 2);
        let many: Vec<f64> = (0..10_000).map(|n| f64::from(n % 17)).collect();
        let svg = curve("x", &stage(), &panel(&many), true);
        let marks = svg.matches("<title>step").count();
        assert!((MARKS / 2..=MARKS).contains(&marks), "{marks}");
        assert!(!curve("x", &stage(), &panel(&many), false).contains("<title>step"));
    }

    #[test]
    fn a_smooth_line_ends_where_it_ends() {
        let points: Vec<(f64, f64)> = (0..1001).map(|i| (f64::from(i), 0.0)).collect();
        let kept = every(&points);
        assert!(kept.len() <= POINTS / 2 + 1 && kept.last() == points.last());
    }
}
