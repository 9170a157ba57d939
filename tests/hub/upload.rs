//! Uploads as a user meets them: what is sent and how, what is refused, what is said.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use affine::engine::Error;
use affine::engine::hub::{self, Settings, Token, Upload, Uploaded, Way};

use super::download::{affine, err, out};
use super::{OWNER, TOKEN, contents, hub, model_folder, settings};
use crate::hub_server::{Fault, Hub, Kind, Lfs, Options, Role};

const REPO: &str = "acme/tiny";

fn upload_as(hub: &Hub, upload: Upload) -> Result<Uploaded, Error> {
    let cache = tempfile::tempdir().unwrap();
    hub::upload(settings(hub, cache.path(), 2), upload)
}

fn of(folder: &Path) -> Upload {
    Upload { folder: folder.to_path_buf(), repo: REPO.to_string(), ..Upload::default() }
}

fn upload(hub: &Hub, folder: &Path) -> Result<Uploaded, Error> {
    upload_as(hub, of(folder))
}

fn ways(uploaded: &Uploaded) -> BTreeMap<&str, Way> {
    uploaded.files.iter().map(|file| (file.path.as_str(), file.way)).collect()
}

#[test]
fn a_folder_becomes_a_repository() {
    for lfs in [Lfs::Xet, Lfs::Basic, Lfs::Multipart { part_size: 200_000 }] {
        let (hub, folder) = (hub(Options { lfs, ..Options::default() }), model_folder());
        let uploaded = upload(&hub, folder.path()).unwrap();
        assert_eq!(uploaded.url, format!("{}/{REPO}", hub.endpoint()));
        assert_eq!(uploaded.commit, Some(hub.head(REPO)), "{lfs:?}");
        assert!(uploaded.created && uploaded.removed.is_empty() && !hub.is_private(REPO));
        assert!(uploaded.sent_bytes > 500_000, "{lfs:?}: {}", uploaded.sent_bytes);
        let files = hub.files(REPO, "main");
        for (name, bytes) in contents(folder.path()) {
            assert!(files[&name].bytes() == bytes, "{lfs:?}: {name}");
            assert_eq!(files[&name].is_lfs, name == "model.safetensors", "{lfs:?}: {name}");
        }
        assert_eq!(hub.commits(REPO)[0].title, "Upload a model trained with affine");
        assert_eq!(ways(&uploaded)["model.safetensors"], Way::Store);
        assert_eq!(ways(&uploaded)["config.json"], Way::Commit);
    }
}

/// hf-hub 1.0 puts them there where a server has no Xet.
#[test]
fn weights_never_travel_in_a_commit() {
    for lfs in [Lfs::Xet, Lfs::Basic] {
        let (hub, folder) = (hub(Options { lfs, ..Options::default() }), model_folder());
        // Ones that the Hub would take there, too.
        hub.create(REPO, Kind::Model, false);
        hub.commit(REPO, &[(".gitattributes", b"")]);
        fs::write(folder.path().join("model.safetensors"), "few bytes").unwrap();
        upload(&hub, folder.path()).unwrap();
        let commit = hub.requests().into_iter().find(|request| request.path.contains("/commit/")).unwrap();
        assert!(commit.body_bytes_received < 100_000, "{commit:?}");
        let files = hub.files(REPO, "main");
        assert!(files["model.safetensors"].is_lfs, "{lfs:?}");
        let attributes = String::from_utf8(files[".gitattributes"].bytes()).unwrap();
        assert_eq!(attributes, "model.safetensors filter=lfs diff=lfs merge=lfs -text\n");
    }
}

#[test]
fn what_is_there_is_not_sent_again() {
    let (hub, folder) = (hub(Options::default()), model_folder());
    let first = upload(&hub, folder.path()).unwrap();
    fs::write(folder.path().join("README.md"), "---\nlicense: mit\n---\n").unwrap();
    hub.clear_requests();
    let second = upload(&hub, folder.path()).unwrap();
    assert_ne!(first.commit, second.commit);
    assert!(!second.created && hub.bytes_received().is_empty());
    let changed: Vec<_> =
        second.files.iter().filter(|file| file.way != Way::Unchanged).map(|file| &file.path).collect();
    assert_eq!(changed, ["README.md"]);
    let third = upload(&hub, folder.path()).unwrap();
    assert_eq!((third.commit, hub.commits(REPO).len()), (second.commit, 3));
}

