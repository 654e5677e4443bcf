//! What becomes of `invalid_client`.

use std::{fs, path::PathBuf};

use super::*;
use crate::{
    client_auth::{ClientSecret, Refused},
    events::Event,
};

const INVALID_CLIENT: &str = "{\"error\":\"invalid_client\"}";
const NOW: u64 = 1_800_000_000;

/// A server that refuses, with its own time, until it likes what it is sent.
fn server(
    ahead: i64,
    likes: impl Fn(&Request<Bytes>) -> bool + Send + Sync + 'static,
) -> RecordingTransport {
    let date = UNIX_EPOCH + Duration::from_secs(NOW.checked_add_signed(ahead).unwrap());
    RecordingTransport::new(move |request| {
        let mut answer = if likes(request) {
            respond(200, TOKEN)
        } else {
            respond(401, INVALID_CLIENT)
        };
        let date = httpdate::fmt_http_date(date).parse().unwrap();
        answer.headers_mut().insert("date", date);
        answer
    })
}

fn source(auth: impl ClientAuth, transport: &RecordingTransport) -> ClientCredentials {
    let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW));
    builder(auth, transport)
        .issuer("https://as.example")
        .clock(clock)
        .build()
        .unwrap()
}

fn value(request: &Request<Bytes>, name: &str) -> String {
    let form = form(request);
    let found = form.into_iter().find(|(it, _)| it == name);
    found.map(|(_, value)| value).unwrap_or_default()
}

/// By how much the times of a request's assertion are ahead of our clock, and its number.
fn assertion(request: &Request<Bytes>) -> (i64, i64, String) {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let assertion = value(request, "client_assertion");
    let claims = assertion.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let ahead = |name: &str| claims[name].as_i64().unwrap() - i64::try_from(NOW).unwrap();
    let jti = claims["jti"].as_str().unwrap().to_owned();
    (ahead("iat"), ahead("exp"), jti)
}

fn listen(source: &ClientCredentials) -> Arc<Mutex<Vec<String>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    source.report_to(Arc::new(move |event: &Event<'_>| {
        observer.lock().unwrap().push(format!("{event:?}"));
    }));
    told
}

struct SecretFile(PathBuf);

