//! The steps themselves, from the file to the call.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{Empty, Full};
use serde_json::Value;
use tokio::time::timeout;
use tower::{Layer, ServiceExt};
use tower_oauth::{
    TokenHandle,
    keystore::ClientIdentity,
    profile::{Profile, ProfileError, Stage},
    protocol::Endpoint,
    refresh::Token,
    service::Rejected,
    tls::{TlsConfig, TrustAnchors, hyper_client},
    transport::{HttpClient, Probe},
};

use super::{
    arguments::Arguments,
    cure::{in_words, of_network, of_request, of_silence, of_tls, of_token},
    report::{Fault, Report, Step},
    tap::{Sent, Tap},
};

/// For each answer of the network.
const PATIENCE: Duration = Duration::from_secs(10);

/// A clock that is further away breaks assertions, which are good for a minute.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

pub(crate) struct Examination<'a> {
    pub(crate) arguments: Arguments,
    pub(crate) report: Report<'a>,
}

/// Why the examination ends before its end.
enum Halt {
    Faults(Step, Vec<Fault>),
    /// The report can't be written.
    Output(io::Error),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn halt<T>(step: Step, fault: Fault) -> Result<T, Halt> {
    Err(Halt::Faults(step, vec![fault]))
}

impl Examination<'_> {
    /// Returns the program's exit code.
    pub(crate) async fn run(mut self) -> io::Result<u8> {
        match self.steps().await {
            Ok(()) => Ok(0),
            Err(Halt::Output(error)) => Err(error),
            Err(Halt::Faults(step, faults)) => {
                for fault in &faults {
                    self.report.fault(step, fault)?;
                }
                Ok(step.exit_code())
            }
        }
    }

    async fn steps(&mut self) -> Result<(), Halt> {
        let profile = self.profile()?;
        let identity = self.keystore(&profile)?;
        let trust = self.trust(&profile)?;
        let tls = match trust {
            Some(trust) => Some(settings(&profile, trust, identity).map_err(of_profile)?),
            None => None,
        };
        if let Some(tls) = &tls {
            let url = address(&profile);
            self.way_to(&profile, tls, url).await?;
            self.clock(url, tls).await?;
        }
        let handle = self.request_and_token(&profile, tls).await?;
        self.call(&profile, handle).await
    }

    // ----- on this machine -----

    fn profile(&mut self) -> Result<Profile, Halt> {
        let Arguments { file, profile, .. } = &self.arguments;
        let profile = match profile {
            Some(name) => Profile::load_named(file, name),
            None => Profile::load(file),
        };
        let profile = profile.map_err(of_profile)?;
        let name = profile.name().map(|name| format!(" [{name}]"));
        let fact = format!(
            "{}{}: client {:?} by {}",
            self.arguments.file.display(),
            name.unwrap_or_default(),
            profile.client_id(),
            profile.token_endpoint_auth_method(),
        );
        self.report.ok(Step::Profile, &fact)?;
        Ok(profile)
    }

    fn keystore(&mut self, profile: &Profile) -> Result<Option<ClientIdentity>, Halt> {
        let identity = profile.identity().map_err(of_profile)?;
        let Some(identity) = identity.map(|it| it.current()) else {
            let method = profile.token_endpoint_auth_method();
            let fact = format!("none, and {method} needs none");
            self.report.ok(Step::Keystore, &fact)?;
            return Ok(None);
        };
        let files = listed(profile.keystore_files());
        let unfit = |usage: &str, what: &str| {
            let fault = Fault {
                problem: format!("the certificate of {} may not {what}", identity.subject()),
                setting: "keystore".into(),
                value: files.clone(),
                cure: format!("have it issued anew with {usage}"),
            };
            halt(Step::Keystore, fault)
        };
        if !identity.may_sign() {
            return unfit("keyUsage digitalSignature", "sign, which proves who it is");
        }
        if profile.shows_certificate() && !identity.may_authenticate_client() {
            return unfit("extendedKeyUsage clientAuth", "be shown by a TLS client");
        }
        let fact = format!(
            "{files}: {} issued by {}, {} more in its chain, good for {}; key and certificate \
             belong together",
            identity.subject(),
            identity.issuer(),
            identity.chain_length() - 1,
            days_until(identity.not_after()),
        );
        self.report.ok(Step::Keystore, &fact)?;
        Ok(Some(identity))
    }

