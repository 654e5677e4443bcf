//! `private_key_jwt` with a key that never leaves its HSM: a [`Signer`](tower_oauth::jose::Signer)
//! of one's own, here over PKCS#11.
//!
//! `examples/pkcs11/run.sh` makes a token of SoftHSM and runs this on it, with embedded servers. It
//! prints what happens, and fails if anything is not as told. To use it, take `signer.rs`,
//! `token.rs` and `error.rs`.

mod error;
mod keys;
mod signer;
mod token;

use std::{env, error::Error as StdError, iter::successors, process::ExitCode};

use bytes::Bytes;
use cryptoki::{context::Pkcs11, session::UserType, types::AuthPin};
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_oauth::{
    BoxError, TokenHandle,
    client_auth::PrivateKeyJwt,
    grant::ClientCredentials,
    jose::Algorithm,
    service::{AllowedOrigins, OAuthLayer},
    testing::{Client, FakeAuthorizationServer, FakeResource, Pki},
    tls::{TlsConfig, TrustAnchors, hyper_client},
};

use self::{signer::HsmSigner, token::Token};

#[tokio::main]
async fn main() -> ExitCode {
    match story().await {
        Ok(()) => {
            println!("as told");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", in_full(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn story() -> Result<(), BoxError> {
    let module = token::load(setting("PKCS11_MODULE")?)?;
    let label = setting("PKCS11_TOKEN")?;
    let pin = AuthPin::from(setting("PKCS11_PIN")?);
    let token = Token::new(module.clone(), &label, pin.clone());

    println!(
        "two keys are made on the token, and never leave it: \"orders-ec\" and \"orders-rsa\""
    );
    let (ec, rsa) = make_keys(&module, &token, &pin)?;
    let servers = Servers::start(&ec, &rsa).await?;

    println!("what goes wrong is said in the error of the token call:");
    let typo = AuthPin::from("wrong".to_owned());
    let wrong_pin = Token::new(module.clone(), &label, typo);
    let absent = Token::new(module, "elsewhere", pin);
    for (token, key, algorithm, says) in [
        (&wrong_pin, "orders-ec", Algorithm::ES256, "refused the PIN"),
        (&absent, "orders-ec", Algorithm::ES256, "no token labelled"),
        (&token, "orders-dsa", Algorithm::ES256, "no key labelled"),
        (&token, "orders-rsa", Algorithm::RS256, "no mechanism for"),
    ] {
        let signer = HsmSigner::new(token.clone(), key, algorithm);
        servers.fails(signer, says).await?;
    }

    for (key, algorithm) in [
        ("orders-ec", Algorithm::ES256),
        ("orders-rsa", Algorithm::PS256),
    ] {
        println!("{algorithm}: a call, a rollover of the server, a call");
        let signer = HsmSigner::new(token.clone(), key, algorithm);
        servers.heals(key, signer).await?;
    }
    Ok(())
}

/// Nothing else runs yet: it may block here.
fn make_keys(module: &Pkcs11, token: &Token, pin: &AuthPin) -> Result<(String, String), BoxError> {
    let session = module.open_rw_session(token.slot()?)?;
    session.login(UserType::User, Some(pin))?;
    Ok((
        keys::make_p256(&session, "orders-ec")?,
        keys::make_rsa_2048(&session, "orders-rsa")?,
    ))
}

/// An authorization server that knows each key as a client's, and an API.
struct Servers {
    authorization: FakeAuthorizationServer,
    api: FakeResource,
    trust: TrustAnchors,
}

impl Servers {
    async fn start(ec: &str, rsa: &str) -> Result<Self, BoxError> {
        let pki = Pki::new()?;
        let authorization = FakeAuthorizationServer::builder(&pki)
            .client(Client::private_key_jwt("orders-ec", ec)?)
            .client(Client::private_key_jwt("orders-rsa", rsa)?)
            .start()
            .await?;
        Ok(Self {
            api: FakeResource::builder(&pki)
                .trusting(&authorization)
                .start()
                .await?,
            authorization,
            trust: TrustAnchors::from_pem(pki.ca_pem().as_bytes())?,
        })
    }

    fn handle(&self, client_id: &str, signer: HsmSigner) -> Result<TokenHandle, BoxError> {
        let source = ClientCredentials::builder(self.authorization.token_endpoint())
            .client_id(client_id)
            .auth(PrivateKeyJwt::new(signer).issuer(self.authorization.issuer()))
            .trust(self.trust.clone())
            .build()?;
        Ok(TokenHandle::new(source))
    }

    async fn fails(&self, signer: HsmSigner, says: &str) -> Result<(), BoxError> {
        let Err(error) = self.handle("orders-ec", signer)?.token().await else {
            return Err(format!("a token was issued where {says:?} was expected").into());
        };
        let error = in_full(&error);
        println!("  {error}");
        expect(error.contains(says), "the error says what is wrong")
    }

    async fn heals(&self, client_id: &str, signer: HsmSigner) -> Result<(), BoxError> {
        let origins = AllowedOrigins::new([self.api.origin()])?;
        let mut api = ServiceBuilder::new()
            .layer(OAuthLayer::new(self.handle(client_id, signer)?, origins))
            .service(hyper_client(&TlsConfig::new(self.trust.clone()))?);
        let before = self.authorization.counters();
        for revoked in [false, true] {
            if revoked {
                self.authorization.rollover();
            }
            let call = Request::get(self.api.uri("/orders")).body(Full::<Bytes>::default())?;
            let status = api.ready().await?.call(call).await?.status();
            expect(status == StatusCode::OK, "each call succeeds")?;
        }
        let after = self.authorization.counters();
        let issued = after.issued - before.issued;
        let rejected = after.rejected - before.rejected;
        println!("  both succeeded; {issued} assertions accepted, {rejected} refused");
        expect((issued, rejected) == (2, 0), "2 were accepted, 0 refused")
    }
}

fn setting(name: &str) -> Result<String, BoxError> {
    env::var(name).map_err(|error| format!("{name}: {error}; run.sh sets it").into())
}

fn expect(held: bool, what: &str) -> Result<(), BoxError> {
    held.then_some(())
        .ok_or_else(|| format!("not as told: {what}").into())
}

/// An error with all its causes.
fn in_full(error: &(dyn StdError + 'static)) -> String {
    let chain: Vec<_> = successors(Some(error), |error| (*error).source())
        .map(ToString::to_string)
        .collect();
    chain.join(": ")
}
