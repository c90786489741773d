//! Flags above the environment above the file above the defaults.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::*;

fn set(values: &[&str]) -> Overrides {
    Overrides {
        set: values.iter().map(|value| (*value).to_owned()).collect(),
        ..Overrides::default()
    }
}

fn with(text: &str, overrides: &Overrides, variables: &[(&str, &str)]) -> Loaded {
    parse("raft.ini", text.as_bytes(), overrides, variables.iter().copied())
        .unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn refused(text: &str, overrides: &Overrides, variables: &[(&str, &str)]) -> String {
    match parse("raft.ini", text.as_bytes(), overrides, variables.iter().copied()) {
        Ok(_) => panic!("no mistake was found"),
        Err(mistakes) => mistakes.to_string(),
    }
}

#[test]
fn each_layer_stands_above_the_one_below() {
    let plain = three_nodes("");
    let file = three_nodes("[Cluster]\nElectionTimeout = 1s");
    let variables = [("RAFT_CLUSTER_ELECTIONTIMEOUT", "2s")];
    let flags = set(&["Cluster.ElectionTimeout=3s", "Cluster.electiontimeout = 4s"]);
    let none = Overrides::default();
    let timeout = |loaded: Loaded| loaded.config.cluster.election_timeout;
    assert_eq!(timeout(with(&plain, &none, &[])), Duration::from_millis(500));
    assert_eq!(timeout(with(&file, &none, &[])), Duration::from_secs(1));
    assert_eq!(timeout(with(&file, &none, &variables)), Duration::from_secs(2));
    assert_eq!(timeout(with(&file, &flags, &variables)), Duration::from_secs(4));
}

#[test]
fn one_node_can_be_changed_from_above() {
    let variables = [("RAFT_NODE_A_PORT", "4001"), ("RAFT_NODE_B_PORT", "4002")];
    let overrides = Overrides {
        set: vec!["Node.B.Port=5002".to_owned(), "Node.C.Port=5003".to_owned()],
        node: Some("3".to_owned()),
        host: Some("::1".to_owned()),
        port: Some("6003".to_owned()),
        data: Some("/srv/c".to_owned()),
    };
    let config = with(&three_nodes(""), &overrides, &variables).config;
    let addresses: Vec<String> =
        config.nodes.iter().map(|node| node.address().to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:4001", "127.0.0.1:5002", "[::1]:6003"]);
    let directory = config.data_directory(config.node("C").unwrap());
    assert_eq!(directory.to_str(), Some("/srv/c"));
}

#[test]
fn a_label_with_punctuation_has_underscores_in_its_variables() {
    let text = three_nodes("").replace("= A", "= db-1.x").replace("Node.A", "Node.db-1.x");
    let loaded =
        with(&text, &set(&["Node.db-1.x.Role=learner"]), &[("RAFT_NODE_DB_1_X_PORT", "9")]);
    assert_eq!(loaded.config.node("1").unwrap().port, 9);
    assert_eq!(loaded.config.node("1").unwrap().role, crate::config::Role::Learner);
}

#[test]
fn variables_of_programs_are_left_alone() {
    let variables = [
        "RAFT_CONFIG",
        "RAFT_ENDPOINTS",
        "RAFT_NODE",
        "RAFT_OUTPUT",
        "RAFT_JSON",
        "RAFT_TIMEOUT",
        "RAFT_CONSISTENCY",
        "RAFT_CLIENT_ID",
        "RAFT_SEQ",
        "RAFT_YES",
        "RAFT_DRY_RUN",
        "RAFT_LOG",
        "raft_cluster_name",
        "PATH",
    ]
    .map(|name| (name, "x"));
    let loaded = with(&three_nodes(""), &Overrides::default(), &variables);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn a_variable_that_names_no_key_is_warned_of() {
    let variables = [
        ("RAFT_CLUSTER_ELECTIONTIMOUT", "1s"),
        ("RAFT_NODE_SERVICE_HOST", "10.0.0.1"),
        ("RAFT_NODE_A_PROT", "1"),
    ];
    let loaded = with(&three_nodes(""), &Overrides::default(), &variables);
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "environment RAFT_CLUSTER_ELECTIONTIMOUT: warning: names no key and has no effect; \
             did you mean RAFT_CLUSTER_ELECTIONTIMEOUT?",
            "environment RAFT_NODE_A_PROT: warning: names no key and has no effect; did you mean \
             RAFT_NODE_A_PORT?",
            "environment RAFT_NODE_SERVICE_HOST: warning: names no key and has no effect",
        ]
    );
}

#[test]
fn a_mistake_from_above_names_its_source() {
    let overrides = Overrides {
        set: ["Cluster.ElectionTimeout=abc", "Cluster.Nmae=x", "Clutser.Name=x", "Name=x"]
            .into_iter()
            .chain(["Node.Z.Port=1", "Nodes.Node4=D", "", "Node.A.Port"])
            .map(str::to_owned)
            .collect(),
        node: Some("A".to_owned()),
        port: Some("70000".to_owned()),
        ..Overrides::default()
    };
    assert_eq!(
        refused(&three_nodes(""), &overrides, &[("RAFT_CLUSTER_DEBUG", "maybe")]),
        "environment RAFT_CLUSTER_DEBUG: error: Debug = maybe: must be True or False (or yes, no, \
         on, off, 1, 0)\n\
         --set Name=x: error: must be Section.Key=Value, such as Cluster.ElectionTimeout=500ms\n\
         --set : error: must be Section.Key=Value, such as Cluster.ElectionTimeout=500ms\n\
         --set Node.A.Port: error: must be Section.Key=Value, such as \
         Cluster.ElectionTimeout=500ms\n\
         --set Cluster.ElectionTimeout=abc: error: ElectionTimeout = abc: must be a duration of \
         10ms..1h, such as 150ms, 2s or 5m; a bare number is milliseconds\n\
         --port 70000: error: Port = 70000: must be 1..65535\n\
         --set Cluster.Nmae=x: error: unknown key \"Nmae\" in [Cluster]; did you mean \"Name\"?\n\
         --set Clutser.Name=x: error: unknown section [Clutser]; did you mean [Cluster]?\n\
         --set Node.Z.Port=1: error: unknown section [Node.Z]; did you mean [Node.A]?\n\
         --set Nodes.Node4=D: error: nodes are listed in the file only\n\
         10 errors; nothing was started"
    );
}

#[test]
fn flags_of_one_node_need_a_node() {
    let mut overrides = Overrides { data: Some("/x".to_owned()), ..Overrides::default() };
    assert_eq!(
        refused(&three_nodes(""), &overrides, &[]),
        "--data /x: error: speaks of one node; -n names it\n1 error; nothing was started"
    );
    overrides.node = Some("7".to_owned());
    assert_eq!(
        refused(&three_nodes(""), &overrides, &[]),
        "--data /x: error: there is no node 7 in [Nodes]\n1 error; nothing was started"
    );
}

#[test]
fn a_variable_that_is_not_utf8_is_a_mistake_only_where_it_is_read() {
    let text = three_nodes("");
    let bad = OsStr::from_bytes(b"\xff");
    let none = Overrides::default();
    let variables = [(OsStr::new("RAFT_OTHER"), bad), (bad, bad)];
    assert!(parse("raft.ini", text.as_bytes(), &none, variables).is_ok());
    let variables = [(OsStr::new("RAFT_CLUSTER_NAME"), bad)];
    let mistakes = parse("raft.ini", text.as_bytes(), &none, variables).unwrap_err();
    assert_eq!(
        mistakes.listing(),
        "environment RAFT_CLUSTER_NAME: error: Name: the value isn't UTF-8"
    );
}

#[test]
fn what_contradicts_across_layers_is_said_at_a_given_value() {
    let mistakes = refused(
        &three_nodes(""),
        &Overrides::default(),
        &[("RAFT_CLUSTER_HEARTBEATINTERVAL", "1s")],
    );
    assert_eq!(
        mistakes,
        "environment RAFT_CLUSTER_HEARTBEATINTERVAL: error: ElectionTimeout = 500ms with \
         HeartbeatInterval = 1s: must be at least 3 heartbeats, 3s\n1 error; nothing was started"
    );
}
