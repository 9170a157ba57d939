//! Figures as inline SVG: real text that scales with the page, colours that follow its scheme.

pub mod bars;
pub mod curve;
pub mod differences;
pub mod ink;

use plotters::prelude::*;

use self::ink::{Area, Ink, Result};

/// The width of every figure in units that are pixels on a small screen; wider ones scale it.
pub const WIDTH: u32 = 360;

/// What a figure is called, and what it shows in words for who does not see it.
pub struct Words<'a> {
    pub title: &'a str,
    pub description: String,
}

/// Text of the size of all figures. `place` is its left, middle or right end at mid-height.
fn write(area: &Area, text: &str, place: (i32, i32), side: plotters::style::text_anchor::HPos, ink: Ink) -> Result<()> {
    use plotters::style::text_anchor::{Pos, VPos};
    let style = ("sans-serif", 11).into_font().color(&ink.colour()).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_string(), place, style))?;
    Ok(())
}

fn line(area: &Area, from: (i32, i32), to: (i32, i32), ink: Ink, width: u32) -> Result<()> {
    area.draw(&PathElement::new(vec![from, to], ink.colour().stroke_width(width)))?;
    Ok(())
}

/// A text that may be long, cut to `width`: letters of this size are 6 units wide, few of them more.
fn fitting(text: &str, width: i32) -> String {
    let most = (width / 6) as usize;
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_string(),
    }
}
