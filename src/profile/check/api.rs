//! Where tokens go, and how.

use super::Check;
use crate::{
    profile::{
        file::{ApiTable, Foreign},
        settings::Api,
    },
    service::{AllowedOrigins, ForeignOrigin},
};

impl Check<'_, '_> {
    pub(super) fn api(&mut self, table: &ApiTable) -> Api {
        let trust = self.trust("api.truststore", table.truststore.as_ref());
        let proxy = self.proxy("api.proxy", table.proxy.as_ref());
        Api {
            origins: self.origins(table),
            replace_authorization: table.replace_authorization,
            replay_limit: table.replay_limit.map(|size| size.0),
            rejection_as_error: table.rejection_as_error,
            trust,
            proxy,
        }
    }

    fn origins(&mut self, table: &ApiTable) -> Option<AllowedOrigins> {
        let mut origins = match (&table.allowed_origins, table.any_https) {
            (Some(_), true) => {
                let message = "it contradicts `api.allowed_origins`: remove one of the two";
                self.fault("api.any_https", message);
                return None;
            }
            (None, true) => AllowedOrigins::any_https(),
            (Some(listed), false) => {
                // Each by itself, to name the one that is wrong.
                for (at, origin) in listed.iter().enumerate() {
                    if let Err(error) = AllowedOrigins::new([origin]) {
                        self.fault(&format!("api.allowed_origins[{at}]"), error.to_string());
                    }
                }
                if listed.is_empty() {
                    let message = "no origin is allowed to get the token: name at least one, such \
                                   as \"https://api.example\"";
                    self.fault("api.allowed_origins", message);
                }
                AllowedOrigins::new(listed).ok()?
            }
            (None, false) => {
                let keys = [
                    ("allow_plain_http", table.allow_plain_http),
                    ("foreign_origins", table.foreign_origins.is_some()),
                    (
                        "origin_without_authority",
                        table.origin_without_authority.is_some(),
                    ),
                ];
                let message = "it has no effect without `api.allowed_origins`: set them";
                self.in_vain("api", &keys, message);
                return None;
            }
        };
        if table.allow_plain_http {
            origins = origins.allow_plain_http();
        }
        if let Some(foreign) = table.foreign_origins {
            origins = origins.foreign(match foreign {
                Foreign::Refuse => ForeignOrigin::Refuse,
                Foreign::SendWithout => ForeignOrigin::SendWithout,
            });
        }
        match &table.origin_without_authority {
            None => Some(origins),
            Some(origin) => origins
                .without_authority(origin)
                .map_err(|error| self.fault("api.origin_without_authority", error.to_string()))
                .ok(),
        }
    }
}