    fn trust(&mut self, profile: &Profile) -> Result<Option<TrustAnchors>, Halt> {
        let trust = profile.trust().map_err(of_profile)?;
        let of_api = self.arguments.call.is_some() || profile.api_truststore_file().is_some();
        if of_api {
            profile.api_trust().map_err(of_profile)?;
        }
        let named = |file: Option<&Path>| {
            file.map_or("the operating system".to_owned(), |it| {
                it.display().to_string()
            })
        };
        let mut fact = match &trust {
            Some(_) => format!("authorization server: {}", named(profile.truststore_file())),
            None => "authorization server: plain http on this machine".to_owned(),
        };
        if of_api {
            fact += &format!("; API: {}", named(profile.api_truststore_file()));
        }
        self.report.ok(Step::Trust, &fact)?;
        Ok(trust)
    }

    // ----- up to the authorization server -----

    /// The network, and TLS.
    async fn way_to(&mut self, profile: &Profile, tls: &TlsConfig, url: &str) -> Result<(), Halt> {
        let Ok(probe) = timeout(PATIENCE, Probe::connect(tls, url)).await else {
            return halt(Step::Network, of_silence(profile, url));
        };
        let probe = probe
            .map_err(|error| Halt::Faults(Step::Network, vec![of_network(profile, url, &error)]))?;
        let fact = match proxy_on_the_way(profile, url).map_err(of_profile)? {
            Some(proxy) => format!("{url} is reached through {proxy}"),
            None => format!("{url} is at {}, reached directly", probe.peer_addr()?),
        };
        self.report.ok(Step::Network, &fact)?;

        let Ok(seen) = timeout(PATIENCE, probe.handshake()).await else {
            return halt(Step::Tls, of_silence(profile, url));
        };
        if let Err(fault) = of_tls(profile, url, &seen) {
            return halt(Step::Tls, fault);
        }
        let server = seen.server_certificate().map(|it| {
            let left = days_until(it.not_after());
            format!(
                ", {} issued by {}, good for {left}",
                it.subject(),
                it.issuer()
            )
        });
        let asks = match seen.asked_for_certificate() {
            true => "asks for a client certificate",
            false => "asks for no client certificate",
        };
        let fact = format!(
            "{}{}; {asks}",
            seen.version().unwrap_or("TLS"),
            server.unwrap_or_default(),
        );
        self.report.ok(Step::Tls, &fact)?;
        Ok(())
    }

    async fn clock(&mut self, url: &str, tls: &TlsConfig) -> Result<(), Halt> {
        let Some((here, there)) = times(url, tls).await else {
            self.report
                .ok(Step::Clock, "the server doesn't tell the time")?;
            return Ok(());
        };
        let (away, how) = match here.duration_since(there) {
            Ok(ahead) => (ahead, "ahead of"),
            Err(behind) => (behind.duration(), "behind"),
        };
        let fact = format!("{} s {how} the server's", away.as_secs());
        if away <= CLOCK_TOLERANCE {
            self.report.ok(Step::Clock, &fact)?;
            return Ok(());
        }
        let fault = Fault {
            problem: format!("this machine's clock is {fact}"),
            setting: "the clock of this machine".into(),
            value: httpdate::fmt_http_date(here),
            cure: format!(
                "set it, as chronyd and systemd-timesyncd do; the server's says {}",
                httpdate::fmt_http_date(there)
            ),
        };
        halt(Step::Clock, fault)
    }

    // ----- the token -----

