//! Metrics over HTTP.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::harness::Fixture;

fn ask(fixture: &Fixture, request: &str) -> String {
    let mut stream = TcpStream::connect(fixture.metrics_address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn metrics_count_what_was_done() {
    let fixture = Fixture::new();
    let mut client = fixture.connect();
    client.ask("SET a 1");
    client.ask("SET a 2");
    client.ask("INCRBY a x");
    let text = ask(&fixture, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    for line in [
        "helium_server_clients 1",
        "helium_server_commands_total{command=\"set\"} 2",
        "helium_server_failed_commands_total{command=\"incrby\"} 1",
        "# TYPE helium_server_syncs counter",
        "helium_server_command_duration_seconds_bucket{command=\"set\",le=\"+Inf\"} 2",
        "helium_server_command_duration_seconds_count{command=\"set\"} 2",
        "# EOF",
    ] {
        assert!(body.lines().any(|known| known == line), "{line} in {body}");
    }
    // A family is announced once, and has a line of each volume.
    let families: Vec<_> = body
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect();
    let mut different = families.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), families.len());
    for volume in ["one", "two"] {
        let mark = format!("helium_written_bytes_total{{volume=\"{volume}\"}} ");
        assert!(body.contains(&mark), "{body}");
    }
}

/// What the dashboard asks for is there: a name that is not would be an empty picture.
#[test]
fn the_dashboard_shows_what_there_is() {
    let fixture = Fixture::new();
    fixture.connect().ask("SET a 1");
    fixture.connect().ask("INCRBY a x");
    let metrics = ask(&fixture, "GET /metrics HTTP/1.1\r\n\r\n");
    let there: Vec<_> = metrics
        .lines()
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let dashboard = include_str!("../../grafana/helium-server.json");
    let words = dashboard.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let asked: Vec<_> = words.filter(|word| word.starts_with("helium_")).collect();
    assert!(asked.len() > 20, "{asked:?}");
    for name in asked {
        assert!(there.contains(&name), "{name} is no metric");
    }
}

#[test]
fn a_page_for_a_person_shows_what_goes_on() {
    let fixture = Fixture::new();
    let mut client = fixture.connect();
    client.ask("CLIENT SETNAME <b>\"me\"");
    client.ask("SET secretkey secretvalue");
    let page = ask(&fixture, "GET / HTTP/1.1\r\n\r\n");
    let (head, page) = page.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("Content-Type: text/html; charset=utf-8\r\n"),
        "{head}"
    );
    assert!(
        head.contains("Content-Security-Policy: default-src 'none';"),
        "{head}"
    );
    assert!(page.contains("name=\"viewport\""));
    for elsewhere in ["http:", "https:", "src=", "href=", "@import", "innerHTML"] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    let status = ask(&fixture, "GET /status.json HTTP/1.1\r\n\r\n");
    let (head, status) = status.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("Content-Type: application/json; charset=utf-8\r\n"),
        "{head}"
    );
    for part in [
        "\"durability\":\"synced\"",
        "\"name\":\"<b>\\\"me\\\"\"",
        "{\"name\":\"set\",\"calls\":1,\"failed\":0,",
        "{\"name\":\"one\",\"shared_syncs\":",
        "\"slowest\":[",
    ] {
        assert!(status.contains(part), "{part} in {status}");
    }
    assert!(!status.contains("secret"), "{status}");
}

#[test]
fn other_requests_get_an_answer_too() {
    let fixture = Fixture::new();
    assert!(ask(&fixture, "GET /x HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask(&fixture, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert_eq!(ask(&fixture, &"x".repeat(10_000)), "");
}