/// transformers takes model.safetensors before shards, and an adapter's config before a whole model's.
#[test]
fn what_is_left_of_an_earlier_model_goes() {
    let (hub, folder) = (hub(Options::default()), model_folder());
    hub.create(REPO, Kind::Model, false);
    hub.commit(
        REPO,
        &[
            ("model-00001-of-00002.safetensors", b"old"),
            ("model-00002-of-00002.safetensors", b"old"),
            ("model.safetensors.index.json", b"{}"),
            ("adapter_config.json", b"{}"),
            ("picture.png", b"mine"),
            ("gguf/model.gguf", b"mine"),
        ],
    );
    let uploaded = upload(&hub, folder.path()).unwrap();
    let removed = [
        "adapter_config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ];
    assert_eq!(uploaded.removed, removed);
    let files = hub.files(REPO, "main");
    assert!(removed.iter().all(|name| !files.contains_key(*name)));
    assert!(files.contains_key("picture.png") && files.contains_key("gguf/model.gguf"));
}

#[test]
fn a_dry_run_tells_what_would_be_sent_and_sends_nothing() {
    let (hub, folder) = (hub(Options::default()), model_folder());
    let dry = || upload_as(&hub, Upload { dry_run: true, ..of(folder.path()) }).unwrap();
    let before = dry();
    assert!(before.created && before.commit.is_none() && !hub.exists(REPO, Kind::Model));
    let done = upload(&hub, folder.path()).unwrap();
    assert_eq!(before.files, done.files);
    fs::write(folder.path().join("README.md"), "---\nlicense: mit\n---\n").unwrap();
    let before = dry();
    assert!(!before.created && hub.commits(REPO).len() == 2);
    assert_eq!(ways(&before)["README.md"], Way::Commit);
    assert_eq!(ways(&before)["model.safetensors"], Way::Unchanged);
}

#[test]
fn a_pull_request_leaves_the_branch_alone() {
    let (hub, folder) = (hub(Options::default()), model_folder());
    let pull = || upload_as(&hub, Upload { create_pr: true, ..of(folder.path()) });
    let text = pull().unwrap_err().to_string();
    assert!(text.starts_with("acme/tiny: there is no such repository, so it has"), "{text}");
    hub.create(REPO, Kind::Model, false);
    let head = hub.head(REPO);
    let uploaded = pull().unwrap();
    assert_eq!(hub.head(REPO), head);
    assert_eq!(hub.pull_requests(REPO).len(), 1);
    assert!(
        uploaded.pull_request.as_ref().is_some_and(|page| page.contains("/acme/tiny/discussions/")),
        "{uploaded:?}"
    );
    // Nobody knows whether it was opened, so nobody opens it again.
    fs::write(folder.path().join("README.md"), "---\nlicense: mit\n---\n").unwrap();
    hub.fail_always(Fault::AfterwardsCut, |_, path| path.contains("/commit/"));
    let error = pull().unwrap_err();
    assert!(error.to_string().contains("the pull request may be open"), "{error}");
    assert!(error.hint().unwrap().contains("/acme/tiny/discussions"), "{error:?}");
    assert_eq!(hub.pull_requests(REPO).len(), 2);
}

#[test]
fn another_branch_takes_it_and_must_be_there() {
    let (hub, folder) = (hub(Options::default()), model_folder());
    hub.create(REPO, Kind::Model, false);
    let upload = || upload_as(&hub, Upload { revision: "try".to_string(), ..of(folder.path()) });
    let text = upload().unwrap_err().to_string();
    assert_eq!(text, "acme/tiny: the model has no revision try");
    hub.branch(REPO, "try");
    upload().unwrap();
    assert!(hub.files(REPO, "try").contains_key("config.json") && !hub.files(REPO, "main").contains_key("config.json"));
}

#[test]
fn a_name_that_is_none_or_somebody_elses_is_refused() {
    let (hub, folder) = (hub(Options::default()), model_folder());
    hub.user("other", "hf_OtherOtherOther", Role::Write);
    let refused = |repo: &str| {
        let error = upload_as(&hub, Upload { repo: repo.to_string(), ..of(folder.path()) }).unwrap_err();
        format!("{error}; {}", error.hint().unwrap_or_default())
    };
    assert!(refused("tiny").contains("got \"tiny\" (it names no owner: OWNER/NAME)"), "{}", refused("tiny"));
    assert!(refused("acme/t ny").contains("holds ' '"), "{}", refused("acme/t ny"));
    let text = refused("other/tiny");
    assert!(text.contains("other/tiny: this account may not do that there"), "{text}");
    hub.create("other/mine", Kind::Model, false);
    let text = refused("other/mine");
    assert!(text.contains("other/mine: this account may not do that there"), "{text}");
    hub.create("acme/old", Kind::Model, false);
    hub.rename("acme/old", "acme/new");
    assert!(refused("acme/old").contains("acme/old: it is called acme/new now; upload to that name"));
}

#[test]
fn an_organisation_and_a_token_for_one_repository_are_enough() {
    let (hub, folder) = (hub(Options::default()), model_folder());
    hub.organization("team", &[OWNER]);
    let to = |repo: &str| Upload { repo: repo.to_string(), ..of(folder.path()) };
    upload_as(&hub, to("team/tiny")).unwrap();
    assert!(hub.files("team/tiny", "main").contains_key("config.json"));

    hub.create("acme/one", Kind::Model, false);
    hub.user(OWNER, "hf_OneOneOne", Role::FineGrained(vec!["acme/one".to_string()]));
    let cache = tempfile::tempdir().unwrap();
    let token = Some(Token::new("hf_OneOneOne", "HF_TOKEN").unwrap());
    let one = Settings { token, ..settings(&hub, cache.path(), 1) };
    hub::upload(one.clone(), to("acme/one")).unwrap();
    let account = hub::whoami(one.clone()).unwrap();
    assert!(account.may_write("acme/one") && !account.may_write("acme/two") && account.organizations == ["team"]);
    let text = hub::upload(one, to("acme/two")).unwrap_err().to_string();
    assert!(text.starts_with("acme/two: this account may not do that there"), "{text}");
}

#[test]
fn what_was_to_be_private_never_becomes_public() {
    let (hub, folder) = (hub(Options::default()), model_folder());
    hub.create(REPO, Kind::Model, false);
    let error = upload_as(&hub, Upload { private: true, ..of(folder.path()) }).unwrap_err().to_string();
    assert_eq!(error, "acme/tiny: the repository is public, and private is what was asked for");
    assert_eq!(hub.commits(REPO).len(), 1);
    let private = Upload { private: true, repo: "acme/secret".to_string(), ..of(folder.path()) };
    upload_as(&hub, private).unwrap();
    assert!(hub.is_private("acme/secret"));
}

#[test]
fn a_folder_with_a_secret_or_a_stranger_is_refused_before_anything_is_asked() {
    let hub = hub(Options::default());
    let refused = |name: &str, content: &str| {
        let folder = model_folder();
        fs::write(folder.path().join(name), content).unwrap();
        hub.clear_requests();
        let error = upload(&hub, folder.path()).unwrap_err().to_string();
        assert!(!hub.exists(REPO, Kind::Model), "{error}");
        assert!(!error.contains(TOKEN), "{error}");
        error.replace(&folder.path().display().to_string(), "F")
    };
    assert_eq!(
        refused("notes.txt", &format!("my token: {TOKEN}")),
        "F/notes.txt: it holds the token that you use for the Hub"
    );
    let key = format!("AKIA{}", "ABCDEFGHIJKLMNOP");
    assert_eq!(refused("notes.txt", &key), "F/notes.txt: it holds an access key of AWS");
    assert_eq!(
        refused("optimizer.safetensors", "x"),
        "F/optimizer.safetensors: it is the state of an optimizer, which does not belong to a model"
    );
    assert_eq!(refused("train.jsonl", "{}"), "F/train.jsonl: it is data, which does not belong to a model");
}

#[test]
fn links_lead_to_files_of_the_folder_alone() {
    let (hub, folder, outside) = (hub(Options::default()), model_folder(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret.txt"), "mine").unwrap();
    let link = folder.path().join("notes.txt");
    std::os::unix::fs::symlink(outside.path().join("secret.txt"), &link).unwrap();
    let text = upload(&hub, folder.path()).unwrap_err().to_string();
    assert!(text.contains("notes.txt: it is a link out of the folder, to "), "{text}");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let text = upload(&hub, folder.path()).unwrap_err().to_string();
    assert!(text.ends_with("notes.txt: it is a link that leads nowhere"), "{text}");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("config.json", &link).unwrap();
    upload(&hub, folder.path()).unwrap();
    let files = hub.files(REPO, "main");
    assert!(files["notes.txt"].bytes() == files["config.json"].bytes());
}

#[test]
fn a_file_without_bytes_and_one_in_a_folder_travel_too() {
    let (hub, folder) = (hub(Options::default()), model_folder());
    fs::write(folder.path().join("empty.txt"), "").unwrap();
    fs::create_dir(folder.path().join("a b")).unwrap();
    fs::write(folder.path().join("a b/ä #1.md"), "text").unwrap();
    upload(&hub, folder.path()).unwrap();
    let files = hub.files(REPO, "main");
    assert_eq!((files["empty.txt"].size, files["a b/ä #1.md"].bytes()), (0, b"text".to_vec()));
}

#[test]
fn a_file_over_the_limit_of_the_hub_is_named_before_it_is_sent() {
    let (hub, folder) = (hub(Options { max_file_size: Some(1 << 20), ..Options::default() }), model_folder());
    let weights = fs::File::options().write(true).open(folder.path().join("model.safetensors")).unwrap();
    weights.set_len(64 << 20).unwrap();
    let error = upload(&hub, folder.path()).unwrap_err();
    assert!(error.to_string().contains("model.safetensors"), "{error}");
    assert!(hub.bytes_received().is_empty(), "{error}");
}

#[test]
fn a_folder_that_changes_meanwhile_is_not_committed() {
    let (hub, folder) = (hub(Options { lfs: Lfs::Basic, ..Options::default() }), model_folder());
    hub.fail_always(Fault::Stall, |method, path| method == "PUT" && path.starts_with("/lfs/"));
    let path = folder.path().join("model.safetensors");
    let error = std::thread::scope(|scope| {
        let uploading = scope.spawn(|| upload(&hub, folder.path()));
        while !hub.requests().iter().any(|request| request.method == "PUT") {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let mut weights = fs::read(&path).unwrap();
        weights[600] ^= 1;
        fs::write(&path, weights).unwrap();
        hub.mend();
        uploading.join().unwrap().unwrap_err().to_string()
    });
    assert!(error.ends_with("model.safetensors changed while it was uploaded"), "{error}");
    assert_eq!(hub.commits(REPO).len(), 1);
    upload(&hub, folder.path()).unwrap();
}

#[test]
fn the_command_tells_what_it_does_and_never_the_token() {
    let (hub, home, folder) = (hub(Options::default()), tempfile::tempdir().unwrap(), model_folder());
    let path = folder.path().to_str().unwrap();
    let run = |words: &[&str]| {
        let output = affine(&hub, home.path(), words, &[("HF_TOKEN", TOKEN), ("AFFINE_LOG", "trace")]);
        assert!(!out(&output).contains(TOKEN) && !err(&output).contains(TOKEN), "{}", err(&output));
        output
    };
    let dry = out(&run(&["hub", "upload", path, REPO, "--dry-run"]));
    assert!(dry.contains("model.safetensors") && dry.contains("alone, through the store of large files"), "{dry}");
    assert!(dry.ends_with(&format!("{}/{REPO}: would be made; nothing was sent\n", hub.endpoint())), "{dry}");
    let done = run(&["hub", "upload", path, REPO]);
    let told = format!("{}/{REPO} (commit {})\n", hub.endpoint(), hub.head(REPO));
    assert!(out(&done).ends_with(&told), "{done:?}");
    let code = format!("print(require('affine.hub').info {{ repo = '{REPO}' }}.files[3].git_sha1)");
    assert_eq!(out(&run(&["-e", &code])).trim(), hub.files(REPO, "main")["config.json"].git_oid);
    let info = out(&run(&["hub", "info", REPO]));
    assert!(info.starts_with(&format!("{REPO} at main: commit {}, public\n", hub.head(REPO))), "{info}");
    assert!(info.contains("528 kB  model.safetensors"), "{info}");
    assert_eq!(out(&run(&["hub", "info"])), format!("{OWNER}\n"));
    let none = affine(&hub, home.path(), &["hub", "upload", path, REPO], &[]);
    assert!(err(&none).contains("acme/tiny: an upload needs a token, and there is none"), "{}", err(&none));
    let offline =
        affine(&hub, home.path(), &["hub", "upload", path, REPO], &[("HF_TOKEN", TOKEN), ("HF_HUB_OFFLINE", "1")]);
    assert!(err(&offline).contains("nothing is uploaded, because HF_HUB_OFFLINE forbids"), "{}", err(&offline));
    // Nothing that stays on this machine holds it.
    for (name, content) in contents(home.path()) {
        assert!(!String::from_utf8_lossy(&content).contains(TOKEN), "{name}");
    }
}

#[test]
fn a_script_uploads_and_a_plan_does_not() {
    let (hub, home, folder) = (hub(Options::default()), tempfile::tempdir().unwrap(), model_folder());
    let script = format!(
        "local hub = require('affine.hub')
         print(hub.whoami().name, hub.create {{ repo = '{OWNER}/empty' }})
         local done = hub.upload {{ folder = '{}', repo = '{REPO}', message = 'mine' }}
         print(done.url, done.commit or 'nothing')
         local there = hub.info {{ repo = '{REPO}' }}
         print(there and #there.files, hub.info {{ repo = 'acme/none' }})",
        folder.path().display()
    );
    let path = home.path().join("up.lua");
    fs::write(&path, script).unwrap();
    let environment = [("HF_TOKEN", TOKEN)];
    let planned = affine(&hub, home.path(), &["--plan", "up.lua"], &environment);
    assert!(planned.status.success(), "{planned:?}");
    assert!(hub.requests().is_empty(), "{:?}", hub.requests());
    assert!(out(&planned).contains("hub: uploads 8 files to acme/tiny; here nothing is sent"), "{}", out(&planned));
    let output = affine(&hub, home.path(), &["up.lua"], &environment);
    let endpoint = hub.endpoint();
    let wanted = format!("{OWNER}\t{endpoint}/acme/empty\n{endpoint}/{REPO}\t{}\n9\tnil\n", hub.head(REPO));
    assert_eq!(out(&output), wanted, "{output:?}");
    assert_eq!(hub.commits(REPO)[0].title, "mine");
}

/// Pieces of a large file that arrived are not sent again, although nothing of it was committed.
#[test]
fn an_upload_through_xet_that_was_killed_goes_on() {
    let (hub, home, folder) = (hub(Options::default()), tempfile::tempdir().unwrap(), model_folder());
    // Four pieces of 64 MiB that no compression makes smaller.
    let mut state = 1u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let weights: Vec<u8> = (0..(240 << 20) / 8).flat_map(|_| next().to_le_bytes()).collect();
    fs::write(folder.path().join("model.safetensors"), &weights).unwrap();
    let path = folder.path().to_str().unwrap();
    // The last piece hangs, long after the others have arrived.
    hub.fail_always(Fault::Stall, |method, path| method == "POST" && path.contains("/cas/v2/shards"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_affine"));
    command.current_dir(home.path()).args(["hub", "upload", path, REPO]).env("HOME", home.path());
    let mut child = command.env("HF_ENDPOINT", hub.endpoint()).env("HF_TOKEN", TOKEN).spawn().unwrap();
    let begun = std::time::Instant::now();
    while !hub.requests().iter().any(|request| request.path.contains("/cas/v2/shards")) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(120), "{:?}", hub.requests());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    hub.mend();
    let first: u64 = hub.bytes_received().values().sum();
    assert!(first > 240 << 20, "{first}");
    hub.clear_requests();
    let output = affine(&hub, home.path(), &["hub", "upload", path, REPO], &[("HF_TOKEN", TOKEN)]);
    assert!(output.status.success(), "{output:?}");
    let second: u64 = hub.bytes_received().values().sum();
    assert!(second < first / 2, "{second} of {first} bytes were sent again");
    assert!(hub.files(REPO, "main")["model.safetensors"].bytes() == weights);
}
