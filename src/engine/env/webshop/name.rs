//! The environment's name, in errors too.

pub const NAME: &str = "webshop";
