//! `env.serve`: an environment behind AgentGym's protocol.

use mlua::{Lua, MultiValue};
use serde::Deserialize;

use super::EnvironmentHandle;
use crate::engine::env::agentgym::ApiKey;
use crate::engine::env::agentgym::server::{self, Server, ServerOptions};
use crate::engine::{Error, Result};
use crate::lua::call::Call;
use crate::lua::report;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServeOptions {
    host: String,
    port: u16,
    api_key: Option<ApiKey>,
    max_instances: usize,
}

impl Default for ServeOptions {
    fn default() -> Self {
        let ServerOptions { api_key, max_instances, .. } = ServerOptions::default();
        ServeOptions { host: "127.0.0.1".to_string(), port: 8000, api_key, max_instances }
    }
}

impl ServeOptions {
    /// With the key of the environment's variable, where none is given.
    fn of_server(&self) -> Result<ServerOptions> {
        if self.max_instances == 0 {
            return Err(Error::option("max_instances", "an integer of at least 1", 0));
        }
        let api_key = ApiKey::given_or_set(self.api_key.as_ref())?;
        Ok(ServerOptions { api_key, max_instances: self.max_instances, ..ServerOptions::default() })
    }
}

/// `(environment, options)`: serves until Ctrl-C, on this thread, because an environment in Lua stays on its thread.
pub fn serve(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut call = Call::new("env.serve", values);
    let prototype = call.userdata::<EnvironmentHandle>("environment")?.fresh()?;
    let options: ServeOptions = call.options()?;
    call.finish()?;
    let of_server = options.of_server().map_err(|error| call.reject(error))?;
    report::guard(|| {
        let listener = server::listen(&options.host, options.port)?;
        let server = Server::open(listener, of_server, || prototype.fresh())?;
        tracing::info!("serving {} at http://{}, until Ctrl-C", server.description().name, server.address());
        server.run()
    })
}
