//! The page for a person in a real browser, as on a phone: Chromium, through chromedriver, where that is installed.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::harness::Fixture;

/// A phone's: width and height in pixels of the page.
const PHONE: (u32, u32) = (390, 844);
const LONG: Duration = Duration::from_secs(60);

/// A browser, and what drives it (WebDriver, <https://www.w3.org/TR/webdriver2/>).
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// `None` where there is none.
    fn start() -> Option<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let said = BufReader::new(driver.stdout.take()?).lines();
        let port = said.map_while(Result::ok).find_map(|line| {
            let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let mut browser = Self {
            driver,
            port: port.expect("its port"),
            session: String::new(),
        };
        let (width, height) = PHONE;
        let opened = browser.post(
            "/session",
            &format!(
                r#"{{"capabilities":{{"alwaysMatch":{{"goog:chromeOptions":{{
                "args":["--headless=new","--no-sandbox","--disable-gpu"],
                "mobileEmulation":{{"deviceMetrics":{{"width":{width},"height":{height},"pixelRatio":2.0}}}}}}}}}}}}"#
            ),
        );
        let (_, session) = opened
            .split_once("\"sessionId\":\"")
            .unwrap_or_else(|| panic!("no session: {opened}"));
        browser.session = session.split('"').next().unwrap().to_owned();
        Some(browser)
    }

    fn post(&self, path: &str, body: &str) -> String {
        self.ask("POST", path, body).unwrap()
    }

    /// Asks the driver, which keeps the connection open.
    fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(LONG))?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && answer.read_line(&mut head)? > 0 {}
        let mut lines = head.lines();
        let length = lines.find_map(|line| {
            let (name, length) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| length.trim().parse().ok()).flatten()
        });
        let mut body = vec![0; length.unwrap_or(0)];
        answer.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        match head.starts_with("HTTP/1.1 200 ") {
            true => Ok(body),
            false => Err(io::Error::other(head + &body)),
        }
    }

    fn go(&self, url: &str) {
        let path = format!("/session/{}/url", self.session);
        self.post(&path, &format!(r#"{{"url":"{url}"}}"#));
    }

    /// Whether that holds in the page; it is JavaScript without double quotes.
    fn holds(&self, expression: &str) -> bool {
        let path = format!("/session/{}/execute/sync", self.session);
        let script = format!(r#"{{"script":"return Boolean({expression})","args":[]}}"#);
        self.post(&path, &script).contains("\"value\":true")
    }

    /// Waits until it holds, and does `meanwhile` again and again.
    #[track_caller]
    fn await_that(&self, expression: &str, mut meanwhile: impl FnMut()) {
        let started = Instant::now();
        while !self.holds(expression) {
            assert!(started.elapsed() < LONG, "not in a minute: {expression}");
            meanwhile();
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser before it answers.
        let _ = self.ask("DELETE", &format!("/session/{}", self.session), "");
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn the_page_works_in_a_browser_of_a_phone() {
    let Some(browser) = Browser::start() else {
        println!("SKIPPED: chromedriver is not installed");
        return;
    };
    let mut fixture = Fixture::new();
    let mut client = fixture.connect();
    client.ask("CLIENT SETNAME <b>\"me\"");
    let metrics = fixture.metrics_address();
    browser.go(&format!("http://{metrics}/"));
    // Commands show that were done between two looks.
    browser.await_that(
        "[...document.querySelectorAll('#commands td')].some(cell => cell.textContent === 'set')",
        || assert_eq!(client.ask("SET a 1"), "+OK"),
    );
    for holds in [
        "document.getElementById('lost').hidden",
        "document.getElementById('now').textContent.includes('synced')",
        "document.getElementById('volumes').textContent.includes('one')",
        "document.getElementById('volumes').textContent.includes('two')",
        // What a client says is text, whatever it looks like.
        "document.getElementById('clients').textContent.includes('<b>\\\"me\\\"')",
        "document.querySelector('#clients b') === null",
        "document.querySelector('polyline').getAttribute('points').includes(',')",
        // A head is above its column.
        "[...document.querySelectorAll('table')].every(table => [...table.rows].every(row => [...row.cells].every((cell, \
         index) => getComputedStyle(cell).textAlign === getComputedStyle(table.rows[0].cells[index]).textAlign)))",
        // It is as wide as the phone, and no wider.
        "innerWidth === 390 && document.documentElement.scrollWidth <= innerWidth",
        "performance.getEntriesByType('resource').every(one => one.name.startsWith(location.origin + '/'))",
    ] {
        assert!(browser.holds(holds), "{holds}");
    }
    fixture.server.take().unwrap().stop();
    browser.await_that("!document.getElementById('lost').hidden", || {});
}
