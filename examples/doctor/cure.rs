//! From an error to what would mend it, in the words of the profile.

use std::{error::Error, io};

use tower_oauth::{ErrorKind, TokenError, profile::Profile, transport::Handshake};

use super::{examination::address, report::Fault, tap::Outline};

/// What an error says with all that is behind it, and what it advises.
pub(crate) fn in_words(error: &(dyn Error + 'static)) -> (String, String) {
    let hint = error.downcast_ref().and_then(TokenError::hint);
    let mut problem = error.to_string();
    if let Some(hint) = hint {
        problem = problem.replace(&format!(" ({hint})"), "");
    }
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !problem.contains(&more) {
            problem += &format!(": {more}");
        }
        source = error.source();
    }
    (problem, hint.unwrap_or("see what it says").to_owned())
}

/// A fault of the address, with the key that it comes from.
fn at_address(profile: &Profile, problem: String, cure: impl Into<String>) -> Fault {
    let setting = match profile.token_endpoint() {
        _ if profile.mtls_token_endpoint().is_some() && profile.shows_certificate() => {
            "mtls_token_endpoint"
        }
        Some(_) => "token_endpoint",
        None => "issuer",
    };
    Fault {
        problem,
        setting: setting.to_owned(),
        value: address(profile).to_owned(),
        cure: cure.into(),
    }
}

fn at_proxy(profile: &Profile, problem: String, cure: String) -> Fault {
    let proxy = profile.proxy().ok().flatten();
    Fault {
        problem,
        setting: "authorization_server.proxy".to_owned(),
        value: proxy.map_or(String::new(), |it| format!("{it:?}")),
        cure,
    }
}

pub(crate) fn of_silence(profile: &Profile, url: &str) -> Fault {
    let problem = format!("{url} doesn't answer");
    let cure = "open the firewall between here and there, or correct the address";
    at_address(profile, problem, cure)
}

pub(crate) fn of_network(profile: &Profile, url: &str, error: &TokenError) -> Fault {
    let (problem, hint) = in_words(error);
    if error.kind() == ErrorKind::Proxy {
        return at_proxy(profile, problem, hint);
    }
    let cure = if is_refusal(error) {
        "start the server, or correct the port: nobody listens there"
    } else {
        "correct the name, or mend this machine's DNS and routes"
    };
    at_address(profile, format!("{url} can't be reached: {problem}"), cure)
}

/// Somebody said that there is nobody.
fn is_refusal(error: &TokenError) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        let kind = error.downcast_ref().map(io::Error::kind);
        if kind == Some(io::ErrorKind::ConnectionRefused) {
            return true;
        }
        next = error.source();
    }
    false
}

pub(crate) fn of_tls(profile: &Profile, url: &str, seen: &Handshake) -> Result<(), Fault> {
    let Err(error) = seen.outcome() else {
        // The metadata's own address may do without.
        let matters = profile.token_endpoint().is_some() || profile.issuer() != Some(url);
        if matters && profile.shows_certificate() && !seen.asked_for_certificate() {
            let problem = format!(
                "{url} doesn't ask for a client certificate, so it can't see who the client is"
            );
            let cure = "name the address for mutual TLS, which the server's metadata has as \
                        mtls_endpoint_aliases; or let the proxy in front of it pass TLS on";
            return Err(at_address(profile, problem, cure));
        }
        return Ok(());
    };
    let (problem, cure) = in_words(&error);
    let shown = seen.server_certificate();
    let shown = shown.map(|it| format!("; it shows {}, issued by {}", it.subject(), it.issuer()));
    Err(match (error.kind(), shown) {
        (ErrorKind::Proxy, shown) => at_proxy(profile, problem + &shown.unwrap_or_default(), cure),
        (ErrorKind::Key, _) => {
            let files = profile.keystore_files().iter();
            let files: Vec<_> = files.map(|it| it.display().to_string()).collect();
            let accepted = match seen.accepted_authorities() {
                [] => String::new(),
                names => format!("; the server takes those of {}", names.join(" and ")),
            };
            Fault {
                problem,
                setting: "keystore".into(),
                value: files.join(" and "),
                cure: cure + &accepted,
            }
        }
        // Rustls says which names there are.
        _ if problem.contains("not valid for name") => {
            let cure = "write the address with a name that the server's certificate has, or have \
                        the certificate issued anew with this one";
            at_address(profile, problem, cure)
        }
        (_, None) => at_address(profile, problem, cure),
        (_, Some(shown)) => {
            let trusted = profile.truststore_file();
            let trusted = trusted.map(|it| it.display().to_string());
            Fault {
                problem: problem + &shown,
                setting: "authorization_server.truststore".into(),
                value: trusted.unwrap_or("the operating system's".into()),
                cure,
            }
        }
    })
}

/// It didn't come to a token request.
pub(crate) fn of_request(profile: &Profile, error: &TokenError) -> Fault {
    let (problem, cure) = in_words(error);
    if profile.token_endpoint().is_none() {
        return at_address(profile, problem, cure);
    }
    Fault {
        problem,
        setting: "token_endpoint_auth_method".into(),
        value: profile.token_endpoint_auth_method().into(),
        cure,
    }
}

pub(crate) fn of_token(profile: &Profile, sent: &Outline, error: &TokenError) -> Fault {
    let (problem, mut cure) = in_words(error);
    let (setting, value) = match (error.oauth_error(), sent.assertion()) {
        (Some("invalid_scope"), _) => {
            cure = "have the client registered for these scopes at the authorization server, or \
                    ask for others"
                .into();
            ("scope", profile.scope().to_string())
        }
        (Some("invalid_target"), _) => ("resource, audience", sent.to_string()),
        (Some("invalid_client"), Some(assertion)) => {
            ("assertion.aud, .alg, .kid, .typ, and issuer", assertion)
        }
        _ => ("client_id", profile.client_id().to_owned()),
    };
    Fault {
        problem,
        setting: setting.into(),
        value,
        cure,
    }
}
