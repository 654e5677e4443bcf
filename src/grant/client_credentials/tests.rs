mod second_attempt;

use std::{
    collections::HashSet, error::Error as StdError, fmt::Write as _, sync::Mutex, time::UNIX_EPOCH,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use serde_json::Value;

use super::*;
use crate::{
    BoxError, ErrorKind, ManualClock,
    client_auth::{
        Audience, ClientAuth, ClientSecretBasic, ClientSecretPost, FileAssertion, NoClientAuth,
        PrivateKeyJwt, SelfSignedTlsClientAuth, TlsClientAuth,
    },
    jose::{Algorithm, Signer, SigningKeyInfo},
    transport::{HttpClient, TokenTransport},
};

const URL: &str = "https://as.example/token?tenant=a";
const TOKEN: &str = "{\"access_token\":\"t0ken\",\"token_type\":\"Bearer\",\"expires_in\":3600}";
const SECRET: &str = "correct horse/battery~staple+correct";

type Answer = dyn Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync;

/// Remembers each request and answers what `answer` makes of it.
#[derive(Clone)]
struct RecordingTransport {
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
    answer: Arc<Answer>,
}

impl RecordingTransport {
    fn new(answer: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static) -> Self {
        Self {
            requests: Arc::default(),
            answer: Arc::new(answer),
        }
    }

    fn token() -> Self {
        Self::new(|_| Response::new(TOKEN.into()))
    }

    fn status(status: u16, body: &'static str) -> Self {
        Self::new(move |_| respond(status, body))
    }

    fn requests(&self) -> Vec<Request<Bytes>> {
        self.requests.lock().unwrap().clone()
    }
}

impl TokenTransport for RecordingTransport {
    async fn send(&self, request: Request<Bytes>, _: usize) -> Result<Response<Bytes>, BoxError> {
        let answer = (self.answer)(&request);
        self.requests.lock().unwrap().push(request);
        Ok(answer)
    }
}

/// Its signatures are long enough to be recognised.
struct FakeSigner(SigningKeyInfo);

impl Signer for FakeSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }

    fn key(&self) -> &SigningKeyInfo {
        &self.0
    }

    async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, BoxError> {
        Ok((0..64).collect())
    }
}

