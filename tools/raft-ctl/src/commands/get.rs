//! `get`: the values of keys.

use raft_node::client::{Client, Seen, Value};
use serde::Serialize;

use crate::cli::GetArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain;
use crate::input;
use crate::output::{self, Blob, Output, VERSION};

/// The most keys that are asked for at once.
const KEYS_AT_ONCE: usize = 256;

#[derive(Serialize)]
struct GetObject<'a> {
    v: u32,
    key: Blob<'a>,
    value: Option<Blob<'a>>,
    version: Option<u64>,
    mod_index: Option<u64>,
    read_index: u64,
}

pub(crate) fn run(args: &GetArgs, context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let mut keys = Vec::with_capacity(args.keys.len());
    for key in &args.keys {
        keys.push(input::key(key)?);
    }
    if args.raw && keys.len() > 1 {
        return Err(CliError::usage("--raw writes the value of one key, not of several"));
    }
    let mut client = context.client();
    let mut exit = Exit::Done;
    let mut rest = &keys[..];
    while !rest.is_empty() {
        let asked = &rest[..rest.len().min(KEYS_AT_ONCE)];
        let seen = fetch(&mut client, asked, context)?;
        let told = seen.answer.len();
        for (key, value) in asked.iter().zip(&seen.answer) {
            let several = keys.len() > 1;
            let shape = Shape { several, raw: args.raw, full: args.full };
            print(key, value.as_ref(), seen.read_index.0, shape, out)?;
            if value.is_none() {
                exit = Exit::Negative;
            }
        }
        rest = &rest[told..];
    }
    Ok(exit)
}

fn fetch(
    client: &mut Client,
    keys: &[&[u8]],
    context: &Context,
) -> Result<Seen<Vec<Option<Value>>>, CliError> {
    client.get(keys).map_err(|failure| explain::failed(&failure, context))
}

#[derive(Clone, Copy)]
struct Shape {
    several: bool,
    raw: bool,
    full: bool,
}

fn print(
    key: &[u8],
    value: Option<&Value>,
    read_index: u64,
    shape: Shape,
    out: &mut Output,
) -> Result<(), CliError> {
    if out.is_json() {
        return out.json(&GetObject {
            v: VERSION,
            key: Blob(key),
            value: value.map(|value| Blob(&value.value)),
            version: value.map(|value| value.version),
            mod_index: value.map(|value| value.mod_index.0),
            read_index,
        });
    }
    let Some(value) = value else {
        out.flush()?;
        output::note(&format!("no such key: {}", output::quoted(key)));
        return Ok(());
    };
    let room = match out.is_terminal() && !shape.full {
        true => out.width(),
        false => usize::MAX,
    };
    if shape.several {
        let key = output::quoted(key);
        let room = room.saturating_sub(output::columns(&key) + 3);
        return out.line(format!("{key} = {}", output::quoted_within(&value.value, room)));
    }
    if shape.raw {
        return out.raw(&value.value);
    }
    // Whatever could steer a terminal doesn't reach one.
    if out.is_terminal() && !output::is_harmless(&value.value) {
        return out.line(output::quoted_within(&value.value, room));
    }
    out.raw(&value.value)?;
    out.raw(b"\n")
}
