//! What a user says of an endpoint.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::answer::Usage;
use super::secret::Secret;
use crate::engine::{Error, Result};

/// Whose key is shown where no variable is named.
const USUAL_VARIABLE: &str = "OPENAI_API_KEY";

/// A day: a longer time is a slip of the pen.
const LONGEST: f64 = 86_400.0;

/// A model behind an OpenAI-compatible endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoint {
    /// What stands before `/chat/completions`: `http://host:8000/v1`.
    pub base_url: String,
    /// As the server calls it.
    pub model: String,
    /// The environment variable that holds the key. Unless given it is `OPENAI_API_KEY`, whose key is not sent over plain
    /// HTTP to another machine.
    pub api_key_variable: Option<String>,
    /// Episodes side by side, and so requests in flight, from 1 to 1024.
    pub parallel: usize,
    /// That one answer may take, above 0.
    pub timeout_seconds: f64,
    /// How often a request is repeated when there is no answer or a passing trouble, from 0 to 20.
    pub retries: u32,
    /// After so long a reply is given up, all attempts and waits together.
    pub patience_seconds: f64,
    /// Per million tokens of the conversations, in any currency.
    pub prompt_price: Option<f64>,
    /// Per million tokens of the replies.
    pub completion_price: Option<f64>,
    /// Ask for the model although the server's list of models lacks it.
    pub unlisted: bool,
}

impl Default for Endpoint {
    fn default() -> Self {
        Endpoint {
            base_url: String::new(),
            model: String::new(),
            api_key_variable: None,
            parallel: 8,
            timeout_seconds: 300.0,
            retries: 5,
            patience_seconds: 900.0,
            prompt_price: None,
            completion_price: None,
            unlisted: false,
        }
    }
}

impl Endpoint {
    pub fn validate(&self) -> Result<()> {
        self.address()?;
        if self.model.trim().is_empty() {
            return Err(Error::option("model", "the name that the server has for it", "nothing"));
        }
        if !(1..=1024).contains(&self.parallel) {
            return Err(Error::option("parallel", "an integer from 1 to 1024", self.parallel));
        }
        for (key, seconds) in [("timeout_seconds", self.timeout_seconds), ("patience_seconds", self.patience_seconds)] {
            if !(seconds > 0.0 && seconds <= LONGEST) {
                return Err(Error::option(key, format!("seconds above 0, at most {LONGEST}"), seconds));
            }
        }
        if self.retries > 20 {
            return Err(Error::option("retries", "an integer from 0 to 20", self.retries));
        }
        self.validate_prices()
    }

    fn validate_prices(&self) -> Result<()> {
        let prices = [("prompt_price", self.prompt_price), ("completion_price", self.completion_price)];
        for (key, price) in prices {
            if price.is_some_and(|price| !(price >= 0.0 && price.is_finite())) {
                return Err(Error::option(key, "a number of at least 0", price.unwrap_or_default()));
            }
        }
        match prices {
            [(_, Some(_)), (missing, None)] | [(missing, None), (_, Some(_))] => {
                Err(Error::option(missing, "a price, as the other one is given", "nothing"))
            }
            _ => Ok(()),
        }
    }