    async fn request_and_token(
        &mut self,
        profile: &Profile,
        tls: Option<TlsConfig>,
    ) -> Result<TokenHandle, Halt> {
        let sent = Sent::default();
        let handle = handle(profile, &sent).map_err(of_profile)?;
        let token = handle.token().await;
        let last = sent.last();
        if let Some(outline) = &last {
            // The address that the metadata names is another one than its own.
            if let Some(tls) = tls.filter(|_| profile.token_endpoint().is_none())
                && outline.is_token_request()
            {
                self.way_to(profile, &tls, &outline.url).await?;
            }
            self.report.ok(Step::Request, &outline.to_string())?;
        }
        match (token, last) {
            (Ok(token), _) => self.token(profile, &handle, &token)?,
            (Err(error), Some(outline)) if outline.is_token_request() => {
                return halt(Step::Token, of_token(profile, &outline, &error));
            }
            (Err(error), _) => return halt(Step::Request, of_request(profile, &error)),
        }
        Ok(handle)
    }

    fn token(
        &mut self,
        profile: &Profile,
        handle: &TokenHandle,
        token: &Token,
    ) -> Result<(), Halt> {
        let granted = token.scope().unwrap_or_default();
        let missing: Vec<_> = profile
            .scope()
            .iter()
            .filter(|asked| !granted.split(' ').any(|it| it == *asked))
            .collect();
        if !missing.is_empty() {
            let fault = Fault {
                problem: format!("the server left out {}", missing.join(" ")),
                setting: "scope".into(),
                value: profile.scope().to_string(),
                cure:
                    "have the client registered for it at the authorization server, or don't ask \
                       for it"
                        .into(),
            };
            return halt(Step::Token, fault);
        }
        let lifetime = match handle.status().usable_for {
            Some(left) => format!("good for {} s", left.as_secs()),
            None => "good for an unknown time".into(),
        };
        let scope = match granted {
            "" => "no scope".to_owned(),
            granted => format!("scope {granted}"),
        };
        let fact = format!("{lifetime}, {scope}, {}", binding(token));
        self.report.ok(Step::Token, &fact)?;
        Ok(())
    }

    async fn call(&mut self, profile: &Profile, handle: TokenHandle) -> Result<(), Halt> {
        let Some(url) = self.arguments.call.clone() else {
            return Ok(());
        };
        let fault = |problem: String, cure: String| Fault {
            problem,
            setting: "--call".into(),
            value: url.to_string(),
            cure,
        };
        let layer = profile.layer_of(handle).map_err(of_profile)?;
        let client = profile.api_client().map_err(of_profile)?;
        let request = Request::get(url.clone()).body(Full::<Bytes>::default());
        let request = request.map_err(io::Error::other)?;
        let response = match timeout(PATIENCE, layer.layer(client).oneshot(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let (problem, cure) = in_words(&error);
                return halt(Step::Call, fault(problem, cure));
            }
            Err(_) => {
                let cure = "check that the API can be reached from here".to_owned();
                return halt(Step::Call, fault("there was no answer".to_owned(), cure));
            }
        };
        let status = response.status();
        if let Some(rejected) = response.extensions().get::<Rejected>() {
            let problem = format!("{} refuses the token: {status}", rejected.origin());
            return halt(Step::Call, fault(problem, rejected.hint()));
        }
        if !status.is_success() {
            let problem = format!("the API answers {status}, which isn't about the token");
            return halt(
                Step::Call,
                fault(problem, "ask the API for its reasons".to_owned()),
            );
        }
        self.report
            .ok(Step::Call, &format!("GET {url} answers {status}"))?;
        Ok(())
    }
}

// ===== what the steps are made of =====

/// A handle whose token requests are looked at.
fn handle(profile: &Profile, sent: &Sent) -> Result<TokenHandle, ProfileError> {
    let sent = sent.clone();
    let handle = profile.handle_with(|source| {
        source.map_http_client(move |inner| {
            let sent = sent.clone();
            HttpClient::from_transport(Tap { inner, sent })
        })
    });
    Ok(handle?.observer(()).build())
}

/// Where the token request goes, or where it is asked where that is.
pub(crate) fn address(profile: &Profile) -> &str {
    let alias = profile.mtls_token_endpoint();
    let alias = alias.filter(|_| profile.shows_certificate());
    let endpoint = profile.token_endpoint().map(Endpoint::url);
    let url = alias.or(endpoint).or(profile.issuer());
    url.expect("a profile has one of them")
}

