//! What the benchmark says at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::limits::{DiskLimits, LoopbackLimits, quantile_us, rounded};
use crate::error::CliError;
use crate::output::{self, BOLD, DIM, Output, WARN, styled};

/// Above this share of its time a thread of the generator has nothing left to give.
const BUSY_SHARE: f64 = 0.9;

/// The result, as `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) v: u32,
    pub(crate) system: &'static str,
    pub(crate) version: &'static str,
    pub(crate) op: &'static str,
    pub(crate) nodes: Option<usize>,
    pub(crate) storage: Option<&'static str>,
    pub(crate) consistency: &'static str,
    pub(crate) clients: u16,
    pub(crate) depth: u16,
    pub(crate) key_size: usize,
    pub(crate) value_size: usize,
    pub(crate) keys: u64,
    pub(crate) rate: Option<f64>,
    pub(crate) read_ratio: f64,
    pub(crate) seconds: f64,
    pub(crate) warm_up_seconds: f64,
    pub(crate) ops: u64,
    pub(crate) ops_per_second: f64,
    pub(crate) value_bytes_per_second: f64,
    #[serde(flatten)]
    pub(crate) latency: Latency,
    /// Of the writes and the reads alone, where there are both.
    pub(crate) put: Option<Latency>,
    pub(crate) get: Option<Latency>,
    pub(crate) errors: u64,
    pub(crate) errors_by_code: BTreeMap<&'static str, u64>,
    pub(crate) reconnects: u64,
    /// Requests of an open loop whose time had come and that weren't sent when it ended.
    pub(crate) unsent: u64,
    /// How many entries the leader made durable with each write of its log.
    pub(crate) entries_per_write: Option<f64>,
    pub(crate) limits: Limits,
    pub(crate) generator: Generator,
}

/// Quantiles of latency in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

/// What the machine can do.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Limits {
    pub(crate) disk: Option<DiskLimits>,
    pub(crate) loopback: Option<LoopbackLimits>,
}

/// How much the load generator itself had to do.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Generator {
    pub(crate) threads: u16,
    /// The share of its time that the busiest of its threads was running.
    pub(crate) busy_share: f64,
    pub(crate) bottleneck: bool,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Latency {
        Latency {
            mean_us: rounded(histogram.mean() / 1000.0),
            p50_us: quantile_us(histogram, 0.5),
            p90_us: quantile_us(histogram, 0.9),
            p99_us: quantile_us(histogram, 0.99),
            p999_us: quantile_us(histogram, 0.999),
            max_us: rounded(histogram.max() as f64 / 1000.0),
        }
    }

    fn text(&self) -> String {
        format!(
            "p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
            microseconds(self.p50_us),
            microseconds(self.p90_us),
            microseconds(self.p99_us),
            microseconds(self.p999_us),
            microseconds(self.max_us)
        )
    }
}

impl Generator {
    pub(crate) fn new(threads: u16, busy_share: f64) -> Generator {
        let busy_share = (busy_share * 1000.0).round() / 1000.0;
        Generator { threads, busy_share, bottleneck: busy_share > BUSY_SHARE }
    }
}

impl Report {
    pub(crate) fn print(&self, out: &mut Output) -> Result<(), CliError> {
        if out.is_json() {
            return out.json(self);
        }
        out.line(styled(BOLD, self.head()))?;
        out.line(format!("  {}", self.conditions()))?;
        let values = output::bytes(self.value_bytes_per_second as u64);
        let rate = output::count(self.ops_per_second.round() as u64);
        out.line(format!("  throughput  {} ops/s   {values}/s of values", styled(BOLD, rate)))?;
        out.line(format!("  latency     {}", self.latency.text()))?;
        if let (Some(put), Some(get)) = (&self.put, &self.get) {
            out.line(format!("    put       {}", put.text()))?;
            out.line(format!("    get       {}", get.text()))?;
        }
        if let Some(entries) = self.entries_per_write {
            out.line(format!(
                "  batches     {entries:.1} entries in each write of the leader's log"
            ))?;
        }
        self.print_errors(out)?;
        self.print_limits(out)?;
        self.print_warnings(out)
    }

    fn head(&self) -> String {
        let nodes = self.nodes.map_or(String::new(), |nodes| format!("  {nodes} nodes"));
        let rate = self.rate.map_or(String::new(), |rate| {
            format!("  {}/s asked for", output::count(rate.round() as u64))
        });
        let clients = if self.clients == 1 { "client" } else { "clients" };
        format!(
            "{}{nodes}  {} {clients} x {}  keys {} B  values {} B  {:.1} s{rate}",
            self.op, self.clients, self.depth, self.key_size, self.value_size, self.seconds
        )
    }

