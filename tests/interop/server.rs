//! The server's process, and what it says about itself.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde::Deserialize;
use tower_oauth::{keystore::ClientIdentity, testing::ClientPem, tls::TrustAnchors};

/// A running oidc-provider with its resource; it ends when this is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) facts: Facts,
}

/// What the server says when it is ready.
#[derive(Deserialize)]
pub(crate) struct Facts {
    pub(crate) issuer: String,
    pub(crate) token_endpoint: String,
    pub(crate) resource: String,
    pub(crate) secret: String,
    ca: String,
    rsa: Pair,
    p256: Pair,
    ed25519: Pair,
}

/// What has come to the resource so far.
#[derive(Deserialize)]
pub(crate) struct Connections {
    /// Of calls with a token bound to a certificate, those over a connection that shows it.
    pub(crate) matched: u64,
    /// And those over any other.
    pub(crate) mismatched: u64,
    handshakes: Vec<Handshake>,
    /// How many are open, that of the asker included.
    pub(crate) open: u64,
    /// When the connection of the asker arrived.
    pub(crate) arrival: u64,
}

#[derive(Deserialize)]
pub(crate) struct Handshake {
    /// The number of the connection, in the order in which they arrived.
    pub(crate) arrival: u64,
    /// The thumbprint of the client's certificate; of a resumed session, of the one it began with.
    certificate: Option<String>,
    pub(crate) resumed: bool,
}

#[derive(Deserialize)]
struct Pair {
    cert: String,
    key: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_trusting("")
    }

    /// It also takes clients' certificates of this authority.
    pub(crate) fn start_trusting(ca_pem: &str) -> Self {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop");
        let mut process = Command::new("node")
            .arg("oidc-provider/server.mjs")
            .current_dir(directory)
            .env("INTEROP_CLIENT_CA", ca_pem)
            // The server ends with its standard input, even when this process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node.js is needed: see tests/interop/run.sh");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the server's output can be read");
        let facts = serde_json::from_str(&line).unwrap_or_else(|error| {
            let _ = process.kill();
            let _ = process.wait();
            panic!(
                "the server doesn't start ({error}): run tests/interop/run.sh, which installs it"
            )
        });
        Self { process, facts }
    }

    pub(crate) fn trust(&self) -> TrustAnchors {
        TrustAnchors::from_pem(self.facts.ca.as_bytes()).unwrap()
    }

    pub(crate) fn rsa(&self) -> ClientIdentity {
        self.facts.rsa.load()
    }

    pub(crate) fn p256(&self) -> ClientIdentity {
        self.facts.p256.load()
    }

    pub(crate) fn ed25519(&self) -> ClientIdentity {
        self.facts.ed25519.load()
    }
}

impl Connections {
    /// The handshakes of connections that show this certificate.
    pub(crate) fn showing(&self, certificate: &ClientPem) -> impl Iterator<Item = &Handshake> {
        let thumbprint = certificate.thumbprint();
        let handshakes = self.handshakes.iter();
        handshakes.filter(move |it| it.certificate.as_deref() == Some(thumbprint))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Pair {
    fn load(&self) -> ClientIdentity {
        ClientIdentity::from_pem(self.cert.as_bytes(), self.key.as_bytes()).unwrap()
    }
}
