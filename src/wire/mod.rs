//! Bytes and messages: frames, the hello, what peers say to each other and what clients ask.
