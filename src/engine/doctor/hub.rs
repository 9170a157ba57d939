//! The Hugging Face Hub: whether it can be reached, whose the token is and what it may do. The token's value stays where it
//! is.

use super::finding::Finding;
use crate::engine::hub::{self, Account, Greeting, Settings};
use crate::engine::proxy::without_credentials;

const SUBJECT: &str = "Hub";
const TOKEN: &str = "Hub token";

/// `repository`: where the user's models go, whose owner the token is compared with.
pub fn hub(repository: Option<&str>) -> Vec<Finding> {
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(error) => return vec![Finding::fail(SUBJECT, error.to_string(), error.hint().unwrap_or("correct it"))],
    };
    if let Some(variable) = hub::offline() {
        let message = format!("not asked ({variable}): models come from the cache alone");
        return vec![Finding::ok(SUBJECT, message), unasked(&settings)];
    }
    let endpoint = without_credentials(&settings.endpoint);
    let answers = Finding::ok(SUBJECT, format!("{endpoint} answers"));
    match hub::greet(settings.hurried()) {
        Ok(Greeting::Known(account)) => {
            let writes = repository.map(|repository| writes(&account, repository));
            [answers, whose(&settings, &account)].into_iter().chain(writes).collect()
        }
        Ok(Greeting::Stranger(error)) if settings.token.is_some() => {
            vec![answers, Finding::fail(TOKEN, error.to_string(), error.hint().unwrap_or("make a new one"))]
        }
        Ok(Greeting::Stranger(_)) => vec![answers, unasked(&settings)],
        Ok(Greeting::Silence(error)) | Err(error) => {
            let advice =
                "models come from the cache alone until then: check the network, and HF_ENDPOINT where you set it";
            vec![Finding::warn(SUBJECT, error.to_string(), advice), unasked(&settings)]
        }
    }
}

fn whose(settings: &Settings, account: &Account) -> Finding {
    let origin = settings.token.as_ref().map_or("", |token| token.origin.as_str());
    let named = account.token.as_ref().map_or(String::new(), |name| format!(", called {name}"));
    Finding::ok(TOKEN, format!("of {} ({origin}{named})", account.name))
}

fn writes(account: &Account, repository: &str) -> Finding {
    const SUBJECT: &str = "Hub upload";
    match account.may_write(repository) {
        true => Finding::ok(SUBJECT, format!("to {repository} (huggingface.repo_name)")),
        false => Finding::warn(
            SUBJECT,
            format!("the token may not write to {repository} (huggingface.repo_name)"),
            "name a repository of yours there, or make a token with write access",
        ),
    }
}

/// What is known of the token without the Hub.
fn unasked(settings: &Settings) -> Finding {
    match &settings.token {
        Some(token) => Finding::ok(TOKEN, format!("from {}", token.origin)),
        None => Finding::warn(
            TOKEN,
            "none; public models can be downloaded, private ones and uploads cannot",
            "make one in the settings of your account there and set HF_TOKEN, or run: hf auth login",
        ),
    }
}
