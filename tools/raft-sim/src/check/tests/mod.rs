//! Histories of which it is known whether a correct store could have given them.

mod brute;
mod known;
mod runs;