fn respond(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn basic() -> ClientSecretBasic {
    ClientSecretBasic::new(SECRET)
}

fn jwt() -> PrivateKeyJwt {
    PrivateKeyJwt::new(FakeSigner(SigningKeyInfo::new())).issuer("https://as.example")
}

fn builder(auth: impl ClientAuth, transport: &RecordingTransport) -> ClientCredentialsBuilder {
    ClientCredentials::builder(URL)
        .client_id("orders-service")
        .auth(auth)
        .http_client(HttpClient::from_transport(transport.clone()))
}

async fn fetch(source: &ClientCredentials) -> Result<Fetched, TokenError> {
    TokenSource::fetch(source, Cause::Cold).await
}

async fn refused(auth: impl ClientAuth, transport: &RecordingTransport) -> TokenError {
    let source = builder(auth, transport).build().unwrap();
    fetch(&source).await.unwrap_err()
}

fn form(request: &Request<Bytes>) -> Vec<(String, String)> {
    form_urlencoded::parse(request.body())
        .into_owned()
        .collect()
}

/// The only request's parameters and `Authorization`.
async fn sent(builder: ClientCredentialsBuilder, transport: &RecordingTransport) -> Request<Bytes> {
    fetch(&builder.build().unwrap()).await.unwrap();
    let mut requests = transport.requests();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

/// The client of a row of the vectors, or `None` for what is not offered.
fn of_vector(case: &Value, transport: &RecordingTransport) -> Option<ClientCredentialsBuilder> {
    let secret = ClientSecretBasic::new("gX1fBat3bV");
    let client = |id: &str, builder: ClientCredentialsBuilder| builder.client_id(id);
    Some(match case["id"].as_str().unwrap() {
        "client-secret-basic" => client("s6BhdRkqt3", builder(secret, transport)),
        "client-secret-post" => client(
            "s6BhdRkqt3",
            builder(ClientSecretPost::new("7Fjfp0ZBr1KtDRbnfVdmIw"), transport),
        ),
        "private-key-jwt" => builder(jwt(), transport),
        "self-signed-tls-client-auth" => builder(SelfSignedTlsClientAuth::external(), transport),
        "spiffe-x509" => client(
            "spiffe://example.org/my-oauth-client",
            builder(TlsClientAuth::external(), transport),
        ),
        "scope-two" => builder(secret, transport).scope("read:orders write:orders"),
        "spiffe-jwt" => {
            // Any file that holds one word will do.
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/svid.jwt");
            let auth = FileAssertion::new(file).spiffe().without_client_id();
            builder(auth, transport)
        }
        "resource-one" => builder(secret, transport).resource("https://api.example.com/app/"),
        "resource-two" => builder(secret, transport)
            .resource("https://cal.example.com/")
            .resource("https://contacts.example.com/"),
        _ => return None,
    })
}

#[tokio::test]
async fn every_request_of_the_vectors_looks_as_they_say() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/token-request.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    let mut not_offered = Vec::new();
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let transport = RecordingTransport::token();
        let Some(builder) = of_vector(case, &transport) else {
            not_offered.push(id);
            continue;
        };
        let request = sent(builder, &transport).await;

        assert_eq!(request.method(), "POST", "{id}");
        assert_eq!(
            request.uri(),
            URL,
            "{id}: the query stays, and no more is there"
        );
        let form = form(&request);
        let expected = case["params"].as_array().unwrap();
        assert_eq!(form.len(), expected.len(), "{id}: {form:?}");
        for pair in expected {
            let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            let found =
                |(n, v): &(String, String)| n == name && (v == value || value.starts_with("<JWT"));
            assert_eq!(
                form.iter().filter(|pair| found(pair)).count(),
                1,
                "{id}: {name}"
            );
        }
        let mut headers: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
        headers.retain(|name| !["content-type", "accept", "authorization"].contains(name));
        assert!(headers.is_empty(), "{id}: {headers:?}");
        assert_eq!(
            request.headers()["content-type"],
            "application/x-www-form-urlencoded"
        );
        assert_eq!(request.headers()["accept"], "application/json");
        if let Some(authorization) = case["headers"]["Authorization"].as_str() {
            assert_eq!(request.headers()[AUTHORIZATION], authorization, "{id}");
            assert!(request.headers()[AUTHORIZATION].is_sensitive());
        }
        for name in case["must_not_contain"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            assert!(!request.headers().contains_key(name), "{id}: {name}");
            assert!(!form.iter().any(|(n, _)| n == name), "{id}: {name}");
        }
    }
    assert_eq!(
        not_offered,
        ["token-exchange", "jwt-bearer-grant", "refresh-token"]
    );
}

#[tokio::test]
async fn nothing_is_sent_that_was_not_asked_for() {
    let transport = RecordingTransport::token();
    let request = sent(builder(basic(), &transport), &transport).await;
    assert_eq!(request.body(), "grant_type=client_credentials");
}

#[tokio::test]
async fn a_client_that_proves_nothing_says_who_it_is() {
    let transport = RecordingTransport::token();
    let request = sent(builder(NoClientAuth::new(), &transport), &transport).await;
    let form = "grant_type=client_credentials&client_id=orders-service";
    assert_eq!(request.body(), form);
    assert!(!request.headers().contains_key(AUTHORIZATION));
}

