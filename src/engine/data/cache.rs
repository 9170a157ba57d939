//! Records as token ids, kept on the disk: a run that starts again, and the next trial of a sweep, do not tokenise again.
//!
//! The files are below `~/.cache/affine/tokens`, each named by a hash of everything that decides its content: the records'
//! texts and template variables, the tokenizer's files, the chat template among them, which tokens are trained, and this build of affine. So one is
//! never out of date; one that is damaged is made anew. Where records are cut is not in them: that is decided later.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::refused::Refused;
use super::{Body, Record};
use crate::engine::file::{self, cache_folder, create_folder, write_atomic};
use crate::engine::text::{Conversation, Message, Tokenizer};
use crate::engine::{Error, Result, cancel};

/// Bytes of text from which on a file is kept: tokenising some two million bytes takes a second of one core.
const WORTH_KEEPING: usize = 2_000_000;
/// Bytes of all files together, above which the longest unused go.
const ROOM: u64 = 4 << 30;
/// What a file begins with.
const MAGIC: &[u8; 16] = b"affine tokens 1\n";
const DIGEST: usize = 32;

/// The token ids and masks of records, each whole. `all`: every token is trained ([`Record::encode_all`]).
pub fn encode(tokenizer: &Tokenizer, records: &[Record], all: bool) -> Result<Vec<Conversation>> {
    let bytes: usize = records.iter().map(|record| texts(&record.body).map(str::len).sum::<usize>()).sum();
    match cache_folder("tokens") {
        Some(folder) if bytes >= WORTH_KEEPING => encode_in(&folder, tokenizer, records, all),
        _ => encode_each(tokenizer, records, all),
    }
}

/// As [`encode`], kept in `folder` whatever the size.
pub fn encode_in(folder: &Path, tokenizer: &Tokenizer, records: &[Record], all: bool) -> Result<Vec<Conversation>> {
    let path = folder.join(format!("{}.tokens", key(tokenizer, records, all)));
    match read(&path) {
        Ok(Some(found)) => {
            tracing::info!("{} records were tokenised before: {}", found.len(), path.display());
            return Ok(found);
        }
        Ok(None) => {}
        Err(error) => tracing::warn!("{error}; it is made anew"),
    }
    let made = encode_each(tokenizer, records, all)?;
    let keep = || -> Result<()> {
        create_folder(folder)?;
        write_atomic(&path, &written(&made)?)?;
        make_room(folder, &path)
    };
    if let Err(error) = keep() {
        tracing::warn!("the tokenised records are not kept: {error}");
    }
    Ok(made)
}

fn encode_each(tokenizer: &Tokenizer, records: &[Record], all: bool) -> Result<Vec<Conversation>> {
    let (mut made, mut refused) = (Vec::with_capacity(records.len()), Refused::default());
    for (i, record) in records.iter().enumerate() {
        cancel::check()?;
        let conversation = if all { record.encode_all(tokenizer) } else { record.encode(tokenizer) };
        match conversation {
            Ok(conversation) => made.push(conversation),
            Err(error) if error.is_interrupted() => return Err(error),
            Err(error) => refused.add(record, i + 1, error),
        }
    }
    refused.finish(records.len())?;
    Ok(made)
}

fn key(tokenizer: &Tokenizer, records: &[Record], all: bool) -> String {
    let mut digest = Sha256::new();
    digest.update(MAGIC);
    // Another affine may make other tokens of the same records.
    digest.update(env!("AFFINE_GIT_REVISION"));
    digest.update(tokenizer.fingerprint());
    digest.update([u8::from(all)]);
    for record in records {
        // Lengths before texts, so that no two lists of records read alike.
        let parts: Vec<&str> = texts(&record.body).collect();
        digest.update(record.body.kind());
        if let Body::PromptMessages { prompt, .. } = &record.body {
            digest.update((prompt.len() as u64).to_le_bytes());
        }
        digest.update((parts.len() as u64).to_le_bytes());
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let kwargs = record.chat_template_kwargs();
        if !kwargs.is_empty() {
            digest.update(format!("chat_template_kwargs {}", Value::Object(kwargs)));
        }
    }
    file::hex(&digest.finalize())
}

