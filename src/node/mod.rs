//! The shell: where the rooms meet. The driver carries out what the core asks for and knows no
//! sockets; the event loop owns sockets, deadlines, signals and threads.
