//! What the doctor says: a line a step.

use std::{
    fmt,
    io::{self, Write},
};

use serde_json::json;

/// The steps, in their order. Each needs those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Profile,
    Keystore,
    Trust,
    Network,
    Tls,
    Clock,
    Request,
    Token,
    Call,
}

/// What is wrong, where it is set, and what to change.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) problem: String,
    /// The key in the profile, and what it is set to there.
    pub(crate) setting: String,
    pub(crate) value: String,
    pub(crate) cure: String,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Aligned and in colour: a person reads it.
    Terminal,
    /// Fields with single spaces between them: another program reads it.
    Plain,
    /// One JSON object a line.
    Json,
}

/// Where the lines go.
pub(crate) struct Report<'a> {
    pub(crate) out: &'a mut (dyn Write + Send),
    pub(crate) style: Style,
}

impl Step {
    /// What the program ends with when it stops here. 1 and 2 are what other programs mean by them.
    pub(crate) fn exit_code(self) -> u8 {
        10 + self as u8
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Profile => "profile",
            Self::Keystore => "keystore",
            Self::Trust => "trust",
            Self::Network => "network",
            Self::Tls => "tls",
            Self::Clock => "clock",
            Self::Request => "request",
            Self::Token => "token",
            Self::Call => "call",
        })
    }
}

impl Report<'_> {
    pub(crate) fn ok(&mut self, step: Step, fact: &str) -> io::Result<()> {
        match self.style {
            Style::Terminal => writeln!(self.out, "\x1b[32mok\x1b[0m    {step:<9} {fact}"),
            Style::Plain => writeln!(self.out, "ok {step} {fact}"),
            Style::Json => {
                let line = json!({ "step": step.to_string(), "ok": true, "fact": fact });
                writeln!(self.out, "{line}")
            }
        }
    }

    pub(crate) fn fault(&mut self, step: Step, fault: &Fault) -> io::Result<()> {
        let Fault {
            problem,
            setting,
            value,
            cure,
        } = fault;
        match self.style {
            Style::Terminal => {
                writeln!(self.out, "\x1b[31mfault\x1b[0m {step:<9} {problem}")?;
                writeln!(
                    self.out,
                    "      \x1b[1msetting\x1b[0m   {setting} = {value}"
                )?;
                writeln!(self.out, "      \x1b[1mcure\x1b[0m      {cure}")
            }
            Style::Plain => {
                writeln!(self.out, "fault {step} {problem}")?;
                writeln!(self.out, "setting {setting} = {value}")?;
                writeln!(self.out, "cure {cure}")
            }
            Style::Json => {
                let line = json!({
                    "step": step.to_string(),
                    "ok": false,
                    "problem": problem,
                    "setting": setting,
                    "value": value,
                    "cure": cure,
                    "exit_code": step.exit_code(),
                });
                writeln!(self.out, "{line}")
            }
        }
    }
}
