//! The soak, for a short while.

#[path = "../../../examples/soak/main.rs"]
#[allow(dead_code, reason = "its `main` isn't called here")]
mod example;

#[test]
fn no_call_fails_without_a_cause_and_no_task_is_left() {
    let mut told = Vec::new();
    let good = example::run(&mut told, 1, example::Until::Called(1_000)).unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(good, "{told}");
    let last = told.lines().last().unwrap();
    assert!(last.starts_with("calls="), "{told}");
    assert!(last.contains(" failed_unexpectedly=0 "), "{told}");
    assert!(last.ends_with(" tasks_left=0"), "{told}");
}