#[cfg(feature = "jwt")]
#[tokio::test]
async fn a_secret_that_makes_assertions_is_not_sent() {
    let transport = RecordingTransport::token();
    let auth = crate::client_auth::ClientSecretJwt::new(SECRET);
    let builder = builder(auth, &transport).issuer("https://as.example");
    let request = sent(builder, &transport).await;
    let names: Vec<_> = form(&request).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "grant_type",
            "client_id",
            "client_assertion_type",
            "client_assertion"
        ]
    );
    assert!(!request.headers().contains_key(AUTHORIZATION));
}

#[tokio::test]
async fn extra_headers_are_sent_and_their_echo_is_cut_out() {
    let key = "a-key-of-the-gateway";
    let transport = RecordingTransport::status(400, "{\"error\":\"a-key-of-the-gateway\"}");
    let source = builder(basic(), &transport)
        .extra_header("x-api-key", key)
        .build()
        .unwrap();
    let error = fetch(&source).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains(key), "{error}");
    let requests = transport.requests();
    assert_eq!(requests[0].headers()["x-api-key"], key);
    assert!(requests[0].headers()["x-api-key"].is_sensitive());
}

#[test]
fn an_extra_header_cannot_be_one_that_is_set_here() {
    for (name, value) in [
        ("Authorization", "Bearer x"),
        ("content-type", "text/plain"),
        ("host", "other.example"),
        ("a b", "v4lue"),
        ("x-api-key", "v4lue\r\nb"),
    ] {
        let transport = RecordingTransport::token();
        let builder = builder(basic(), &transport).extra_header(name, value);
        let error = builder.build().unwrap_err();
        assert!(matches!(error, BuildError::ExtraHeader { .. }), "{name}");
        assert!(!format!("{error}").contains(value), "{error}");
    }
}

#[test]
fn an_assertion_for_nobody_cannot_be_built() {
    let transport = RecordingTransport::token();
    let jwt = || PrivateKeyJwt::new(FakeSigner(SigningKeyInfo::new()));
    let error = builder(jwt(), &transport).build().unwrap_err();
    assert!(matches!(error, BuildError::MissingIssuer), "{error}");
    let known = builder(jwt(), &transport).issuer("https://as.example");
    assert!(known.build().is_ok());
    let custom = builder(jwt().audience("urn:as"), &transport);
    assert!(custom.build().is_ok());
}

#[tokio::test]
async fn what_is_asked_for_is_sent_once() {
    let transport = RecordingTransport::token();
    let builder = builder(TlsClientAuth::external(), &transport)
        .scope("a b")
        .scope("b c")
        .audience("api://x")
        .audience("api://y")
        .extra_parameter("account_id", "7 & 8");
    let request = sent(builder, &transport).await;
    assert_eq!(
        request.body(),
        "grant_type=client_credentials&scope=a+b+c&audience=api%3A%2F%2Fx&audience=api%3A%2F%2Fy\
         &account_id=7+%26+8&client_id=orders-service"
    );
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_is_put_together_anew() {
    let wall = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let transport = RecordingTransport::token();
    let source = builder(jwt(), &transport)
        .clock(ManualClock::new(wall))
        .build()
        .unwrap();
    fetch(&source).await.unwrap();
    tokio::time::advance(Duration::from_secs(7)).await;
    fetch(&source).await.unwrap();
    let assertions: HashSet<_> = transport
        .requests()
        .iter()
        .map(|request| form(request).pop().unwrap())
        .collect();
    assert_eq!(assertions.len(), 2);
    let mut issued: Vec<_> = assertions
        .iter()
        .map(|(name, assertion)| {
            assert_eq!(name, "client_assertion");
            let claims = assertion.split('.').nth(1).unwrap();
            let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
            let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
            claims["iat"].as_u64().unwrap()
        })
        .collect();
    issued.sort_unstable();
    assert_eq!(issued, [1_700_000_000, 1_700_000_007]);
}

#[tokio::test]
async fn the_answer_becomes_what_was_fetched() {
    let body = "{\"access_token\":\"t0ken\",\"token_type\":\"bearer\",\"expires_in\":\"3600\",\
                \"refresh_in\":1800,\"scope\":\"b\",\"refresh_token\":\"never-used\"}";
    let transport = RecordingTransport::status(200, body);
    let source = builder(basic(), &transport).scope("a b").build().unwrap();
    let fetched = fetch(&source).await.unwrap();
    assert_eq!(fetched.token.expose(), "t0ken");
    assert_eq!(fetched.expires_in, Some(Duration::from_secs(3600)));
    assert_eq!(fetched.refresh_in, Some(Duration::from_secs(1800)));
    assert_eq!(fetched.scope.as_deref(), Some("b"));
    assert!(fetched.identity.is_none());
    fetch(&source).await.unwrap();
    for request in transport.requests() {
        assert!(form(&request).contains(&("grant_type".into(), "client_credentials".into())));
    }
}

#[tokio::test]
async fn without_a_word_the_scope_is_what_was_asked_for() {
    let transport = RecordingTransport::token();
    let source = builder(basic(), &transport).scope("a b").build().unwrap();
    assert_eq!(fetch(&source).await.unwrap().scope.as_deref(), Some("a b"));
    let source = builder(basic(), &transport).build().unwrap();
    assert_eq!(fetch(&source).await.unwrap().scope, None);
}

#[tokio::test]
async fn a_large_token_is_a_token() {
    let token = "x".repeat(16 * 1024);
    let body = format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\"}}");
    let transport = RecordingTransport::new(move |_| respond(200, body.clone()));
    let source = builder(basic(), &transport).build().unwrap();
    assert_eq!(fetch(&source).await.unwrap().token.expose(), token);
}

