//! Signals: leaving in good order, and reading the configuration again.

use std::env;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::life::Life;
use super::serving::limits;
use super::{Due, Server};
use crate::config;
use crate::node::connection::Stage;
use crate::node::driver::DriverInput;
use crate::node::{Exit, ONE_REQUEST};
use crate::wire::encode_goodbye;

impl Server {
    pub(super) fn take_signals(&mut self) -> Result<(), Exit> {
        let pending: Vec<i32> = self.signals.pending().collect();
        for signal in pending {
            match signal {
                SIGTERM | SIGINT => match self.state.leaves_since {
                    None => self.begin_to_leave()?,
                    Some(since) if self.now.since(since) < ONE_REQUEST => {}
                    Some(_) => return Err(Exit::AtOnce { signal }),
                },
                SIGHUP => self.reload(),
                _ => {}
            }
        }
        Ok(())
    }

    fn begin_to_leave(&mut self) -> Result<(), Exit> {
        self.state.leaves_since = Some(self.now);
        if self.is_terminal {
            eprintln!("SHUTTING DOWN, PLEASE WAIT FOR FULL STOP");
        }
        let by = self.now + self.config.cluster.shutdown_timeout;
        let Life::Serving(serving) = &mut self.life else { return Err(Exit::Clean) };
        self.journal.info("stopping", "a signal asks for it");
        self.state.deadlines.set(Due::Leaving, by);
        serving.driver.handle(self.now, DriverInput::Stop { by });
        Ok(())
    }

    /// Reads the configuration again and applies what can change while the node runs. A wrong
    /// one changes nothing.
    fn reload(&mut self) {
        let loaded = config::load(&self.config_path, &self.overrides, env::vars_os());
        let new = match loaded {
            Ok(loaded) => loaded.config,
            Err(mistakes) => {
                return self.journal.error("not_reloaded", &mistakes.to_string());
            }
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
        for other in new.nodes.iter().filter(|other| other.id != self.me) {
            self.calls.set(other.id, &other.address(), self.now);
        }
        self.config.nodes = new.nodes;
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
    pub(super) fn say_goodbye(&mut self, exit: &Exit) {
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
