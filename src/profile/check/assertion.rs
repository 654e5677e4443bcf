//! Assertions: made here, or by the platform.

use super::Check;
use crate::{
    client_auth::{Audience, FileAssertion},
    profile::{
        file::{AssertionTable, AudienceFrom, ProfileTable},
        quantity::Span,
        settings::{Assertion, AssertionHeader, AssertionTerms, Auth, Choice},
    },
};

impl Check<'_, '_> {
    pub(super) fn private_key_jwt(
        &mut self,
        file: &ProfileTable,
        table: &AssertionTable,
    ) -> Option<Auth> {
        if let Some(path) = &table.file {
            return Some(Auth::File(self.of_platform(path, table)));
        }
        self.not_of_platform(table);
        if table.key_file.is_some() {
            let keys = [("x5t_s256", table.x5t_s256), ("x5c", table.x5c)];
            let message = "a bare key has no certificate: put both into `keystore`";
            self.in_vain("assertion", &keys, message);
        }
        let key_id = self.choice("kid", table.kid.as_ref(), table.without_kid);
        let terms = self.terms(file, table)?;
        Some(Auth::Assertion(Assertion {
            key_file: table.key_file.as_deref().map(|it| self.path(it)),
            header: AssertionHeader {
                algorithm: table.alg.map(Into::into),
                key_id,
                x5t_s256: table.x5t_s256,
                x5c: table.x5c,
            },
            terms,
        }))
    }

    pub(super) fn spiffe_jwt(&mut self, table: &AssertionTable) -> Option<Auth> {
        let Some(path) = &table.file else {
            let message = "spiffe_jwt needs the file that the platform writes the JWT-SVID to: \
                           name it";
            self.fault("assertion.file", message);
            return None;
        };
        Some(Auth::File(self.of_platform(path, table).spiffe()))
    }

    pub(super) fn client_secret_jwt(
        &mut self,
        file: &ProfileTable,
        table: &AssertionTable,
    ) -> Option<AssertionTerms> {
        let message = "it has no effect on an assertion that is made with a secret: remove it";
        let keys = [
            &[("file", table.file.is_some())],
            &key_and_header(table)[..],
        ]
        .concat();
        self.in_vain("assertion", &keys, message);
        self.not_of_platform(table);
        self.terms(file, table)
    }

    fn of_platform(&mut self, path: &str, table: &AssertionTable) -> FileAssertion {
        let message = "it has no effect on an assertion that the platform writes to a file: remove \
                       it, or `assertion.file`";
        self.in_vain("assertion", &key_and_header(table), message);
        let terms = [
            ("aud", table.aud.is_some()),
            ("aud_from", table.aud_from.is_some()),
            ("typ", table.typ.is_some()),
            ("without_typ", table.without_typ),
            ("lifetime", table.lifetime.is_some()),
        ];
        self.in_vain("assertion", &terms, message);
        let auth = FileAssertion::new(self.path(path));
        if table.without_client_id {
            auth.without_client_id()
        } else {
            auth
        }
    }

    fn not_of_platform(&mut self, table: &AssertionTable) {
        let keys = [("without_client_id", table.without_client_id)];
        self.in_vain(
            "assertion",
            &keys,
            "it has no effect without `assertion.file`",
        );
    }

    fn terms(&mut self, file: &ProfileTable, table: &AssertionTable) -> Option<AssertionTerms> {
        let typ = self.choice("typ", table.typ.as_ref(), table.without_typ);
        let lifetime = table.lifetime.map(|Span(lifetime)| lifetime);
        if lifetime.is_some_and(|it| it.is_zero() || it.subsec_nanos() > 0) {
            let message = "an assertion lives for whole seconds, one at least";
            self.fault("assertion.lifetime", message);
        }
        let audience = match (&table.aud, table.aud_from) {
            (Some(_), Some(_)) => {
                let message = "it contradicts `assertion.aud`: remove one of the two";
                self.fault("assertion.aud_from", message);
                return None;
            }
            (Some(aud), None) if aud.is_empty() => {
                self.fault(
                    "assertion.aud",
                    "an assertion is for somebody: name the server",
                );
                return None;
            }
            (Some(aud), None) => Audience::Exact(aud.clone()),
            (None, Some(from)) => from.into(),
            (None, None) => AudienceFrom::Issuer.into(),
        };
        if audience == Audience::Issuer && file.issuer.is_none() {
            let message = "an assertion is for the issuer of the server: set it, or \
                           `assertion.aud` where the server wants another audience";
            self.fault("issuer", message);
            return None;
        }
        Some(AssertionTerms {
            audience,
            typ,
            lifetime,
        })
    }

    fn choice(&mut self, key: &str, this: Option<&String>, nothing: bool) -> Choice {
        match (this, nothing) {
            (Some(_), true) => {
                let message = format!("it contradicts `assertion.{key}`: remove one of the two");
                self.fault(&format!("assertion.without_{key}"), message);
                Choice::Nothing
            }
            (Some(this), false) => Choice::This(this.clone()),
            (None, true) => Choice::Nothing,
            (None, false) => Choice::Usual,
        }
    }
}

/// The keys that are about a key, and which of them are set.
fn key_and_header(table: &AssertionTable) -> [(&'static str, bool); 6] {
    [
        ("key_file", table.key_file.is_some()),
        ("alg", table.alg.is_some()),
        ("kid", table.kid.is_some()),
        ("without_kid", table.without_kid),
        ("x5t_s256", table.x5t_s256),
        ("x5c", table.x5c),
    ]
}
