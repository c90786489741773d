//! Asking every node how it stands, all at once.

use std::thread;

use super::{Client, Endpoint, Failure, Options};
use crate::wire::StatusReply;

/// How each of the endpoints stands, in their order. They are asked all at once, each of them
/// once, and each has the whole of the time that `options` gives.
pub fn survey(options: &Options) -> Vec<(Endpoint, Result<Box<StatusReply>, Failure>)> {
    let ask = |endpoint: &Endpoint| {
        let endpoints = vec![endpoint.clone()];
        let alone = Options { endpoints, fixed: true, patient: false, ..options.clone() };
        Client::new(alone).status()
    };
    thread::scope(|scope| {
        let asked: Vec<_> = options
            .endpoints
            .iter()
            .map(|endpoint| (endpoint, scope.spawn(move || ask(endpoint))))
            .collect();
        asked
            .into_iter()
            .map(|(endpoint, thread)| {
                (endpoint.clone(), thread.join().expect("a client's thread doesn't panic"))
            })
            .collect()
    })
}
