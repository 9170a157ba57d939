//! Files of a repository into the cache: several at a time, each going on where it was cut, each checked before it gets its
//! name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::{Glob, GlobSet, GlobSetBuilder};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::cache::{Cached, is_commit};
use super::client::{Client, RemoteFile, Reporter};
use super::hash::Hasher;
use super::problem::Problem;
use super::repository::Repository;
use crate::engine::system::machine;
use crate::engine::{Error, Result, bytes, file};

/// Files that come at the same time.
const AT_ONCE: usize = 4;

/// What is wanted of the Hub.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub repository: Repository,
    pub revision: String,
    /// Which files, as patterns whose `*` stands for any characters, `/` among them.
    pub patterns: Vec<String>,
}

/// Brings what is wanted into the cache whole, and tells its folder.
pub async fn download(client: Client, wanted: Wanted, reporter: Reporter) -> Result<PathBuf, Problem> {
    let Wanted { repository, revision, .. } = &wanted;
    let info = client.info(repository, revision).await?;
    if !info.id.eq_ignore_ascii_case(&repository.id) {
        tracing::warn!("{repository} is called {} now: use that name", info.id);
    }
    let commit = info.commit;
    let files = matching(&wanted, client.files(repository, &commit).await?)?;
    let cached = Cached::new(&client.settings.cache, repository);
    let lacking: Vec<RemoteFile> = files.into_iter().filter(|file| !cached.has(&commit, file)).collect();
    if !lacking.is_empty() {
        check_room(&cached, &lacking)?;
        reporter.expect(lacking.len(), lacking.iter().map(|file| file.size).sum());
    }
    let place = Place { client, repository: repository.clone(), commit: commit.clone(), cached, reporter };
    let place = Arc::new(place);
    fetch_all(&place, lacking).await?;
    let snapshot = place.cached.snapshot(&commit);
    check_index(&snapshot).map_err(Problem::Here)?;
    if !is_commit(revision) {
        place.cached.note(revision, &commit)?;
    }
    Ok(snapshot)
}

/// Brings files, some at a time, each as a task of its own: what one computes holds up no other. When one fails, none of the
/// others is at work any more once this returns.
async fn fetch_all(place: &Arc<Place>, files: Vec<RemoteFile>) -> Result<(), Problem> {
    let (mut waiting, mut coming) = (files.into_iter(), JoinSet::new());
    loop {
        for file in waiting.by_ref().take(AT_ONCE - coming.len()) {
            let place = place.clone();
            coming.spawn(async move { place.fetch(&file).await });
        }
        let Some(ended) = coming.join_next().await else { return Ok(()) };
        let broken = |error| Err(Problem::Odd(format!("the download of a file broke off: {error}")));
        if let Err(problem) = ended.unwrap_or_else(broken) {
            coming.shutdown().await;
            return Err(problem);
        }
    }
}

/// The files that are wanted; an error where there is none, or one whose path leads out of the snapshot.
fn matching(wanted: &Wanted, files: Vec<RemoteFile>) -> Result<Vec<RemoteFile>, Problem> {
    let set = globs(&wanted.patterns)?;
    let there = files.len();
    let found: Vec<RemoteFile> = files.into_iter().filter(|file| set.is_match(&file.path)).collect();
    if let Some(file) = found.iter().find(|file| !is_below(&file.path) || !is_hash(file.content.name())) {
        return Err(Problem::Odd(format!("the Hub names a file {:?}, which no folder can hold", file.path)));
    }
    if found.is_empty() {
        let (repository, patterns) = (&wanted.repository, wanted.patterns.join(", "));
        let sentence = format!("{repository}: none of its {there} files is called as asked ({patterns})");
        return Err(Error::hinted(sentence, "name files, or patterns such as *.safetensors").into());
    }
    Ok(found)
}

/// Patterns of whole paths.
pub fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = Glob::new(pattern);
        set.add(
            glob.map_err(|error| Error::option("files", "patterns of file names", format!("{pattern:?} ({error})")))?,
        );
    }
    set.build().map_err(|error| Error::message(error.to_string()))
}

/// A path of names, none of which leads upwards.
fn is_below(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | "..") && !name.contains('\0'))
}

fn is_hash(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.chars().all(|c| c.is_ascii_hexdigit())
}

