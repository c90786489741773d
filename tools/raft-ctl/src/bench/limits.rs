//! What this machine can do at best: the disk under the data directory and a round trip over
//! loopback, so that a result can be read as a share of them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::fs::FallocateFlags;
use serde::Serialize;

/// What one small durable write takes, and how many bytes a second large ones reach.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DiskLimits {
    pub(crate) directory: String,
    pub(crate) sync_p50_us: f64,
    pub(crate) sync_p99_us: f64,
    /// How many files were written at a time when that was measured.
    pub(crate) sync_writers: u16,
    pub(crate) durable_bytes_per_second: f64,
}

/// What a message there and back takes between two threads over loopback.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LoopbackLimits {
    pub(crate) round_trip_p50_us: f64,
    pub(crate) round_trip_p99_us: f64,
}

/// How long each of the measurements takes at most.
const EACH: Duration = Duration::from_millis(300);

/// What a group commit with little in it writes.
const SMALL_BYTES: usize = 4096;

/// What a large group commit writes.
const LARGE_BYTES: usize = 4 << 20;

/// The file that is written over and over.
const FILE_BYTES: u64 = 64 << 20;

/// How many files are written at a time, as by three nodes.
const WRITERS: u16 = 3;

const ROUND_TRIPS: usize = 2000;

/// Measures the disk that holds `directory`, or the nearest directory above it that is there, as
/// the log uses it: each write goes to a place that is set aside and is followed by a sync of
/// the data.
pub(crate) fn disk(directory: &Path) -> io::Result<DiskLimits> {
    let directory = nearest(directory);
    // A disk that is kept busy may answer sooner than one that falls idle between two syncs.
    let mut best: Option<(u16, Histogram<u64>)> = None;
    for writers in [1, WRITERS] {
        let syncs = syncs(&directory, writers)?;
        let p50 = |syncs: &Histogram<u64>| syncs.value_at_quantile(0.5);
        if best.as_ref().is_none_or(|(_, other)| p50(&syncs) < p50(other)) {
            best = Some((writers, syncs));
        }
    }
    let (writers, syncs) = best.expect("it was measured");
    Ok(DiskLimits {
        sync_p50_us: quantile_us(&syncs, 0.5),
        sync_p99_us: quantile_us(&syncs, 0.99),
        sync_writers: writers,
        durable_bytes_per_second: rounded(bandwidth(&directory)?),
        directory: directory.display().to_string(),
    })
}

/// What small durable writes take where so many files are written at a time.
fn syncs(directory: &Path, writers: u16) -> io::Result<Histogram<u64>> {
    let write = |number| -> io::Result<Histogram<u64>> {
        let file = scratch(directory, number)?;
        let (bytes, mut offset) = ([0xa5; SMALL_BYTES], 0);
        let mut syncs = microseconds();
        let began = Instant::now();
        while began.elapsed() < EACH {
            let start = Instant::now();
            write_durably(&file, &bytes, &mut offset)?;
            record(&mut syncs, start.elapsed());
        }
        Ok(syncs)
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..writers).map(|number| scope.spawn(move || write(number))).collect();
        let mut all = microseconds();
        for thread in threads {
            all += thread.join().map_err(|_| io::Error::other("a writing thread failed"))??;
        }
        Ok(all)
    })
}

/// How many bytes a second large durable writes reach.
fn bandwidth(directory: &Path) -> io::Result<f64> {
    let file = scratch(directory, 0)?;
    let (bytes, mut offset) = (vec![0xa5; LARGE_BYTES], 0);
    let began = Instant::now();
    let mut written = 0;
    while began.elapsed() < EACH {
        write_durably(&file, &bytes, &mut offset)?;
        written += bytes.len();
    }
    Ok(written as f64 / began.elapsed().as_secs_f64())
}

fn nearest(directory: &Path) -> PathBuf {
    let above = directory.ancestors().find(|path| path.is_dir());
    match above {
        Some(path) if path != Path::new("") => path.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A file without a name, so that nothing of it is left whatever happens. Its room is set aside
/// and not written: zeros that come through the cache would make each later sync slower.
fn scratch(directory: &Path, number: u16) -> io::Result<File> {
    let path = directory.join(format!(".raft-ctl-bench-{}-{number}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, FILE_BYTES)?;
    file.sync_all()?;
    Ok(file)
}

fn write_durably(file: &File, bytes: &[u8], offset: &mut u64) -> io::Result<()> {
    if *offset + bytes.len() as u64 > FILE_BYTES {
        *offset = 0;
    }
    file.write_all_at(bytes, *offset)?;
    *offset += bytes.len() as u64;
    file.sync_data()
}

/// Measures a round trip of 64 bytes between two threads.
pub(crate) fn loopback() -> io::Result<LoopbackLimits> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let echo =
        thread::Builder::new().name("echo".to_owned()).spawn(move || -> io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            let mut message = [0; 64];
            for _ in 0..ROUND_TRIPS {
                stream.read_exact(&mut message)?;
                stream.write_all(&message)?;
            }
            Ok(())
        })?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut times = microseconds();
    let mut message = [0; 64];
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        record(&mut times, start.elapsed());
    }
    echo.join().map_err(|_| io::Error::other("the echoing thread failed"))??;
    Ok(LoopbackLimits {
        round_trip_p50_us: quantile_us(&times, 0.5),
        round_trip_p99_us: quantile_us(&times, 0.99),
    })
}

/// The longest latency that is told apart; what is longer counts as this.
const LONGEST: Duration = Duration::from_secs(600);

/// A histogram of latencies: nanoseconds from 100 on, three digits.
pub(crate) fn microseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(100, LONGEST.as_nanos() as u64, 3)
        .expect("the bounds are in order and three digits are allowed")
}

/// Counts one latency.
pub(crate) fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
}

/// The latency in microseconds that this share of all stays below.
pub(crate) fn quantile_us(histogram: &Histogram<u64>, share: f64) -> f64 {
    rounded(histogram.value_at_quantile(share) as f64 / 1000.0)
}

/// With one digit behind the point: more isn't in the histogram.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_measured_where_the_directory_will_be_and_nothing_is_left_there() {
        let directory = tempfile::tempdir().unwrap();
        let limits = disk(&directory.path().join("not/yet/there")).unwrap();
        assert_eq!(limits.directory, directory.path().display().to_string());
        assert!(limits.sync_p50_us > 0.0 && limits.sync_p50_us <= limits.sync_p99_us);
        assert!(limits.durable_bytes_per_second > 0.0);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_round_trip_takes_some_time() {
        let limits = loopback().unwrap();
        assert!(limits.round_trip_p50_us > 0.0);
        assert!(limits.round_trip_p50_us <= limits.round_trip_p99_us);
    }
}
