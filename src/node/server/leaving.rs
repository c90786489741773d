//! Leaving in good order, and other settings while the node runs.

use std::time::Duration;

use super::life::Life;
use super::serving::limits;
use super::{Due, Server};
use crate::config::Config;
use crate::node::Exit;
use crate::node::connection::Stage;
use crate::node::driver::DriverInput;
use crate::node::outside::Outside;
use crate::wire::encode_goodbye;

impl<O: Outside> Server<O> {
    /// For how long it has been on its way out, if it was asked to stop.
    #[must_use]
    pub fn leaves_for(&self) -> Option<Duration> {
        self.state.leaves_since.map(|since| self.now.since(since))
    }

    /// The node is to stop in good order.
    pub fn begin_to_leave(&mut self) -> Result<(), Exit> {
        self.state.leaves_since = Some(self.now);
        let by = self.now + self.config.cluster.shutdown_timeout;
        let Life::Serving(serving) = &mut self.life else { return Err(Exit::Clean) };
        self.journal.info("stopping", "a signal asks for it");
        self.state.deadlines.set(Due::Leaving, by);
        serving.driver.handle(self.now, DriverInput::Stop { by });
        Ok(())
    }

    /// The configuration was read again; `Err` says what is wrong with it. What can change while
    /// the node runs is applied; a wrong one changes nothing.
    pub fn reload(&mut self, loaded: Result<Config, String>) {
        let new = match loaded {
            Ok(new) => new,
            Err(mistakes) => return self.journal.error("not_reloaded", &mistakes),
        };
        let Some(node) = new.node_by_id(self.me).cloned() else {
            let text = format!("there is no node {} in it any more", self.me);
            return self.journal.error("not_reloaded", &text);
        };
        let fixed = {
            let mut same = new.clone();
            same.cluster.shutdown_timeout = self.config.cluster.shutdown_timeout;
            same.client = self.config.client.clone();
            same.nodes = self.config.nodes.clone();
            same != self.config || self.config.node_by_id(self.me) != Some(&node)
        };
        self.config.cluster.shutdown_timeout = new.cluster.shutdown_timeout;
        self.config.client = new.client;
        self.config.nodes = new.nodes;
        self.state.called_as_of = None;
        match self.life.is_serving() {
            true => self.call_the_members(),
            false => self.call_the_file(),
        }
        if let Life::Serving(serving) = &mut self.life {
            serving.driver.set_limits(limits(&self.config));
        }
        let detail = match fixed {
            true => {
                "limits of clients, ShutdownTimeout and addresses of others hold from now on; \
                     other changes need a restart"
            }
            false => "limits of clients, ShutdownTimeout and addresses of others hold from now on",
        };
        self.journal.info("reloaded", detail);
    }

    /// Tells the others that the node is gone, so that they needn't find out.
    pub fn say_goodbye(&mut self, exit: &Exit) {
        let text = match exit {
            Exit::Clean => "the node has stopped",
            _ => "the node stops",
        };
        let ids: Vec<_> = self.state.connections.keys().copied().collect();
        for id in ids {
            let Some(connection) = self.state.connections.get_mut(&id) else { continue };
            if matches!(connection.stage, Stage::Node { .. } | Stage::Client(_)) {
                encode_goodbye(text, &mut self.state.scratch);
                connection.out.push_urgent(self.state.scratch.split().freeze());
            }
            // Whatever the sockets take at once; nobody waits for the rest.
            let _ = connection.write();
        }
    }
}
