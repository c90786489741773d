//! Planted bugs: small faults in the real code, each of which the simulator must find.
