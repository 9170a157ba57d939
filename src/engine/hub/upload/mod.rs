//! A model's folder into a repository of the Hub: looked at first, sent once, committed whole or not at all, and read back.

mod attributes;
mod check;
mod commit;
mod folder;
mod lfs;
mod plan;
mod secrets;
mod xet;

use std::path::PathBuf;

use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;

use super::BRANCH;
use super::client::{Client, Reporter};
use super::download::globs;
use super::problem::Problem;
use super::repository::{Kind, Repository};
use super::settings::{Settings, offline};
use crate::engine::{Error, Result, proxy};
pub use check::vllm_rank;
use folder::LocalFile;
use lfs::Batch;
pub use plan::Way;
use plan::{Plan, Target, There};

/// Files that are read at the same time before any is sent.
const LOOKED_AT_ONCE: usize = 2;

/// What is to be uploaded, and where to.
#[derive(Debug, Clone)]
pub struct Upload {
    pub folder: PathBuf,
    /// `owner/name`.
    pub repo: String,
    /// Whether a new repository is private. One that is there must be as this says.
    pub private: bool,
    /// A branch that is there.
    pub revision: String,
    /// Opens a pull request in place of a commit on the branch.
    pub create_pr: bool,
    /// The first line of the commit.
    pub message: String,
    /// Which files, as patterns; without it all, which then must be what models are made of.
    pub files: Option<Vec<String>>,
    /// Sends nothing, and tells what would be sent.
    pub dry_run: bool,
}

impl Default for Upload {
    fn default() -> Self {
        Upload {
            folder: PathBuf::new(),
            repo: String::new(),
            private: false,
            revision: BRANCH.to_string(),
            create_pr: false,
            message: "Upload a model trained with affine".to_string(),
            files: None,
            dry_run: false,
        }
    }
}

/// What an upload did; or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Uploaded {
    /// The repository's page.
    pub url: String,
    /// The commit that holds the files; nothing in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
    /// Whether the repository was made for it.
    pub created: bool,
    pub files: Vec<Sent>,
    /// Files of an earlier model that went.
    pub removed: Vec<String>,
    /// Bytes that went over the line for large files; what their store had of them did not.
    pub sent_bytes: u64,
    /// What to know before others load it.
    pub warnings: Vec<String>,
}

/// A file, and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    pub path: String,
    pub size: u64,
    pub way: Way,
}

/// Uploads a folder.
pub fn upload(settings: Settings, upload: Upload) -> Result<Uploaded> {
    let repository = Repository::named(Kind::Model, &upload.repo)?;
    if let Some(variable) = offline() {
        let hint = format!("unset {variable}");
        return Err(Error::hinted(
            format!("{}: nothing is uploaded, because {variable} forbids to ask the Hub", upload.repo),
            hint,
        ));
    }
    if settings.token.is_none() {
        let hint = "make one with write access in the settings of your account there, and set HF_TOKEN";
        return Err(Error::hinted(format!("{}: an upload needs a token, and there is none", upload.repo), hint));
    }
    let (revision, asked) = (upload.revision.clone(), settings.clone());
    let label = if upload.dry_run { "look at" } else { "upload" };
    let work = move |reporter| async move {
        let client = Client::new(settings)?;
        Uploading { client, upload, reporter }.run().await
    };
    let done = super::client::run(&format!("{label} {repository}"), work)?;
    done.map_err(|problem| problem.sentence(&repository, &revision, &asked))
}

/// What an upload would send as far as it is known without the Hub: refused where the upload would be.
pub fn inspect(upload: &Upload) -> Result<Uploaded> {
    let (settings, (files, warnings)) = (Settings::read()?, list(upload)?);
    let look = |(name, path)| folder::look(name, path, settings.token.as_ref(), false).map_err(Problem::into_error);
    let files = files.into_iter().map(look).collect::<Result<Vec<_>>>()?;
    let sent = |file: LocalFile| Sent { way: plan::way(&file, false), path: file.name, size: file.size };
    let url = format!("{}/{}", proxy::without_credentials(&settings.endpoint), upload.repo);
    Ok(Uploaded { url, files: files.into_iter().map(sent).collect(), warnings, ..Uploaded::default() })
}

/// A file's name below the folder, and where it is.
type Named = (String, PathBuf);

/// The files to send by their names, and what to know of them.
fn list(upload: &Upload) -> Result<(Vec<Named>, Vec<String>)> {
    let wanted = upload.files.as_deref().map(globs).transpose()?;
    let files = folder::list(&upload.folder, wanted.as_ref())?;
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    let warnings = check::check(&upload.folder, &names, wanted.is_some())?;
    Ok((files, warnings))
}

struct Uploading {
    client: Client,
    upload: Upload,
    reporter: Reporter,
}

