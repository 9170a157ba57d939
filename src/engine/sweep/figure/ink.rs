//! Colours that follow the reader's scheme. plotters writes colours as attributes; every ink is drawn in a colour of its own that nothing else
//! uses, and [`finished`] puts a custom property of CSS in its place.

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A drawing into memory has no error but one of ours.
pub type Result<T> = std::result::Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// The colours of both schemes.
const STYLE: &str = "svg{--page:#fdfdfc;--text:#1c1d1f;--muted:#5c6066;--rule:#d9d9d4;--best:#c05b0c;--trial:#1b5e9e;background:var(--page)}\
@media (prefers-color-scheme: dark){svg{--page:#15171a;--text:#e6e6e3;--muted:#a0a5ab;--rule:#3a3e44;--best:#ee9a52;--trial:#6fb0ea}}";

#[derive(Debug, Clone, Copy)]
pub enum Ink {
    Text,
    Muted,
    Rule,
    /// Of the best trials.
    Best,
    /// Of the others.
    Trial,
}

impl Ink {
    const ALL: [(Ink, &'static str); 5] =
        [(Ink::Text, "text"), (Ink::Muted, "muted"), (Ink::Rule, "rule"), (Ink::Best, "best"), (Ink::Trial, "trial")];

    /// What it is while plotters draws.
    pub fn colour(self) -> RGBColor {
        RGBColor(0xFA, 0x01, self as u8)
    }
}

/// What plotters drew as a file that names and describes itself.
pub fn finished(svg: &str, (width, height): (u32, u32), title: &str, description: &str) -> String {
    let content = svg.split_once('>').map_or("", |(_, content)| content);
    let content = Ink::ALL.iter().fold(content.to_string(), |content, (ink, name)| {
        let RGBColor(red, green, blue) = ink.colour();
        content.replace(&format!("\"#{red:02X}{green:02X}{blue:02X}\""), &format!("\"var(--{name})\""))
    });
    let (title, description) = (escaped(title), escaped(description));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title description\">\n\
         <title id=\"title\">{title}</title>\n<desc id=\"description\">{description}</desc>\n<style>{STYLE}</style>\n{}",
        content.trim_start()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Text whose left, middle or right end is at a place, at mid-height.
pub fn write(area: &Area, text: &str, place: (i32, i32), side: HPos, ink: Ink) -> Result<()> {
    let style = ("sans-serif", 11).into_font().color(&ink.colour()).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_string(), place, style))
}

pub fn line(area: &Area, points: Vec<(i32, i32)>, ink: Ink, strength: f64, width: u32) -> Result<()> {
    area.draw(&PathElement::new(points, ink.colour().mix(strength).stroke_width(width)))
}

pub fn dot(area: &Area, place: (i32, i32), ink: Ink, strength: f64) -> Result<()> {
    area.draw(&Circle::new(place, 3, ink.colour().mix(strength).filled()))
}

/// A text that may be long, cut to a width: letters of this size are 6 units wide, few of them more.
pub fn fitting(text: &str, width: i32) -> String {
    let most = (width / 6).max(2) as usize;
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_string(),
    }
}
