//! What clients of this kind got wrong in production, each with the tests that hold it.
//!
//! | pitfall | where it is held |
//! | --- | --- |
//! | as many token requests as callers at the start | `layer/rollovers::ten_thousand_first_calls_make_one_token_request` |
//! | the same at a rollover | `layer/rollovers::ten_thousand_calls_refused_at_once_make_one_more_token_request` |
//! | the caller that leads the fetch is cancelled, and all others hang or fail | `life/calls::a_dropped_caller_leaves_the_fetch_running`, `layer/rollovers::a_dropped_call_that_was_held_changes_nothing_for_the_others` |
//! | each late 401 throws away the token that is newer than the one it is about | `pitfalls/in_flight::staggered_401s_about_an_old_token_mint_nothing`, `life/refusals::the_number_of_an_older_token_invalidates_nothing` |
//! | a second 401 is retried for ever, or hidden | `layer/originals::a_second_refusal_is_the_second_response`, `layer/rollovers::an_upstream_that_refuses_every_token_gets_no_call_more_than_twice` |
//! | an answer of 200 without a token, a page of HTML, a 5xx or a 429 ends renewal for good, or takes the good token's place | `pitfalls/answers::no_odd_answer_takes_the_good_token_away_or_ends_renewal` |
//! | an error of OAuth in a 5xx, or in an answer that was torn, is believed | `pitfalls/answers::an_error_that_looks_final_is_not_believed_from_a_torn_connection_or_a_broken_server` |
//! | an early renewal that fails evicts the good token | `life/failures::a_down_server_takes_no_good_token_away`, `pitfalls/answers::no_odd_answer_takes_the_good_token_away_or_ends_renewal` |
//! | an outage: what has expired is sent, calls hang, and all come at once when it is over | `pitfalls/outage::an_outage_is_served_to_the_end_of_the_token_and_heals_without_a_rush` |
//! | a token is good when the request is sent, and has expired when it arrives | `pitfalls/in_flight::a_token_that_expires_under_way_is_replaced_without_another_fetch` |
//! | a token has expired before its answer arrives, and is fetched for ever | `life/schedule::a_second_of_life_and_two_of_latency_serve_every_caller` |
//! | replicas that started together renew together | `src/token/fleet::a_thousand_replicas_that_started_together_have_drifted_apart_after_three_lifetimes` |
//! | two processes revoke each other's tokens for ever, and each looks for the fault at the API | `over_tls/one_token::two_that_revoke_each_others_tokens_are_told_where_the_refusal_is`, `events/alarm::two_that_revoke_each_others_tokens_see_that_only_one_is_active` |
//! | a secret that was replaced is refused until the program starts anew | `over_tls/second_attempt::a_secret_that_is_replaced_while_it_is_under_way_costs_one_request_more` |
//! | a clock that is minutes off is taken for a wrong key | `over_tls/second_attempt::a_server_with_another_time_gets_assertions_of_its_time`, `src/grant/client_credentials/tests/second_attempt::a_wrong_key_beside_a_wrong_clock_costs_one_request_more_and_heals_either_way` |
//! | a program that ends leaves its renewal running, and its token good | `life/shutdown::nothing_of_a_handle_runs_any_more_after_its_shutdown`, `over_tls/revocation::the_token_is_revoked_with_the_credential_that_it_was_fetched_with` |
//! | a wrong credential is tried as often as there are calls | `pitfalls/answers::invalid_client_for_an_hour_costs_thirty_token_requests_at_most` |

mod answers;
mod endpoint;
mod in_flight;
mod outage;

use std::{fs, path::Path};

use http::StatusCode;
use tower::{Layer, ServiceExt};
use tower_oauth::refresh::TokenHandle;

use crate::support::{Resource, layer, request};

/// One call; says whether it went well.
async fn call(handle: &TokenHandle, resource: &Resource) -> bool {
    let api = layer(handle.clone()).layer(resource.clone());
    let response = api.oneshot(request()).await;
    response.is_ok_and(|response| response.status() == StatusCode::OK)
}

#[test]
fn each_test_that_the_table_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = include_str!("pitfalls.rs");
    let rows = table.lines().filter(|line| line.starts_with("//! | "));
    let mut named = 0;
    for row in rows.skip(2) {
        let held = row.split('|').nth(2).unwrap();
        for test in held.split('`').skip(1).step_by(2) {
            let (place, name) = test.split_once("::").unwrap();
            let place = match place.strip_prefix("src/") {
                Some(_) => format!("{place}.rs"),
                None => format!("tests/it/{place}.rs"),
            };
            let text = fs::read_to_string(root.join(&place)).expect(&place);
            assert!(text.contains(&format!("fn {name}()")), "{test}");
            named += 1;
        }
    }
    assert!(named >= 12, "{named}");
}
