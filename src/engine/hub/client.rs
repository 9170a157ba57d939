//! Requests to the Hub: patient, quick to hear Ctrl-C, and asked in one place.

use std::future::Future;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use hf_hub::repository::ModelInfo;
use hf_hub::{HFClient, RepoTypeModel};
use reqwest::header::{AUTHORIZATION, LINK, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::problem::{Problem, Refusal};
use super::repository::{Kind, Repository};
use super::settings::Settings;
use crate::engine::sentence::one_line;
use crate::engine::track::Transfer;
use crate::engine::{Error, Result, cancel};

const AGENT: &str = concat!("affine/", env!("CARGO_PKG_VERSION"));

/// Longer than this nobody waits without being asked: the Hub counts requests in windows of five minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What the Hub tells of a repository at a revision.
#[derive(Debug, Clone, Serialize)]
pub struct Info {
    /// What it is called now; repositories are renamed.
    pub id: String,
    pub commit: String,
    pub private: bool,
    /// Its files, where they were asked for.
    pub files: Vec<RemoteFile>,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoteFile {
    pub path: String,
    pub size: u64,
    #[serde(flatten)]
    pub content: Content,
}

/// By what a file's content is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Content {
    /// SHA-256 in hex: a large file.
    #[serde(rename = "sha256")]
    Sha256(String),
    /// Git's own SHA-1 in hex: a file of the commit itself.
    #[serde(rename = "git_sha1")]
    Git(String),
}

impl Content {
    /// What a cache calls it.
    pub fn name(&self) -> &str {
        match self {
            Content::Sha256(name) | Content::Git(name) => name,
        }
    }
}

#[derive(Clone)]
pub struct Client {
    pub settings: Settings,
    http: reqwest::Client,
    hub: HFClient,
}

impl Client {
    pub fn new(settings: Settings) -> Result<Client, Problem> {
        let client = |reading: Duration| {
            let client = reqwest::Client::builder().user_agent(AGENT);
            client.connect_timeout(settings.answering).read_timeout(reading).build()
        };
        let http = client(settings.reading).map_err(|error| Problem::of_request(&error))?;
        let asking = client(settings.answering).map_err(|error| Problem::of_request(&error))?;
        // How often to ask again is decided here, and by nobody else.
        let hub = HFClient::builder().client(asking).endpoint(&settings.endpoint).retry_max_attempts(0);
        let hub = match &settings.token {
            Some(token) => hub.token(token.reveal()),
            None => hub,
        };
        Ok(Client { hub: hub.cache_enabled(false).build()?, http, settings })
    }

    /// Asks until there is an answer, or a problem that stays.
    pub async fn patiently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, Problem>>,
    {
        let mut pause = self.settings.pause;
        for number in 1.. {
            let problem = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(problem) => problem,
            };
            let asked = match &problem {
                Problem::Refused(refusal) => refusal.retry_after,
                _ => None,
            };
            let wait = asked.unwrap_or(pause);
            if !problem.is_passing() || number >= self.settings.attempts || wait > LONGEST_WAIT {
                return Err(problem);
            }
            if wait >= Duration::from_secs(2) {
                tracing::info!("{problem}; again in {} s", wait.as_secs());
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        unreachable!("attempts end")
    }

    /// Sends one request to the Hub, as whoever the token names. An answer that is no success is a problem.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Problem> {
        let request = match &self.settings.token {
            Some(token) => request.header(AUTHORIZATION, token.header()),
            None => request,
        };
        self.send_plain(request).await
    }

    /// Sends one request to a store that the Hub named, which is told no token.
    pub async fn send_plain(&self, request: RequestBuilder) -> Result<Response, Problem> {
        let response = request.send().await.map_err(|error| Problem::of_request(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    pub async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Problem> {
        let response = self.send(request.timeout(self.settings.answering)).await?;
        response.json().await.map_err(|error| Problem::of_request(&error))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.address(path))
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(self.address(path))
    }

    /// A request to an address that the Hub named.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.settings.endpoint)
    }

    /// `api/models/acme/tiny/…`.
    pub fn api(&self, repository: &Repository, rest: &str) -> String {
        format!("api/{}/{}/{rest}", repository.kind.plural(), repository.id)
    }

    /// What a repository is called, and the commit of a revision.
    pub async fn info(&self, repository: &Repository, revision: &str) -> Result<Info, Problem> {
        let (owner, name) = (repository.owner(), repository.name());
        let (id, commit, private) = self
            .patiently(|| async {
                Ok(match repository.kind {
                    Kind::Model => {
                        let ModelInfo { id, sha, private, .. } =
                            self.hub.model(owner, name).info().revision(revision).send().await?;
                        (id, sha, private)
                    }
                    Kind::DataSet => {
                        let info = self.hub.dataset(owner, name).info().revision(revision).send().await?;
                        (info.id, info.sha, info.private)
                    }
                })
            })
            .await?;
        let commit = commit.ok_or_else(|| Problem::Odd(format!("the Hub names no commit of {repository}")))?;
        Ok(Info { id, commit, private: private.unwrap_or(false), files: Vec::new() })
    }

    /// [`info`](Self::info), with the files.
    pub async fn about(&self, repository: &Repository, revision: &str) -> Result<Info, Problem> {
        let info = self.info(repository, revision).await?;
        let files = self.files(repository, &info.commit).await?;
        Ok(Info { files, ..info })
    }

    /// All files of a repository at a commit. (hf-hub 1.0 lists them without the hashes of large ones.)
    pub async fn files(&self, repository: &Repository, commit: &str) -> Result<Vec<RemoteFile>, Problem> {
        let mut files = Vec::new();
        let mut page = Some(self.api(repository, &format!("tree/{commit}?recursive=true")));
        while let Some(path) = page {
            let (entries, next) = self.patiently(|| self.page(&path)).await?;
            files.extend(entries.into_iter().filter_map(Entry::file));
            page = next;
        }
        Ok(files)
    }

    /// A part of a list, and the path of the next one.
    async fn page(&self, path: &str) -> Result<(Vec<Entry>, Option<String>), Problem> {
        let response = self.send(self.get(path).timeout(self.settings.answering)).await?;
        let next = response.headers().get(LINK).and_then(|link| next_page(link.to_str().ok()?));
        let entries = response.json().await.map_err(|error| Problem::of_request(&error))?;
        Ok((entries, next))
    }

    /// Makes a repository of models. One that is there already is left as it is.
    pub async fn create(&self, repository: &Repository, private: bool) -> Result<(), Problem> {
        let made = self.patiently(|| async {
            let create = self.hub.create_repository().repo_id(&repository.id).repo_type(RepoTypeModel).private(private);
            Ok(create.exist_ok(true).send().await?)
        });
        made.await.map(drop)
    }
}

/// An entry of a repository's tree.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    /// SHA-256.
    oid: String,
}

impl Entry {
    fn file(self) -> Option<RemoteFile> {
        let content = self.lfs.map_or(Content::Git(self.oid), |lfs| Content::Sha256(lfs.oid));
        (self.kind == "file").then_some(RemoteFile { path: self.path, size: self.size, content })
    }
}

/// The path in `<https://hub.example/api/…>; rel="next"`: whatever machine it names, this one is asked, which alone may
/// see the token.
fn next_page(link: &str) -> Option<String> {
    let part = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let url = url::Url::parse(part.split_once('<')?.1.split_once('>')?.0).ok()?;
    let query = url.query().map_or(String::new(), |query| format!("?{query}"));
    Some(format!("{}{query}", url.path().trim_start_matches('/')))
}

/// What an answer that is no success says.
async fn refusal(response: Response) -> Problem {
    let header = |name: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_string).unwrap_or_default()
    };
    let (status, code, told) = (response.status().as_u16(), header("x-error-code"), header("x-error-message"));
    let retry_after = header(RETRY_AFTER.as_str()).trim().parse().ok().map(Duration::from_secs);
    let message = if told.is_empty() { message_of(&response.text().await.unwrap_or_default()) } else { told };
    Problem::Refused(Refusal { status, code, message: one_line(&message), retry_after })
}

