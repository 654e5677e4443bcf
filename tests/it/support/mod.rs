//! Doubles that several rooms of these tests share.

mod watcher;
mod world;

pub(crate) use self::{
    watcher::Watcher,
    world::{Body, Resource, World, layer, origins, refusal, request, request_to, token},
};
