//! A cluster: nodes, links, clients and clocks, moved on one event at a time.
