//! The files change in paused time, which goes on by itself when nobody has anything to do.

use std::{
    fs,
    future::Future,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::keystore::{Change, Watch};

const P256: (&[u8], &[u8]) = (
    include_bytes!("../../../tests/keys/p256-client.pem"),
    include_bytes!("../../../tests/keys/p256-sec1.pem"),
);
const RSA: (&[u8], &[u8]) = (
    include_bytes!("../../../tests/keys/rsa-client.pem"),
    include_bytes!("../../../tests/keys/rsa-pkcs8.pem"),
);

struct Pair(PathBuf);

impl Pair {
    fn new(name: &str) -> Self {
        let name = format!("tower-oauth-{}-{name}", std::process::id());
        let pair = Self(std::env::temp_dir().join(name));
        fs::create_dir(&pair.0).unwrap();
        pair.write(P256);
        pair
    }

    fn certificate(&self) -> PathBuf {
        self.0.join("a.crt")
    }

    fn key(&self) -> PathBuf {
        self.0.join("a.key")
    }

    fn write(&self, (certificate, key): (&[u8], &[u8])) {
        fs::write(self.certificate(), certificate).unwrap();
        fs::write(self.key(), key).unwrap();
    }

    fn identity(&self) -> RotatingIdentity {
        RotatingIdentity::from_pem_files(self.certificate(), self.key()).unwrap()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn thumbprint((certificate, key): (&[u8], &[u8])) -> String {
    ClientIdentity::from_pem(certificate, key)
        .unwrap()
        .thumbprint()
}

/// Whether nothing happens for ten minutes.
async fn nothing(watch: &mut Watch) -> bool {
    timeout(Duration::from_secs(600), watch.changed())
        .await
        .is_err()
}

#[allow(clippy::disallowed_methods, reason = "the time is paused")]
async fn lasts<T>(future: impl Future<Output = T>) -> (T, f64) {
    let start = Instant::now();
    let output = future.await;
    (output, (Instant::now() - start).as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn files_that_have_changed_are_read_within_a_minute_or_so() {
    let pair = Pair::new("changed");
    let identity = pair.identity();
    let mut watch = identity.watch();
    assert!(nothing(&mut watch).await);
    pair.write(RSA);
    let (change, seconds) = lasts(watch.changed()).await;
    assert!(matches!(change, Change::New), "{change:?}");
    assert!((1.0..=67.5).contains(&seconds), "{seconds}");
    assert_eq!(identity.latest().thumbprint(), thumbprint(RSA));
    // It is not in use before a server has given a token to it.
    assert_eq!(identity.current().thumbprint(), thumbprint(P256));
    identity.adopt(&identity.latest());
    assert_eq!(identity.current().thumbprint(), thumbprint(RSA));
    assert!(nothing(&mut watch).await);
}

#[tokio::test(start_paused = true)]
async fn the_same_content_written_again_is_no_change() {
    let pair = Pair::new("same");
    let identity = pair.identity();
    pair.write(P256);
    assert!(nothing(&mut identity.watch()).await);
}

#[tokio::test(start_paused = true)]
async fn a_key_a_second_after_its_certificate_is_waited_for() {
    for late in [1, 2] {
        let pair = Pair::new(&format!("late-{late}"));
        let identity = pair.identity();
        let mut watch = identity.watch();
        fs::write(pair.certificate(), RSA.0).unwrap();
        identity.reload();
        let write = async {
            sleep(Duration::from_secs(late)).await;
            fs::write(pair.key(), RSA.1).unwrap();
            std::future::pending().await
        };
        let change = tokio::select! {
            change = watch.changed() => change,
            () = write => unreachable!(),
        };
        assert!(matches!(change, Change::New), "{change:?}");
        assert_eq!(identity.latest().thumbprint(), thumbprint(RSA));
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_pair_is_told_once_and_its_mending_too() {
    let pair = Pair::new("half");
    let identity = pair.identity();
    let mut watch = identity.watch();
    fs::write(pair.key(), RSA.1).unwrap();
    let (change, seconds) = lasts(watch.changed()).await;
    let Change::ReloadFailed(error) = change else {
        panic!("{change:?}");
    };
    assert!(
        error.to_string().contains("a.key is not that of"),
        "{error}"
    );
    assert!(seconds <= 70.0, "{seconds}");
    assert!(nothing(&mut watch).await);
    assert_eq!(identity.latest().thumbprint(), thumbprint(P256));

    // Another half is another failure, though it reads the same.
    fs::write(pair.key(), [RSA.1, b"\n"].concat()).unwrap();
    assert!(matches!(watch.changed().await, Change::ReloadFailed(_)));
    // Who comes later hears of it as well.
    assert!(matches!(
        identity.watch().changed().await,
        Change::ReloadFailed(_)
    ));

    pair.write(P256);
    let change = watch.changed().await;
    assert!(matches!(change, Change::Mended), "{change:?}");
    assert!(nothing(&mut watch).await);
}

#[tokio::test(start_paused = true)]
async fn by_hand_the_files_are_read_at_once() {
    let pair = Pair::new("by-hand");
    let identity = pair.identity();
    let mut watch = identity.watch();
    pair.write(RSA);
    identity.reload();
    let (change, seconds) = lasts(watch.changed()).await;
    assert!(matches!(change, Change::New), "{change:?}");
    assert!(seconds < 0.5, "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn of_many_who_watch_one_looks_and_all_are_told() {
    let pair = Pair::new("many");
    let reads = Arc::new(AtomicUsize::new(0));
    let (certificate, key, counted) = (pair.certificate(), pair.key(), Arc::clone(&reads));
    let identity = RotatingIdentity::builder()
        .files([pair.certificate(), pair.key()], move || {
            counted.fetch_add(1, SeqCst);
            ClientIdentity::from_pem_files(&certificate, &key)
        })
        .unwrap();
    let watches: Vec<_> = (0..10)
        .map(|_| {
            let mut watch = identity.watch();
            tokio::spawn(async move { watch.changed().await })
        })
        .collect();
    tokio::task::yield_now().await;
    pair.write(RSA);
    for watch in watches {
        assert!(matches!(watch.await.unwrap(), Change::New));
    }
    assert_eq!(reads.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_panics_is_tried_again() {
    let pair = Pair::new("panics");
    let reads = AtomicUsize::new(0);
    let (certificate, key) = (pair.certificate(), pair.key());
    let identity = RotatingIdentity::builder()
        .files([pair.certificate()], move || {
            assert_ne!(reads.fetch_add(1, SeqCst), 1, "a bug of the loader's");
            ClientIdentity::from_pem_files(&certificate, &key)
        })
        .unwrap();
    let mut watch = identity.watch();
    pair.write(RSA);
    assert!(matches!(watch.changed().await, Change::New));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_were_tried_side_by_side_the_newer_one_stays() {
    let pair = Pair::new("two");
    let identity = pair.identity();
    let mut watch = identity.watch();
    let first = identity.current();
    pair.write(RSA);
    watch.changed().await;
    let second = identity.latest();
    identity.adopt(&second);
    identity.adopt(&first);
    assert_eq!(identity.current().number(), second.number());
}
