//! Large files into the store of Git LFS, where a server has no Xet: whole, or in the parts that the server names.

use std::collections::BTreeMap;
use std::io::SeekFrom;

use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::folder::LocalFile;
use super::plan::Target;
use crate::engine::hub::client::{Client, Reporter};
use crate::engine::hub::problem::{Problem, Refusal};
use crate::engine::sentence::one_line;
use crate::engine::{Error, Result, file};

const JSON: &str = "application/vnd.git-lfs+json";

/// Parts of a file that travel at the same time.
const AT_ONCE: usize = 3;

/// What is read of a file at a time.
const PIECE: usize = 1 << 18;

/// What a server says to the files that it is asked to take.
#[derive(Debug, Deserialize)]
pub struct Batch {
    objects: Vec<Object>,
}

#[derive(Debug, Deserialize)]
struct Object {
    oid: String,
    /// None where the content is there.
    actions: Option<Actions>,
    error: Option<Complaint>,
}

#[derive(Debug, Deserialize)]
struct Complaint {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Deserialize)]
struct Actions {
    upload: Option<Action>,
    verify: Option<Action>,
}

#[derive(Debug, Deserialize)]
struct Action {
    href: String,
    /// Headers to send, or the addresses of the parts.
    #[serde(default)]
    header: BTreeMap<String, Value>,
}

impl Batch {
    /// Asks how files may be sent.
    pub async fn ask(client: &Client, target: &Target, files: &[&LocalFile]) -> Result<Batch, Problem> {
        let object = |file: &&LocalFile| Ok(json!({ "oid": file.sha256()?, "size": file.size }));
        let objects = files.iter().map(object).collect::<Result<Vec<Value>>>()?;
        let question = json!({
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "objects": objects,
            "hash_algo": "sha256",
            "ref": { "name": target.branch },
        });
        let path = format!("{}.git/info/lfs/objects/batch", target.repository.page());
        let ask = || client.post(&path).header(ACCEPT, JSON).json(&question).header(CONTENT_TYPE, JSON);
        client.patiently(|| client.json(ask())).await
    }

    /// Sends what the server lacks, and tells how many bytes that was.
    pub async fn send(&self, client: &Client, files: &[&LocalFile], reporter: &Reporter) -> Result<u64, Problem> {
        let mut sent = 0;
        for file in files {
            let oid = file.sha256()?;
            let object = self.objects.iter().find(|object| object.oid == oid);
            let object = object.ok_or_else(|| Problem::Odd(format!("the store does not tell of {}", file.name)))?;
            if let Some(Complaint { code, message }) = &object.error {
                let message = one_line(&format!("{}: {message}", file.name));
                return Err(Problem::Refused(Refusal {
                    status: *code,
                    code: String::new(),
                    message,
                    retry_after: None,
                }));
            }
            reporter.begin(&file.name, file.size);
            match object.actions.as_ref().and_then(|actions| Some((actions, actions.upload.as_ref()?))) {
                None => reporter.advance(&file.name, file.size as i64),
                Some((actions, upload)) => {
                    let sending = Sending { client, file, reporter };
                    sending.object(upload).await?;
                    if let Some(verify) = &actions.verify {
                        sending.verify(verify).await?;
                    }
                    sent += file.size;
                }
            }
            reporter.end(&file.name);
        }
        Ok(sent)
    }
}

struct Sending<'a> {
    client: &'a Client,
    file: &'a LocalFile,
    reporter: &'a Reporter,
}