/// Refuses what the disk cannot hold before the first byte of it.
fn check_room(cached: &Cached, lacking: &[RemoteFile]) -> Result<()> {
    let there =
        |file: &RemoteFile| [cached.blob(file), cached.incomplete(file)].map(|path| size(&path)).into_iter().max();
    let needed: u64 = lacking.iter().map(|file| file.size.saturating_sub(there(file).unwrap_or(0))).sum();
    let folder = cached.folder().ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    match machine::free_bytes(folder) {
        Some(free) if free < needed => {
            let (needed, free) = (bytes::of_file(needed), bytes::of_file(free));
            let sentence = format!("the download needs {needed}, and {} has {free} left", folder.display());
            Err(Error::hinted(sentence, "make room, or set HF_HUB_CACHE to a folder on another disk"))
        }
        _ => Ok(()),
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |there| there.len())
}

/// Where a file comes from and goes to.
struct Place {
    client: Client,
    repository: Repository,
    commit: String,
    cached: Cached,
    reporter: Reporter,
}

impl Place {
    async fn fetch(&self, file: &RemoteFile) -> Result<(), Problem> {
        self.reporter.begin(&file.path, file.size);
        let blob = self.cached.blob(file);
        let is_whole = || blob.metadata().is_ok_and(|there| there.len() == file.size);
        if !is_whole() {
            let _lock = self.cached.lock(file.content.name()).await?;
            // Another process may have brought it meanwhile.
            if !is_whole() {
                self.fill(file, &blob).await?;
            }
        }
        self.cached.link(&self.commit, file)?;
        self.reporter.end(&file.path);
        Ok(())
    }

    /// Brings the content of a blob. What comes wrong is asked for once more from its beginning.
    async fn fill(&self, file: &RemoteFile, blob: &Path) -> Result<(), Problem> {
        file::create_folder(blob.parent().expect("it is in blobs"))?;
        let incomplete = self.cached.incomplete(file);
        let mut wrong = None;
        for _ in 0..2 {
            let part = self.receive(file, &incomplete).await?;
            let found = part.hash.finish();
            if found == file.content.name() {
                part.file.sync_data().map_err(|error| unwritable(&incomplete, &error))?;
                fs::rename(&incomplete, blob).map_err(|error| unwritable(blob, &error))?;
                return Ok(());
            }
            file::remove(&incomplete)?;
            self.reporter.advance(&file.path, -(file.size as i64));
            wrong = Some(found);
        }
        let (wanted, found) = (file.content.name(), wrong.unwrap_or_default());
        let sentence =
            format!("{}: {} came wrong twice: its hash is {found}, not {wanted}", self.repository, file.path);
        let hint = "nothing of it was kept; a proxy or a mirror (HF_ENDPOINT) on the way may be at fault";
        Err(Error::hinted(sentence, hint).into())
    }

    /// Receives what is missing of a file. A cut connection is taken up again as long as something comes.
    async fn receive(&self, file: &RemoteFile, incomplete: &Path) -> Result<Part, Problem> {
        let part = Part::open(incomplete, file)?;
        self.reporter.advance(&file.path, part.length as i64);
        let part = Mutex::new(part);
        loop {
            let before = part.lock().await.length;
            let attempt = self.client.patiently(|| async {
                let mut part = part.lock().await;
                self.receive_some(file, &mut part).await
            });
            match attempt.await {
                Ok(()) => return Ok(part.into_inner()),
                Err(problem) if problem.is_passing() && part.lock().await.length > before => continue,
                Err(problem) => return Err(problem),
            }
        }
    }

    /// One request, from where the file stands to its end.
    async fn receive_some(&self, file: &RemoteFile, part: &mut Part) -> Result<(), Problem> {
        if part.length == file.size {
            return Ok(());
        }
        let mut response = self.ask(file, part.length).await?;
        if part.length > 0 && !continues(&response, part.length) {
            self.reporter.advance(&file.path, -(part.length as i64));
            part.restart()?;
        }
        loop {
            let chunk = response.chunk().await.map_err(|error| Problem::of_request(&error))?;
            let Some(chunk) = chunk else { break };
            part.take(&chunk, file)?;
            self.reporter.advance(&file.path, chunk.len() as i64);
        }
        match part.length == file.size {
            true => Ok(()),
            false => Err(Problem::Network(format!("{} ended after {} of {} bytes", file.path, part.length, file.size))),
        }
    }

    async fn ask(&self, file: &RemoteFile, from: u64) -> Result<Response, Problem> {
        let path = file.path.split('/').map(encoded).collect::<Vec<_>>().join("/");
        let request = self.client.get(&format!("{}/resolve/{}/{path}", self.repository.page(), self.commit));
        let request = request.header(ACCEPT_ENCODING, "identity");
        let request = if from > 0 { request.header(RANGE, format!("bytes={from}-")) } else { request };
        self.client.send(request).await
    }
}