/// All that is said in a record, by whom, and what of it carries no loss.
fn texts(body: &Body) -> Box<dyn Iterator<Item = &str> + '_> {
    fn of(message: &Message) -> [&str; 3] {
        [&message.role, &message.content, if message.loss { "" } else { "no loss" }]
    }
    match body {
        Body::Messages(messages) => Box::new(messages.iter().flat_map(of)),
        Body::PromptMessages { prompt, completion } => Box::new(prompt.iter().chain(completion).flat_map(of)),
        Body::PromptText { prompt, completion } => Box::new([prompt.as_str(), completion].into_iter()),
        Body::Text(text) => Box::new(std::iter::once(text.as_str())),
    }
}

/// A file's bytes: how many, how long each, all ids, all masks, and the hash of it all.
fn written(conversations: &[Conversation]) -> Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend((conversations.len() as u64).to_le_bytes());
    conversations.iter().for_each(|conversation| bytes.extend((conversation.len() as u64).to_le_bytes()));
    for &id in conversations.iter().flat_map(Conversation::ids) {
        let id = u32::try_from(id).map_err(|_| Error::message(format!("token id {id} has more than 32 bits")))?;
        bytes.extend(id.to_le_bytes());
    }
    bytes.extend(conversations.iter().flat_map(Conversation::mask).map(|&trained| u8::from(trained)));
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    Ok(bytes)
}

/// What a file holds; nothing where there is none.
fn read(path: &Path) -> Result<Option<Vec<Conversation>>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file::unreadable(path, &error)),
    };
    let found = parse(&bytes).ok_or_else(|| Error::file(path, "damaged"))?;
    // The time says when it was last of use. A file that is not ours to touch is read all the same.
    if let Ok(file) = std::fs::File::options().append(true).open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
    Ok(Some(found))
}

fn parse(bytes: &[u8]) -> Option<Vec<Conversation>> {
    let (content, digest) = bytes.split_last_chunk::<DIGEST>()?;
    if Sha256::digest(content)[..] != digest[..] {
        return None;
    }
    let number = |bytes: &[u8]| Some(u64::from_le_bytes(bytes.try_into().ok()?) as usize);
    let rest = content.strip_prefix(MAGIC)?;
    let (count, rest) = rest.split_at_checked(8)?;
    let (lengths, rest) = rest.split_at_checked(number(count)?.checked_mul(8)?)?;
    let lengths: Vec<usize> = lengths.chunks_exact(8).map(number).collect::<Option<_>>()?;
    let total: usize = lengths.iter().sum();
    let (mut ids, mut mask) = rest.split_at_checked(total.checked_mul(4)?)?;
    let mut conversations = Vec::with_capacity(lengths.len());
    for length in lengths {
        let (own_ids, own_mask);
        (own_ids, ids) = ids.split_at_checked(length * 4)?;
        (own_mask, mask) = mask.split_at_checked(length)?;
        let own_ids = own_ids.chunks_exact(4).map(|id| Some(u32::from_le_bytes(id.try_into().ok()?).into()));
        let trained = own_mask.iter().map(|&byte| byte == 1).collect();
        conversations.push(Conversation::from_parts(own_ids.collect::<Option<_>>()?, trained)?);
    }
    mask.is_empty().then_some(conversations)
}

/// Removes the files that were longest of no use, until all but `newest` have room beside it.
fn make_room(folder: &Path, newest: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| file::unreadable(folder, &error))?;
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in entries.filter_map(std::io::Result::ok) {
        let path = entry.path();
        if let Ok(about) = entry.metadata()
            && path.extension().is_some_and(|extension| extension == "tokens")
        {
            files.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len(), path));
        }
    }
    files.sort();
    let mut together: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, bytes, path) in files.iter().filter(|(_, _, path)| path != newest) {
        if together <= ROOM {
            break;
        }
        file::remove(path)?;
        together -= bytes;
    }
    Ok(())
}
