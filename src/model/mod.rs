//! The vocabulary that all rooms share. It depends on none of them.

mod ids;

pub use ids::{
    Boot, ClusterId, Epoch, Incarnation, Index, LogId, Member, NodeId, Round, StartNumber, Term,
    WriteSeq,
};
