//! Both servers, a directory with all files that a profile may name, and a client of a profile.

use std::{fs, path::PathBuf};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_oauth::{
    TokenError,
    grant::{Fetched, TokenSource},
    profile::{Profile, ProfileError},
    service::Error,
    testing::{
        Answer, Client, ClientPem, FakeAuthorizationServer, FakeResource, Pki, TokenRequest,
    },
    token::Cause,
};

pub(crate) struct World {
    pub(crate) server: FakeAuthorizationServer,
    pub(crate) resource: FakeResource,
    /// The client of `client.crt` and `client.key`.
    pub(crate) client: ClientPem,
    pub(crate) pki: Pki,
    pub(crate) directory: PathBuf,
}

impl World {
    pub(crate) async fn new() -> Self {
        let pki = Pki::new().unwrap();
        let client = pki.client("orders").unwrap();
        let server = FakeAuthorizationServer::builder(&pki).allow_self_signed();
        let server = server.start().await.unwrap();
        let resource = FakeResource::builder(&pki).trusting(&server);
        let resource = resource.start().await.unwrap();

        let name = format!("tower-oauth-profile-{}", client.thumbprint());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let world = Self {
            server,
            resource,
            client,
            pki,
            directory,
        };
        world.write("ca.pem", world.pki.ca_pem());
        world.write("other-ca.pem", Pki::new().unwrap().ca_pem());
        world.write("client.crt", world.client.certificate_pem());
        world.write("client.key", world.client.key_pem());
        world.write("secret", "hunter 2\n");
        world.write("changeit", "changeit\n");
        world.write("keypass1", "keypass1");
        world
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.directory.join(name), content).unwrap();
    }

    // ----- profiles -----

    /// All but the method.
    pub(crate) fn base(&self) -> String {
        format!(
            "token_endpoint = \"{}\"\nclient_id = \"orders\"\n\
             authorization_server.truststore.path = \"ca.pem\"\n\
             api.truststore.path = \"ca.pem\"\n",
            self.server.token_endpoint()
        )
    }

    pub(crate) fn with_secret(&self) -> String {
        self.base()
            + "token_endpoint_auth_method = \"client_secret_basic\"\n\
               client_secret_file = \"secret\"\n"
    }

    pub(crate) fn with_jwt(&self) -> String {
        let issuer = self.server.issuer();
        self.base()
            + "token_endpoint_auth_method = \"private_key_jwt\"\n\
               keystore.certificate_file = \"client.crt\"\nkeystore.key_file = \"client.key\"\n"
            + &format!("issuer = \"{issuer}\"\n")
    }

    pub(crate) fn with_certificate(&self) -> String {
        self.base()
            + "token_endpoint_auth_method = \"tls_client_auth\"\n\
               keystore.certificate_file = \"client.crt\"\nkeystore.key_file = \"client.key\"\n"
    }

    /// Mutual TLS with one of the stores that other tools have made.
    pub(crate) fn with_store(&self, store: &str) -> String {
        let stores = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stores");
        self.base()
            + "token_endpoint_auth_method = \"self_signed_tls_client_auth\"\n"
            + &format!("keystore.path = '{stores}/{store}'\n")
    }

    /// Registers the client of [`with_jwt`](Self::with_jwt). Its tokens are bound.
    pub(crate) fn register_jwt(&self) {
        let client = Client::private_key_jwt("orders", self.client.public_key_pem()).unwrap();
        self.server.register(client.bind_tokens());
    }

    pub(crate) fn load(&self, text: &str) -> Result<Profile, ProfileError> {
        self.write("profile.toml", text);
        Profile::load(self.directory.join("profile.toml"))
    }

    /// The refusal of a profile, by the file or by a later stage.
    pub(crate) fn refusal(&self, text: &str) -> ProfileError {
        let refused = self.load(text).and_then(|profile| profile.source());
        refused.expect_err(text)
    }

    // ----- what goes over the wire -----

    pub(crate) async fn fetch(&self, text: &str) -> Result<Fetched, TokenError> {
        let source = self.load(text).unwrap().source().unwrap();
        source.fetch(Cause::Cold).await
    }

    /// The token request of a profile, as the server got it. It is granted whatever it says.
    pub(crate) async fn request(&self, text: &str) -> TokenRequest {
        self.server.forget();
        self.server.answer_next(1, token("opaque"));
        self.fetch(text).await.expect(text);
        self.server.requests().pop().expect("it was sent")
    }

    /// The assertion of a profile: its header and its claims.
    pub(crate) async fn assertion(&self, text: &str) -> Value {
        let request = self.request(text).await;
        let assertion = request.parameter("client_assertion").expect(text);
        let part = |part: Option<&str>| -> Value {
            let json = BASE64_URL_SAFE_NO_PAD.decode(part.unwrap()).unwrap();
            serde_json::from_slice(&json).unwrap()
        };
        let mut parts = assertion.split('.');
        json!({ "header": part(parts.next()), "claims": part(parts.next()) })
    }

    /// A call of the resource by layer and client of a profile.
    pub(crate) async fn call(&self, text: &str) -> Result<StatusCode, Error> {
        let profile = self.load(text).unwrap();
        let client = profile.api_client::<Full<Bytes>>().unwrap();
        let api = profile.layer().unwrap().layer(client);
        let request = Request::post(self.resource.uri("/orders"));
        let request = request.body(Full::from("an order")).unwrap();
        api.oneshot(request).await.map(|response| response.status())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// An answer with this token.
pub(crate) fn token(token: &str) -> Answer {
    let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 });
    Answer::json(StatusCode::OK, body.to_string())
}
