//! Whether a file can be meant: contradictions, and values that no setting takes.

mod api;
mod assertion;
mod client;
mod keystore;
mod limits;
mod request;
mod server;

use std::path::{Path, PathBuf};

use super::{
    fault::Faults,
    file::ProfileTable,
    secret::SecretPlace,
    settings::{Auth, Settings},
};
use crate::keystore::Password;

/// Checks all that can be checked without another file.
pub(super) fn check(file: &ProfileTable, base: &Path, faults: &mut Faults<'_>) -> Option<Settings> {
    Check { base, faults }.profile(file)
}

struct Check<'a, 'b> {
    base: &'a Path,
    faults: &'a mut Faults<'b>,
}

impl Check<'_, '_> {
    /// Each part is looked at, whatever is wrong with those before.
    fn profile(&mut self, file: &ProfileTable) -> Option<Settings> {
        let server = self.server(file);
        let client_id = file.client_id.clone().filter(|id| !id.is_empty());
        if client_id.is_none() {
            self.fault("client_id", "no client_id: set it");
        }
        let keystore = file.keystore.as_ref().and_then(|it| self.keystore(it));
        let auth = self.auth(file);
        let is_mutual_tls = matches!(auth, Some(Auth::Tls | Auth::SelfSignedTls));
        let shows = is_mutual_tls || file.tls_client_certificate_bound_access_tokens;
        self.certificate(file, auth.as_ref(), shows);

        let scope = self.scope(file);
        let extra_parameters = self.extra_parameters(file);
        let extra_headers = self.extra_headers(file);
        let is_plain_http = server.as_ref().map(|server| server.is_plain_http(shows));
        let (trust, proxy) = self.reach(&file.authorization_server, is_plain_http, shows);
        let api = self.api(&file.api);
        let lifetime = self.lifetime(&file.lifetime);
        let (limits, fetch_deadline) = self.limits(&file.limits);
        let server = server?;
        Some(Settings {
            issuer: file.issuer.clone(),
            server: server.server,
            mtls_token_endpoint: file.mtls_token_endpoint.clone(),
            revocation_endpoint: file.revocation_endpoint.clone(),
            revoke_on_shutdown: file.revoke_on_shutdown,
            allow_plain_http: file.allow_plain_http,
            is_plain_http: is_plain_http?,
            client_id: client_id?,
            auth: auth?,
            keystore,
            bound_tokens: file.tls_client_certificate_bound_access_tokens,
            require_bound_tokens: file.require_bound_tokens,
            scope: scope?,
            resources: file.resource.clone(),
            audiences: file.audience.clone(),
            extra_parameters,
            extra_headers,
            trust,
            proxy,
            api,
            lifetime,
            limits,
            fetch_deadline,
        })
    }

    fn fault(&mut self, key: &str, message: impl Into<String>) {
        self.faults.at(key, message);
    }

    /// Tells which of these keys are set in vain.
    fn in_vain(&mut self, table: &str, keys: &[(&str, bool)], message: &str) {
        for (key, _) in keys.iter().filter(|(_, set)| *set) {
            let dot = if table.is_empty() { "" } else { "." };
            self.fault(&format!("{table}{dot}{key}"), message);
        }
    }

    /// Paths are relative to the profile's own directory.
    fn path(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    fn password(&mut self, key: &str, file: Option<&str>, env: Option<&str>) -> Option<Password> {
        match self.secret(key, file, env)? {
            SecretPlace::File(path) => Some(Password::file(path)),
            SecretPlace::Variable(name) => Some(Password::env(name)),
            SecretPlace::Given(_) => None,
        }
    }

    fn secret(&mut self, key: &str, file: Option<&str>, env: Option<&str>) -> Option<SecretPlace> {
        match (file, env) {
            (Some(_), Some(_)) => {
                let message = format!("it contradicts `{key}_file`: remove one of the two");
                self.fault(&format!("{key}_env"), message);
                None
            }
            (Some(file), None) => Some(SecretPlace::File(self.path(file))),
            // The names that no environment can have: asking for them panics on some systems.
            (None, Some(env)) if env.is_empty() || env.contains(['=', '\0']) => {
                let message = "it isn't the name of an environment variable";
                self.fault(&format!("{key}_env"), message);
                None
            }
            (None, Some(env)) => Some(SecretPlace::Variable(env.to_owned())),
            (None, None) => None,
        }
    }
}
