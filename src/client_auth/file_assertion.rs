use std::{
    borrow::Cow,
    error::Error as StdError,
    fmt, fs, io,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{AuthContext, ClientAuth, Refused, assertion::JWT_BEARER};
use crate::{
    error::{ErrorKind, TokenError},
    protocol::TokenRequest,
};

const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/// More than any server takes.
const LIMIT: u64 = 64 * 1024;

/// A client assertion that the platform writes to a file: the projected token of a Kubernetes
/// service account, the federated credential of an Entra ID workload, a SPIFFE JWT-SVID (RFC 7523
/// section 2.2).
///
/// The platform replaces it long before it expires, so it is read anew for each token request, and
/// once more when the server answers `invalid_client`: if it is another one by then, that one is sent
/// at once, in the same fetch.
/// What it says, and to whom, is the platform's setting: its audience must be what the server
/// expects.
///
/// ```no_run
/// use tower_oauth::client_auth::FileAssertion;
///
/// let auth = FileAssertion::new("/var/run/secrets/azure/tokens/azure-identity-token");
/// # let _ = auth;
/// ```
#[derive(Clone, Debug)]
pub struct FileAssertion {
    path: Arc<Path>,
    spiffe: bool,
    client_id: bool,
}

impl FileAssertion {
    /// Reads assertions from this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into().into(),
            spiffe: false,
            client_id: true,
        }
    }

    /// Says that the file holds a SPIFFE JWT-SVID, which has an assertion type of its own
    /// (`jwt-spiffe`). Default: `jwt-bearer`.
    #[must_use]
    pub fn spiffe(mut self) -> Self {
        self.spiffe = true;
        self
    }

    /// Sends no `client_id`. Default: it is sent, because the assertion's `sub` names the workload
    /// and not the client.
    #[must_use]
    pub fn without_client_id(mut self) -> Self {
        self.client_id = false;
        self
    }

    async fn read(&self, now: SystemTime) -> Result<Zeroizing<String>, TokenError> {
        let path = Arc::clone(&self.path);
        tokio::task::spawn_blocking(move || read(&path, now))
            .await
            .map_err(|_| TokenError::new(ErrorKind::Internal, "reading was broken off"))?
            .map_err(TokenError::from)
    }
}

impl ClientAuth for FileAssertion {
    fn method(&self) -> &'static str {
        if self.spiffe {
            "spiffe_jwt"
        } else {
            "private_key_jwt"
        }
    }

    async fn authenticate(
        &self,
        context: &AuthContext<'_>,
        request: &mut TokenRequest,
    ) -> Result<(), TokenError> {
        let assertion = self.read(context.now()).await?;
        if self.client_id {
            request.set("client_id", context.client_id());
        }
        let kind = if self.spiffe { JWT_SPIFFE } else { JWT_BEARER };
        request.set("client_assertion_type", kind);
        request.set_secret("client_assertion", &assertion);
        Ok(())
    }

    fn hint(&self, _: &AuthContext<'_>) -> Option<Cow<'static, str>> {
        let hint = "the server doesn't accept the platform's assertion: its issuer and subject must be \
             registered for this client_id (a federated credential), and its audience, which the \
             platform sets, must be what the server expects";
        Some(hint.into())
    }

    async fn reconsider(&self, refused: &Refused<'_>) -> bool {
        let now = self.read(refused.context().now()).await;
        now.is_ok_and(|assertion| !refused.was_told(&assertion))
    }
}

/// Reads the assertion. Blocks.
fn read(path: &Path, now: SystemTime) -> Result<Zeroizing<String>, AssertionFileError> {
    let fault = |fault| AssertionFileError {
        path: path.display().to_string(),
        fault,
    };
    let mut text = Zeroizing::new(String::with_capacity(LIMIT as usize + 1));
    fs::File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_string(&mut text))
        .map_err(|error| fault(Fault::Unreadable(error)))?;
    let assertion = text.trim();
    if assertion.is_empty() {
        return Err(fault(Fault::Empty));
    }
    if text.len() as u64 > LIMIT || !assertion.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(fault(Fault::NotAToken));
    }
    if let Some(expired) = expiry(assertion).filter(|end| *end <= now) {
        return Err(fault(Fault::Expired(expired)));
    }
    Ok(Zeroizing::new(assertion.to_owned()))
}

/// When it expires, if that can be read.
fn expiry(assertion: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let claims = assertion.split('.').nth(1)?;
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(claims).ok()?);
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(claims.exp).ok()?)
}

/// Why a file holds no assertion that could be sent. It names the path, never the content.
#[derive(Debug)]
pub struct AssertionFileError {
    path: String,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Unreadable(io::Error),
    Empty,
    NotAToken,
    Expired(SystemTime),
}