    /// The parsed `base_url`, without a slash at its end.
    pub(super) fn address(&self) -> Result<Url> {
        let expected = |what: &str, got: &str| Err(Error::option("base_url", what, got));
        let given = self.base_url.trim().trim_end_matches('/');
        let Ok(url) = Url::parse(given) else {
            let got = if given.is_empty() { "nothing".to_string() } else { format!("\"{given}\"") };
            return expected("an address such as http://host:8000/v1", &got);
        };
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return expected("an address such as http://host:8000/v1", &format!("\"{given}\""));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return expected("an address without a user; the key comes from api_key_variable", "one with it");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return expected("an address without ? and #", &format!("\"{given}\""));
        }
        if let Some(base) = url.as_str().strip_suffix("/chat/completions") {
            return expected(&format!("what stands before /chat/completions (\"{base}\")"), &format!("\"{given}\""));
        }
        Ok(url)
    }

    /// The key of the variable, where there is one to show.
    pub(super) fn key(&self) -> Result<Option<Secret>> {
        match &self.api_key_variable {
            Some(name) => Secret::of_variable(name)?.map(Some).ok_or_else(|| {
                Error::option(
                    "api_key_variable",
                    "an environment variable that holds a key",
                    format!("\"{name}\", which is not set"),
                )
            }),
            None if self.is_overheard()? => Ok(None),
            None => Secret::of_variable(USUAL_VARIABLE),
        }
    }

    /// Whether what is sent there can be read on the way.
    fn is_overheard(&self) -> Result<bool> {
        let url = self.address()?;
        let is_here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
            None => false,
        };
        Ok(url.scheme() == "http" && !is_here)
    }

    /// Where the key comes from, for sentences.
    pub(super) fn variable(&self) -> &str {
        self.api_key_variable.as_deref().unwrap_or(USUAL_VARIABLE)
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_seconds)
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.patience_seconds)
    }

    /// What so many tokens cost; nothing where no prices are given.
    pub fn cost(&self, usage: &Usage) -> Option<f64> {
        let (prompt, completion) = (self.prompt_price?, self.completion_price?);
        Some((usage.prompt as f64 * prompt + usage.completion as f64 * completion) / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(base_url: &str) -> Endpoint {
        Endpoint { base_url: base_url.into(), model: "tiny".into(), ..Default::default() }
    }

    #[test]
    fn an_address_is_taken_with_and_without_a_slash() {
        for (given, wanted) in [
            ("http://host:8000/v1", "http://host:8000/v1"),
            (" http://host:8000/v1/ ", "http://host:8000/v1"),
            ("https://api.example/openai/v1//", "https://api.example/openai/v1"),
        ] {
            assert_eq!(endpoint(given).address().unwrap().as_str(), wanted);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_what_would_be_right() {
        for (given, wanted) in [
            ("", "base_url: expected an address such as http://host:8000/v1, got nothing"),
            ("host:8000/v1", "base_url: expected an address such as http://host:8000/v1, got \"host:8000/v1\""),
            ("http://host/v1?x=1", "base_url: expected an address without ? and #, got \"http://host/v1?x=1\""),
            (
                "http://me:pass@host/v1",
                "base_url: expected an address without a user; the key comes from api_key_variable, got one with it",
            ),
            (
                "http://host/v1/chat/completions",
                "base_url: expected what stands before /chat/completions (\"http://host/v1\"), got \
                 \"http://host/v1/chat/completions\"",
            ),
        ] {
            assert_eq!(endpoint(given).validate().unwrap_err().to_string(), wanted);
        }
        let refused = |change: fn(&mut Endpoint)| {
            let mut endpoint = endpoint("http://host/v1");
            change(&mut endpoint);
            endpoint.validate().unwrap_err().to_string()
        };
        assert_eq!(refused(|e| e.parallel = 0), "parallel: expected an integer from 1 to 1024, got 0");
        assert_eq!(refused(|e| e.retries = 21), "retries: expected an integer from 0 to 20, got 21");
        assert!(refused(|e| e.timeout_seconds = f64::NAN).starts_with("timeout_seconds: expected seconds above 0"));
        assert_eq!(
            refused(|e| e.prompt_price = Some(1.0)),
            "completion_price: expected a price, as the other one is given, got nothing"
        );
        assert_eq!(refused(|e| e.model.clear()), "model: expected the name that the server has for it, got nothing");
    }

    #[test]
    fn the_usual_key_is_not_sent_where_others_can_read_it() {
        for (given, overheard) in [
            ("http://localhost:8000/v1", false),
            ("http://127.0.0.1:8000/v1", false),
            ("http://[::1]:8000/v1", false),
            ("https://api.example/v1", false),
            ("http://node12:8000/v1", true),
            ("http://10.0.0.1:8000/v1", true),
        ] {
            assert_eq!(endpoint(given).is_overheard().unwrap(), overheard, "{given}");
        }
        let named = Endpoint { api_key_variable: Some("AFFINE_NO_SUCH_KEY".into()), ..endpoint("http://host/v1") };
        let error = named.key().unwrap_err().to_string();
        assert!(error.ends_with("got \"AFFINE_NO_SUCH_KEY\", which is not set"), "{error}");
    }

    #[test]
    fn tokens_cost_what_their_prices_say() {
        let usage = Usage { prompt: 2_000_000, completion: 500_000, reasoning: 0 };
        let priced = Endpoint { prompt_price: Some(0.5), completion_price: Some(2.0), ..endpoint("http://host/v1") };
        assert_eq!(priced.cost(&usage), Some(2.0));
        assert_eq!(endpoint("http://host/v1").cost(&usage), None);
    }
}
