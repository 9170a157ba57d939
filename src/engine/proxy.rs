//! Proxies that the environment names for requests to other machines, so that an error can tell which one was asked.

use std::error::Error;

/// Why no answer came from `address`: the innermost cause, and the proxy that was asked on the way.
pub fn unreachable(address: &str, error: &(dyn Error + 'static)) -> String {
    let (cause, host) = (root_cause(error), host(address));
    match of(address) {
        Some((variable, proxy)) => {
            let proxy = without_credentials(&proxy);
            format!("{host} cannot be reached through the proxy {proxy} (set by {variable}): {cause}")
        }
        None => format!("{host} cannot be reached: {cause}"),
    }
}

/// The innermost reason is the one that a user can act on.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}

/// The variable that names a proxy for `address`, and its value.
fn of(address: &str) -> Option<(&'static str, String)> {
    let names: &[&str] = match address.starts_with("https://") {
        true => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        false => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let excepted = set("NO_PROXY").or_else(|| set("no_proxy")).unwrap_or_default();
    match is_excepted(host(address), &excepted) {
        true => None,
        false => names.iter().find_map(|name| Some((*name, set(name)?))),
    }
}

/// Whether a list of hosts and domains (`localhost, .example.org`) names `host`.
fn is_excepted(host: &str, list: &str) -> bool {
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    list.split(',').map(|entry| entry.trim().trim_start_matches('.')).any(|entry| {
        let above = || host.strip_suffix(entry).is_some_and(|before| before.ends_with('.'));
        entry == "*" || !entry.is_empty() && (host == entry || above())
    })
}

/// `hub.example:8080` of `https://me:secret@hub.example:8080/api?x`.
fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

/// `https://user:secret@host/x?y` without what stands before the `@` and behind the `?`.
pub fn without_credentials(address: &str) -> String {
    let scheme = address.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let path = rest.split_once('/').map_or(String::new(), |(_, path)| format!("/{path}"));
    format!("{scheme}{}{}", host(address), path.split(['?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_credentials() {
        assert_eq!(without_credentials("https://me:secret@hub.example/api?token=x"), "https://hub.example/api");
        assert_eq!(without_credentials("https://hub.example"), "https://hub.example");
        assert_eq!(without_credentials("me:secret@hub.example"), "hub.example");
        assert_eq!(without_credentials("http://proxy.example:3128/"), "http://proxy.example:3128/");
    }

    #[test]
    fn hosts_that_need_no_proxy_are_named_whole_or_by_their_domain() {
        for (host, list, wanted) in [
            ("hub.example", "", false),
            ("hub.example", "localhost, hub.example", true),
            ("hub.example:8080", ".example", true),
            ("hub.example", "example", true),
            ("hubexample", "example", false),
            ("hub.example", "*", true),
            ("127.0.0.1:9", "127.0.0.1", true),
        ] {
            assert_eq!(is_excepted(host, list), wanted, "{host} in {list:?}");
        }
    }
}
