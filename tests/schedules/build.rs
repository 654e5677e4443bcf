//! Turns on what stands in for threads and locks.

fn main() {
    println!("cargo::rustc-cfg=tower_oauth_shuttle");
    println!("cargo::rerun-if-changed=build.rs");
}
