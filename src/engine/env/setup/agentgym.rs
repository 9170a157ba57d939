//! `affine env setup agentgym`: AgentGym's own instruction texts, and its lists of ALFWorld's games.
//!
//! Neither is part of this program. The texts are written as files that the option `instructions` takes.

use std::path::{Path, PathBuf};

use super::sources::{self, Keep, Source};
use crate::engine::Result;
use crate::engine::env::agentgym::kind::Kind;

/// The repository at the commit whose texts and verdicts are reproduced.
const AGENTGYM: &str = "https://raw.githubusercontent.com/WooooDyy/AgentGym/3ef9235d23e68e7c2920c5422ad957dc8ced5c6c";

/// Downloads texts and lists into a folder, and returns the folder.
pub fn setup(folder: &Path) -> Result<PathBuf> {
    sources::fetch(AGENTGYM, &texts_and_lists(), folder)?;
    Ok(folder.to_path_buf())
}

/// The five texts and the two lists.
pub fn texts_and_lists() -> Vec<Source> {
    let texts = Kind::ALL.map(|kind| Source {
        path: format!("agentenv/agentenv/envs/{}.py", kind.name()),
        sha256: source_hash(kind).to_string(),
        keep: Keep::Text { marker: "\"value\": ", before: "", sha256: kind.original_instructions().to_string() },
        target: format!("{}.txt", kind.name()),
    });
    let list = |name: &str, sha256: &str| Source {
        path: format!("agentenv-alfworld/configs/{name}"),
        sha256: sha256.to_string(),
        keep: Keep::Whole,
        target: name.to_string(),
    };
    let lists = [
        list("mappings_test.json", "fd24a8525a4c0464fd1fae130763cd736d326d6a687dcb7d48bda40d93e83c00"),
        list("mappings_train.json", "d146383d5c9dfcdc18e67459b60cf15d9d1a6d6c5fa23d9003cc2d91880314f1"),
    ];
    texts.into_iter().chain(lists).collect()
}

/// SHA-256 of the Python source that holds the instructions.
fn source_hash(kind: Kind) -> &'static str {
    match kind {
        Kind::WebShop => "08b9ada4ef6e52861f6adbc5beb4a4cc1de9a20aeda2e9b7e58604beafc7d567",
        Kind::AlfWorld => "9fc5dfdee5709b3863d2622b1d8594320e118220ebfa8ae85e78c86f30b3795b",
        Kind::BabyAi => "3b40fb9af0ee74817e793c47277fab0d1cc8a3fd6ae67074677b26e0ac8cc50c",
        Kind::SciWorld => "894203039280fc2a8ea0b3ae1b81b2e641e33c7fbd3b4a72e5b1cf6a90536ee9",
        Kind::TextCraft => "7fa7986b37bb589c61c2b3c78ddca9ce580a4ebff88054f1c095f8ff844383fb",
    }
}