    /// What else the result depends on.
    fn conditions(&self) -> String {
        let mut parts = vec![format!("{} keys", output::count(self.keys))];
        let reads = format!("{} reads", self.consistency);
        match self.op {
            "get" => parts.push(reads),
            "mixed" => parts.push(format!("{:.0} % {reads}", self.read_ratio * 100.0)),
            _ => {}
        }
        parts.extend(self.storage.map(|storage| format!("log {storage}")));
        parts.push(format!("{:.0} s of warm-up before", self.warm_up_seconds));
        parts.join(", ")
    }

    fn print_errors(&self, out: &mut Output) -> Result<(), CliError> {
        if self.errors == 0 {
            return out.line("  errors      0");
        }
        let kinds: Vec<String> = self
            .errors_by_code
            .iter()
            .map(|(code, count)| format!("{code} {}", output::count(*count)))
            .collect();
        let count = output::count(self.errors);
        out.line(format!("  errors      {} ({})", styled(WARN, count), kinds.join(", ")))
    }

    fn print_limits(&self, out: &mut Output) -> Result<(), CliError> {
        if self.limits.disk.is_none() && self.limits.loopback.is_none() {
            return Ok(());
        }
        out.line("")?;
        out.line("this machine")?;
        if let Some(disk) = &self.limits.disk {
            out.line(format!(
                "  disk        4 KiB synced: p50 {}, p99 {}; {}/s durable",
                microseconds(disk.sync_p50_us),
                microseconds(disk.sync_p99_us),
                output::bytes(disk.durable_bytes_per_second as u64)
            ))?;
            out.line(format!("              {}", styled(DIM, format!("in {}", disk.directory))))?;
            out.line(format!("  so          {}", self.share(disk)))?;
        }
        if let Some(loopback) = &self.limits.loopback {
            out.line(format!(
                "  loopback    round trip: p50 {}, p99 {}",
                microseconds(loopback.round_trip_p50_us),
                microseconds(loopback.round_trip_p99_us)
            ))?;
        }
        Ok(())
    }

    /// The result as a share of what the disk can do.
    fn share(&self, disk: &DiskLimits) -> String {
        let syncs = self.latency.p50_us / disk.sync_p50_us.max(0.1);
        let one_by_one = 1e6 / disk.sync_p50_us.max(0.1);
        if self.op == "get" {
            return format!("a read took as long as {syncs:.1} syncs, without needing one");
        }
        format!(
            "median latency is {syncs:.1} syncs; throughput is {:.1} times one sync each",
            self.ops_per_second / one_by_one
        )
    }

    fn print_warnings(&self, out: &mut Output) -> Result<(), CliError> {
        let mut warnings = Vec::new();
        if self.generator.bottleneck {
            warnings.push(format!(
                "the load generator was busy {:.0} % of the time: it limited the result; give \
                 it --threads {}",
                self.generator.busy_share * 100.0,
                self.generator.threads + 1
            ));
        }
        if self.unsent > 0 {
            warnings.push(format!(
                "{} requests were due and couldn't be sent: more than --clients x --depth would \
                 have been under way",
                output::count(self.unsent)
            ));
        }
        if let Some(storage) = self.storage.filter(|storage| *storage != "synced") {
            warnings.push(format!("the log is {storage}: a power cut may lose what was done"));
        }
        for warning in warnings {
            out.words(&format!("{} {warning}", styled(WARN, "warning:")), 2)?;
        }
        Ok(())
    }
}

fn microseconds(number: f64) -> String {
    output::duration(Duration::from_secs_f64(number / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_hardly_rested_limited_the_result() {
        assert!(Generator::new(1, 0.95).bottleneck);
        assert!(!Generator::new(1, 0.5).bottleneck);
    }

    #[test]
    fn latencies_fit_eighty_columns() {
        let latency = Latency {
            mean_us: 25_100.0,
            p50_us: 25_100.0,
            p90_us: 25_100.0,
            p99_us: 25_100.0,
            p999_us: 25_100.0,
            max_us: 25_100.0,
        };
        assert!("  latency     ".len() + latency.text().len() <= 80, "{}", latency.text());
    }
}
