//! Colours that follow the page, and the frame around what plotters draws.
//!
//! plotters writes colours as attributes (`fill="#FA0100"`), in which a custom property of CSS stands as well. Every ink is drawn in a
//! colour of its own that nothing else uses, and [`finished`] puts the property in its place.

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;

use super::{WIDTH, Words};

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A drawing into memory has no error but one of ours.
pub type Result<T> = std::result::Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// As many series as can be told apart; further ones begin again.
const SERIES: u8 = 6;

#[derive(Debug, Clone, Copy)]
pub enum Ink {
    Page,
    Text,
    Muted,
    Rule,
    /// Of a run.
    Series(usize),
}

impl Ink {
    const ALL: [Ink; 4 + SERIES as usize] = [
        Ink::Page,
        Ink::Text,
        Ink::Muted,
        Ink::Rule,
        Ink::Series(0),
        Ink::Series(1),
        Ink::Series(2),
        Ink::Series(3),
        Ink::Series(4),
        Ink::Series(5),
    ];

    fn number(self) -> u8 {
        match self {
            Ink::Page => 0,
            Ink::Text => 1,
            Ink::Muted => 2,
            Ink::Rule => 3,
            Ink::Series(run) => 4 + (run % SERIES as usize) as u8,
        }
    }

    /// What it is while plotters draws.
    pub fn colour(self) -> RGBColor {
        RGBColor(0xFA, 0x01, self.number())
    }

    /// What the style sheet calls it.
    fn property(self) -> String {
        match self {
            Ink::Page => "var(--page)".to_string(),
            Ink::Text => "var(--text)".to_string(),
            Ink::Muted => "var(--muted)".to_string(),
            Ink::Rule => "var(--rule)".to_string(),
            Ink::Series(run) => format!("var(--series-{})", run % SERIES as usize + 1),
        }
    }
}

/// What is said of a place in a figure when the pointer is over it.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    pub place: (i32, i32),
    pub text: String,
}

/// What `draw` draws, `height` high, as an `svg` element that names and describes itself. `id` is the page's alone.
pub fn drawn(id: &str, height: u32, words: &Words, draw: impl FnOnce(&Area) -> Result<()>) -> String {
    drawn_with_marks(id, height, words, |area| draw(area).map(|()| Vec::new()))
}

/// The same, with what `draw` has to say of places.
pub fn drawn_with_marks(id: &str, height: u32, words: &Words, draw: impl FnOnce(&Area) -> Result<Vec<Mark>>) -> String {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    let marks = draw(&area).and_then(|marks| area.present().map(|()| marks));
    let marks = marks.expect("a drawing into memory does not fail");
    drop(area);
    let head = head(id, height, words);
    let content = with_properties(svg.split_once('>').map_or("", |(_, content)| content).trim_start());
    let content = content.trim_end().trim_end_matches("</svg>");
    format!("{head}\n{content}{}</svg>\n", marked(&marks))
}

/// Circles that are not seen, each with its text: no script is needed to show it.
fn marked(marks: &[Mark]) -> String {
    if marks.is_empty() {
        return String::new();
    }
    let circle = |mark: &Mark| {
        let (x, y) = mark.place;
        format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"4\"><title>{}</title></circle>\n", escaped(&mark.text))
    };
    format!("<g fill=\"transparent\">\n{}</g>\n", marks.iter().map(circle).collect::<String>())
}

fn with_properties(content: &str) -> String {
    Ink::ALL.iter().fold(content.to_string(), |content, ink| {
        let RGBColor(red, green, blue) = ink.colour();
        content.replace(&format!("\"#{red:02X}{green:02X}{blue:02X}\""), &format!("\"{}\"", ink.property()))
    })
}

fn head(id: &str, height: u32, words: &Words) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-description\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-description\">{}</desc>",
        escaped(words.title),
        escaped(&words.description)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_the_pages_and_names_are_text() {
        let words = Words { title: "a <b>", description: "c & d".to_string() };
        let svg = drawn("x", 10, &words, |area| super::super::line(area, (0, 0), (9, 9), Ink::Series(1), 1));
        assert!(svg.contains("stroke=\"var(--series-2)\"") && !svg.contains('#'), "{svg}");
        assert!(svg.contains("<title id=\"x-title\">a &lt;b&gt;</title>") && svg.contains("c &amp; d"), "{svg}");
        assert!(svg.starts_with("<svg viewBox=\"0 0 360 10\"") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert_eq!(svg.matches("svg").count(), 2);
    }

    #[test]
    fn a_place_says_what_it_is() {
        let words = Words { title: "a", description: String::new() };
        let svg = drawn_with_marks("x", 10, &words, |_| Ok(vec![Mark { place: (3, 4), text: "step 1: <2>".into() }]));
        let circle = "<g fill=\"transparent\">\n<circle cx=\"3\" cy=\"4\" r=\"4\"><title>step 1: &lt;2&gt;</title></circle>\n</g>\n</svg>\n";
        assert!(svg.ends_with(circle), "{svg}");
    }
}
