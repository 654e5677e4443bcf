//! The client's key and certificate.

use std::time::Duration;

use super::Check;
use crate::{
    keystore::KeyStore,
    profile::{
        file::{KeystoreTable, ProfileTable},
        quantity::Span,
        settings::{Auth, Keystore},
    },
};

impl Check<'_, '_> {
    /// Whether the keystore is there for what needs it, and needed if it is there.
    pub(super) fn certificate(&mut self, file: &ProfileTable, auth: Option<&Auth>, shows: bool) {
        let needs = match auth {
            None => return,
            Some(Auth::Tls | Auth::SelfSignedTls) => true,
            Some(Auth::Assertion(assertion)) => assertion.key_file.is_none(),
            Some(Auth::File(_) | Auth::Secret(..) | Auth::None) => false,
        };
        let bound = file.tls_client_certificate_bound_access_tokens;
        match (needs, &file.keystore) {
            (true, None) => self.fault(
                "keystore",
                "this method needs the client's key and certificate: set `keystore.path`, or \
                 `keystore.certificate_file` and `keystore.key_file`",
            ),
            (false, None) if bound => self.fault(
                "tls_client_certificate_bound_access_tokens",
                "tokens can't be bound to a certificate that isn't there: set `keystore`",
            ),
            (false, Some(_)) if !bound => self.fault(
                "keystore",
                "it is never used: set `tls_client_certificate_bound_access_tokens` to bind \
                 tokens to its certificate, or remove it",
            ),
            _ => {}
        }
        if shows {
            return;
        }
        let message = "it has no effect, because no certificate is shown: set \
                       `tls_client_certificate_bound_access_tokens`, or remove it";
        let keys = [
            ("require_bound_tokens", file.require_bound_tokens),
            ("mtls_token_endpoint", file.mtls_token_endpoint.is_some()),
        ];
        self.in_vain("", &keys, message);
    }

    pub(super) fn keystore(&mut self, table: &KeystoreTable) -> Option<Keystore> {
        let at = |path: &Option<String>| path.as_deref().map(|path| self.path(path));
        let (path, certificates, key) = (
            at(&table.path),
            at(&table.certificate_file),
            at(&table.key_file),
        );
        let (store, files) = match (path, certificates, key) {
            (Some(path), None, None) => (Some(KeyStore::file(&path)), vec![path]),
            (None, Some(certificates), Some(key)) => {
                let store = KeyStore::pem_files(&certificates, &key);
                (Some(store), vec![certificates, key])
            }
            (Some(_), ..) => {
                let message = "a keystore is one file or a pair of PEM files: remove `path`, or \
                               `certificate_file` and `key_file`";
                self.fault("keystore.path", message);
                (None, Vec::new())
            }
            (None, Some(_), None) => {
                self.fault(
                    "keystore.key_file",
                    "no key: name the PEM file that holds it",
                );
                (None, Vec::new())
            }
            (None, None, Some(_)) => {
                let message = "no certificate: name the PEM file that holds it";
                self.fault("keystore.certificate_file", message);
                (None, Vec::new())
            }
            (None, None, None) => {
                let message = "no file: set `path`, or `certificate_file` and `key_file`";
                self.fault("keystore", message);
                (None, Vec::new())
            }
        };
        if table.alias.is_some() && table.certificate_file.is_some() {
            let message = "PEM files have no aliases: remove it";
            self.fault("keystore.alias", message);
        }
        let password = self.password(
            "keystore.password",
            table.password_file.as_deref(),
            table.password_env.as_deref(),
        );
        let key_password = self.password(
            "keystore.key_password",
            table.key_password_file.as_deref(),
            table.key_password_env.as_deref(),
        );
        let poll_interval = table.poll_interval.map(|Span(interval)| interval);
        if poll_interval.is_some_and(|it| it < Duration::from_secs(1)) {
            self.fault("keystore.poll_interval", "it is a second at least");
        }
        let notices = table.expiry_notices.as_ref();
        let mut store = store?;
        if let Some(alias) = &table.alias {
            store = store.alias(alias);
        }
        if let Some(password) = password {
            store = store.password(password);
        }
        if let Some(password) = key_password {
            store = store.key_password(password);
        }
        if table.allow_unverified {
            store = store.allow_unverified();
        }
        Some(Keystore {
            store,
            files,
            poll_interval,
            expiry_notices: notices.map(|them| them.iter().map(|Span(it)| *it).collect()),
        })
    }
}