/// The sentence in an answer's body: the Hub's `error`, a store's `message`, or a short plain text.
fn message_of(body: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let said = json.as_ref().and_then(|json| json.get("error").or(json.get("message"))?.as_str());
    match said {
        Some(text) => text.to_string(),
        None if json.is_none() && body.len() < 200 && !body.contains('<') => body.to_string(),
        None => String::new(),
    }
}

/// What work that goes on elsewhere tells the thread that waits for it.
enum Report<T> {
    Transfer(Step),
    Done(Result<T, Problem>),
}

/// A step of a transfer.
enum Step {
    Expect { files: usize, bytes: u64 },
    Begin { file: String, size: u64 },
    Advance { file: String, bytes: i64 },
    End { file: String },
}

/// Where work reports how far it is.
#[derive(Clone)]
pub struct Reporter(std::sync::Arc<dyn Fn(Step) + Send + Sync>);

impl Reporter {
    /// So many files and bytes will be moved.
    pub fn expect(&self, files: usize, bytes: u64) {
        (self.0)(Step::Expect { files, bytes });
    }

    pub fn begin(&self, file: &str, size: u64) {
        (self.0)(Step::Begin { file: file.to_string(), size });
    }

    /// So many more bytes of a file are done; a negative number where some have to be moved again.
    pub fn advance(&self, file: &str, bytes: i64) {
        (self.0)(Step::Advance { file: file.to_string(), bytes });
    }

