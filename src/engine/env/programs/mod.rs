//! Programs for ABD and DED.

pub mod generator;
