//! What the doctor is asked.

use std::path::PathBuf;

use http::Uri;

pub(crate) const USAGE: &str = "\
usage: doctor PROFILE [--profile NAME] [--call URL] [--json]

PROFILE         the file, TOML or JSON
--profile NAME  which of its profiles, when it has several
--call URL      calls this address with the token, by GET
--json          one JSON object a line

The exit code tells the step at which it stopped: 10 profile, 11 keystore, 12 trust, 13 network,
14 tls, 15 clock, 16 request, 17 token, 18 call; 2 is for arguments that can't be meant.";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) file: PathBuf,
    pub(crate) profile: Option<String>,
    pub(crate) call: Option<Uri>,
    pub(crate) json: bool,
}

impl Arguments {
    /// Reads what stands behind the program's name.
    pub(crate) fn parse(given: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut given = given.into_iter();
        let (mut file, mut profile, mut call, mut json) = (None, None, None, false);
        while let Some(argument) = given.next() {
            let mut value = || {
                given
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--profile" => profile = Some(value()?),
                "--call" => {
                    let url = value()?;
                    let parsed: Option<Uri> =
                        url.parse().ok().filter(|it: &Uri| it.host().is_some());
                    call = Some(parsed.ok_or_else(|| format!("{url:?} is no address"))?);
                }
                "--json" => json = true,
                flag if flag.starts_with('-') => return Err(format!("unknown argument {flag}")),
                path if file.is_none() => file = Some(PathBuf::from(path)),
                _ => return Err("only one profile can be looked at".into()),
            }
        }
        let file = file.ok_or("which profile?")?;
        Ok(Self {
            file,
            profile,
            call,
            json,
        })
    }
}
