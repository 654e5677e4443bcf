//! Looks at a profile step by step, from the file to the first token, and says at the first step
//! that fails what is wrong and what to change.
//!
//! ```sh
//! cargo run --example doctor -- profile.toml --call https://api.example/orders
//! ```

mod arguments;
mod cure;
mod examination;
mod report;
mod tap;

use std::{
    env,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use self::{
    arguments::{Arguments, USAGE},
    examination::Examination,
    report::{Report, Style},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<ExitCode> {
    let mut out = io::stdout();
    let terminal = out.is_terminal();
    let code = run(env::args().skip(1), terminal, &mut out).await?;
    Ok(ExitCode::from(code))
}

/// The program, as its tests run it too.
pub(crate) async fn run(
    arguments: impl IntoIterator<Item = String>,
    terminal: bool,
    out: &mut (dyn Write + Send),
) -> io::Result<u8> {
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(problem) => {
            writeln!(out, "{problem}\n\n{USAGE}")?;
            return Ok(2);
        }
    };
    let style = match (arguments.json, terminal) {
        (true, _) => Style::Json,
        (false, true) => Style::Terminal,
        (false, false) => Style::Plain,
    };
    let report = Report { out, style };
    Examination { arguments, report }.run().await
}
