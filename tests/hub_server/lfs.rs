//! Git LFS: what a client is to do with each object, and the uploads themselves.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Lfs;
use super::accounts::Caller;
use super::context::{Context, Shared};
use super::error::{ApiError, ApiResult, json_ok, json_response};
use super::objects::Rejected;
use super::preupload::too_large;
use super::routes::{JsonBody, Signed, Target, text};
use super::xet_tokens::Token;

pub async fn batch(
    State(context): State<Shared>,
    caller: Caller,
    target: Target,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let uploads = match text(&body, "operation")? {
        "upload" => true,
        "download" => false,
        other => return Err(ApiError::bad_request(format!("unknown operation \"{other}\""))),
    };
    match uploads {
        // The objects may be for a pull request, which is for the commit to say.
        true => drop(context.store().writable(&caller, target.kind, &target.id, true)?),
        false => drop(context.store().readable(&caller, target.kind, &target.id, &context.endpoint)?),
    }
    let objects = body["objects"].as_array().ok_or_else(|| ApiError::bad_request("\"objects\" is required"))?;
    let transfer = if uploads { transfer(&context, &body) } else { "basic" };
    let batch = Batch { context: &context, caller: &caller, target: &target, transfer };
    let mut answers = Vec::new();
    for object in objects {
        let oid = text(object, "oid")?;
        let size = object["size"].as_u64().ok_or_else(|| ApiError::bad_request("\"objects[].size\" is required"))?;
        answers.push(if uploads { batch.upload(oid, size).await? } else { batch.download(oid, size) });
    }
    let answer = json!({"transfer": transfer, "objects": answers, "hash_algo": "sha256"});
    let mut response = json_response(StatusCode::OK, &answer);
    response.headers_mut().insert("content-type", axum::http::HeaderValue::from_static("application/vnd.git-lfs+json"));
    Ok(response)
}

/// The way to send objects: the one this Hub is set to, if the client offers it.
fn transfer(context: &Context, body: &Value) -> &'static str {
    let offers = |name| body["transfers"].as_array().is_some_and(|offered| offered.iter().any(|offer| offer == name));
    match context.options.lfs {
        Lfs::Xet if offers("xet") => "xet",
        Lfs::Multipart { .. } if offers("multipart") => "multipart",
        _ => "basic",
    }
}

struct Batch<'a> {
    context: &'a Context,
    caller: &'a Caller,
    target: &'a Target,
    transfer: &'static str,
}

impl Batch<'_> {
    /// What to do to upload an object: nothing when it is here already.
    async fn upload(&self, oid: &str, size: u64) -> Result<Value, ApiError> {
        if let Some(limit) = self.context.options.max_file_size.filter(|&limit| size > limit) {
            return Ok(refused(oid, size, StatusCode::UNPROCESSABLE_ENTITY, &too_large(oid, size, limit)));
        }
        if self.is_stored(oid).await? {
            return Ok(json!({"oid": oid, "size": size}));
        }
        let verify = format!("{}/info/lfs/objects/verify", self.git_url());
        let actions = json!({"upload": self.upload_action(oid, size), "verify": {"href": verify, "header": {}}});
        Ok(json!({"oid": oid, "size": size, "authenticated": true, "actions": actions}))
    }

    async fn is_stored(&self, oid: &str) -> Result<bool, ApiError> {
        if self.context.objects.size_of_large(oid).is_some() {
            return Ok(true);
        }
        match &self.context.cas {
            Some(cas) => Ok(cas.find(oid).await.map_err(std::io::Error::other)?.is_some()),
            None => Ok(false),
        }
    }

    fn upload_action(&self, oid: &str, size: u64) -> Value {
        match (self.transfer, self.context.options.lfs, &self.context.cas) {
            ("xet", _, Some(cas)) => {
                let (plural, id) = (self.target.kind.plural(), &self.target.id);
                let refresh = format!("{}/api/{plural}/{id}/xet-write-token/main", self.context.endpoint);
                json!({"href": refresh, "header": Token::issue(self.context, cas, self.caller, true).lfs_header()})
            }
            ("multipart", Lfs::Multipart { part_size }, _) if size > part_size => {
                let mut header: Map<String, Value> = (1..=size.div_ceil(part_size))
                    .map(|part| (format!("{part:05}"), self.context.part_upload_url(oid, part).into()))
                    .collect();
                header.insert("chunk_size".to_owned(), part_size.to_string().into());
                json!({"href": self.context.completion_url(), "header": header})
            }
            _ => json!({"href": self.context.upload_url(oid), "header": {}}),
        }
    }

    fn download(&self, oid: &str, size: u64) -> Value {
        match self.context.objects.size_of_large(oid) {
            Some(found) => {
                let action = json!({"href": self.context.content_url(oid), "header": {}});
                json!({"oid": oid, "size": found, "authenticated": true, "actions": {"download": action}})
            }
            None => refused(oid, size, StatusCode::NOT_FOUND, "Object does not exist"),
        }
    }

    fn git_url(&self) -> String {
        format!("{}/{}{}.git", self.context.endpoint, self.target.kind.prefix(), self.target.id)
    }
}

fn refused(oid: &str, size: u64, code: StatusCode, message: &str) -> Value {
    json!({"oid": oid, "size": size, "error": {"code": code.as_u16(), "message": message}})
}

/// Asks whether an object has come whole.
pub async fn verify(
    State(context): State<Shared>,
    caller: Caller,
    target: Target,
    JsonBody(body): JsonBody,
) -> ApiResult {
    context.store().writable(&caller, target.kind, &target.id, true)?;
    match context.objects.size_of_large(text(&body, "oid")?) {
        Some(size) if body["size"] == size => json_ok(json!({})),
        Some(size) => Err(unprocessable(format!("the object has {size} bytes"))),
        None => Err(ApiError::new(StatusCode::NOT_FOUND, "Object does not exist")),
    }
}

pub async fn upload(_: Signed, State(context): State<Shared>, Path(oid): Path<String>, request: Request) -> ApiResult {
    context.objects.receive(&oid, request.into_body()).await.map_err(|rejected| refusal(&oid, rejected))?;
    Ok(StatusCode::OK.into_response())
}

pub async fn upload_part(
    _: Signed,
    State(context): State<Shared>,
    Path((oid, part)): Path<(String, u32)>,
    request: Request,
) -> Result<Response, ApiError> {
    let etag = context.objects.receive_part(&oid, part, request.into_body()).await?;
    Ok((StatusCode::OK, [("etag", format!("\"{etag}\""))]).into_response())
}

pub async fn complete_multipart(_: Signed, State(context): State<Shared>, JsonBody(body): JsonBody) -> ApiResult {
    let oid = text(&body, "oid")?;
    let parts = body["parts"].as_array().ok_or_else(|| ApiError::bad_request("\"parts\" is required"))?;
    let mut etags = Vec::new();
    for (number, part) in (1_u64..).zip(parts) {
        if part["partNumber"] != number {
            return Err(ApiError::bad_request("the parts are not in order"));
        }
        etags.push(text(part, "etag")?.trim_matches('"').to_owned());
    }
    context.objects.assemble(oid, &etags).map_err(|rejected| refusal(oid, rejected))?;
    json_ok(json!({}))
}

fn refusal(oid: &str, rejected: Rejected) -> ApiError {
    match rejected {
        Rejected::WrongContent { found } => unprocessable(format!("the content is not {oid} but {found}")),
        Rejected::Broken(error) => error.into(),
    }
}

fn unprocessable(message: String) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
}
