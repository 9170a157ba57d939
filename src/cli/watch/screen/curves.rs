//! One chart at a time: the scores of each environment, a loss, a norm.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart as Drawn, Dataset, GraphType, Paragraph};

use super::super::charts::{Chart, Curve, charts};
use super::super::plain::last_value;
use super::super::view::{Panel, View};
use super::{QUIET, framed};
use crate::engine::track::alarms::number;
use crate::engine::track::follow::Followed;

const COLOURS: [Color; 6] = [Color::Cyan, Color::Yellow, Color::Magenta, Color::Green, Color::Blue, Color::Red];

pub fn draw(frame: &mut Frame, area: Rect, run: &Followed, view: &View) {
    let charts = charts(&run.stages);
    let place = view.chart(run, charts.len());
    let is_chosen = view.panel == Panel::Curves;
    let Some(chart) = charts.get(place) else {
        let text = Paragraph::new("nothing is logged yet").style(QUIET).alignment(Alignment::Center);
        return frame.render_widget(text.block(framed(" curves ", is_chosen)), area);
    };
    let which = format!("({} of {}) ", place + 1, charts.len());
    frame.render_widget(drawn(chart).block(framed(title(chart, which), is_chosen)), area);
}

/// What is drawn, with each line's last value in the colour of the line.
fn title<'a>(chart: &Chart, which: String) -> Line<'a> {
    let mut spans = vec![Span::raw(format!(" {} {} ", chart.stage.name, chart.title))];
    spans.extend(
        coloured(chart).map(|(line, colour)| Span::styled(format!("{} ", last_value(line, chart.stage)), colour)),
    );
    spans.push(Span::raw(which));
    Line::from(spans)
}

fn coloured<'a>(chart: &'a Chart<'a>) -> impl Iterator<Item = (&'a Curve<'a>, Color)> {
    chart.lines.iter().zip(COLOURS.into_iter().cycle())
}

fn drawn<'a>(chart: &'a Chart<'a>) -> Drawn<'a> {
    let ([first, last], values) = chart.bounds();
    let [low, high] = with_room(values);
    let steps = if last > first { [first, last] } else { [first - 1.0, last + 1.0] };
    let label = |value: f64| Span::styled(number(value), QUIET);
    let datasets = coloured(chart).map(|(line, colour)| {
        let kind = if line.points.len() > 1 { GraphType::Line } else { GraphType::Scatter };
        Dataset::default().data(line.points).style(colour).marker(Marker::Braille).graph_type(kind)
    });
    let x = Axis::default().bounds(steps).labels([label(steps[0]), label(steps[1])]).style(QUIET);
    let y = Axis::default().bounds([low, high]).labels([low, (low + high) / 2.0, high].map(label)).style(QUIET);
    Drawn::new(datasets.collect()).x_axis(x).y_axis(y)
}

/// A margin above and below, so that no line lies on the frame.
fn with_room([low, high]: [f64; 2]) -> [f64; 2] {
    let span = high - low;
    let margin = if span > 0.0 { span * 0.05 } else { high.abs().max(1.0) * 0.05 };
    // What is never negative does not begin below 0.
    let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    [(low - margin).max(floor), high + margin]
}
