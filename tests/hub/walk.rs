//! Every request of a download and of an upload meets every fault: what is left is whole or untouched, what is said is one
//! sentence, and the next attempt finishes the work.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use affine::engine::Error;
use affine::engine::hub::{self, Repository, Settings, Upload, Uploaded};
use sha2::{Digest, Sha256};

use super::{OWNER, TOKEN, contents, hub, model_folder, settings};
use crate::hub_server::{Fault, Hub, Kind, Lfs, Options};

fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("cut", Fault::Cut),
        ("body cut", Fault::CutBody { after: 7 }),
        ("request cut", Fault::CutUpload { after: 100 }),
        ("done, then cut", Fault::AfterwardsCut),
        ("429", Fault::too_many_requests(0)),
        ("500", Fault::internal_error()),
        ("503", Fault::unavailable()),
        ("401", Fault::expired_token()),
        ("403", Fault::forbidden()),
        ("stall", Fault::Stall),
        ("body stalls", Fault::StallBody { after: 7 }),
        ("wrong body", Fault::WrongBody),
    ]
}

/// Without a second attempt, so that the fault counts; at some requests with more, too.
fn attempts_at(request: u64) -> &'static [u32] {
    if request.is_multiple_of(3) { &[1, 3] } else { &[1] }
}

/// One attempt, which takes its time.
fn patient(hub: &Hub, cache: &Path) -> Settings {
    hurried(settings(hub, cache, 1), "none")
}

/// Whoever waits for an answer that does not come waits no longer than this.
fn hurried(settings: Settings, fault: &str) -> Settings {
    let patience = Duration::from_millis(if fault.contains("stall") { 400 } else { 10_000 });
    Settings { answering: patience, reading: patience, ..settings }
}

/// One sentence, and no secret in it.
fn check_sentence(error: &Error, case: &str) {
    let text = format!("{error} {}", error.hint().unwrap_or_default());
    assert!(!text.contains('\n') && !text.contains(TOKEN) && text.len() < 500, "{case}: {text}");
    assert!(error.hint().is_some(), "{case}: {text}");
}

// Downloads ----------------------------------------------------------------------------------------------------------

const REPO: &str = "acme/tiny";

fn download(settings: &Settings) -> Result<std::path::PathBuf, Error> {
    hub::download(settings, &Repository::model(REPO), "main", Some(&["*".to_string()]))
}

/// Whatever has its final name is what that says.
fn check_cache(cache: &Path, case: &str) {
    let blobs = cache.join("models--acme--tiny/blobs");
    for entry in fs::read_dir(&blobs).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let content = fs::read(&path).unwrap();
        let found: String = match name.len() {
            64 => Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect(),
            40 => {
                let blob = [format!("blob {}\0", content.len()).as_bytes(), &content].concat();
                sha1::Sha1::digest(&blob).iter().map(|byte| format!("{byte:02x}")).collect()
            }
            _ if name.ends_with(".incomplete") => continue,
            _ => panic!("{case}: {name}"),
        };
        assert_eq!(found, name, "{case}");
    }
}

#[test]
fn a_download_survives_every_fault_at_every_request() {
    let hub = hub(Options::default());
    hub.create(REPO, Kind::Model, true);
    let sent = contents(model_folder().path());
    let files: Vec<(&str, &[u8])> = sent.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    hub.commit(REPO, &files);
    let whole = |folder: &Path, case: &str| {
        let mut found = contents(folder);
        assert!(found.remove(".gitattributes").is_some(), "{case}");
        assert!(found == sent, "{case}: the files differ");
    };

    let cache = tempfile::tempdir().unwrap();
    hub.clear_requests();
    whole(&download(&patient(&hub, cache.path())).unwrap(), "no fault");
    let requests = hub.requests().len() as u64;
    assert!(requests > 9, "{requests}");
    // A second time nothing is fetched.
    hub.clear_requests();
    download(&patient(&hub, cache.path())).unwrap();
    assert!(hub.requests().iter().all(|request| request.path.starts_with("/api/")), "{:?}", hub.requests());

    let (mut failed, mut survived) = (0, 0);
    for (name, fault) in faults() {
        for at in 1..=requests {
            for &attempts in attempts_at(at) {
                let case = format!("{name} at {at} of {requests}, {attempts} attempts");
                let cache = tempfile::tempdir().unwrap();
                hub.mend();
                hub.fail(fault.clone(), at);
                match download(&hurried(settings(&hub, cache.path(), attempts), name)) {
                    Ok(folder) => {
                        survived += 1;
                        whole(&folder, &case);
                    }
                    Err(error) => {
                        failed += 1;
                        check_sentence(&error, &case);
                        let passing = !matches!(name, "401" | "403");
                        assert!(attempts == 1 || !passing, "{case}: {error}");
                    }
                }
                check_cache(cache.path(), &case);
                hub.mend();
                whole(&download(&patient(&hub, cache.path())).unwrap(), &case);
            }
        }
    }
    assert!(failed > 80 && survived > 40, "{failed} failed, {survived} survived");
}

// Uploads ------------------------------------------------------------------------------------------------------------

