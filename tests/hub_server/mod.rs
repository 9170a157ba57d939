//! A Hugging Face Hub in miniature, on loopback: repositories, Git LFS, Xet storage and everything that can go wrong.
//!
//! ```ignore
//! let hub = Hub::start(Options::default());
//! hub.user("acme", "hf_acme", Role::Write);
//! hub.create("acme/tiny", Kind::Model, false);
//! hub.commit("acme/tiny", &[("config.json", b"{}")]);
//! // … a client works with hub.endpoint() …
//! assert_eq!(hub.files("acme/tiny", "main")["config.json"].bytes(), b"{}");
//! ```
//!
//! A request passes `front` (log and faults), `routes` (which handler) and its handler, which looks at the `store`
//! (repositories and who may do what) and the `objects` (content on disk).

mod accounts;
mod attributes;
mod body;
mod cas;
mod commits;
mod content;
mod context;
mod error;
mod faults;
mod front;
mod hub;
mod lfs;
mod listing;
mod objects;
mod preupload;
mod repositories;
mod repository;
mod routes;
mod server;
mod store;
mod traffic;
mod xet_tokens;

pub use accounts::Role;
pub use faults::Fault;
pub use hub::Hub;
pub use repository::Kind;
pub use traffic::Request;

#[derive(Debug, Clone)]
pub struct Options {
    pub lfs: Lfs,
    /// Larger files are refused before they are sent.
    pub max_file_size: Option<u64>,
    /// Larger commits are refused.
    pub body_limit: Option<u64>,
    /// How many entries a page of a tree listing has.
    pub page_size: usize,
    /// Whether listings and files tell their Xet hash; without, clients download over plain HTTP.
    pub xet_hashes: bool,
    /// Whether a range of a file can be asked for; without, every answer is the whole.
    pub ranges: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            lfs: Lfs::Xet,
            max_file_size: None,
            body_limit: None,
            page_size: 1000,
            xet_hashes: true,
            ranges: true,
        }
    }
}

/// How large files come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lfs {
    /// Through the Xet storage; in one request from a client that does not offer it.
    Xet,
    /// In one request each.
    Basic,
    /// In parts of that size, or in one request if they are no larger.
    Multipart { part_size: u64 },
}
