//! The report as somebody opens it: a generated run with hostile texts, its page read as text and in a real browser.

mod browser;
mod generated;
mod page;
mod rollouts;
mod shown;