impl Sending<'_> {
    async fn object(&self, upload: &Action) -> Result<(), Problem> {
        match upload.header.get("chunk_size") {
            None => self.put(&upload.href, headers(upload)?, 0, self.file.size).await.map(drop),
            Some(size) => {
                let size = size.as_u64().or_else(|| size.as_str()?.parse().ok()).filter(|size| *size > 0);
                let size = size.ok_or_else(|| Problem::Odd("the store names parts of no size".to_string()))?;
                self.parts(upload, size).await
            }
        }
    }

    /// Each part to its own address, then the word that they are one file.
    async fn parts(&self, upload: &Action, size: u64) -> Result<(), Problem> {
        let numbered =
            upload.header.iter().filter_map(|(key, address)| Some((key.parse::<u64>().ok()?, address.as_str()?)));
        let addresses: BTreeMap<u64, &str> = numbered.collect();
        if addresses.len() as u64 != self.file.size.div_ceil(size) {
            return Err(Problem::Odd(format!("the store names {} parts for {}", addresses.len(), self.file.name)));
        }
        let parts: Vec<Value> = futures_util::stream::iter(addresses)
            .map(|(number, address)| async move {
                let from = (number - 1) * size;
                let length = size.min(self.file.size.saturating_sub(from));
                let answer = self.put(address, HeaderMap::new(), from, length).await?;
                let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
                let etag = etag.ok_or_else(|| Problem::Odd(format!("the store gives part {number} no name")))?;
                Ok::<_, Problem>(json!({ "partNumber": number, "etag": etag }))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let whole = json!({ "oid": self.file.sha256()?, "parts": parts });
        let post =
            || self.client.http().post(&upload.href).header(ACCEPT, JSON).json(&whole).header(CONTENT_TYPE, JSON);
        self.client.patiently(|| self.client.send_plain(post())).await.map(drop)
    }

    /// A stretch of the file to an address. What a cut attempt has sent is taken back from the count.
    async fn put(&self, address: &str, headers: HeaderMap, from: u64, length: u64) -> Result<Response, Problem> {
        self.client
            .patiently(|| async {
                let counted = Counted::new(self.reporter, &self.file.name);
                let body = stretch(self.file, from, length, counted.clone()).await?;
                let request = self.client.http().put(address).headers(headers.clone());
                let sent = self.client.send_plain(request.header(CONTENT_LENGTH, length).body(body)).await;
                if sent.is_err() {
                    counted.take_back();
                }
                sent
            })
            .await
    }

    async fn verify(&self, action: &Action) -> Result<(), Problem> {
        let headers = headers(action)?;
        let told = json!({ "oid": self.file.sha256()?, "size": self.file.size });
        let post = || self.client.http().post(&action.href).headers(headers.clone()).json(&told);
        // The Hub's own address wants to know who asks; another's is told no token.
        let own = action.href.starts_with(&self.client.settings.endpoint);
        let verified = self.client.patiently(|| async {
            if own { self.client.send(post()).await } else { self.client.send_plain(post()).await }
        });
        verified.await.map(drop)
    }
}

/// How much of a stretch is sent.
#[derive(Clone)]
struct Counted {
    reporter: Reporter,
    file: String,
    bytes: std::sync::Arc<std::sync::atomic::AtomicI64>,
}

impl Counted {
    fn new(reporter: &Reporter, file: &str) -> Self {
        Counted { reporter: reporter.clone(), file: file.to_string(), bytes: Default::default() }
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as i64, std::sync::atomic::Ordering::Relaxed);
        self.reporter.advance(&self.file, bytes as i64);
    }

    fn take_back(&self) {
        self.reporter.advance(&self.file, -self.bytes.load(std::sync::atomic::Ordering::Relaxed));
    }
}

/// A part of a file as the body of a request, read as it goes.
async fn stretch(file: &LocalFile, from: u64, length: u64, counted: Counted) -> Result<Body, Problem> {
    use std::io::{Read, Seek};
    file.check_unchanged()?;
    let unreadable = |error: std::io::Error| Problem::Here(file::unreadable(&file.path, &error));
    let mut open = std::fs::File::open(&file.path).map_err(unreadable)?;
    open.seek(SeekFrom::Start(from)).map_err(unreadable)?;
    let pieces = futures_util::stream::try_unfold((open, length), move |(mut open, left)| {
        let counted = counted.clone();
        async move {
            if left == 0 {
                return Ok::<_, std::io::Error>(None);
            }
            let mut piece = vec![0; PIECE.min(left as usize)];
            open.read_exact(&mut piece)?;
            counted.add(piece.len());
            let left = left - piece.len() as u64;
            Ok(Some((piece, (open, left))))
        }
    });
    Ok(Body::wrap_stream(pieces))
}

/// The headers that a store wants to see.
fn headers(action: &Action) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for (name, value) in &action.header {
        let odd = || Problem::from(Error::message(format!("the store wants a header {name:?} that cannot be sent")));
        let name = HeaderName::try_from(name).map_err(|_| odd())?;
        let mut value = HeaderValue::from_str(value.as_str().unwrap_or_default()).map_err(|_| odd())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