impl Uploading {
    async fn run(&self) -> Result<Uploaded, Problem> {
        let Upload { repo, revision, create_pr, private, dry_run, message, .. } = &self.upload;
        let target = Target { repository: Repository::model(repo), branch: revision.clone(), create_pr: *create_pr };
        let (files, warnings) = list(&self.upload)?;
        let there = self.look_there(&target).await?;
        let files = self.look_here(files, &there).await?;
        let created = there.commit.is_none();
        let (plan, there) = match (created, dry_run) {
            (true, false) => {
                self.client.create(&target.repository, *private).await?;
                let there = self.look_there(&target).await?;
                (plan::plan(&self.client, &target, &there, files).await?, there)
            }
            _ => (plan::plan(&self.client, &target, &there, files).await?, there),
        };
        let mut uploaded = self.told(&target, &plan, created, warnings);
        if *dry_run {
            return Ok(uploaded);
        }
        if plan.is_empty() {
            uploaded.commit = there.commit;
            return Ok(uploaded);
        }
        uploaded.sent_bytes = self.store(&target, &plan).await?;
        let committed = commit::commit(&self.client, &target, &there, &plan, message).await?;
        self.read_back(&target, &plan, &committed.id).await?;
        uploaded.commit = Some(committed.id);
        uploaded.pull_request = committed.pull_request;
        Ok(uploaded)
    }

    /// What is in the repository, if there is one, which must be as visible as is asked for.
    async fn look_there(&self, target: &Target) -> Result<There, Problem> {
        let Target { repository, branch, .. } = target;
        let info = match self.client.info(repository, branch).await {
            Ok(info) => info,
            Err(problem) if problem.is_no_repository() => {
                return match branch == BRANCH && !target.create_pr {
                    true => Ok(There::default()),
                    false => Err(Error::hinted(
                        format!("{repository}: there is no such repository, so it has no branch {branch} and no pull requests"),
                        "upload to main first",
                    )
                    .into()),
                };
            }
            Err(problem) => return Err(problem),
        };
        if !info.id.eq_ignore_ascii_case(&repository.id) {
            let sentence = format!("{repository}: it is called {} now", info.id);
            return Err(Error::hinted(sentence, "upload to that name").into());
        }
        if info.private != self.upload.private {
            let [is, asked] =
                [info.private, self.upload.private].map(|private| if private { "private" } else { "public" });
            let sentence = format!("{repository}: the repository is {is}, and {asked} is what was asked for");
            let hint = "say private = true or false as it is, or change it in the repository's settings";
            return Err(Error::hinted(sentence, hint).into());
        }
        let files = self.client.files(repository, &info.commit).await?;
        let files = files.into_iter().map(|file| (file.path.clone(), file)).collect();
        Ok(There { commit: Some(info.commit), files })
    }

    /// Reads all that might be sent, once.
    async fn look_here(&self, files: Vec<Named>, there: &There) -> Result<Vec<LocalFile>, Problem> {
        let looks = files.into_iter().map(|(name, path)| {
            let token = self.client.settings.token.clone();
            let size = std::fs::metadata(&path).map_or(0, |about| about.len());
            let may_be_there = there.files.get(&name).is_some_and(|remote| remote.size == size);
            async move {
                let look = move || folder::look(name, path, token.as_ref(), may_be_there);
                let look = tokio::task::spawn_blocking(look).await;
                look.unwrap_or_else(|error| Err(Problem::Odd(format!("a file could not be looked at: {error}"))))
            }
        });
        futures_util::stream::iter(looks).buffered(LOOKED_AT_ONCE).try_collect().await
    }

    fn told(&self, target: &Target, plan: &Plan, created: bool, warnings: Vec<String>) -> Uploaded {
        let endpoint = proxy::without_credentials(&self.client.settings.endpoint);
        let sent = |(file, way): &(LocalFile, Way)| Sent { path: file.name.clone(), size: file.size, way: *way };
        Uploaded {
            url: format!("{endpoint}/{}", target.repository.page()),
            commit: None,
            pull_request: None,
            created,
            files: plan.files.iter().map(sent).collect(),
            removed: plan.removed.clone(),
            sent_bytes: 0,
            warnings,
        }
    }

    /// Brings the large files into the Hub's store.
    async fn store(&self, target: &Target, plan: &Plan) -> Result<u64, Problem> {
        let files: Vec<&LocalFile> = plan.going(Way::Store).collect();
        if files.is_empty() {
            return Ok(0);
        }
        self.reporter.expect(files.len(), files.iter().map(|file| file.size).sum());
        if let Some(access) = xet::Access::ask(&self.client, target).await? {
            return xet::send(&self.client, target, access, &files, &self.reporter).await;
        }
        let batch = Batch::ask(&self.client, target, &files).await?;
        batch.send(&self.client, &files, &self.reporter).await
    }

    /// Compares what the Hub has with what is here, file by file.
    async fn read_back(&self, target: &Target, plan: &Plan, id: &str) -> Result<(), Problem> {
        let remote = self.client.files(&target.repository, id).await?;
        match commit::difference(plan, &remote) {
            None => Ok(()),
            Some(difference) => {
                let sentence = format!("{}: commit {id} is not what was sent: {difference}", target.repository);
                Err(Error::hinted(sentence, "upload again; if that stays, the server is at fault").into())
            }
        }
    }
}
