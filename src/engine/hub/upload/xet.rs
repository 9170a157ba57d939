//! Large files into Xet, the Hub's store that knows content in pieces: what it has of a file is not sent again, and what a cut
//! upload has sent is had.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde::Deserialize;
use xet::XetError;
use xet::xet_session::{Sha256Policy, XetConfig, XetFileUpload, XetSessionBuilder, XetUploadCommit};

use super::folder::LocalFile;
use super::plan::Target;
use crate::engine::hub::client::{Client, Reporter};
use crate::engine::hub::problem::{Problem, Refusal};
use crate::engine::sentence::one_line;

/// The question that gives access.
const TOKEN: &str = "xet-write-token";

/// How often the progress is looked at.
const GLANCE: Duration = Duration::from_millis(200);

/// Where the store is, and what lets one in for a while.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    cas_url: String,
    access_token: String,
    exp: u64,
}

impl Access {
    /// Nothing where the server has no such store.
    pub async fn ask(client: &Client, target: &Target) -> Result<Option<Access>, Problem> {
        let path = target.api(client, TOKEN);
        match client.patiently(|| client.json(client.get(&path))).await {
            Err(problem) if problem.status() == Some(404) => Ok(None),
            access => access.map(Some),
        }
    }
}

/// Sends files, and tells how many bytes went over the line. Their hashes are known afterwards.
pub async fn send(
    client: &Client,
    target: &Target,
    access: Access,
    files: &[&LocalFile],
    reporter: &Reporter,
) -> Result<u64, Problem> {
    let commit = open(client, target, access).await?;
    let mut under_way = Vec::new();
    for file in files {
        let sha256 = file.known_sha256().map_or(Sha256Policy::Compute, Sha256Policy::from_hex);
        let upload = commit.upload_from_path(file.path.clone(), sha256).await.map_err(problem)?;
        reporter.begin(&file.name, file.size);
        under_way.push(UnderWay { file, upload, done: 0 });
    }
    let report = {
        let mut committing = std::pin::pin!(commit.commit());
        loop {
            tokio::select! {
                report = &mut committing => break report.map_err(problem)?,
                () = tokio::time::sleep(GLANCE) => under_way.iter_mut().for_each(|file| file.glance(reporter)),
            }
        }
    };
    for UnderWay { file, upload, done } in under_way {
        let sent = report.uploads.get(&upload.task_id());
        let Some(hash) = sent.and_then(|sent| sent.xet_info.sha256.clone()) else {
            return Err(Problem::Odd(format!("the store does not tell of {}", file.name)));
        };
        file.check_unchanged()?;
        file.note_sha256(hash);
        reporter.advance(&file.name, file.size as i64 - done as i64);
        reporter.end(&file.name);
    }
    Ok(report.progress.total_transfer_bytes_completed)
}

/// A file while it is sent.
struct UnderWay<'a> {
    file: &'a LocalFile,
    upload: XetFileUpload,
    /// What was reported so far.
    done: u64,
}

impl UnderWay<'_> {
    fn glance(&mut self, reporter: &Reporter) {
        let now = self.upload.progress().map_or(0, |progress| progress.bytes_completed.min(self.file.size));
        reporter.advance(&self.file.name, now as i64 - self.done as i64);
        self.done = now;
    }
}

async fn open(client: &Client, target: &Target, access: Access) -> Result<XetUploadCommit, Problem> {
    let mut headers = HeaderMap::new();
    if let Some(token) = &client.settings.token {
        headers.insert(AUTHORIZATION, token.header());
    }
    let mut config = XetConfig::new();
    config.client.retry_max_attempts = client.settings.attempts as usize;
    config.client.retry_base_delay = client.settings.pause;
    config.client.connect_timeout = client.settings.answering;
    config.client.read_timeout = client.settings.reading;
    // Each piece that is under way takes some 130 MB, of a machine that may be training.
    config.client.ac_max_upload_concurrency = 2;
    config.data.max_concurrent_file_ingestion = 2;
    config.data.ingestion_block_size = (4u64 << 20).into();
    // What a cut upload has sent is known to the next one, piece by piece.
    config.data.session_xorb_metadata_flush_max_count = 1;
    // Nobody is told how fast it went.
    config.telemetry.enabled = false;
    let session = XetSessionBuilder::new_with_config(config).build().map_err(problem)?;
    let commit = session.new_upload_commit().map_err(problem)?.with_endpoint(access.cas_url);
    let commit = commit.with_token_info(access.access_token, access.exp);
    let refresh = format!("{}/{}", client.settings.endpoint, target.api(client, TOKEN));
    commit.with_token_refresh_url(refresh, headers).build().await.map_err(problem)
}

/// hf-xet has tried again by itself.
fn problem(error: XetError) -> Problem {
    let refused = |status, text: &str| {
        let message = one_line(text);
        Problem::Refused(Refusal { status, code: String::new(), message, retry_after: None })
    };
    match &error {
        XetError::Authentication(text) => refused(401, text),
        XetError::RateLimited(text) => refused(429, text),
        XetError::ServerError(text) => refused(500, text),
        XetError::Network(text) | XetError::Timeout(text) => {
            Problem::Network(format!("the store of large files cannot be reached: {}", one_line(text)))
        }
        XetError::Io(text) => crate::engine::Error::message(one_line(text)).into(),
        // Of an answer that cannot be read it shows the bytes.
        _ => {
            let said = error.to_string();
            let said = said.split("; line=").next().unwrap_or_default();
            Problem::Odd(format!("the store of large files failed: {}", one_line(said)))
        }
    }
}