#[tokio::test]
async fn a_redirect_is_an_error_and_goes_nowhere() {
    for status in [301, 302, 303, 307, 308] {
        let transport = RecordingTransport::new(move |_| {
            let mut answer = respond(status, TOKEN);
            let location = "https://evil.example/token?secret=s3cr3t".parse().unwrap();
            answer.headers_mut().insert("location", location);
            answer
        });
        let error = refused(basic(), &transport).await;
        assert_eq!(transport.requests().len(), 1);
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(!error.is_temporary());
        let text = error.to_string();
        assert!(
            text.contains("a redirect to https://evil.example ("),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_method_says_what_to_look_at_when_its_credential_is_refused() {
    let unknown = "{\"error\":\"invalid_client\"}";
    for (status, body) in [(401, unknown), (400, unknown), (401, ""), (403, "no")] {
        let transport = RecordingTransport::status(status, body);
        let error = refused(jwt(), &transport).await;
        assert!(error.hint().unwrap().contains("audience"), "{error}");
        let error = refused(basic(), &transport).await;
        assert!(error.hint().unwrap().contains("without_form_encoding"));
        let error = refused(TlsClientAuth::external(), &transport).await;
        assert!(error.hint().unwrap().contains("certificate"), "{error}");
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(error.kind(), ErrorKind::Rejected);
    }
    // A server that is in trouble has judged nothing.
    let error = refused(jwt(), &RecordingTransport::status(503, unknown)).await;
    assert!(!error.hint().unwrap().contains("audience"), "{error}");
}

#[tokio::test]
async fn retry_after_is_read_by_the_clock_given() {
    let transport = RecordingTransport::new(|_| {
        let mut answer = respond(503, "");
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(1_700_000_060));
        answer
            .headers_mut()
            .insert("retry-after", date.parse().unwrap());
        answer
    });
    let source = builder(basic(), &transport)
        .clock(ManualClock::new(
            UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        ))
        .build()
        .unwrap();
    let error = fetch(&source).await.unwrap_err();
    // The clock goes on by less than a second between the two.
    assert_eq!(error.retry_after().unwrap().as_secs_f64().ceil(), 60.0);
    assert!(error.is_temporary());
}

/// Answers with everything that it was sent, in every place there is.
fn echo(status: u16, shape: fn(&str) -> String) -> RecordingTransport {
    RecordingTransport::new(move |request| {
        let header = request.headers().get(AUTHORIZATION);
        let header = header.map_or("", |value| value.to_str().unwrap());
        let pair = STANDARD
            .decode(header.trim_start_matches("Basic "))
            .unwrap();
        let pair = String::from_utf8(pair).unwrap();
        let values: Vec<_> = form(request).into_iter().map(|(_, value)| value).collect();
        let body = std::str::from_utf8(request.body()).unwrap();
        // What a server makes of it that form-decodes the pair.
        let secret = if header.is_empty() { "" } else { SECRET };
        let all = format!("{secret} {pair} {header} {} {body}", values.join(" "));
        let mut answer = respond(status, shape(&all));
        for name in ["location", "www-authenticate", "retry-after"] {
            let value = format!("https://{}.example/{all}", all.replace([' ', '/'], "-"));
            if let Ok(value) = value.replace(' ', "+").parse() {
                answer.headers_mut().insert(name, value);
            }
        }
        answer
    })
}

/// All that an error shows.
fn shown(error: &TokenError) -> String {
    let mut shown = format!("{:?} {:?}", error.oauth_error(), error.hint());
    let mut next: Option<&dyn StdError> = Some(error);
    while let Some(error) = next {
        write!(shown, "\n{error}\n{error:?}\n{error:#?}").unwrap();
        next = error.source();
    }
    shown
}

fn assert_free_of(shown: &str, request: &Request<Bytes>) {
    let mut credentials = Vec::new();
    if let Some(header) = request.headers().get(AUTHORIZATION) {
        let header = header.to_str().unwrap();
        let pair = STANDARD
            .decode(header.trim_start_matches("Basic "))
            .unwrap();
        let pair = String::from_utf8(pair).unwrap();
        // The client_id before it is no secret.
        credentials.push(pair.split_once(':').unwrap().1.to_owned());
        credentials.push(header.to_owned());
        credentials.push(SECRET.to_owned());
    }
    let secret = |name: &str| matches!(name, "client_assertion" | "password");
    let in_form = form(request).into_iter().filter(|(name, _)| secret(name));
    credentials.extend(in_form.map(|(_, value)| value));
    for credential in credentials {
        for run in credential.as_bytes().windows(16) {
            let run = std::str::from_utf8(run).unwrap();
            assert!(!shown.contains(run), "{run} in {shown}");
        }
    }
}

#[tokio::test]
async fn no_credential_that_the_server_echoes_is_shown() {
    let shapes: [fn(&str) -> String; 8] = [
        |all| format!("{{\"error\":{}}}", Value::from(all)),
        |all| {
            format!(
                "{{\"error\":\"invalid_client\",\"error_description\":{}}}",
                Value::from(all)
            )
        },
        |all| {
            format!(
                "{{\"error\":\"invalid_scope\",\"error_uri\":{}}}",
                Value::from(all)
            )
        },
        |all| format!("{{\"error\":{{\"message\":{}}}}}", Value::from(all)),
        |all| {
            format!(
                "{{\"access_token\":\"a\",\"token_type\":{}}}",
                Value::from(all)
            )
        },
        |all| {
            format!(
                "{{\"access_token\":{0},\"access_token\":{0}}}",
                Value::from(all)
            )
        },
        |all| format!("<html>{all}</html>"),
        |all| all.to_owned(),
    ];
    for shape in shapes {
        for status in [200, 307, 400, 401, 500] {
            let transport = echo(status, shape);
            let mut errors = vec![refused(basic(), &transport).await];
            errors.push(refused(basic().without_form_encoding(), &transport).await);
            errors.push(refused(jwt(), &transport).await);
            let posted = builder(TlsClientAuth::external(), &transport)
                .extra_parameter("password", SECRET)
                .build();
            errors.push(fetch(&posted.unwrap()).await.unwrap_err());
            let requests = transport.requests();
            assert_eq!(requests.len(), errors.len());
            for (error, request) in errors.iter().zip(&requests) {
                assert_free_of(&shown(error), request);
            }
        }
    }
    let granted = echo(200, |all| {
        let all = Value::from(all);
        format!("{{\"access_token\":\"a\",\"token_type\":\"bearer\",\"scope\":{all}}}")
    });
    let fetched = fetch(&builder(jwt(), &granted).build().unwrap()).await;
    assert_free_of(&format!("{:?}", fetched.unwrap()), &granted.requests()[0]);
}

#[test]
fn no_secret_is_formatted() {
    let transport = RecordingTransport::token();
    let builder = builder(basic(), &transport).extra_parameter("password", SECRET);
    let before = format!("{builder:#?}");
    let source = builder.build().unwrap();
    for shown in [before, format!("{source:#?}")] {
        assert!(!shown.contains("horse"), "{shown}");
        assert!(!shown.contains("tenant"), "{shown}");
    }
}

#[test]
fn each_wrong_setting_is_named() {
    let transport = RecordingTransport::token();
    let client = || HttpClient::from_transport(transport.clone());
    let to = |url: &str| ClientCredentials::builder(url).client_id("a").auth(basic());
    let fine = || to(URL).http_client(client());
    let from = |server: Discovery| {
        let builder = ClientCredentials::from_issuer(server).client_id("a");
        builder
            .auth(jwt().audience(Audience::Issuer))
            .http_client(client())
    };
    assert!(fine().build().is_ok());
    assert!(
        to("http://[::1]:80/token")
            .allow_plain_http()
            .build()
            .is_ok()
    );
    for (wrong, named) in [
        (to("http://as.example/token"), "plain http"),
        (
            to("http://as.example/token").allow_plain_http(),
            "plain http",
        ),
        (to("http://localhost/token"), "`allow_plain_http()`"),
        (to("https://as.example/token#a"), "fragment"),
        (fine().client_id(""), "`client_id`"),
        (ClientCredentials::builder(URL).client_id("a"), "`auth`"),
        (
            fine().auth(PrivateKeyJwt::new(FakeSigner(SigningKeyInfo::new()))),
            "`from_issuer`",
        ),
        (
            from("https://as.example?x=1".into()),
            "issuer: it can't have a query",
        ),
        (
            from("http://as.example".into()).allow_plain_http(),
            "plain http",
        ),
        (from("http://localhost".into()), "`allow_plain_http()`"),
        (
            from("https://as.example".into()).issuer("https://as.example"),
            "`issuer` has no effect",
        ),
        (
            from("https://as.example".into()).mtls_token_endpoint(URL),
            "`mtls_token_endpoint` has no effect",
        ),
        (
            from(Discovery::new("https://as.example").well_known([])),
            "`Discovery::well_known`",
        ),
        (fine().scope("a\"b").scope("c"), "scope"),
        (fine().extra_parameter("scope", "a"), "`scope`"),
        (
            fine().extra_parameter("client_secret", "a"),
            "`client_secret`",
        ),
        (fine().extra_parameter("", "a"), "no name"),
        (
            fine().extra_parameter("x", "a").extra_parameter("x", "b"),
            "`x`",
        ),
    ] {
        let error = wrong.build().unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(TokenError::from(error).kind(), ErrorKind::Configuration);
    }
    assert!(transport.requests().is_empty());
}

#[cfg(feature = "hyper")]
mod tls {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{
        keystore::{ClientIdentity, RotatingIdentity},
        tls::TrustAnchors,
    };

    macro_rules! key {
        ($name:literal) => {
            include_bytes!(concat!("../../../tests/keys/", $name))
        };
    }

    fn identity() -> ClientIdentity {
        ClientIdentity::from_pem(key!("p256-client.pem"), key!("p256-sec1.pem")).unwrap()
    }

    fn trust() -> TrustAnchors {
        TrustAnchors::from_pem(key!("ca.pem")).unwrap()
    }

    fn to_as() -> ClientCredentialsBuilder {
        ClientCredentials::builder(URL).client_id("a")
    }

    #[test]
    fn a_certificate_combines_with_any_method() {
        let shown = identity();
        for builder in [
            to_as().auth(TlsClientAuth::new(shown.clone())),
            to_as().auth(basic()).identity(shown.clone()),
            to_as().auth(jwt()).identity(shown.clone()),
            to_as()
                .auth(TlsClientAuth::new(shown.clone()))
                .identity(shown.clone()),
        ] {
            let source = builder.trust(trust()).build().unwrap();
            let set = source.keys.current().unwrap();
            let identity = set.client.identity().unwrap();
            assert_eq!(identity.number(), shown.number());
        }
    }

    #[tokio::test]
    async fn the_token_belongs_to_the_identity_that_the_client_presents() {
        let shown = identity();
        let transport = RecordingTransport::token();
        let client = HttpClient::from_transport(transport).presents(shown.clone());
        let source = to_as()
            .auth(TlsClientAuth::new(shown.clone()))
            .http_client(client)
            .build()
            .unwrap();
        let fetched = fetch(&source).await.unwrap();
        assert_eq!(fetched.identity.unwrap().number(), shown.number());
    }

    #[test]
    fn tls_settings_that_would_have_no_effect_are_refused() {
        let client = || HttpClient::from_transport(RecordingTransport::token());
        let with = |auth: TlsClientAuth| to_as().auth(auth);
        for (wrong, named) in [
            (
                with(TlsClientAuth::new(identity())).http_client(client()),
                "`identity`",
            ),
            (
                with(TlsClientAuth::new(identity())).http_client(client().presents(identity())),
                "`identity`",
            ),
            (
                with(TlsClientAuth::external())
                    .trust(trust())
                    .http_client(client()),
                "`trust`",
            ),
            (
                with(TlsClientAuth::new(identity()))
                    .identity(identity())
                    .trust(trust()),
                "two different certificates",
            ),
            (
                ClientCredentials::builder("http://localhost/token")
                    .client_id("a")
                    .allow_plain_http()
                    .auth(TlsClientAuth::new(identity())),
                "plain http",
            ),
        ] {
            let error = wrong.build().unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[tokio::test]
    async fn the_address_for_clients_with_a_certificate_is_as_the_vectors_say() {
        let vectors = include_str!("../../../tests/vectors/mtls-endpoints.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 7);
        let mut other_endpoints = 0;
        for case in cases {
            let endpoint = case["endpoint"].as_str().unwrap();
            if endpoint != "token_endpoint" {
                other_endpoints += 1;
                continue;
            }
            let metadata = match case["metadata"].as_str() {
                Some(document) => &vectors["documents"][document],
                None => &case["metadata"],
            };
            let transport = RecordingTransport::token();
            let client = HttpClient::from_transport(transport.clone());
            let mut builder =
                ClientCredentials::builder(metadata[endpoint].as_str().unwrap()).client_id("a");
            if let Some(alias) = metadata["mtls_endpoint_aliases"][endpoint].as_str() {
                builder = builder.mtls_token_endpoint(alias);
            }
            let shown = identity();
            let issuer = metadata["issuer"].as_str().unwrap();
            builder = match case["client_uses_mtls"].as_bool().unwrap() {
                true if case["id"] == "bound-tokens-with-private-key-jwt" => builder
                    .auth(jwt().issuer(issuer))
                    .identity(shown.clone())
                    .http_client(client.presents(shown)),
                true => builder.auth(TlsClientAuth::external()).http_client(client),
                false => builder.auth(jwt().issuer(issuer)).http_client(client),
            };
            let request = sent(builder, &transport).await;
            let expected = case["expected"].as_str().unwrap();
            assert_eq!(request.uri(), expected, "{}", case["id"]);
            let assertion = form(&request)
                .into_iter()
                .find(|it| it.0 == "client_assertion");
            if let Some((_, assertion)) = assertion {
                let claims = assertion.split('.').nth(1).unwrap();
                let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
                let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
                assert_eq!(claims["aud"], issuer);
            }
        }
        assert_eq!(other_endpoints, 1);
    }

    #[test]
    fn tokens_cannot_be_bound_to_a_certificate_that_nobody_knows() {
        let error = to_as()
            .auth(TlsClientAuth::external())
            .trust(trust())
            .require_bound_tokens()
            .build()
            .unwrap_err();
        assert!(
            error.to_string().contains("`HttpClient::presents`"),
            "{error}"
        );
    }

    #[test]
    fn a_client_that_is_given_cannot_rotate() {
        let files = ["p256-client.pem", "p256-sec1.pem"]
            .map(|name| format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR")));
        let [certificate, key] = files;
        let rotating = RotatingIdentity::from_pem_files(certificate, key).unwrap();
        let client = HttpClient::from_transport(RecordingTransport::token());
        let error = to_as()
            .auth(TlsClientAuth::new(&rotating))
            .http_client(client.presents(rotating.current()))
            .build()
            .unwrap_err();
        assert!(error.to_string().contains("`identity`"), "{error}");
    }

    #[tokio::test]
    async fn clients_that_are_made_show_the_certificate_that_they_were_made_for() {
        let shown = identity();
        let transport = RecordingTransport::token();
        let made = Arc::new(Mutex::new(Vec::new()));
        let source = to_as()
            .auth(TlsClientAuth::new(shown.clone()))
            .http_client_for({
                let (made, transport) = (Arc::clone(&made), transport.clone());
                move |identity| {
                    made.lock()
                        .unwrap()
                        .push(identity.map(ClientIdentity::number));
                    Ok(HttpClient::from_transport(transport.clone()))
                }
            })
            .build()
            .unwrap();
        for _ in 0..2 {
            let fetched = fetch(&source).await.unwrap();
            assert_eq!(fetched.identity.unwrap().number(), shown.number());
        }
        assert_eq!(*made.lock().unwrap(), [Some(shown.number())]);
    }

    /// Counts what goes through it.
    struct Counting(HttpClient, Arc<AtomicUsize>);

    impl TokenTransport for Counting {
        async fn send(
            &self,
            request: Request<Bytes>,
            max_answer: usize,
        ) -> Result<Response<Bytes>, BoxError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            TokenTransport::send(&self.0, request, max_answer).await
        }
    }

    #[tokio::test]
    async fn what_is_put_around_a_client_sees_its_requests_and_keeps_its_identity() {
        let shown = identity();
        let transport = RecordingTransport::token();
        let seen = Arc::new(AtomicUsize::new(0));
        let source = to_as()
            .auth(TlsClientAuth::new(shown.clone()))
            .http_client(HttpClient::from_transport(transport.clone()).presents(shown.clone()))
            .map_http_client({
                let seen = Arc::clone(&seen);
                move |client| HttpClient::from_transport(Counting(client, Arc::clone(&seen)))
            })
            .build()
            .unwrap();
        let fetched = fetch(&source).await.unwrap();
        assert_eq!(fetched.identity.unwrap().number(), shown.number());
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        assert_eq!(transport.requests().len(), 1);
    }

    #[cfg(not(feature = "platform-roots"))]
    #[test]
    fn nobody_is_trusted_by_default() {
        let error = to_as().auth(basic()).build().unwrap_err();
        assert!(error.to_string().contains("`trust`"), "{error}");
    }

    #[cfg(feature = "platform-roots")]
    #[test]
    fn the_platform_is_trusted_by_default() {
        assert!(to_as().auth(basic()).build().is_ok());
    }
}
