use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use tracing::{Level, Subscriber};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry,
};

use super::*;
use crate::{
    error::ErrorKind,
    events::{AlarmCause, AlarmCounts, RetryOutcome, event},
    token::Generation,
};

/// Keeps the levels of what is said.
#[derive(Clone, Default)]
struct Levels(Arc<Mutex<Vec<Level>>>);

impl<S: Subscriber> Layer<S> for Levels {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        assert_eq!(event.metadata().target(), "tower_oauth");
        self.0.lock().unwrap().push(*event.metadata().level());
    }
}

/// Each event, under the name that it has in the manual.
fn events(error: &TokenError) -> Vec<(&'static str, Event<'_>)> {
    let generation = Generation(7);
    let took = Duration::from_secs(1);
    let cause = Cause::Scheduled;
    let failed = |usable_for| Event::FetchFailed {
        cause,
        error,
        took,
        retry_in: None,
        usable_for,
    };
    let refreshed = |cause| Event::Refreshed {
        cause,
        generation,
        after: took,
    };
    let expiring = |left| Event::CertificateExpiring {
        not_after: UNIX_EPOCH,
        left,
    };
    let rejected = |first| Event::Rejected {
        origin: "https://api.example",
        generation,
        reason: "again",
        hint: "a hint",
        first,
    };
    vec![
        ("`FetchStarted`", Event::FetchStarted { cause }),
        (
            "`FetchSucceeded`",
            Event::FetchSucceeded {
                cause,
                generation,
                took,
                expires_in: None,
                usable_until: None,
                certificate_not_after: None,
            },
        ),
        (
            "`FetchFailed`, the old token still good",
            failed(Some(took)),
        ),
        ("`FetchFailed`, no token left", failed(None)),
        (
            "`Refreshed` because the token was refused",
            refreshed(Cause::Rejected(generation)),
        ),
        ("`Refreshed` for another cause", refreshed(Cause::Rotation)),
        (
            "`LifetimeCollapsed`",
            Event::LifetimeCollapsed {
                generation,
                from: took,
                to: took,
            },
        ),
        (
            "`IdentityRotated`",
            Event::IdentityRotated {
                generation,
                thumbprint: None,
                not_after: None,
            },
        ),
        ("`ReloadFailed`", Event::ReloadFailed { error }),
        ("`CertificateExpiring`", expiring(took)),
        ("`CertificateExpiring`, none left", expiring(Duration::ZERO)),
        ("`TokenMisbound`", Event::TokenMisbound { generation }),
        ("`ProfileChanged`", Event::ProfileChanged),
        ("`ProfileRefused`", Event::ProfileRefused { error }),
        (
            "`MetadataNotRenewed`",
            Event::MetadataNotRenewed {
                issuer: "https://as.example",
                error,
            },
        ),
        (
            "`EndpointMoved`",
            Event::EndpointMoved {
                issuer: "https://as.example",
                kept: "https://as.example",
                named: "https://elsewhere.example",
            },
        ),
        (
            "`NotAdvertised`",
            Event::NotAdvertised {
                issuer: "https://as.example",
                list: "token_endpoint_auth_methods_supported",
                value: "private_key_jwt",
            },
        ),
        (
            "`ClocksApart`",
            Event::ClocksApart {
                server: "https://as.example",
                seconds: 3600,
                corrected_by: 300,
            },
        ),
        (
            "`Retried`",
            Event::Retried {
                outcome: RetryOutcome::Healed,
            },
        ),
        ("`Rejected`, the first of a run", rejected(true)),
        ("`Rejected`, the others", rejected(false)),
        (
            "`AlarmRaised`",
            Event::AlarmRaised {
                cause: AlarmCause::Rollovers,
                counts: AlarmCounts::default(),
                window: took,
                origin: None,
            },
        ),
        (
            "`AlarmCleared`",
            Event::AlarmCleared {
                cause: AlarmCause::Rollovers,
                lasted: took,
            },
        ),
        ("`Closed`", Event::Closed),
        ("`TokenRevoked`", Event::TokenRevoked),
        ("`TokenNotRevoked`", Event::TokenNotRevoked { error }),
    ]
}

#[test]
fn each_event_is_one_line_of_the_level_that_the_manual_says() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual/observability.md");
    let manual = fs::read_to_string(manual).unwrap();
    let (_, table) = manual.split_once("| event | level |").unwrap();
    let rows: Vec<(&str, &str)> = table
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix("| "))
        .map(|row| {
            let mut cells = row.split(" | ");
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect();

    let error = TokenError::new(ErrorKind::Timeout, "too slow");
    let levels = Levels::default();
    let subscriber = registry().with(levels.clone());
    let said: Vec<(&str, String)> = tracing::subscriber::with_default(subscriber, || {
        events(&error)
            .into_iter()
            .map(|(name, event)| {
                TracingObserver::new().event(&event);
                let said = std::mem::take(&mut *levels.0.lock().unwrap());
                let [level] = said[..] else {
                    panic!("{event:?}: {said:?}");
                };
                (name, level.to_string().to_lowercase())
            })
            .collect()
    });
    let said: Vec<(&str, &str)> = said
        .iter()
        .map(|(name, level)| (*name, level.as_str()))
        .collect();
    assert_eq!(said, rows);
    let names = said.iter().map(|(name, _)| event::name(&name[1..]));
    assert_eq!(names.collect::<BTreeSet<_>>(), event::names());
}