    pub fn end(&self, file: &str) {
        (self.0)(Step::End { file: file.to_string() });
    }
}

/// Runs work that waits for the network on a thread of its own, and shows how far it is under `label`. Ctrl-C drops the
/// work where it stands.
pub fn run<T, F>(label: &str, work: impl FnOnce(Reporter) -> F + Send + 'static) -> Result<Result<T, Problem>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Problem>>,
{
    let (reports, heard) = channel();
    // Dropped when this function is left, which is what the other end waits for.
    let (_left, leaving) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name("hub".to_string());
    let spawned = thread.spawn(move || serve(&reports, leaving, work));
    spawned.map_err(|error| Error::message(format!("no thread can be started: {error}")))?;
    watch(label, &heard)
}

fn serve<T, F>(
    reports: &Sender<Report<T>>,
    leaving: tokio::sync::oneshot::Receiver<()>,
    work: impl FnOnce(Reporter) -> F,
) where
    T: Send + 'static,
    F: Future<Output = Result<T, Problem>>,
{
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = reports.send(Report::Done(Err(Error::message(format!("no threads: {error}")).into())));
            return;
        }
    };
    let steps = reports.clone();
    // Whoever listened may have left.
    let reporter = Reporter(std::sync::Arc::new(move |step| drop(steps.send(Report::Transfer(step)))));
    runtime.block_on(async {
        tokio::select! {
            result = work(reporter) => drop(reports.send(Report::Done(result))),
            _ = leaving => {}
        }
    });
    runtime.shutdown_background();
}

fn watch<T>(label: &str, heard: &Receiver<Report<T>>) -> Result<Result<T, Problem>> {
    let mut shown = None;
    loop {
        let step = match cancel::receive(heard)? {
            Some(Report::Transfer(step)) => step,
            Some(Report::Done(result)) => {
                if let (Some(shown), true) = (shown, result.is_ok()) {
                    Transfer::finish(shown);
                }
                return Ok(result);
            }
            None => return Ok(Err(Problem::Network("the transfer broke off".to_string()))),
        };
        match (step, &mut shown) {
            (Step::Expect { files, bytes }, _) => shown = Some(Transfer::new(label, files, bytes)),
            (Step::Begin { file, size }, Some(shown)) => shown.begin(&file, size),
            (Step::Advance { file, bytes }, Some(shown)) => shown.advance(&file, bytes),
            (Step::End { file }, Some(shown)) => shown.end(&file),
            (_, None) => {}
        }
    }
}