fn settings(
    profile: &Profile,
    trust: TrustAnchors,
    identity: Option<ClientIdentity>,
) -> Result<TlsConfig, ProfileError> {
    let mut tls = TlsConfig::new(trust);
    if let Some(identity) = identity.filter(|_| profile.shows_certificate()) {
        tls = tls.identity(&identity);
    }
    if let Some(proxy) = profile.proxy()? {
        tls = tls.proxy(proxy);
    }
    Ok(tls)
}

fn proxy_on_the_way(profile: &Profile, url: &str) -> Result<Option<String>, ProfileError> {
    let proxy = profile.proxy()?;
    let target: Option<Uri> = url.parse().ok();
    let server = proxy.zip(target);
    Ok(server.and_then(|(proxy, target)| proxy.server_for(&target).map(str::to_owned)))
}

/// What this machine's clock and the server's said at the same time.
async fn times(url: &str, tls: &TlsConfig) -> Option<(SystemTime, SystemTime)> {
    let client = hyper_client::<Empty<Bytes>>(tls).ok()?;
    // Nobody needs a credential to be told that there is nothing at the root.
    let url: Uri = url.parse().ok()?;
    let root = format!("https://{}/", url.authority()?);
    let request = Request::head(root).body(Empty::new()).ok()?;
    let response = timeout(PATIENCE, client.request(request))
        .await
        .ok()?
        .ok()?;
    let date = response.headers().get(header::DATE)?.to_str().ok()?;
    Some((now(), httpdate::parse_http_date(date).ok()?))
}

#[allow(
    clippy::disallowed_methods,
    reason = "it is the clock that is examined"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn days_until(end: SystemTime) -> String {
    match end.duration_since(now()) {
        Ok(left) => format!("{} more days", left.as_secs() / (24 * 60 * 60)),
        Err(_) => "no longer".to_owned(),
    }
}

fn listed(files: &[std::path::PathBuf]) -> String {
    let files: Vec<_> = files.iter().map(|it| it.display().to_string()).collect();
    files.join(" and ")
}

/// Whether the token says that it is bound to the certificate (RFC 8705 section 3.1).
fn binding(token: &Token) -> &'static str {
    let payload = token.access_token().expose().split('.').nth(1);
    let payload = payload.and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
    let claims = payload.and_then(|it| serde_json::from_slice::<Value>(&it).ok());
    let shown = token.identity().map(ClientIdentity::thumbprint);
    match claims.as_ref().map(|it| it["cnf"]["x5t#S256"].as_str()) {
        None => "opaque: what it is bound to can't be seen",
        Some(None) => "bound to no certificate",
        Some(bound) if bound == shown.as_deref() => "bound to the client's certificate",
        Some(_) => "bound to ANOTHER certificate than the client's",
    }
}

fn of_profile(error: ProfileError) -> Halt {
    let step = match error.stage() {
        Stage::Keystore => Step::Keystore,
        Stage::Trust => Step::Trust,
        Stage::Proxy => Step::Network,
        Stage::Client => Step::Request,
        _ => Step::Profile,
    };
    let faults = error.faults().iter().map(|fault| {
        let (problem, cure) = match fault.message().split_once(": ") {
            Some((problem, cure)) => (problem, cure),
            None => (fault.message(), "see the manual's page on the profile"),
        };
        let mut setting = fault.key().to_owned();
        let mut value = "as it stands there".to_owned();
        if let (Some(file), Some(line)) = (fault.file(), fault.line()) {
            setting += &format!(" ({}:{line})", file.display());
            // A file that makes no sense may hold a secret anywhere.
            if error.stage() != Stage::File {
                let text = fs::read_to_string(file).unwrap_or_default();
                value = text
                    .lines()
                    .nth(line - 1)
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
            }
        }
        Fault {
            problem: problem.to_owned(),
            setting,
            value,
            cure: cure.to_owned(),
        }
    });
    Halt::Faults(step, faults.collect())
}
