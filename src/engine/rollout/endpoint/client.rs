//! A model behind an endpoint, ready to be asked.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{self, Runtime};

use super::asking::Asking;
use super::options::Endpoint;
use crate::engine::{Error, Result, cancel};

/// How long a wait may overlook Ctrl-C.
const SLICE: Duration = Duration::from_millis(20);

pub struct Client {
    asking: Arc<Asking>,
    /// Where requests wait, apart from the thread that plays. Taken only when the client is dropped.
    runtime: Option<Runtime>,
}

impl Client {
    /// Asks the server for its models: one that is not there, wants another key or has no such model is named at once.
    pub fn open(endpoint: &Endpoint) -> Result<Client> {
        endpoint.validate()?;
        let asking = Arc::new(Asking::new(endpoint)?);
        let threads =
            runtime::Builder::new_multi_thread().worker_threads(1).thread_name("endpoint").enable_all().build();
        let runtime = threads.map_err(|error| Error::message(format!("no thread can be started: {error}")))?;
        let client = Client { asking: asking.clone(), runtime: Some(runtime) };
        client.wait_for(asking.check_model())??;
        Ok(client)
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.asking.endpoint
    }

    /// Whether the server has taken the seeds of all replies so far.
    pub fn is_seeded(&self) -> bool {
        self.asking.dialect.is_seeded()
    }

    pub(super) fn asking(&self) -> Arc<Asking> {
        self.asking.clone()
    }

    pub(super) fn handle(&self) -> &runtime::Handle {
        self.runtime.as_ref().expect("it is there until the client is dropped").handle()
    }

    /// What comes of `work`, unless Ctrl-C comes first.
    pub(super) fn wait_for<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.handle().block_on(async {
            tokio::pin!(work);
            loop {
                cancel::check()?;
                if let Ok(done) = tokio::time::timeout(SLICE, &mut work).await {
                    return Ok(done);
                }
            }
        })
    }
}

impl Drop for Client {
    /// Without waiting for requests, or for the name of a machine that is being looked up.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
