use std::{collections::BTreeSet, fs, path::Path};

use metrics::Unit;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;
use crate::{
    error::{ErrorKind, TokenError},
    events::{AlarmCounts, RetryOutcome, event},
    token::Generation,
};

/// What these events make of metrics that an observer has begun with.
fn seen(events: &[Event<'_>]) -> Vec<String> {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        let observer = MetricsObserver::new().label("token", "orders");
        observer.begin();
        // Reading sets back what there is to begin with.
        recorder.snapshotter().snapshot();
        for event in events {
            observer.event(event);
        }
    });
    let mut seen: Vec<String> = recorder
        .snapshotter()
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let value = match value {
                DebugValue::Counter(0) => return None,
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Gauge(value)
                    if value == 0.0 && key.key().name() == list::ALARM.name() =>
                {
                    return None;
                }
                DebugValue::Gauge(value) => value.to_string(),
                DebugValue::Histogram(values) => format!("{values:?}"),
            };
            let labels: Vec<String> = key
                .key()
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            Some(format!(
                "{}{{{}}} {value}",
                key.key().name(),
                labels.join(",")
            ))
        })
        .collect();
    seen.sort_unstable();
    seen
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn each_event_moves_its_metrics_and_each_metric_is_moved() {
    let error = TokenError::new(ErrorKind::Timeout, "too slow");
    let took = Duration::from_millis(1500);
    let cause = Cause::Rejected(Generation(6));
    let generation = Generation(7);
    let came = |usable_until, certificate_not_after| Event::FetchSucceeded {
        cause,
        generation,
        took,
        expires_in: None,
        usable_until,
        certificate_not_after,
    };
    let failed = |usable_for| Event::FetchFailed {
        cause: Cause::Scheduled,
        error: &error,
        took,
        retry_in: None,
        usable_for,
    };
    let raised = |cause| Event::AlarmRaised {
        cause,
        counts: AlarmCounts::default(),
        window: took,
        origin: Some("https://api.example"),
    };
    let counted = |name: &str| vec![format!("{name}{{token=orders}} 1")];
    let fetch = |cause: &str, outcome: &str| {
        vec![
            format!(
                "tower_oauth_token_fetch_duration_seconds{{outcome={outcome},token=orders}} \
                 [1.5]"
            ),
            format!(
                "tower_oauth_token_fetches_total{{cause={cause},outcome={outcome},token=orders}} 1"
            ),
        ]
    };
    let expiry = |of: &str, value| {
        vec![format!(
            "tower_oauth_{of}_expiry_timestamp_seconds{{token=orders}} {value}"
        )]
    };
    let table: Vec<(Vec<Event<'_>>, Vec<Vec<String>>)> = vec![
        (vec![Event::FetchStarted { cause }], vec![]),
        (
            vec![came(Some(at(2000)), Some(at(3000)))],
            vec![
                expiry("certificate", "3000"),
                expiry("token", "2000"),
                fetch("rejected", "succeeded"),
            ],
        ),
        (
            vec![came(None, None)],
            vec![expiry("token", "inf"), fetch("rejected", "succeeded")],
        ),
        (
            vec![failed(Some(took))],
            vec![fetch("scheduled", "timeout")],
        ),
        (
            vec![failed(None)],
            vec![expiry("token", "0"), fetch("scheduled", "timeout")],
        ),
        (
            vec![Event::Refreshed {
                cause,
                generation,
                after: took,
            }],
            vec![vec![
                "tower_oauth_token_refreshes_total{cause=rejected,token=orders} 1".to_owned(),
            ]],
        ),
        (
            vec![Event::LifetimeCollapsed {
                generation,
                from: took,
                to: took,
            }],
            vec![counted("tower_oauth_token_lifetime_collapses_total")],
        ),
        (
            vec![Event::IdentityRotated {
                generation,
                thumbprint: Some("thumbprint"),
                not_after: None,
            }],
            vec![counted("tower_oauth_identity_rotations_total")],
        ),
        (
            vec![Event::ReloadFailed { error: &error }],
            vec![counted("tower_oauth_identity_reload_failures_total")],
        ),
        (
            vec![Event::CertificateExpiring {
                not_after: at(4000),
                left: took,
            }],
            vec![expiry("certificate", "4000")],
        ),
        (
            vec![Event::TokenMisbound { generation }],
            vec![counted("tower_oauth_token_misbound_total")],
        ),
        (vec![Event::ProfileChanged], vec![]),
        (
            vec![Event::ProfileRefused { error: &error }],
            vec![counted("tower_oauth_profile_reload_failures_total")],
        ),
        (
            vec![Event::MetadataNotRenewed {
                issuer: "https://as.example",
                error: &error,
            }],
            vec![counted("tower_oauth_metadata_renewal_failures_total")],
        ),
        (
            vec![Event::EndpointMoved {
                issuer: "https://as.example",
                kept: "https://as.example",
                named: "https://elsewhere.example",
            }],
            vec![counted("tower_oauth_metadata_endpoint_moves_total")],
        ),
        (
            vec![Event::NotAdvertised {
                issuer: "https://as.example",
                list: "token_endpoint_auth_methods_supported",
                value: "private_key_jwt",
            }],
            vec![],
        ),
        (
            vec![Event::ClocksApart {
                server: "https://as.example",
                seconds: 3600,
                corrected_by: 300,
            }],
            vec![counted("tower_oauth_clock_corrections_total")],
        ),
        (
            vec![Event::TokenRevoked],
            vec![vec![
                "tower_oauth_token_revocations_total{outcome=revoked,token=orders} 1".to_owned(),
            ]],
        ),
        (
            vec![Event::TokenNotRevoked { error: &error }],
            vec![vec![
                "tower_oauth_token_revocations_total{outcome=timeout,token=orders} 1".to_owned(),
            ]],
        ),
        (
            vec![Event::Retried {
                outcome: RetryOutcome::Healed,
            }],
            vec![vec![
                "tower_oauth_retries_total{outcome=healed,token=orders} 1".to_owned(),
            ]],
        ),
        (
            vec![Event::Rejected {
                origin: "https://api.example",
                generation,
                reason: "fresh",
                hint: "a hint",
                first: true,
            }],
            vec![vec![
                "tower_oauth_rejections_total{reason=fresh,token=orders} 1".to_owned(),
            ]],
        ),
        (
            vec![raised(AlarmCause::Rollovers), raised(AlarmCause::Upstream)],
            vec![vec![
                "tower_oauth_alarm{cause=upstream,token=orders} 1".to_owned(),
            ]],
        ),
        (
            vec![
                raised(AlarmCause::Upstream),
                Event::AlarmCleared {
                    cause: AlarmCause::Upstream,
                    lasted: took,
                },
            ],
            vec![],
        ),
        (
            vec![raised(AlarmCause::Upstream), Event::Closed],
            vec![expiry("certificate", "NaN"), expiry("token", "NaN")],
        ),
    ];
    let (mut moved, mut told) = (BTreeSet::new(), BTreeSet::new());
    for (events, expected) in table {
        told.extend(
            events
                .iter()
                .map(|it| event::name(&format!("{it:?}")).to_owned()),
        );
        let seen = seen(&events);
        assert_eq!(seen, expected.concat(), "{events:?}");
        moved.extend(
            seen.iter()
                .map(|series| series.split('{').next().unwrap().to_owned()),
        );
    }
    let listed = list::all().into_iter().map(|(_, it)| it.name.to_owned());
    assert_eq!(moved, listed.collect());
    let all = event::names().into_iter().map(str::to_owned);
    assert_eq!(told, all.collect());
}

