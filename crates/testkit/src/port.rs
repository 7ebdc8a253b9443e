//! Ports that nobody listens on.

use std::net::TcpListener;

/// A port of 127.0.0.1 that was free a moment ago. Another program may take it before it is used: whoever can bind
/// port 0 itself should rather do that.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
