//! The connection to a Java process: commands go out, as many reply lines come back.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use super::error::broken;
use crate::engine::Result;
use crate::engine::cancel;

/// How long a wait may overlook Ctrl-C.
const SLICE: Duration = Duration::from_millis(50);

/// No description of a world is this long: whoever sends such a line does not speak our protocol.
const LONGEST_LINE: usize = 64 << 20;

pub struct Connection {
    reader: BufReader<TcpStream>,
    timeout: Duration,
}

/// Why no reply came.
pub enum Silence {
    /// The other end closed the connection.
    Closed,
    /// Nothing came in time, what came makes no sense, or the user stopped the work.
    Failed(crate::engine::Error),
}

impl Connection {
    pub fn open(port: u16, timeout: Duration) -> Result<Self> {
        let failed = |e: std::io::Error| broken(format!("port {port} of the Java process cannot be reached: {e}"));
        let stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), timeout).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(SLICE)).map_err(failed)?;
        stream.set_write_timeout(Some(timeout)).map_err(failed)?;
        Ok(Connection { reader: BufReader::new(stream), timeout })
    }

    /// Sends commands and returns the reply line of each. After an error the connection is of no more use.
    ///
    /// One command at a time: py4j leaves Nagle's algorithm on, so a second reply would wait for the acknowledgement of
    /// the first, which this end delays by 40 ms unless a command carries it.
    pub fn exchange(&mut self, commands: &[String]) -> Result<Vec<String>, Silence> {
        let deadline = Instant::now() + self.timeout;
        let reply = |command: &String| {
            self.reader.get_mut().write_all(command.as_bytes()).map_err(|e| self.write_failed(&e))?;
            self.line(deadline)
        };
        commands.iter().map(reply).collect()
    }

    fn line(&mut self, deadline: Instant) -> Result<String, Silence> {
        let mut line = Vec::new();
        loop {
            let room = (LONGEST_LINE - line.len()) as u64;
            match self.reader.by_ref().take(room).read_until(b'\n', &mut line) {
                Ok(_) if line.last() == Some(&b'\n') => {
                    line.pop();
                    return String::from_utf8(line).map_err(|_| failed("its reply is not UTF-8"));
                }
                Ok(_) if line.len() >= LONGEST_LINE => return Err(failed("its reply has no end")),
                Ok(_) => return Err(Silence::Closed),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() > deadline {
                        return Err(failed(&format!("it did not answer within {} s", self.timeout.as_secs())));
                    }
                    cancel::check().map_err(Silence::Failed)?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Silence::Closed),
            }
        }
    }

    fn write_failed(&self, error: &std::io::Error) -> Silence {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                failed(&format!("it took no command for {} s", self.timeout.as_secs()))
            }
            _ => Silence::Closed,
        }
    }
}

fn failed(what: &str) -> Silence {
    Silence::Failed(broken(format!("the Java process is of no more use: {what}")))
}
