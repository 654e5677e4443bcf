//! What is asked for.

use std::collections::BTreeMap;

use super::Check;
use crate::{
    grant::{is_extra_header, is_reserved_parameter},
    profile::{file::ProfileTable, secret::SecretPlace},
    protocol::Scope,
};

impl Check<'_, '_> {
    pub(super) fn scope(&mut self, file: &ProfileTable) -> Option<Scope> {
        let scope = file.scope.as_deref().unwrap_or_default().parse();
        scope
            .map_err(|invalid| self.fault("scope", format!("{invalid}")))
            .ok()
    }

    pub(super) fn extra_parameters(&mut self, file: &ProfileTable) -> Vec<(String, SecretPlace)> {
        let given = ("extra_parameters", &file.extra_parameters);
        let files = ("extra_parameter_files", &file.extra_parameter_files);
        self.extra(given, files, |name| !is_reserved_parameter(name))
    }

    pub(super) fn extra_headers(&mut self, file: &ProfileTable) -> Vec<(String, SecretPlace)> {
        let given = ("extra_headers", &file.extra_headers);
        let files = ("extra_header_files", &file.extra_header_files);
        self.extra(given, files, is_extra_header)
    }

    fn extra(
        &mut self,
        (given_key, given): (&str, &BTreeMap<String, String>),
        (files_key, files): (&str, &BTreeMap<String, String>),
        is_extra: impl Fn(&str) -> bool,
    ) -> Vec<(String, SecretPlace)> {
        let mut extra = Vec::new();
        for (name, value) in given {
            if name.is_empty() || !is_extra(name) {
                let message = "it can't be an extra one: it has a setting of its own, or isn't a \
                               name";
                self.faults.at_key_of(given_key, name, message);
            }
            extra.push((name.clone(), SecretPlace::Given(value.as_str().into())));
        }
        for (name, path) in files {
            if name.is_empty() || !is_extra(name) {
                let message = "it can't be an extra one: it has a setting of its own, or isn't a \
                               name";
                self.faults.at_key_of(files_key, name, message);
            } else if given.contains_key(name) {
                let message = format!("it contradicts `{given_key}`, which has it too: remove one");
                self.faults.at_key_of(files_key, name, message);
            }
            extra.push((name.clone(), SecretPlace::File(self.path(path))));
        }
        extra
    }
}
