//! Stands in for the real binary in the tests of `Binary`: it answers every request with 200, and does nothing else.

use std::{
    env,
    io::{Read, Write},
    net::TcpListener,
    process::exit,
};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    println!("args: {}", args.join(" "));
    println!("HOME: {:?}", env::var_os("HOME"));
    println!("GREETING: {:?}", env::var("GREETING").ok());
    if args.iter().any(|arg| arg == "--fail") {
        eprintln!("the configuration is wrong");
        exit(2);
    }
    let Some(at) = args.iter().position(|arg| arg == "--listen") else { return };
    let listener = TcpListener::bind(&args[at + 1]).expect("the address is free");
    eprintln!("listening");
    for socket in listener.incoming() {
        let mut socket = socket.expect("a connection");
        let mut head = [0; 4096];
        let count = socket.read(&mut head).expect("a request");
        println!("{}", String::from_utf8_lossy(&head[..count]).lines().next().unwrap_or(""));
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").expect("an answer");
    }
}
