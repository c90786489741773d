//! `put`, `del`, `cas`, `incr`: one key is changed.

use std::ffi::OsString;

use raft_node::client::{Client, Done, Swap};
use raft_node::kv::Expected;
use serde::Serialize;

use crate::cli::{CasArgs, DeleteArgs, IncrementArgs, PutArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain;
use crate::input;
use crate::output::{self, Blob, DIM, GOOD, Output, VERSION, WARN, styled};

/// What a change came to, as `--json` prints it.
#[derive(Serialize)]
struct ChangeObject<'a> {
    v: u32,
    outcome: &'static str,
    key: Blob<'a>,
    index: u64,
    term: u64,
    #[serde(flatten)]
    answer: AnswerObject<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AnswerObject<'a> {
    Put {
        version: u64,
    },
    Delete {
        deleted: bool,
    },
    Cas {
        swapped: bool,
        version: Option<u64>,
        value: Option<Blob<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        value_bytes: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mod_index: Option<u64>,
    },
    Increment {
        value: i64,
        version: u64,
    },
}

/// What `--dry-run` prints.
#[derive(Serialize)]
struct DryRunObject<'a> {
    v: u32,
    outcome: &'static str,
    dry_run: bool,
    op: &'static str,
    key: Blob<'a>,
}

pub(crate) fn put(args: &PutArgs, context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let key = input::key(&args.key)?;
    let value = input::value(args.value.as_ref(), args.literal)?;
    if context.global.dry_run {
        return dry_run("put", key, &format!("{} bytes", output::count(value.len() as u64)), out);
    }
    let done = request(context, |client| client.put(key, &value))?;
    let version = done.answer;
    print(key, &done, AnswerObject::Put { version }, &format!("version {version}"), out)?;
    Ok(Exit::Done)
}

pub(crate) fn delete(
    args: &DeleteArgs,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let mut keys = Vec::with_capacity(args.keys.len());
    for key in &args.keys {
        keys.push(input::key(key)?);
    }
    if keys.len() > 1 && context.global.client_id.is_some() {
        return Err(CliError::usage("--seq is the number of one request: give one key"));
    }
    if context.global.dry_run {
        for key in &keys {
            dry_run("del", key, "", out)?;
        }
        return Ok(Exit::Done);
    }
    let mut client = context.client();
    for (position, key) in keys.iter().enumerate() {
        let done =
            numbered(&mut client, context, |client| client.delete(key)).map_err(|error| {
                if position == 0 {
                    return error;
                }
                error.detail(format!(
                    "the {position} keys before {} are deleted",
                    output::quoted(key)
                ))
            })?;
        let deleted = done.answer;
        let text = if deleted { "deleted" } else { "was not there" };
        let text = if keys.len() > 1 {
            format!("{} {text}", output::quoted(key))
        } else {
            text.to_owned()
        };
        print(key, &done, AnswerObject::Delete { deleted }, &text, out)?;
    }
    Ok(Exit::Done)
}

pub(crate) fn cas(args: &CasArgs, context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let key = input::key(&args.key)?;
    let is_input = |value: &OsString| !args.literal && value == "-";
    if is_input(&args.old) && args.new.as_ref().is_some_and(is_input) {
        return Err(CliError::usage("OLD and NEW can't both be read from standard input"));
    }
    let expects_value = !args.absent && args.version.is_none();
    if args.new.is_some() != expects_value {
        return Err(CliError::usage(match expects_value {
            true => "cas takes KEY OLD NEW, or KEY NEW with --absent or --version",
            false => "with --absent or --version, cas takes KEY NEW and no OLD",
        }));
    }
    let first = input::value(Some(&args.old), args.literal)?;
    let second = args.new.as_ref().map(|new| input::value(Some(new), args.literal)).transpose()?;
    let (expected, new) = match (second, args.version) {
        (Some(new), _) => (Expected::Value(&first), new),
        (None, Some(version)) => (Expected::Version(version), first.clone()),
        (None, None) => (Expected::Absent, first.clone()),
    };
    if context.global.dry_run {
        return dry_run("cas", key, &format!("{} bytes", output::count(new.len() as u64)), out);
    }
    let done = request(context, |client| client.compare_and_swap(key, expected, &new))?;
    let (answer, text, exit) = swap_answer(&done.answer, &new);
    print(key, &done, answer, &text, out)?;
    Ok(exit)
}

