//! From an error to what would mend it, in the words of the profile.

use std::{error::Error, io};

use http::Uri;
use tower_oauth::{ErrorKind, TokenError, profile::Profile, transport::Handshake};

use super::{report::Fault, tap::Outline};

/// What an error says with all that is behind it, and what it advises.
pub(crate) fn in_words(error: &(dyn Error + 'static)) -> (String, String) {
    let hint = error
        .downcast_ref::<TokenError>()
        .and_then(TokenError::hint);
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

/// The address of the token endpoint as the profile has it.
fn of_address(profile: &Profile) -> (String, String) {
    match profile.mtls_token_endpoint() {
        Some(url) if profile.shows_certificate() => ("mtls_token_endpoint".into(), url.into()),
        _ => (
            "token_endpoint".into(),
            profile.token_endpoint().url().into(),
        ),
    }
}

pub(crate) fn of_network(profile: &Profile, address: &Uri, error: io::Error) -> Fault {
    let (setting, value) = of_address(profile);
    let server = address.authority().map_or("the server", |it| it.as_str());
    let cure = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "start the server, or correct the port: nobody listens there"
        }
        io::ErrorKind::TimedOut => {
            "open the firewall between here and there, or correct the address: nobody answers"
        }
        _ => "correct the name, or mend this machine's DNS and routes",
    };
    Fault {
        problem: format!("{server} can't be reached: {error}"),
        setting,
        value,
        cure: cure.into(),
    }
}

pub(crate) fn of_tls(profile: &Profile, address: &Uri, seen: &Handshake) -> Result<(), Fault> {
    let (setting, value) = of_address(profile);
    let Err(error) = seen.outcome() else {
        if profile.shows_certificate() && !seen.asked_for_certificate() {
            return Err(Fault {
                problem: format!(
                    "{} doesn't ask for a client certificate, so it can't see who the client is",
                    address.authority().map_or("the server", |it| it.as_str()),
                ),
                setting,
                value,
                cure: "name the address for mutual TLS, which the server's metadata has as \
                       mtls_endpoint_aliases; or let the proxy in front of it pass TLS on"
                    .into(),
            });
        }
        return Ok(());
    };
    let (problem, cure) = in_words(&error);
    if error.kind() == ErrorKind::Key {
        let files = profile.keystore_files().iter();
        let files: Vec<_> = files.map(|it| it.display().to_string()).collect();
        let accepted = match seen.accepted_authorities() {
            [] => String::new(),
            names => format!("; the server takes those of {}", names.join(" and ")),
        };
        return Err(Fault {
            problem,
            setting: "keystore".into(),
            value: files.join(" and "),
            cure: cure + &accepted,
        });
    }
    // Rustls says which names there are.
    if problem.contains("not valid for name") {
        return Err(Fault {
            problem,
            setting,
            value,
            cure: "write the address with a name that the server's certificate has, or have the \
                   certificate issued anew with this one"
                .into(),
        });
    }
    let Some(certificate) = seen.server_certificate() else {
        return Err(Fault {
            problem,
            setting,
            value,
            cure,
        });
    };
    let (subject, issuer) = (certificate.subject(), certificate.issuer());
    let trusted = profile.truststore_file();
    Err(Fault {
        problem: format!("{problem}; it shows {subject}, issued by {issuer}"),
        setting: "authorization_server.truststore".into(),
        value: trusted.map_or("the operating system's".into(), |it| {
            it.display().to_string()
        }),
        cure,
    })
}

pub(crate) fn of_token(profile: &Profile, sent: &Outline, error: &TokenError) -> Fault {
    let (problem, cure) = in_words(error);
    let (setting, value) = match (error.oauth_error(), sent.assertion()) {
        (Some("invalid_scope"), _) => ("scope", profile.scope().to_string()),
        (Some("invalid_target"), _) => ("resource, audience", "as sent".to_owned()),
        (Some("invalid_client"), Some(assertion)) => {
            ("assertion.aud, .alg, .kid, .typ, and issuer", assertion)
        }
        _ => ("client_id", profile.client_id().to_owned()),
    };
    let cure = match error.oauth_error() {
        Some("invalid_scope") => {
            "have the client registered for these scopes at the authorization server, or ask for \
             others"
                .to_owned()
        }
        _ => cure,
    };
    Fault {
        problem,
        setting: setting.to_owned(),
        value,
        cure,
    }
}
