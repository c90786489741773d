//! A transfer that is disturbed again and again.

use super::script;

const BEGINNING: &str = "\
cluster 3 inflight=160

quietly campaign 1

quietly stabilize

cut 3

quietly propose 1 a bytes=500

quietly stabilize 1 2

snapshot 1

quietly propose 1 b bytes=300

quietly stabilize 1 2

snapshot 1

compact 1 to=99

heal 3

connect 1 3

quietly deliver 3

quietly deliver 1

quietly deliver 3

deliver 1
";

/// One piece of 40 bytes arrives, two more are lost with the connection.
const CUT: &str = "
read-piece 1

read-piece 1

read-piece 1

deliver 3 count=1

store 3

deliver 1

quietly drop 1->3

disconnect 1 3

connect 1 3

deliver 3

deliver 1
";

#[test]
fn a_transfer_that_is_cut_ten_times_stores_each_byte_once() {
    let result = script::run(&format!("{BEGINNING}{}\nstabilize\n\nstatus 3\n", CUT.repeat(10)));
    for cut in 1..=10 {
        let resumed = format!("to 3 goes on, {} bytes there", cut * 40);
        assert_eq!(result.matches(&resumed).count(), 1, "{resumed}\n{result}");
    }
    let mut stored = 0;
    for line in result.lines().filter_map(|line| line.strip_prefix("  3: store ")) {
        let (offset, length) = line.split(' ').next().unwrap().split_once('+').unwrap();
        assert_eq!(offset.parse::<u64>().unwrap(), stored, "{result}");
        stored += length.parse::<u64>().unwrap();
    }
    assert!(result.contains(&format!("installed 4@1 ({stored} bytes)")), "{result}");
    assert!(result.contains("3: follower t1 vote=1 leader=1 last=4@1 durable=4"), "{result}");
}

#[test]
fn a_receiver_that_starts_again_ten_times_gets_the_rest() {
    let restart = CUT.replace("disconnect 1 3\n", "crash 3\n\nquietly drop 3->1\n\nstart 3\n");
    let result =
        script::run(&format!("{BEGINNING}{}\nstabilize\n\nstatus 3\n", restart.repeat(10)));
    assert_eq!(result.matches("receiving 4@1").count(), 10, "{result}");
    assert_eq!(result.matches("goes on, 400 bytes here").count(), 1, "{result}");
    assert!(result.contains("3: follower t1 vote=1 leader=1 last=4@1 durable=4"), "{result}");
}
