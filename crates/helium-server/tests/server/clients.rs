//! Clients that others have made: redis-cli, redis-py and ioredis, where they are installed.

use std::{
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
};

use crate::harness::{Fixture, installed};

/// Runs a program on `input`; what it says.
fn run(mut command: Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    said
}

fn redis_cli(address: SocketAddr) -> Command {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &address.port().to_string()]);
    command
}

#[test]
fn redis_cli_works() {
    if !installed("redis-cli") {
        return;
    }
    let fixture = Fixture::new();
    let said = run(
        redis_cli(fixture.address()),
        "SET a 1\nINCR a\nHE.NEXT @\nCONFIG GET save\n",
    );
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        ["OK", "2", "a", "2", "save", ""]
    );
    let mut scan = redis_cli(fixture.address());
    scan.args(["-3", "--scan", "--pattern", "a*"]);
    assert_eq!(run(scan, ""), "a\n");
    let mut stat = redis_cli(fixture.address());
    stat.args(["-x", "SET", "b"]);
    assert_eq!(run(stat, "text"), "OK\n");
}

#[test]
fn redis_py_works() {
    let has = Command::new("python3")
        .args(["-c", "import redis"])
        .output();
    if !has.is_ok_and(|ran| ran.status.success()) {
        println!("SKIPPED: the Python package redis is not installed");
        return;
    }
    let fixture = Fixture::new();
    let mut python = Command::new("python3");
    python
        .arg("-")
        .env("PORT", fixture.address().port().to_string());
    run(python, include_str!("redis_py.py"));
}

#[test]
fn ioredis_works() {
    let has = Command::new("node")
        .args(["-e", "require('ioredis')"])
        .output();
    if !has.is_ok_and(|ran| ran.status.success()) {
        println!("SKIPPED: ioredis is not installed");
        return;
    }
    let fixture = Fixture::new();
    let mut node = Command::new("node");
    node.arg("-")
        .env("PORT", fixture.address().port().to_string());
    run(node, include_str!("ioredis.js"));
}
