//! A search that finds nothing proves something only if it finds what is there.

use std::{error::Error, fmt};

use bytes::Bytes;

use super::{Collector, Record, Secrets, World};

#[derive(Debug)]
struct Plain(&'static str);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "display of {}", self.0)
    }
}

impl Error for Plain {}

#[derive(Debug)]
struct Chained(Plain);

impl fmt::Display for Chained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this level only")
    }
}

impl Error for Chained {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn the_collector_sees_what_is_planted() {
    let collector = Collector::listening();
    let span = tracing::trace_span!(target: "planted::span", "name", by = "marker-span", late = tracing::field::Empty);
    span.record("late", "marker-late");
    tracing::trace!(target: "planted::event", "marker-message");
    tracing::trace!(target: "planted::event", field = ?Plain("marker-debug"));
    tracing::trace!(target: "planted::event", field = %Plain("marker-display"));
    let error: &(dyn Error + 'static) = &Chained(Plain("marker-source"));
    tracing::trace!(target: "planted::event", error);
    log::trace!(target: "planted::log", "marker-log");
    collector.debug(&Plain("marker-value"));
    collector.error(&Chained(Plain("marker-chain")));
    std::thread::spawn(|| panic!("marker-panic"))
        .join()
        .unwrap_err();

    let unseen = |marker: &&str| {
        let records = collector.records();
        !records.iter().any(|record| record.text.contains(marker))
    };
    let markers = [
        "marker-span",
        "marker-late",
        "marker-message",
        "marker-debug",
        "display of marker-display",
        "display of marker-source",
        "marker-log",
        "marker-value",
        "display of marker-chain",
        "marker-panic",
    ];
    let unseen: Vec<_> = markers.into_iter().filter(unseen).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn a_secret_is_recognised_in_every_spelling() {
    let secret = "AbCdEf0123456789-\"GhIjKlMnOp";
    let mut secrets = Secrets::default();
    secrets.text("the secret", secret);
    let octets = secret.as_bytes();
    let spaced: Vec<_> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    for text in [
        secret.to_owned(),
        secret.to_lowercase(),
        format!("half of it: {}", &secret[3..19]),
        format!("{secret:?}"),
        format!("{octets:?}"),
        format!("{octets:#?}"),
        format!("{octets:02x?}"),
        format!("{:?}", Bytes::from_static(octets)),
        spaced.join(" "),
        spaced.join(":"),
    ] {
        assert!(!seen(&secrets, &text).is_empty(), "{text}");
    }
    assert!(seen(&secrets, "AbCdEf012345678 AbCdEf").is_empty());
}

#[tokio::test]
async fn a_private_key_is_recognised_and_a_public_one_may_be_seen() {
    let world = World::new().await;
    let mut secrets = Secrets::default();
    secrets.key(world.keystore.key_pem());
    let pem = world.keystore.key_pem();
    let base64: String = pem.lines().filter(|line| !line.contains("---")).collect();
    for text in [pem.to_owned(), format!("{pem:?}"), base64] {
        assert!(!seen(&secrets, &text).is_empty());
    }
    assert!(seen(&secrets, world.keystore.public_key_pem()).is_empty());
    assert!(seen(&secrets, world.keystore.certificate_pem()).is_empty());
}

fn seen(secrets: &Secrets, text: &str) -> Vec<&'static str> {
    let record = Record {
        from: String::new(),
        text: text.to_owned(),
    };
    let seen = secrets.seen_in([&record]);
    seen.into_iter().map(|(name, _)| name).collect()
}
