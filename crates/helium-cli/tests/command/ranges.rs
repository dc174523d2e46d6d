//! Parts of a datastore: what is counted, printed and removed of it.

use crate::harness::{Place, Terminal, wait};

fn filled() -> Place {
    let place = Place::with_volume();
    let keys = ["", "a", "a\u{10}", "ab", "ab\u{0}", "b", "ba", "\u{10ffff}"];
    let lines: String = keys
        .iter()
        .map(|key| {
            serde_json::json!({"datastore": "d", "key": key, "value": "v"}).to_string() + "\n"
        })
        .collect();
    place.helium_with(["load", "v"], lines.as_bytes()).ok();
    place
}

fn keys(place: &Place) -> Vec<String> {
    let text = place.helium(["scan", "v", "d", "--keys"]).text();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn ranges_and_prefixes_are_counted_and_removed() {
    for (range, count) in [
        (&["--prefix", "a"][..], 4),
        (&["--prefix", ""], 8),
        (&["--prefix", "ab", "--hex"], 0),
        (&["--prefix", "6162", "--hex"], 2),
        (&["--from", "ab"], 5),
        (&["--to", "ab"], 3),
        (&["--from", "ab", "--to", "ba"], 3),
        (&["--from", "x", "--to", "c"], 0),
        (&["--from", "b", "--to", "b"], 0),
    ] {
        let place = filled();
        let with = |command: &[&'static str]| -> Vec<&str> {
            command.iter().chain(range).copied().collect()
        };
        let counted = place.helium(with(&["count", "v", "d", "--json"])).json();
        assert_eq!(counted["items"], count, "{range:?}");
        let shown = place.helium(with(&["scan", "v", "d", "--keys"])).text();
        assert_eq!(shown.lines().count(), count, "{range:?}");
        let others: Vec<String> = {
            // In hexadecimal if the range is.
            let all = place.helium(["scan", "v", "d", "--keys", "--hex"]).text();
            let gone = place
                .helium(with(&["scan", "v", "d", "--keys", "--json"]))
                .text();
            let gone: Vec<String> = gone
                .lines()
                .map(|line| {
                    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                    let key = line["key"].as_str().expect("text").to_owned();
                    key.bytes().map(|byte| format!("{byte:02x}")).collect()
                })
                .collect();
            all.lines()
                .filter(|key| !gone.contains(&(*key).to_owned()))
                .map(str::to_owned)
                .collect()
        };
        let removed = place.helium(with(&["rm", "v", "d", "--json"])).json();
        assert_eq!(removed["removed"], count, "{range:?}");
        let left = place.helium(["scan", "v", "d", "--keys", "--hex"]).text();
        let left: Vec<String> = left.lines().map(str::to_owned).collect();
        assert_eq!(left, others, "{range:?}");
    }
    let place = filled();
    assert_eq!(place.helium(["count", "v", "d"]).text(), "8\n");
    assert_eq!(
        place.helium(["rm", "v", "d", "--prefix", "a"]).text(),
        "4 items\n"
    );
}

#[test]
fn many_items_go_in_steps() {
    let place = Place::with_volume();
    let lines: String = (0..20_000).map(|n| format!("{n:06}\tvalue\n")).collect();
    place
        .helium_with(["load", "v", "-d", "d"], lines.as_bytes())
        .ok();
    let removed = place
        .helium([
            "rm", "v", "d", "--from", "000100", "--to", "019900", "--json",
        ])
        .json();
    assert_eq!(removed["removed"], 19_800);
    assert_eq!(place.helium(["count", "v", "d"]).text(), "200\n");
    assert_eq!(
        place.helium(["count", "v", "d", "--prefix", "0001"]).text(),
        "0\n"
    );
    place.helium(["verify", "v"]).ok();
}

#[test]
fn what_makes_no_range_is_said() {
    let place = filled();
    place.helium(["rm", "v", "d"]).fails(2, &["<KEYS"]);
    place
        .helium(["rm", "v", "d", "a", "--prefix", "a"])
        .fails(2, &["cannot be used with"]);
    place
        .helium(["count", "v", "d", "--prefix", "a", "--to", "b"])
        .fails(2, &["cannot be used with"]);
    place
        .helium(["count", "v", "d", "--prefix", "0g", "-x"])
        .fails(2, &["not hexadecimal"]);
    place.helium(["create", "v", "u", "--unordered"]).ok();
    place.helium(["put", "v", "u", "k", "v"]).ok();
    place
        .helium(["rm", "v", "u", "--prefix", "k"])
        .fails(2, &["helium truncate"]);
    place
        .helium(["count", "v", "u", "--from", "k"])
        .fails(2, &["Without a range"]);
    assert_eq!(place.helium(["count", "v", "u"]).text(), "1\n");
    assert_eq!(keys(&place).len(), 8);
}

#[test]
fn a_person_is_asked_before_a_range_goes() {
    let place = filled();
    let mut terminal = Terminal::new();
    let mut remove = |answer: &str| {
        let mut child = place
            .command()
            .args(["rm", "v", "d", "--prefix", "a"])
            .stdin(terminal.end())
            .stdout(terminal.end())
            .stderr(terminal.end())
            .spawn()
            .expect("start");
        terminal.wait_for("Remove 4 items of d? [y/N]");
        terminal.type_in(answer);
        wait(&mut child)
    };
    assert_eq!(remove("n\n"), Some(1));
    assert_eq!(keys(&place).len(), 8);
    assert_eq!(remove("y\n"), Some(0));
    assert_eq!(keys(&place).len(), 4);
}