impl SecretFile {
    fn new(name: &str, content: &str) -> Self {
        let name = format!("tower-oauth-{}-again-{name}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        fs::write(&file.0, content).unwrap();
        file
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_secret_that_changed_meanwhile_is_sent_at_once_and_one_that_did_not_is_not() {
    const OLD: &str = "the old secret, of which there is enough";
    const NEW: &str = "the new secret, of which there is enough";
    for changes in [true, false] {
        for method in ["basic", "post", "jwt"] {
            let file = SecretFile::new(method, OLD);
            let path = file.0.clone();
            let transport = server(0, {
                let seen = Mutex::new(0);
                move |_| {
                    *seen.lock().unwrap() += 1;
                    if changes {
                        fs::write(&path, NEW).unwrap();
                    }
                    changes && *seen.lock().unwrap() == 2
                }
            });
            let secret = ClientSecret::file(&file.0);
            let source = match method {
                "basic" => source(ClientSecretBasic::new(secret), &transport),
                "post" => source(ClientSecretPost::new(secret), &transport),
                #[cfg(feature = "jwt")]
                "jwt" => source(crate::client_auth::ClientSecretJwt::new(secret), &transport),
                _ => continue,
            };
            let fetched = fetch(&source).await;
            assert_eq!(fetched.is_ok(), changes, "{method}");
            let requests = transport.requests();
            assert_eq!(requests.len(), if changes { 2 } else { 1 }, "{method}");
            if method == "post" {
                assert_eq!(value(&requests[0], "client_secret"), OLD);
                assert_eq!(
                    value(requests.last().unwrap(), "client_secret") == NEW,
                    changes
                );
            }
            if let Err(error) = fetched {
                assert_eq!(error.oauth_error(), Some("invalid_client"));
            }
        }
    }
}

#[tokio::test]
async fn there_are_two_attempts_at_most_however_often_the_secret_changes() {
    let transport = server(0, |_| false);
    let counter = AtomicCounter::default();
    let secret = ClientSecret::from_fn(move || Ok::<_, BoxError>(counter.next()));
    let source = source(ClientSecretPost::new(secret), &transport);
    fetch(&source).await.unwrap_err();
    assert_eq!(transport.requests().len(), 2);
}

#[derive(Default)]
struct AtomicCounter(std::sync::atomic::AtomicUsize);

impl AtomicCounter {
    fn next(&self) -> String {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        format!("secret number {number}")
    }
}

#[tokio::test]
async fn an_assertion_in_a_file_is_read_once_more_and_sent_if_it_is_another() {
    for changes in [true, false] {
        let file = SecretFile::new("assertion", "old.old.old");
        let path = file.0.clone();
        let transport = server(0, move |request| {
            if changes {
                fs::write(&path, "new.new.new\n").unwrap();
            }
            value(request, "client_assertion") == "new.new.new"
        });
        let source = source(FileAssertion::new(&file.0), &transport);
        assert_eq!(fetch(&source).await.is_ok(), changes);
        let expected = if changes { 2 } else { 1 };
        assert_eq!(transport.requests().len(), expected);
    }
}

#[tokio::test]
async fn an_assertion_refused_by_a_clock_that_is_off_is_made_anew_with_its_time() {
    for (ahead, corrected) in [(6, 6), (120, 120), (-120, -120), (3600, 300), (-3600, -300)] {
        let transport = server(ahead, move |request| assertion(request).0 == corrected);
        let source = source(jwt(), &transport);
        let told = listen(&source);
        fetch(&source).await.unwrap();
        let requests = transport.requests();
        let [(first, _, one), (second, exp, other)] = [0, 1].map(|at| assertion(&requests[at]));
        assert_eq!((first, second, exp), (0, corrected, corrected + 60));
        assert_ne!(one, other, "an assertion is used once");
        let event = format!(
            "ClocksApart {{ server: \"https://as.example\", seconds: {ahead}, corrected_by: \
             {corrected} }}"
        );
        assert_eq!(*told.lock().unwrap(), [event]);

        // It is kept for later ones, also by a clone.
        fetch(&source.clone()).await.unwrap();
        fetch(&source).await.unwrap();
        assert_eq!(transport.requests().len(), 4);
        assert_eq!(told.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn nothing_is_made_anew_for_a_clock_that_agrees_or_without_a_verdict() {
    // Five seconds are no reason.
    let transport = server(5, |_| false);
    fetch(&source(jwt(), &transport)).await.unwrap_err();
    assert_eq!(transport.requests().len(), 1);

    // No time is signed in a secret.
    let transport = server(120, |_| false);
    fetch(&source(basic(), &transport)).await.unwrap_err();
    assert_eq!(transport.requests().len(), 1);

    let far = "Fri, 31 Dec 9999 23:59:59 GMT";
    for (status, body, date) in [
        (503, INVALID_CLIENT, far),
        (429, INVALID_CLIENT, far),
        (401, "", far),
        (400, "{\"error\":\"invalid_scope\"}", far),
        (401, INVALID_CLIENT, "yesterday"),
    ] {
        let transport = RecordingTransport::new(move |_| {
            let mut answer = respond(status, body);
            answer.headers_mut().insert("date", date.parse().unwrap());
            answer
        });
        fetch(&source(jwt(), &transport)).await.unwrap_err();
        assert_eq!(transport.requests().len(), 1, "{status} {body} {date}");
    }
}

#[tokio::test]
async fn a_wrong_key_beside_a_wrong_clock_costs_one_request_more_and_heals_either_way() {
    for right in [0, 120] {
        let registered = Arc::new(Mutex::new(false));
        let is_registered = Arc::clone(&registered);
        let transport = server(120, move |request| {
            *is_registered.lock().unwrap() && assertion(request).0 == right
        });
        let source = source(jwt(), &transport);
        let told = listen(&source);
        // As many as a wrong credential costs in an hour.
        for _ in 0..28 {
            fetch(&source).await.unwrap_err();
        }
        assert_eq!(transport.requests().len(), 29);
        assert_eq!(told.lock().unwrap().len(), 1);
        *registered.lock().unwrap() = true;
        let first = fetch(&source).await;
        // If that was the other one's turn, it is this one's now.
        let second = fetch(&source).await;
        assert!(second.is_ok(), "{right}: {first:?} {second:?}");
        fetch(&source).await.unwrap();
    }
}

/// Has a word for each refusal.
struct Insistent;

impl ClientAuth for Insistent {
    fn method(&self) -> &'static str {
        "insistent"
    }

    async fn authenticate(
        &self,
        context: &AuthContext<'_>,
        request: &mut crate::protocol::TokenRequest,
    ) -> Result<(), TokenError> {
        request.set("client_id", context.client_id());
        request.set_secret("client_secret", "please");
        Ok(())
    }

    async fn reconsider(&self, refused: &Refused<'_>) -> bool {
        assert!(refused.was_told("please") && !refused.was_told("pleas"));
        assert!(!format!("{refused:?}").contains("please"));
        refused.context().client_id() == "orders-service"
    }
}

#[tokio::test]
async fn a_method_of_ones_own_may_have_a_second_word() {
    let transport = server(0, |_| false);
    fetch(&source(Insistent, &transport)).await.unwrap_err();
    assert_eq!(transport.requests().len(), 2);
}
