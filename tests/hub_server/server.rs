//! The thread that the server runs on.

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::cas::{Cas, CasError};
use super::context::{Context, Shared};
use super::front::Front;
use super::objects::{Objects, sha256};
use super::routes::router;
use super::traffic::Traffic;
use super::{Lfs, Options};

pub struct Server {
    pub context: Shared,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(options: Options, folder: &Path) -> Result<Server, CasError> {
        let (shutdown, stopped) = oneshot::channel();
        let (started, start) = mpsc::channel();
        let folder = folder.to_owned();
        let thread = std::thread::spawn(move || run(options, &folder, &started, stopped));
        Ok(Server { context: start.recv()??, shutdown: Some(shutdown), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.shutdown.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server's thread was printed when it happened.
            let _ = thread.join();
        }
    }
}

type Started = mpsc::Sender<Result<Shared, CasError>>;

/// The server's thread: tells how it started, and serves until it is told to stop.
fn run(options: Options, folder: &Path, started: &Started, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.expect("threads for the server");
    runtime.block_on(async {
        // Whoever starts the server waits for this.
        let _ = started.send(serve(options, folder).await);
        // It is stopped by dropping the sender.
        let _ = stopped.await;
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
}

async fn serve(options: Options, folder: &Path) -> Result<Shared, CasError> {
    let (hub, storage) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let endpoint = format!("http://{}", hub.local_addr()?);
    let cas = match options.lfs {
        Lfs::Xet => Some(Cas::start(&folder.join("cas")).await?),
        Lfs::Basic | Lfs::Multipart { .. } => None,
    };
    let context: Shared = Arc::new(Context {
        storage: format!("http://{}", storage.local_addr()?),
        secret: sha256(folder.as_os_str().as_encoded_bytes())[..16].to_owned(),
        objects: Objects::create(folder.join("objects"))?,
        traffic: Arc::new(Traffic::new()),
        store: Mutex::default(),
        options,
        endpoint,
        cas,
    });
    let front = Front::new(context.clone(), router(context.clone()));
    tokio::spawn(front.clone().serve(hub));
    tokio::spawn(front.serve(storage));
    Ok(context)
}
