//! The Xet content-addressed storage: `xet-client`'s own server, behind this one's address.

use std::collections::{HashMap, HashSet};
use std::io::Cursor;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use xet_client::cas_client::{Client, DeletionControlableClient, DirectAccessClient, LocalClient, LocalServer};
use xet_core_structures::merklehash::MerkleHash;
use xet_core_structures::metadata_shard::streaming_shard::MDBMinimalShard;
use xet_runtime::core::XetContext;

use super::body::{channel, collect};
use super::error::{ApiError, ApiResult};
use super::objects::{Objects, Rejected};

pub type CasError = Box<dyn std::error::Error + Send + Sync>;

/// How long a token is good for, in seconds.
pub const TOKEN_LIFETIME: u64 = 3600;

pub struct Cas {
    client: Arc<LocalClient>,
    address: SocketAddr,
    http: reqwest::Client,
    tokens: Mutex<HashMap<String, Token>>,
    index: Mutex<Index>,
    /// The server runs as long as this is not dropped.
    _shutdown: oneshot::Sender<()>,
}

struct Token {
    user: Option<String>,
    writes: bool,
}

/// The Xet hashes of files, by the SHA-256 that their shards state.
#[derive(Default)]
struct Index {
    shards: HashSet<MerkleHash>,
    files: HashMap<String, MerkleHash>,
}

impl Cas {
    pub async fn start(folder: &Path) -> Result<Cas, CasError> {
        let client = LocalClient::new(XetContext::default()?, folder).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = LocalServer::from_client(client.clone(), None, address.ip().to_string(), address.port());
        let (shutdown, stopped) = oneshot::channel();
        tokio::spawn(async move { server.serve_until_stopped(listener, stopped).await });

        let http = reqwest::Client::builder().no_proxy().build()?;
        // Without upload grants a xorb comes as one request that names it, which is what the counters go by.
        let no_grants = format!("http://{address}/simulation/set_config?config=xorb_upload_grants&value=off");
        http.post(no_grants).send().await?.error_for_status()?;
        let (tokens, index) = (Mutex::default(), Mutex::default());
        Ok(Cas { client, address, http, tokens, index, _shutdown: shutdown })
    }

    /// Hands a token out.
    pub fn issue(&self, user: Option<&str>, writes: bool) -> String {
        let mut tokens = self.tokens();
        let name = format!("xet_{}_{}", if writes { "write" } else { "read" }, tokens.len());
        tokens.insert(name.clone(), Token { user: user.map(str::to_owned), writes });
        name
    }

    pub fn user_of(&self, token: &str) -> Option<String> {
        self.tokens().get(token)?.user.clone()
    }

    /// The Xet hash of a file whose shard was read already.
    pub fn known(&self, sha256: &str) -> Option<MerkleHash> {
        self.index().files.get(sha256).copied()
    }

    /// The Xet hash of a file, looked for in the shards that came since the last search too.
    pub async fn find(&self, sha256: &str) -> Result<Option<MerkleHash>, CasError> {
        if let Some(hash) = self.known(sha256) {
            return Ok(Some(hash));
        }
        for shard in self.client.list_shard_entries().await? {
            if self.index().shards.contains(&shard) {
                continue;
            }
            let bytes = self.client.get_shard_bytes(&shard).await?;
            let content = MDBMinimalShard::from_reader(&mut Cursor::new(bytes), true, false)?;
            let mut index = self.index();
            for file in (0..content.num_files()).filter_map(|number| content.file(number)) {
                if let Some(metadata) = file.metadata_ext() {
                    index.files.insert(metadata.sha256.hex(), file.file_hash());
                }
            }
            index.shards.insert(shard);
        }
        Ok(self.known(sha256))
    }

    /// Puts a file together from its xorbs and stores it, if it is what its shard states.
    pub async fn reconstruct(&self, hash: MerkleHash, sha256: &str, objects: &Objects) -> Result<(), CasError> {
        let information = self.client.get_file_reconstruction_info(&hash).await?;
        let (information, _) = information.ok_or_else(|| format!("no shard describes {}", hash.hex()))?;
        let mut upload = objects.begin()?;
        for segment in &information.segments {
            let chunks = vec![(segment.chunk_index_start, segment.chunk_index_end)];
            for bytes in self.client.get_xorb_ranges(&segment.xorb_hash, chunks).await? {
                upload.write(&bytes)?;
            }
        }
        upload.finish(sha256).map_err(|rejected| match rejected {
            Rejected::WrongContent { found } => format!("the content's SHA-256 is {found}, not {sha256}").into(),
            Rejected::Broken(error) => error.into(),
        })
    }

    /// Passes a request below `/cas` on. `storage` is the origin that the addresses in the answer are to have.
    pub async fn pass_on(&self, request: Request<Body>, storage: &str) -> ApiResult {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let path = path.strip_prefix("/cas").unwrap_or(path);
        self.authorize(&parts.method, path, parts.headers.get(AUTHORIZATION))?;

        let mut headers = parts.headers;
        for own in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(own);
        }
        // The storage makes the addresses in its answers of the host it was asked as; a host may as well have a path.
        let host = format!("{}/cas", storage.trim_start_matches("http://"));
        headers.insert(HOST, HeaderValue::from_str(&host).map_err(std::io::Error::other)?);
        let request = self.http.request(parts.method, format!("http://{}{path}", self.address)).headers(headers);
        let answer = request.body(collect(body, None).await?).send().await.map_err(std::io::Error::other)?;
        Ok(relay(answer))
    }

    fn authorize(&self, method: &Method, path: &str, authorization: Option<&HeaderValue>) -> Result<(), ApiError> {
        // The address of a term is signed, so to speak: whoever has it may fetch it.
        if path.starts_with("/v1/fetch_term") {
            return Ok(());
        }
        let bearer = authorization.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let tokens = self.tokens();
        let token = bearer.and_then(|bearer| tokens.get(bearer)).ok_or_else(ApiError::invalid_credentials)?;
        match token.writes || matches!(*method, Method::GET | Method::HEAD) {
            true => Ok(()),
            false => Err(ApiError::new(StatusCode::FORBIDDEN, "a read token does not write")),
        }
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Token>> {
        self.tokens.lock().expect("no one panics with the tokens in hand")
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().expect("no one panics with the index in hand")
    }
}

/// The storage's answer as this server's, its body passed on as it comes.
fn relay(mut answer: reqwest::Response) -> Response<Body> {
    let (sender, body) = channel();
    let mut response = Response::new(body);
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    for own in [CONNECTION, TRANSFER_ENCODING] {
        response.headers_mut().remove(own);
    }
    tokio::spawn(async move {
        while let Some(piece) = answer.chunk().await.transpose() {
            if sender.send(piece.map_err(std::io::Error::other)).await.is_err() {
                return;
            }
        }
    });
    response
}