/// Whether an answer begins where it was asked to.
fn continues(response: &Response, from: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    response.status() == StatusCode::PARTIAL_CONTENT && range.starts_with(&format!("bytes {from}-"))
}

/// A part of a path as it stands in an address.
pub fn encoded(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    part.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A file while it comes.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
    hash: Hasher,
}

impl Part {
    /// What an earlier attempt has left counts.
    fn open(path: &Path, of: &RemoteFile) -> Result<Part, Problem> {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = opened.map_err(|error| unwritable(path, &error))?;
        let mut hash = Hasher::of(of);
        let mut buffer = vec![0; 1 << 20];
        let mut length = 0;
        loop {
            match file.read(&mut buffer).map_err(|error| file::unreadable(path, &error))? {
                0 => break,
                read => {
                    length += read as u64;
                    hash.update(&buffer[..read]);
                }
            }
        }
        let mut part = Part { path: path.to_path_buf(), file, length, hash };
        if part.length > of.size {
            part.restart()?;
        }
        Ok(part)
    }

    fn restart(&mut self) -> Result<(), Problem> {
        self.file.set_len(0).map_err(|error| unwritable(&self.path, &error))?;
        self.length = 0;
        self.hash.restart();
        Ok(())
    }

    fn take(&mut self, chunk: &[u8], of: &RemoteFile) -> Result<(), Problem> {
        if self.length + chunk.len() as u64 > of.size {
            self.restart()?;
            return Err(Problem::Network(format!("{} is longer than the {} bytes that it has", of.path, of.size)));
        }
        self.file.write_all(chunk).map_err(|error| unwritable(&self.path, &error))?;
        self.hash.update(chunk);
        self.length += chunk.len() as u64;
        Ok(())
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    let sentence = format!("{}: cannot be written: {}", path.display(), file::reason(error));
    Error::hinted(sentence, "HF_HUB_CACHE names another folder for what comes from the Hub")
}

/// Compares the shards with what their index says they hold in all.
fn check_index(snapshot: &Path) -> Result<()> {
    let index = snapshot.join("model.safetensors.index.json");
    let Ok(text) = fs::read(&index) else { return Ok(()) };
    let document: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let total = document["metadata"]["total_size"].as_u64();
    let shards: std::collections::BTreeSet<&str> =
        document["weight_map"].as_object().into_iter().flatten().filter_map(|(_, shard)| shard.as_str()).collect();
    let held: Option<u64> = shards.iter().map(|shard| tensor_bytes(&snapshot.join(shard))).sum();
    match (total, held) {
        (Some(total), Some(held)) if held < total => {
            let sentence = format!("the shards hold {held} bytes of tensors, and their index says {total}");
            Err(Error::file(&index, sentence))
        }
        _ => Ok(()),
    }
}

/// What a safetensors file holds behind its header; nothing where it is not there or none.
fn tensor_bytes(path: &Path) -> Option<u64> {
    let mut length = [0; 8];
    File::open(path).ok()?.read_exact(&mut length).ok()?;
    size(path).checked_sub(8)?.checked_sub(u64::from_le_bytes(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_huggingface_hub() {
        let matches = |patterns: &[&str], path: &str| {
            globs(&patterns.iter().map(|pattern| pattern.to_string()).collect::<Vec<_>>()).unwrap().is_match(path)
        };
        assert!(matches(&["*.json"], "config.json") && matches(&["*.json"], "onnx/config.json"));
        assert!(matches(&["data/*"], "data/a/b.parquet") && !matches(&["data/*"], "other/a"));
        assert!(matches(&["a", "config.json"], "config.json") && !matches(&["config.json"], "x/config.json"));
        assert!(matches(&["model-0000[12]-*"], "model-00002-of-00003.safetensors"));
        assert!(
            globs(&["[".to_string()]).unwrap_err().to_string().starts_with("files: expected patterns of file names")
        );
    }

    #[test]
    fn a_path_stays_below_the_snapshot() {
        for (path, wanted) in [
            ("config.json", true),
            ("a/b.json", true),
            ("../x", false),
            ("a/../../x", false),
            ("/etc/x", false),
            ("", false),
        ] {
            assert_eq!(is_below(path), wanted, "{path}");
        }
    }

    #[test]
    fn a_path_in_an_address_is_encoded() {
        assert_eq!(encoded("a b#1?.bin"), "a%20b%231%3F.bin");
        assert_eq!(encoded("ä.json"), "%C3%A4.json");
    }
}
