//! Histories of which it is known whether a correct store could have given them.

mod answers;
mod brute;
mod doubts;
mod entries;
mod known;
mod runs;
mod small;
mod story;
mod sums;
