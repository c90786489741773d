//! A disk that loses, tears, delays, fails and lies.