/// A folder whose weights are two files, so that an upload can be cut between them.
fn sharded_folder() -> tempfile::TempDir {
    let folder = model_folder();
    let weights = fs::read(folder.path().join("model.safetensors")).unwrap();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let (first, second) = weights.split_at(weights.len() / 3);
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    fs::write(folder.path().join(shards[0]), first).unwrap();
    fs::write(folder.path().join(shards[1]), second).unwrap();
    let map: BTreeMap<_, _> = shards.iter().map(|shard| (format!("in.{shard}"), shard)).collect();
    let index = serde_json::json!({ "metadata": { "total_size": weights.len() }, "weight_map": map });
    fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    folder
}

fn upload(settings: Settings, folder: &Path, repo: &str) -> Result<Uploaded, Error> {
    let upload = Upload { folder: folder.to_path_buf(), repo: repo.to_string(), private: true, ..Upload::default() };
    hub::upload(settings, upload)
}

/// Whether a repository holds the upload: all of it, or nothing.
fn is_there(hub: &Hub, repo: &str, sent: &BTreeMap<String, Vec<u8>>, case: &str) -> bool {
    if !hub.exists(repo, Kind::Model) {
        return false;
    }
    assert!(hub.is_private(repo), "{case}");
    let files = hub.files(repo, "main");
    if files.keys().all(|name| name == ".gitattributes") {
        return false;
    }
    for (name, bytes) in sent {
        let file = files.get(name).unwrap_or_else(|| panic!("{case}: {name} is missing"));
        assert!(file.bytes() == *bytes, "{case}: {name} differs");
        assert_eq!(file.is_lfs, name.ends_with(".safetensors"), "{case}: {name}");
    }
    assert_eq!(files.len(), sent.len() + 1, "{case}: {:?}", files.keys());
    assert_eq!(hub.commits(repo).len(), 2, "{case}: the first commit of the Hub, and one of ours");
    true
}

fn walk_an_upload(lfs: Lfs) {
    let cache = tempfile::tempdir().unwrap();
    let folder = sharded_folder();
    let sent = contents(folder.path());
    let hub = hub(Options { lfs, page_size: 4, ..Options::default() });
    // What is in the store of large files already would not be sent again, so each upload has weights of its own.
    let mut number = 0u64;
    let mut renew = || {
        number += 1;
        let mut sent = sent.clone();
        for (name, bytes) in &mut sent {
            if name.ends_with(".safetensors") {
                let from = bytes.len() - 8;
                bytes[from..].copy_from_slice(&number.to_le_bytes());
                fs::write(folder.path().join(name), &bytes).unwrap();
            }
        }
        (format!("{OWNER}/model-{number}"), sent)
    };

    let (repo, sent) = renew();
    hub.clear_requests();
    let uploaded = upload(patient(&hub, cache.path()), folder.path(), &repo).unwrap();
    assert!(is_there(&hub, &repo, &sent, "no fault"));
    assert_eq!(uploaded.commit.as_deref(), Some(hub.head(&repo).as_str()));
    let requests = hub.requests().len() as u64;
    // A second time nothing is sent and nothing committed.
    hub.clear_requests();
    let again = upload(patient(&hub, cache.path()), folder.path(), &repo).unwrap();
    assert_eq!((again.commit, again.sent_bytes), (uploaded.commit, 0));
    assert!(hub.bytes_received().is_empty() && is_there(&hub, &repo, &sent, "again"));

    let (mut failed, mut survived) = (0, 0);
    for (name, fault) in faults() {
        for at in 1..=requests {
            for &attempts in attempts_at(at) {
                let (repo, sent) = renew();
                let case = format!("{lfs:?}, {name} at {at} of {requests}, {attempts} attempts, {repo}");
                hub.mend();
                hub.clear_requests();
                hub.fail(fault.clone(), at);
                match upload(hurried(settings(&hub, cache.path(), attempts), name), folder.path(), &repo) {
                    Ok(_) => {
                        survived += 1;
                        assert!(is_there(&hub, &repo, &sent, &case), "{case}: it said that it was done");
                    }
                    Err(error) => {
                        failed += 1;
                        check_sentence(&error, &case);
                        is_there(&hub, &repo, &sent, &case);
                    }
                }
                hub.mend();
                let stored: Vec<String> = hub.requests().iter().filter_map(stored_by).collect();
                hub.clear_requests();
                upload(patient(&hub, cache.path()), folder.path(), &repo).unwrap_or_else(|e| panic!("{case}: {e}"));
                assert!(is_there(&hub, &repo, &sent, &case), "{case}");
                let twice = hub.requests().iter().filter_map(stored_by).find(|object| stored.contains(object));
                assert_eq!(twice, None, "{case}: it was sent twice");
            }
        }
    }
    assert!(failed > 50 && survived > 50, "{failed} failed, {survived} survived");
}

/// The object that a request brought whole, and that the client knows to be there. Of parts nobody knows that.
fn stored_by(request: &crate::hub_server::Request) -> Option<String> {
    let path = request.path.split('?').next()?.strip_prefix("/lfs/")?;
    let is_whole = request.method == "PUT" && !path.contains('/') && request.status_sent == Some(200);
    is_whole.then(|| path.to_string())
}

#[test]
fn an_upload_through_xet_survives_every_fault_at_every_request() {
    walk_an_upload(Lfs::Xet);
}

#[test]
fn an_upload_through_git_lfs_survives_every_fault_at_every_request() {
    walk_an_upload(Lfs::Basic);
}

#[test]
fn an_upload_in_parts_survives_every_fault_at_every_request() {
    walk_an_upload(Lfs::Multipart { part_size: 100_000 });
}
