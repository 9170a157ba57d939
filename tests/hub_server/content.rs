//! Files: their addresses in a repository, and the content of large ones.

use std::ops::Range;
use std::path::Path as FilePath;

use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK,
    LOCATION, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::accounts::Caller;
use super::context::{Context, Shared};
use super::error::{ApiError, ApiResult};
use super::objects::file_body;
use super::repository::Entry;
use super::routes::{Signed, Target};

/// `GET` and `HEAD` of a file: the content of a regular one, the way to the content of a large one.
pub async fn resolve(State(context): State<Shared>, caller: Caller, target: Target, asked: HeaderMap) -> ApiResult {
    let (commit, entry) = {
        let store = context.store();
        let repository = store.readable(&caller, target.kind, &target.id, &context.endpoint)?;
        let commit = repository.resolve(&target.revision)?;
        let entry = commit.tree.get(&target.path);
        (commit.sha.clone(), entry.cloned().ok_or_else(|| ApiError::entry_not_found("Entry not found", &commit.sha))?)
    };
    let mut response = match entry.is_lfs {
        true => redirect(&context, &target, &commit, &entry)?,
        false => {
            let path = context.objects.regular(&entry.oid);
            serve(&context, &path, entry.size, &entry.oid, &asked)?
        }
    };
    let name = target.path.rsplit('/').next().unwrap_or_default();
    set(&mut response, HeaderName::from_static("x-repo-commit"), &commit)?;
    // Names beyond ASCII go without; no client asks for them here.
    let _ = set(&mut response, CONTENT_DISPOSITION, &format!("inline; filename=\"{name}\""));
    Ok(response)
}

fn redirect(context: &Context, target: &Target, commit: &str, entry: &Entry) -> Result<Response, ApiError> {
    let mut response = StatusCode::FOUND.into_response();
    set(&mut response, LOCATION, &context.content_url(&entry.sha256))?;
    set(&mut response, HeaderName::from_static("x-linked-etag"), &format!("\"{}\"", entry.sha256))?;
    set(&mut response, HeaderName::from_static("x-linked-size"), &entry.size.to_string())?;
    if let Some(hash) = context.xet_hash(&entry.sha256) {
        let (endpoint, plural, id) = (&context.endpoint, target.kind.plural(), &target.id);
        let token = format!("<{endpoint}/api/{plural}/{id}/xet-read-token/{commit}>; rel=\"xet-auth\"");
        let plan = format!("<{}/v1/reconstructions/{hash}>; rel=\"xet-reconstruction-info\"", context.cas_url());
        set(&mut response, HeaderName::from_static("x-xet-hash"), &hash)?;
        set(&mut response, LINK, &format!("{token}, {plan}"))?;
    }
    Ok(response)
}

/// The content of a large object.
pub async fn download(
    _: Signed,
    State(context): State<Shared>,
    Path(oid): Path<String>,
    asked: HeaderMap,
) -> ApiResult {
    let size = context.objects.size_of_large(&oid).ok_or_else(ApiError::not_found)?;
    serve(&context, &context.objects.large(&oid), size, &oid, &asked)
}

/// A file from disk, whole or in the range that was asked for.
fn serve(context: &Context, path: &FilePath, size: u64, etag: &str, asked: &HeaderMap) -> ApiResult {
    let etag = format!("\"{etag}\"");
    if asked.get(IF_NONE_MATCH).is_some_and(|held| held.as_bytes() == etag.as_bytes()) {
        let mut unchanged = StatusCode::NOT_MODIFIED.into_response();
        set(&mut unchanged, ETAG, &etag)?;
        return Ok(unchanged);
    }
    let range = asked.get(RANGE).filter(|_| context.options.ranges).and_then(|range| range.to_str().ok());
    let (status, range) = match range.and_then(|range| parse_range(range, size)) {
        Some(range) if range.is_empty() => {
            let mut refused = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            set(&mut refused, CONTENT_RANGE, &format!("bytes */{size}"))?;
            return Ok(refused);
        }
        Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        None => (StatusCode::OK, 0..size),
    };
    let length = range.end - range.start;
    let mut response = (status, file_body(path, range.clone())?).into_response();
    set(&mut response, CONTENT_LENGTH, &length.to_string())?;
    set(&mut response, CONTENT_TYPE, "application/octet-stream")?;
    set(&mut response, ETAG, &etag)?;
    if context.options.ranges {
        set(&mut response, ACCEPT_RANGES, "bytes")?;
    }
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut response, CONTENT_RANGE, &format!("bytes {}-{}/{size}", range.start, range.end - 1))?;
    }
    Ok(response)
}

/// One range of bytes; empty when nothing of it is there, `None` when it is of another kind and goes unheeded.
fn parse_range(range: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => Some(first..size.min(last.saturating_add(1))),
        (Ok(first), Err(_)) if last.is_empty() => Some(first..size),
        (Err(_), Ok(suffix)) if first.is_empty() => Some(size.saturating_sub(suffix)..size),
        _ => None,
    }
}

fn set(response: &mut Response, name: HeaderName, value: &str) -> Result<(), ApiError> {
    response.headers_mut().insert(name, HeaderValue::from_str(value).map_err(std::io::Error::other)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse_range;

    #[test]
    fn ranges_are_cut_to_the_content() {
        assert_eq!(parse_range("bytes=0-9", 100), Some(0..10));
        assert_eq!(parse_range("bytes=90-", 100), Some(90..100));
        assert_eq!(parse_range("bytes=-5", 100), Some(95..100));
        assert_eq!(parse_range("bytes=50-500", 100), Some(50..100));
        assert_eq!(parse_range("bytes=0-1,5-6", 100), None);
        assert!(parse_range("bytes=100-", 100).is_some_and(|range| range.is_empty()));
    }
}
