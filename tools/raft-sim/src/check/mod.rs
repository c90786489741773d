//! Histories of clients, and whether a correct store could have given them.