#[test]
fn each_metric_is_described_with_its_unit_as_its_name_says() {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        MetricsObserver::new().begin();
        for (kind, metric) in list::all() {
            match kind {
                "counter" => metrics::counter!(metric.name).increment(1),
                "gauge" => metrics::gauge!(metric.name).set(1.0),
                _ => metrics::histogram!(metric.name).record(1.0),
            }
        }
    });
    let described = recorder.snapshotter().snapshot().into_vec();
    for (kind, metric) in list::all() {
        let (_, unit, help, _) = described
            .iter()
            .find(|(key, ..)| key.key().name() == metric.name)
            .unwrap();
        assert_eq!(help.as_deref(), Some(metric.help));
        let seconds = metric.name.ends_with("_seconds");
        let expected = if seconds { Unit::Seconds } else { Unit::Count };
        assert_eq!(*unit, Some(expected), "{}", metric.name);
        let total = metric.name.ends_with("_total");
        assert_eq!(total, kind == "counter", "{}", metric.name);
        assert!(metric.name.starts_with("tower_oauth_"), "{}", metric.name);
    }
}

#[test]
fn what_is_alarming_by_its_first_increase_begins_at_zero() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let observer = MetricsObserver::default();
        // A recorder may be installed after it was made.
        assert!(snapshotter.snapshot().into_vec().is_empty());
        observer.event(&Event::FetchStarted { cause: Cause::Cold });
    });
    let begun = snapshotter.snapshot().into_vec();
    for (metric, series) in [
        (list::ALARM.name(), AlarmCause::ALL.len()),
        (list::REFRESHES.name(), 5),
        (list::RETRIES.name(), RetryOutcome::ALL.len()),
        (list::RELOAD_FAILURES.name(), 1),
        (list::COLLAPSES.name(), 1),
        (list::PROFILE_FAILURES.name(), 1),
        (list::METADATA_FAILURES.name(), 1),
        (list::ENDPOINT_MOVES.name(), 1),
        (list::CLOCKS.name(), 1),
    ] {
        let found = begun.iter().filter(|it| it.0.key().name() == metric);
        assert_eq!(found.count(), series, "{metric}");
    }
    for (key, _, _, value) in begun {
        let zero = [DebugValue::Gauge(0.0.into()), DebugValue::Counter(0)];
        assert!(zero.contains(&value), "{key:?} {value:?}");
    }
}

