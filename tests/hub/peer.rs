//! A Hub for Python's own client: `scripts/dev/peer/hub.py` lets both clients work with it.

use std::path::PathBuf;
use std::time::Duration;

use super::{OWNER, TOKEN};
use crate::hub_server::{Hub, Options, Role};

/// Serves until `AFFINE_PEER_HUB/stop` is there; how to reach it is in `AFFINE_PEER_HUB/hub.json`.
#[test]
#[ignore = "a server for another program"]
fn a_hub_is_served_for_the_peer() {
    let folder = PathBuf::from(std::env::var_os("AFFINE_PEER_HUB").expect("AFFINE_PEER_HUB names a folder"));
    let plain = Hub::start(Options { xet_hashes: false, ..Options::default() });
    let xet = Hub::start(Options::default());
    for hub in [&plain, &xet] {
        hub.user(OWNER, TOKEN, Role::Write);
    }
    let reach = serde_json::json!({ "plain": plain.endpoint(), "xet": xet.endpoint(), "owner": OWNER, "token": TOKEN });
    std::fs::write(folder.join("hub.json"), reach.to_string()).unwrap();
    while !folder.join("stop").exists() {
        std::thread::sleep(Duration::from_millis(100));
    }
}
