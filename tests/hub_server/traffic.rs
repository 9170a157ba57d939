//! The log of every request, the faults that wait for one, and how much content came.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;

use super::faults::Fault;

/// One request as it reached the server, the storage and CAS ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// 1 for the first since the server started.
    pub number: u64,
    pub method: String,
    /// With the query.
    pub path: String,
    /// Whose token it carried.
    pub user: Option<String>,
    pub body_bytes_received: u64,
    /// `None` while there is no answer, and when the connection was closed without one.
    pub status_sent: Option<u16>,
}

type Matching = Box<dyn Fn(&str, &str) -> bool + Send>;

#[derive(Default)]
struct State {
    arrived: u64,
    log: Vec<Request>,
    content: BTreeMap<String, u64>,
    planned: BTreeMap<u64, Fault>,
    standing: Vec<Standing>,
}

/// A fault for every request that matches, or for the first one only.
struct Standing {
    matching: Matching,
    fault: Fault,
    once: bool,
}

pub struct Traffic {
    state: Mutex<State>,
    mended: watch::Sender<()>,
}

impl Traffic {
    pub fn new() -> Traffic {
        Traffic { state: Mutex::default(), mended: watch::Sender::new(()) }
    }

    /// Writes a request down and returns its number and the fault that it meets.
    pub fn arrived(&self, method: &str, path: &str, user: Option<String>) -> (u64, Option<Fault>) {
        let mut state = self.state();
        state.arrived += 1;
        let number = state.arrived;
        let (method, path) = (method.to_owned(), path.to_owned());
        let fault = state.planned.remove(&number).or_else(|| state.standing_fault(&method, &path));
        state.log.push(Request { number, method, path, user, body_bytes_received: 0, status_sent: None });
        (number, fault)
    }

    pub fn received(&self, number: u64, bytes: u64) {
        let mut state = self.state();
        let State { log, content, .. } = &mut *state;
        if let Some(request) = find(log, number) {
            request.body_bytes_received += bytes;
            if let Some(object) = object_of(&request.method, &request.path) {
                *content.entry(object.to_owned()).or_default() += bytes;
            }
        }
    }

    pub fn answered(&self, number: u64, status: u16) {
        if let Some(request) = find(&mut self.state().log, number) {
            request.status_sent = Some(status);
        }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state().log.clone()
    }

    pub fn content(&self) -> BTreeMap<String, u64> {
        self.state().content.clone()
    }

    pub fn clear(&self) {
        let mut state = self.state();
        state.log.clear();
        state.content.clear();
    }

    pub fn plan(&self, fault: Fault, at: u64) {
        assert!(at > 0, "the next request is number 1");
        let mut state = self.state();
        let number = state.arrived + at;
        state.planned.insert(number, fault);
    }

    pub fn plan_matching(&self, fault: Fault, matching: Matching, once: bool) {
        self.state().standing.push(Standing { matching, fault, once });
    }

    pub fn mend(&self) {
        let mut state = self.state();
        state.planned.clear();
        state.standing.clear();
        self.mended.send_replace(());
    }

    /// Waits until the faults are mended the next time.
    pub async fn mended(&self) {
        // The sender is `self`'s own and cannot be gone.
        let _ = self.mended.subscribe().changed().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no one panics with the log in hand")
    }
}

impl State {
    fn standing_fault(&mut self, method: &str, path: &str) -> Option<Fault> {
        let found = self.standing.iter().position(|standing| (standing.matching)(method, path))?;
        match self.standing[found].once {
            true => Some(self.standing.remove(found).fault),
            false => Some(self.standing[found].fault.clone()),
        }
    }
}

/// The newest are asked for most.
fn find(log: &mut [Request], number: u64) -> Option<&mut Request> {
    log.iter_mut().rev().find(|request| request.number == number)
}

/// The large object or xorb whose content a request carries.
fn object_of<'a>(method: &str, path: &'a str) -> Option<&'a str> {
    let path = path.split('?').next()?;
    match method {
        "PUT" => path.strip_prefix("/lfs/")?.split('/').next(),
        "POST" => path.strip_prefix("/cas/v1/xorbs/")?.split('/').nth(1),
        _ => None,
    }
}
