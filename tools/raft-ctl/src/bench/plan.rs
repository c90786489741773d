//! What is to be done, and the keys and values it is done with.

use std::time::Duration;

use raft_node::kv::{MAX_COMMAND_BYTES, MAX_KEY_BYTES};
use raft_node::wire::Consistency;

use crate::cli::{BenchArgs, Operation};
use crate::error::CliError;

/// What all keys begin with.
const PREFIX: &[u8] = b"bench:";

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) operation: Operation,
    pub(super) clients: u16,
    pub(super) depth: u16,
    pub(super) key_bytes: usize,
    pub(super) value_bytes: usize,
    pub(super) keys: u64,
    pub(super) measured: Duration,
    pub(super) warm_up: Duration,
    /// Requests per second of an open loop.
    pub(super) rate: Option<f64>,
    pub(super) read_ratio: f64,
    pub(super) threads: u16,
    pub(super) consistency: Consistency,
    /// What a request gets, and a connection to be made.
    pub(super) timeout: Duration,
}

impl Plan {
    pub(super) fn new(
        args: &BenchArgs,
        consistency: Consistency,
        timeout: Duration,
    ) -> Result<Plan, CliError> {
        let digits = (args.keys - 1).to_string().len();
        let least = PREFIX.len() + digits;
        if args.key_size < least {
            let message = format!("--key-size {} is too small", args.key_size);
            return Err(CliError::usage(message)
                .hint(format!("{} keys need at least {least} bytes each", args.keys)));
        }
        let longest = MAX_KEY_BYTES as usize;
        if args.key_size > longest {
            return Err(CliError::usage(format!("--key-size may be at most {longest}")));
        }
        if args.value_size > MAX_COMMAND_BYTES / 2 {
            let most = MAX_COMMAND_BYTES / 2;
            return Err(CliError::usage(format!("--value-size may be at most {most}")));
        }
        let read_ratio = match args.operation {
            Operation::Put => 0.0,
            Operation::Get => 1.0,
            Operation::Mixed => args.read_ratio,
        };
        Ok(Plan {
            operation: args.operation,
            clients: args.clients,
            depth: args.depth,
            key_bytes: args.key_size,
            value_bytes: args.value_size,
            keys: args.keys,
            measured: Duration::from_secs(u64::from(args.seconds)),
            warm_up: Duration::from_secs(u64::from(args.warm_up)),
            rate: args.rate,
            read_ratio,
            threads: args.threads.min(args.clients),
            consistency,
            timeout,
        })
    }

    /// The writing of every key once, before they are read.
    pub(super) fn filling(&self) -> Plan {
        Plan { operation: Operation::Put, read_ratio: 0.0, rate: None, ..self.clone() }
    }

    /// Whether nothing but the leader can answer.
    pub(super) fn needs_leader(&self) -> bool {
        self.read_ratio < 1.0 || self.consistency != Consistency::Stale
    }
}

/// Makes keys, values and choices; the same seed makes the same ones.
pub(super) struct Maker {
    state: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Maker {
    pub(super) fn new(plan: &Plan, seed: u64) -> Maker {
        let mut maker = Maker { state: seed, key: vec![b'0'; plan.key_bytes], value: Vec::new() };
        maker.key[..PREFIX.len()].copy_from_slice(PREFIX);
        while maker.value.len() < plan.value_bytes {
            let word = maker.random().to_le_bytes();
            let room = (plan.value_bytes - maker.value.len()).min(word.len());
            maker.value.extend_from_slice(&word[..room]);
        }
        maker
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.random()) * u128::from(bound);
        (product >> 64) as u64
    }

    /// True in this share of all cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        // As many bits as a float holds exactly.
        let drawn = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < share
    }

    /// The key of this number, and a value that differs from the one before.
    pub(super) fn record(&mut self, number: u64) -> (&[u8], &[u8]) {
        let mut rest = number;
        for digit in self.key[PREFIX.len()..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let word = self.random().to_le_bytes();
        let room = self.value.len().min(word.len());
        self.value[..room].copy_from_slice(&word[..room]);
        (&self.key, &self.value)
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: BenchArgs,
    }

    fn plan(arguments: &str) -> Result<Plan, CliError> {
        let arguments = std::iter::once("bench").chain(arguments.split_whitespace());
        let args = Only::try_parse_from(arguments).unwrap().args;
        Plan::new(&args, Consistency::Linearizable, Duration::from_secs(5))
    }

    #[test]
    fn keys_and_values_have_the_sizes_asked_for() {
        let plan = plan("put --key-size 20 --value-size 3 --keys 1000").unwrap();
        let mut maker = Maker::new(&plan, 7);
        let (key, value) = maker.record(42);
        assert_eq!(key, b"bench:00000000000042");
        assert_eq!(value.len(), 3);
        for _ in 0..1000 {
            assert!(maker.below(1000) < 1000);
        }
    }

    #[test]
    fn choices_come_in_the_share_asked_for() {
        let plan = plan("mixed --read-ratio 0.25").unwrap();
        let mut maker = Maker::new(&plan, 7);
        let reads = (0..10_000).filter(|_| maker.chance(plan.read_ratio)).count();
        assert!((2300..2700).contains(&reads), "{reads}");
        assert!(maker.chance(1.0) && !maker.chance(0.0));
    }

    #[test]
    fn keys_that_cannot_tell_all_numbers_apart_are_refused() {
        assert!(plan("put --key-size 8 --keys 1000").is_err());
        assert!(plan("put --key-size 9 --keys 1000").is_ok());
        assert!(plan("put --key-size 5000").is_err());
    }

    #[test]
    fn only_stale_reads_do_without_the_leader() {
        assert!(plan("get").unwrap().needs_leader());
        let mut stale = plan("get").unwrap();
        stale.consistency = Consistency::Stale;
        assert!(!stale.needs_leader());
        stale.read_ratio = 0.5;
        assert!(stale.needs_leader());
    }
}
