//! `env.serve`: an environment behind AgentGym's protocol.

use mlua::{Lua, MultiValue};
use serde::Deserialize;

use super::EnvironmentHandle;
use crate::engine::env::agentgym::server::{self, Server};
use crate::lua::args::Args;
use crate::lua::{options, report};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServeOptions {
    host: String,
    port: u16,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions { host: "127.0.0.1".to_string(), port: 8000 }
    }
}

/// `(environment, options)`: serves until Ctrl-C, on this thread, because an environment in Lua stays on its thread.
pub fn serve(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut args = Args::new("env.serve", values);
    let prototype = args.userdata::<EnvironmentHandle>("environment")?.fresh()?;
    let options: ServeOptions = options::read("env.serve", args.optional_table("options")?)?;
    args.finish()?;
    report::guard(|| {
        let server = Server::open(server::listen(&options.host, options.port)?, || prototype.fresh())?;
        tracing::info!("serving {} at http://{}, until Ctrl-C", server.description().name, server.address());
        server.run()
    })
}