fn swap_answer<'a>(swap: &'a Swap, new: &'a [u8]) -> (AnswerObject<'a>, String, Exit) {
    match swap {
        Swap::Swapped { version } => {
            let answer = AnswerObject::Cas {
                swapped: true,
                version: Some(*version),
                value: Some(Blob(new)),
                value_bytes: None,
                mod_index: None,
            };
            (answer, format!("swapped  version {version}"), Exit::Done)
        }
        Swap::Absent => {
            let answer = AnswerObject::Cas {
                swapped: false,
                version: None,
                value: None,
                value_bytes: None,
                mod_index: None,
            };
            (answer, format!("{}: there is no such key", not_swapped()), Exit::Negative)
        }
        Swap::Other(found) => {
            let answer = AnswerObject::Cas {
                swapped: false,
                version: Some(found.version),
                value: Some(Blob(&found.value)),
                value_bytes: None,
                mod_index: Some(found.mod_index.0),
            };
            let value = output::quoted_within(&found.value, 48);
            let text = format!("{}: it is {value}  version {}", not_swapped(), found.version);
            (answer, text, Exit::Negative)
        }
        Swap::Longer { length, version, mod_index } => {
            let answer = AnswerObject::Cas {
                swapped: false,
                version: Some(*version),
                value: None,
                value_bytes: Some(*length),
                mod_index: Some(mod_index.0),
            };
            let size = output::bytes(u64::from(*length));
            let text =
                format!("{}: it has another value of {size}  version {version}", not_swapped());
            (answer, text, Exit::Negative)
        }
    }
}

fn not_swapped() -> String {
    styled(WARN, "not swapped")
}

pub(crate) fn increment(
    args: &IncrementArgs,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let key = input::key(&args.key)?;
    if context.global.dry_run {
        return dry_run("incr", key, &format!("by {}", args.by), out);
    }
    let done = request(context, |client| client.increment(key, args.by))?;
    let sum = done.answer;
    let answer = AnswerObject::Increment { value: sum.value, version: sum.version };
    if out.is_json() {
        print(key, &done, answer, "", out)?;
    } else {
        out.line(sum.value)?;
    }
    Ok(Exit::Done)
}

/// Sends one request, as the number of a session where the options say so.
fn request<T>(
    context: &Context,
    send: impl FnOnce(&mut Client) -> Result<T, raft_node::client::Failure>,
) -> Result<T, CliError> {
    numbered(&mut context.client(), context, send)
}

fn numbered<T>(
    client: &mut Client,
    context: &Context,
    send: impl FnOnce(&mut Client) -> Result<T, raft_node::client::Failure>,
) -> Result<T, CliError> {
    if let (Some(name), Some(number)) = (&context.global.client_id, context.global.seq) {
        client
            .number_next(name.as_bytes(), number)
            .map_err(|failure| explain::failed(&failure, context))?;
    }
    send(client).map_err(|failure| explain::failed(&failure, context))
}

fn print<T>(
    key: &[u8],
    done: &Done<T>,
    answer: AnswerObject<'_>,
    text: &str,
    out: &mut Output,
) -> Result<(), CliError> {
    let (index, term) = (done.id.index.0, done.id.term.0);
    if out.is_json() {
        let key = Blob(key);
        return out.json(&ChangeObject { v: VERSION, outcome: "ok", key, index, term, answer });
    }
    let place = styled(DIM, format!("entry {index}, term {term}"));
    out.line(format!("{text}  {place}"))
}

fn dry_run(op: &'static str, key: &[u8], more: &str, out: &mut Output) -> Result<Exit, CliError> {
    if out.is_json() {
        let key = Blob(key);
        out.json(&DryRunObject { v: VERSION, outcome: "ok", dry_run: true, op, key })?;
    } else {
        let line = format!("{} {op} {} {more}", styled(GOOD, "would send"), output::quoted(key));
        out.line(line.trim_end())?;
    }
    Ok(Exit::Done)
}
