//! What follows from an answer that says no, and whether the server has the model at all.

use super::answer;
use super::asking::Asking;
use super::problem::{Lasting, Passing, Problem, Refusal};
use crate::engine::sentence::one_line;
use crate::engine::{Error, Result};

/// How many models of a server are named.
const FEW: usize = 10;

impl Asking {
    /// Whether there is a server, and the model on it.
    pub async fn check_model(&self) -> Result<()> {
        let listed = match self.models().await {
            // Where there is no server, the user should hear it at once.
            Err(Problem::Passing(Passing { reason, is_unreachable: true, .. })) => {
                return Err(self.unreachable(&reason));
            }
            Err(Problem::Passing(_)) => self.patiently(|| self.models()).await,
            Err(Problem::Refused(refusal)) if refusal.is_of_key() => return Err(self.locked(&refusal)),
            // It may have no such list and speak all the same.
            Err(Problem::Refused(_)) => return Ok(()),
            Err(Problem::Lasting(problem)) => Err(problem),
            Ok(text) => Ok(text),
        };
        match listed {
            Ok(text) => self.check_listed(&text),
            Err(Lasting::Stop(error)) => Err(error),
            Err(Lasting::Failed(reason) | Lasting::Full(reason)) => {
                Err(Error::hinted(reason, "is base_url the address of an OpenAI-compatible server?"))
            }
        }
    }

    fn check_listed(&self, text: &str) -> Result<()> {
        let models = answer::models(text).map_err(|_| {
            let problem = answer::models(&self.clean(text)).err().unwrap_or_default();
            let hint = "is it an OpenAI-compatible server? base_url mostly ends in /v1";
            Error::hinted(format!("{}/models: {problem}", self.base), hint)
        })?;
        let is_there = models.contains(&self.endpoint.model) || self.endpoint.unlisted || models.is_empty();
        if is_there { Ok(()) } else { Err(self.unknown_model(models)) }
    }

    pub fn unreachable(&self, reason: &str) -> Error {
        Error::hinted(format!("{}: {reason}", self.base), "is the server running, and base_url its address?")
    }

    /// What becomes of the request, and of all others, that was refused.
    pub async fn judge_refusal(&self, refusal: Refusal) -> Lasting {
        let sentence = format!("{}: {}", self.base, refusal.sentence());
        match &refusal.parameter {
            _ if refusal.is_of_length() => Lasting::Full(sentence),
            _ if refusal.is_of_key() => Lasting::Stop(self.locked(&refusal)),
            _ if refusal.is_of_money() => {
                Lasting::Stop(Error::hinted(sentence, "the account behind the key has nothing left to spend there"))
            }
            _ if refusal.is_of_model() => Lasting::Stop(self.not_found(&refusal).await),
            Some(name) if refusal.names_asked_parameter() => {
                let hint = format!("give {name} a value that this model takes");
                Lasting::Stop(Error::hinted(sentence, hint))
            }
            _ => Lasting::Failed(sentence),
        }
    }

    fn locked(&self, refusal: &Refusal) -> Error {
        let (problem, variable) = (refusal.sentence(), self.endpoint.variable());
        if self.key.is_some() {
            let problem = format!("{}: it does not take the key of {variable}: {problem}", self.base);
            return Error::hinted(problem, "is it a key of this server's, and may it use this model?");
        }
        let hint = format!(
            "put it into {variable}, or name its variable with api_key_variable, which must be done where the address is plain \
             HTTP to another machine"
        );
        Error::hinted(format!("{}: it asks for a key: {problem}", self.base), hint)
    }

    /// A wrong address, or a model that the server does not have.
    async fn not_found(&self, refusal: &Refusal) -> Error {
        if let Ok(text) = self.models().await
            && let Ok(models) = answer::models(&text)
            && !models.contains(&self.endpoint.model)
        {
            return self.unknown_model(models);
        }
        let hint = "check model, and base_url, which is what stands before /chat/completions and mostly ends in /v1";
        Error::hinted(format!("{}: {}", self.base, refusal.sentence()), hint)
    }

    fn unknown_model(&self, mut models: Vec<String>) -> Error {
        let wanted = &self.endpoint.model;
        models.sort_by(|a, b| strsim::jaro_winkler(b, wanted).total_cmp(&strsim::jaro_winkler(a, wanted)));
        let more = if models.len() > FEW { format!(" and {} more", models.len() - FEW) } else { String::new() };
        models.truncate(FEW);
        let known: Vec<String> = models.iter().map(|name| format!("\"{}\"", one_line(&self.clean(name)))).collect();
        Error::hinted(
            format!("{} has no model \"{wanted}\"", self.base),
            format!("it has {}{more}; with unlisted it is asked for one that it does not list", known.join(", ")),
        )
    }
}
