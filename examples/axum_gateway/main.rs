//! An egress gateway: callers come with a certificate and name a host, and the gateway calls it with
//! the token that this caller may have used there.
//!
//! `cargo run --example axum_gateway` runs it between embedded servers: callers that may and that may
//! not, and a file of profiles that changes while calls go on. It prints what happens, and fails if that
//! is not as told. A program of its own needs the features `axum08` and `profile`.

use std::{
    error::Error,
    io::{self, Write},
};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};

use self::world::{Told, World};

mod gateway;
mod inbound;
pub(crate) mod world;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    run(&mut io::stdout()).await
}

/// Tells the story, and fails if it isn't as told.
pub(crate) async fn run(out: &mut impl Write) -> Result<(), Failure> {
    let mut world = World::start().await?;

    for (who, caller, what, api, expected) in [
        ("the shop", &world.shop, "orders", &world.orders, 200),
        ("the office", &world.office, "bills", &world.bills, 200),
        ("the shop", &world.shop, "bills", &world.bills, 403),
        ("a stranger", &world.stranger, "orders", &world.orders, 403),
    ] {
        // It streams: the gateway doesn't know how long it is.
        let body = Body::new(Full::new(Bytes::from("tea")).map_frame(|frame| frame));
        let answer = world.call(caller, api, body).await?;
        let status = answer.status().as_u16();
        writeln!(out, "{who} calls {what}: {status}")?;
        expect(status == expected, "the wrong answer")?;
    }
    // A token each, and no call that wasn't granted.
    expect(world.server.counters().token_requests == 2, "more tokens")?;
    expect(world.bills.counters().calls == 1, "more calls")?;

    let changed = world.change(&world.profiles("orders-next")).await?;
    expect(changed == Told::Changed, "the file wasn't taken")?;
    let client = world.client_id();
    writeln!(out, "the file changes while the shop calls: {client}")?;

    let broken = world.profiles("orders").replace("client_id", "client");
    let Told::Refused(why) = world.change(&broken).await? else {
        return Err("a file with a mistake was taken".into());
    };
    expect(why.contains("no such key"), &why)?;
    let client = world.client_id();
    writeln!(out, "a file with a mistake is refused: still {client}")?;
    let refused = [
        world.orders.counters().refused,
        world.bills.counters().refused,
    ];
    expect(refused == [0, 0], "a token was refused")?;

    writeln!(out, "as told")?;
    Ok(())
}

fn expect(is: bool, otherwise: &str) -> Result<(), Failure> {
    if is { Ok(()) } else { Err(otherwise.into()) }
}
