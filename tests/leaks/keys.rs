//! Keys that can't be used, and what is said about them.

use tower_oauth::{
    TokenError,
    client_auth::{ClientSecretBasic, PrivateKeyJwt, TlsClientAuth},
    jose::LocalSigner,
    keystore::ClientIdentity,
    tls::{TlsConfig, TrustAnchors},
    transport::HttpClient,
};

use super::{Collector, SECRET, Secrets, World, assert_unseen};

#[tokio::test]
async fn a_damaged_key_is_not_shown_in_the_error() {
    let collector = Collector::listening();
    let world = World::new().await;
    let (chain, key) = (world.keystore.certificate_pem(), world.keystore.key_pem());
    let mut secrets = Secrets::default();
    secrets.key(key);

    let stranger = world.pki.client("stranger").unwrap();
    let middle = key.len() / 2;
    for damaged in [
        key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        key.replace("PRIVATE KEY", "EC PRIVATE KEY"),
        key.replace("PRIVATE KEY", "CERTIFICATE"),
        key.replace("-----END PRIVATE KEY-----", ""),
        key.replace("-----", ""),
        format!("{}!{}", &key[..middle], &key[middle..]),
        format!("{}{}", &key[..middle], &key[middle + 4..]),
        format!("{key}{key}"),
        format!("{key}{}", stranger.key_pem()),
    ] {
        let damaged = damaged.as_bytes();
        let signer = LocalSigner::from_pem(damaged);
        let identity = ClientIdentity::from_pem(chain.as_bytes(), damaged);
        let swapped = ClientIdentity::from_pem(damaged, chain.as_bytes());
        let trust = TrustAnchors::from_pem(damaged);
        // What can be read all the same is formatted as well.
        for outcome in [
            signer
                .map(|it| collector.debug(&it))
                .map_err(TokenError::from),
            identity
                .map(|it| collector.debug(&it))
                .map_err(TokenError::from),
            swapped
                .map(|it| collector.debug(&it))
                .map_err(TokenError::from),
            trust
                .map(|it| collector.debug(&it))
                .map_err(TokenError::from),
        ] {
            if let Err(error) = outcome {
                collector.error(&error);
            }
        }
    }
    let other = ClientIdentity::from_pem(stranger.certificate_pem().as_bytes(), key.as_bytes());
    collector.error(&other.unwrap_err());
    assert_unseen(&secrets);
}

#[tokio::test]
async fn what_holds_a_key_or_a_secret_does_not_show_it() {
    let collector = Collector::listening();
    let world = World::new().await;
    let mut secrets = Secrets::default();
    secrets.key(world.keystore.key_pem());
    secrets.text("the client secret", SECRET);

    let identity = world.identity();
    let trust = TrustAnchors::from_pem(world.pki.ca_pem().as_bytes()).unwrap();
    let signer = || LocalSigner::from_identity(&identity).unwrap();
    collector.debug(&identity);
    collector.debug(&signer());
    collector.debug(&PrivateKeyJwt::new(signer()).issuer("https://as.example"));
    collector.debug(&TlsClientAuth::new(identity.clone()));
    collector.debug(&ClientSecretBasic::new(SECRET));
    collector.debug(&TlsConfig::new(trust.clone()).identity(&identity));
    collector.debug(&trust);
    collector.debug(&HttpClient::hyper(trust, Some(identity.clone())).unwrap());
    collector.debug(&world.pki);
    collector.debug(&world.keystore);
    for by in [
        super::By::Secret,
        super::By::Assertion,
        super::By::Certificate,
    ] {
        collector.debug(&world.registration(by));
        let source = world.source(by).extra_parameter("pin", SECRET);
        collector.debug(&source);
        collector.debug(&source.build().unwrap());
        let reserved = world.source(by).extra_parameter("client_secret", SECRET);
        collector.error(&reserved.build().unwrap_err());
    }
    assert_unseen(&secrets);
}
