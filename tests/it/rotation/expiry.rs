//! A certificate that comes to its end.

use std::time::{Duration, UNIX_EPOCH};

use tokio::sync::mpsc;
use tower_oauth::{
    ManualClock,
    client_auth::TlsClientAuth,
    events::Event,
    grant::ClientCredentials,
    keystore::{KeyStore, RotatingIdentity},
    refresh::TokenHandle,
    testing::{Client, FakeAuthorizationServer, Pki},
};

use super::world::trust;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn its_owner_is_told_thirty_seven_and_one_days_before_and_at_the_end() {
    // Far from now: the server's TLS goes by the machine's own clock.
    let start = UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    let not_after = start + 90 * DAY;
    let pki = Pki::new().unwrap();
    let clock = ManualClock::new(start);
    let client = pki.client_valid("orders", UNIX_EPOCH, not_after).unwrap();
    let server = FakeAuthorizationServer::builder(&pki)
        .client(Client::tls_client_auth("orders", client.certificate_pem()).unwrap())
        .clock(clock.clone())
        .start()
        .await
        .unwrap();
    let pem = client.certificate_pem().to_owned() + client.key_pem();
    let store = KeyStore::bytes(pem).clock(clock.clone());
    let identity = RotatingIdentity::builder().clock(clock.clone());
    let identity = identity.keystore(store).unwrap();
    let source = ClientCredentials::builder(server.token_endpoint())
        .client_id("orders")
        .auth(TlsClientAuth::new(identity))
        .trust(trust(&pki))
        .clock(clock.clone())
        .build()
        .unwrap();
    let (told, mut events) = mpsc::unbounded_channel();
    let handle = TokenHandle::builder(source)
        .clock(clock.clone())
        .observer(move |event: &Event<'_>| {
            if let Event::CertificateExpiring {
                not_after, left, ..
            } = event
            {
                let _ = told.send((*not_after, *left));
            }
        })
        .build();
    handle.ready().await.unwrap();
    let status = handle.status();
    assert_eq!(status.certificate.as_deref(), Some(client.thumbprint()));
    assert_eq!(status.certificate_not_after, Some(not_after));

    let mut day = 0;
    for notice in [30, 7, 1, 0] {
        clock.advance((90 - notice - day) * DAY);
        day = 90 - notice;
        let (end, left) = events.recv().await.unwrap();
        assert_eq!(end, not_after);
        assert!(left <= notice * DAY, "{left:?}");
        assert!(left + DAY / 24 > notice * DAY, "{left:?}");
    }
    assert!(events.try_recv().is_err());
}