impl AssertionFileError {
    /// The file's path.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for AssertionFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.fault {
            Fault::Unreadable(_) => write!(
                f,
                "the assertion in {path} can't be read: check that the platform mounts it there, \
                 and that this process may read it"
            ),
            Fault::Empty => write!(
                f,
                "the assertion in {path} is empty: the platform hasn't written it yet"
            ),
            Fault::NotAToken => write!(f, "what is in {path} is no assertion"),
            Fault::Expired(end) => write!(
                f,
                "the assertion in {path} has expired at {}: the platform doesn't renew it any more",
                httpdate::fmt_http_date(*end)
            ),
        }
    }
}

impl StdError for AssertionFileError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.fault {
            Fault::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

impl From<AssertionFileError> for TokenError {
    fn from(error: AssertionFileError) -> Self {
        // Whoever writes the file may be late: what is wrong with it may pass by itself.
        Self::new(ErrorKind::Key, error.to_string())
            .temporary(!matches!(error.fault, Fault::NotAToken))
            .with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::method::with_context, *};
    use crate::protocol::Endpoint;

    const NOW: u64 = 1_700_000_000;

    fn jwt(exp: u64) -> String {
        let claims = URL_SAFE_NO_PAD.encode(json!({"exp": exp, "sub": "workload"}).to_string());
        format!("eyJh.{claims}.c2ln")
    }

    struct TestFile(PathBuf);

    impl TestFile {
        fn new(name: &str, content: &str) -> Self {
            let name = format!("tower-oauth-{}-{name}", std::process::id());
            let file = Self(std::env::temp_dir().join(name));
            file.write(content);
            file
        }

        fn write(&self, content: &str) {
            fs::write(&self.0, content).unwrap();
        }
    }

    impl Drop for TestFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    async fn form(auth: &FileAssertion) -> Result<Vec<(String, String)>, TokenError> {
        let endpoint = Endpoint::new("https://as.example/token").unwrap();
        let context = with_context!("orders");
        let mut request = TokenRequest::new("client_credentials");
        auth.authenticate(&context, &mut request).await?;
        let credentials = request.credentials();
        assert_eq!(credentials.len(), 1, "an assertion is a credential");
        let request = request.to_http(&endpoint);
        Ok(form_urlencoded::parse(request.body())
            .into_owned()
            .skip(1)
            .collect())
    }

    #[tokio::test]
    async fn the_file_is_read_for_each_request_and_trimmed() {
        let (first, second) = (jwt(NOW + 600), jwt(NOW + 1200));
        let file = TestFile::new("read", &format!("{first}\n"));
        let auth = FileAssertion::new(&file.0);
        let expected = |assertion: &str| {
            [
                ("client_id", "orders"),
                ("client_assertion_type", JWT_BEARER),
                ("client_assertion", assertion),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        assert_eq!(form(&auth).await.unwrap(), expected(&first));
        file.write(&format!("  {second} \r\n"));
        assert_eq!(form(&auth).await.unwrap(), expected(&second));
    }

    #[tokio::test]
    async fn a_spiffe_svid_has_a_type_of_its_own() {
        let svid = jwt(NOW + 300);
        let file = TestFile::new("svid", &svid);
        let auth = FileAssertion::new(&file.0).spiffe().without_client_id();
        let form = form(&auth).await.unwrap();
        let expected = [
            ("client_assertion_type", JWT_SPIFFE),
            ("client_assertion", &svid),
        ];
        assert_eq!(
            form,
            expected.map(|(name, value)| (name.into(), value.into()))
        );
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_file_is_said_with_its_path_and_without_its_content() {
        let expired = jwt(NOW);
        let long = "x".repeat(70_000);
        for (name, content, said) in [
            ("empty", " \n", "is empty"),
            ("words", "s3cr3t and more", "is no assertion"),
            ("long", &long, "is no assertion"),
            (
                "expired",
                &expired,
                "has expired at Tue, 14 Nov 2023 22:13:20 GMT",
            ),
        ] {
            let file = TestFile::new(name, content);
            let error = form(&FileAssertion::new(&file.0)).await.unwrap_err();
            let text = error.to_string();
            assert!(text.contains(said), "{text}");
            assert!(text.contains(file.0.to_str().unwrap()), "{text}");
            assert!(!format!("{error:?}").contains("s3cr3t"));
            assert_eq!(error.kind(), ErrorKind::Key);
        }
        let error = form(&FileAssertion::new("/nowhere/to/be/found")).await;
        let error = error.unwrap_err();
        assert!(
            error.to_string().contains("/nowhere/to/be/found"),
            "{error}"
        );
        assert!(error.is_temporary());
        let typed = StdError::source(&error).and_then(|it| it.downcast_ref::<AssertionFileError>());
        assert_eq!(typed.unwrap().path(), "/nowhere/to/be/found");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_sent_as_it_is() {
        for odd in [
            "opaque",
            "a.b.c",
            "a..c",
            "e30.e30.e30",
            "x.eyJleHAiOi0xfQ.y",
        ] {
            let file = TestFile::new("odd", odd);
            let form = form(&FileAssertion::new(&file.0)).await.unwrap();
            assert_eq!(form.last().unwrap().1, odd);
        }
    }
}
