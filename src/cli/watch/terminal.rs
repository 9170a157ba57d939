//! The live view: looks for news and for keys, and draws when there is either.

use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::keys::{Then, press};
use super::view::View;
use super::{now, screen};
use crate::engine::track::follow::Followed;
use crate::engine::{Error, Result, cancel, signals};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How long a signal may be overlooked while nothing is pressed.
const SLICE: Duration = Duration::from_millis(50);

/// How often clocks move where nothing else does.
const CLOCK: Duration = Duration::from_secs(1);

pub fn watch(run: &mut Followed) -> Result<()> {
    // Gives the terminal back in a panic, too, before the panic is told.
    let mut terminal = ratatui::try_init().map_err(|error| lost(&error))?;
    signals::shows_other_screen(true);
    let watched = go_on(&mut terminal, run);
    ratatui::restore();
    signals::shows_other_screen(false);
    watched
}

fn go_on(terminal: &mut DefaultTerminal, run: &mut Followed) -> Result<()> {
    let mut view = View::default();
    let (mut looked, mut drawn, mut is_stale) = (Instant::now(), Instant::now(), true);
    loop {
        // Another process may have asked this one to end.
        cancel::check()?;
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            is_stale |= run.refresh();
            view.fit(run);
        }
        if is_stale || drawn.elapsed() >= CLOCK {
            terminal.draw(|frame| screen::draw(frame, run, &view, now())).map_err(|error| lost(&error))?;
            (drawn, is_stale) = (Instant::now(), false);
        }
        if !event::poll(SLICE).map_err(|error| lost(&error))? {
            continue;
        }
        match event::read().map_err(|error| lost(&error))? {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                if press(key, &mut view, run) == Then::Leave {
                    return Ok(());
                }
                is_stale = true;
            }
            Event::Resize(..) => is_stale = true,
            _ => {}
        }
    }
}

fn lost(error: &std::io::Error) -> Error {
    Error::message(format!("the terminal cannot be used: {error}"))
}