// ----- what is written about them elsewhere -----

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// All names of metrics in this text. What is made of a histogram counts as it.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_')
        .filter(|word| word.starts_with("tower_oauth_"))
        .map(|word| {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| word.strip_suffix(suffix));
            base.unwrap_or(word).to_owned()
        })
        .collect()
}

fn listed() -> BTreeSet<String> {
    let all = list::all().into_iter();
    all.map(|(_, metric)| metric.name.to_owned()).collect()
}

#[test]
fn the_dashboard_shows_each_metric_and_no_other() {
    let dashboard = read("examples/observability/dashboard.json");
    let json: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let mut queries = String::new();
    for panel in json["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push_str(target["expr"].as_str().unwrap());
            queries.push('\n');
        }
    }
    assert_eq!(named(&queries), listed());
    // What is grouped by is a label, of the metric, of the program or of Prometheus.
    for grouped in queries.split("by (").skip(1) {
        let (labels, rest) = grouped.split_once(')').unwrap();
        let named = named(rest.lines().next().unwrap());
        let (_, metric) = list::all()
            .into_iter()
            .find(|(_, metric)| named.contains(metric.name))
            .unwrap();
        for label in labels.split(", ") {
            let known = metric.labels.contains(&label) || ["instance", "token"].contains(&label);
            assert!(known, "{}: {label}", metric.name);
        }
    }
}

#[test]
fn the_picture_in_the_manual_is_of_this_dashboard() {
    let dashboard = read("examples/observability/dashboard.json");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let picture = read("src/manual/dashboard.svg");
    let panels = dashboard["panels"].as_array().unwrap();
    for it in panels.iter().chain([&dashboard]) {
        let title = it["title"].as_str().unwrap();
        assert!(picture.contains(&format!(">{title}</text>")), "{title}");
    }
    // A blank line would end it in the middle of the page.
    assert!(!picture.contains("\n\n"));
}

#[test]
fn the_alert_rules_name_metrics_that_exist_and_the_ones_to_be_woken_for() {
    let rules = read("examples/observability/alerts.yaml");
    let named = named(&rules);
    assert!(named.is_subset(&listed()), "{named:?}");
    let tests = self::named(&read("examples/observability/alerts.test.yaml"));
    assert!(tests.is_subset(&named), "{tests:?}");
    for metric in [
        list::ALARM.name(),
        list::TOKEN_EXPIRY.name(),
        list::CERTIFICATE_EXPIRY.name(),
        list::FETCHES.name(),
        list::REFRESHES.name(),
        list::REJECTIONS.name(),
        list::RELOAD_FAILURES.name(),
        list::COLLAPSES.name(),
        list::PROFILE_FAILURES.name(),
        list::METADATA_FAILURES.name(),
        list::ENDPOINT_MOVES.name(),
        list::CLOCKS.name(),
    ] {
        assert!(named.contains(metric), "{metric}");
    }
    // What is selected by is a label of the metric.
    let mut selectors = 0;
    for (_, metric) in list::all() {
        for after in rules.split(metric.name).skip(1) {
            let Some(selector) = after.strip_prefix('{') else {
                continue;
            };
            let (selector, _) = selector.split_once('}').unwrap();
            for matcher in selector.split(',') {
                let label = matcher.split(['=', '!']).next().unwrap().trim();
                assert!(metric.labels.contains(&label), "{}: {label}", metric.name);
                selectors += 1;
            }
        }
    }
    assert!(selectors > 0);
}

#[test]
fn the_manual_lists_each_metric_as_it_is() {
    let manual = read("src/manual/observability.md");
    let rows: BTreeSet<&str> = manual
        .lines()
        .filter(|line| line.starts_with("| `tower_oauth_"))
        .collect();
    let expected: BTreeSet<String> = list::all()
        .into_iter()
        .map(|(kind, metric)| {
            let labels: Vec<String> = metric.labels.iter().map(|it| format!("`{it}`")).collect();
            let unit = metric.unit().as_canonical_label();
            format!(
                "| `{}` | {kind} | {} | {} | {} |",
                metric.name,
                if unit.is_empty() { "1" } else { unit },
                labels.join(", "),
                metric.help,
            )
        })
        .collect();
    assert_eq!(rows, expected.iter().map(String::as_str).collect());
}

#[test]
fn the_manual_and_the_alert_rules_explain_each_cause_of_the_alarm() {
    let manual = read("src/manual/observability.md");
    let rules = read("examples/observability/alerts.yaml");
    for cause in AlarmCause::ALL {
        let row = format!("| `{cause}` |");
        assert_eq!(manual.matches(&row).count(), 1, "{cause}");
        assert!(rules.contains(&format!("{cause}: ")), "{cause}");
    }
}
