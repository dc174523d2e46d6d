//! Measurements: what is run, what is reported, and that nothing is left behind.

use crate::harness::Place;

#[test]
fn all_work_is_measured_and_drawn() {
    let place = Place::new();
    let json = place
        .helium([
            "bench",
            "-o",
            "500",
            "-t",
            "2",
            "-v",
            "40",
            "--plot",
            "picture.svg",
            "--json",
        ])
        .json();
    let names: Vec<&str> = json
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["work"].as_str())
        .collect();
    let expected = [
        "insert",
        "sequential read",
        "random read",
        "delete",
        "YCSB load",
        "YCSB A",
        "YCSB B",
        "YCSB C",
        "YCSB D",
        "YCSB E",
        "YCSB F",
    ];
    assert_eq!(names, expected);
    for one in json.as_array().expect("a list") {
        assert_eq!(one["operations"], 1000, "{one}");
        let latency = |name: &str| one["latency_ns"][name].as_u64().expect("a figure");
        assert!(
            latency("p50") <= latency("p99") && latency("p99") <= latency("max"),
            "{one}"
        );
        assert!(one["million_operations_per_second"].as_f64() > Some(0.0));
    }
    let picture = std::fs::read_to_string(place.path("picture.svg")).expect("the picture");
    assert!(picture.starts_with("<svg") && picture.contains("random read"));
    let left: Vec<_> = std::fs::read_dir(place.path(""))
        .expect("the folder")
        .collect();
    assert_eq!(left.len(), 1, "only the picture is left: {left:?}");
}

#[test]
fn the_old_switch_measures_heliums_own_order() {
    let place = Place::with_volume();
    let text = place
        .helium([
            "--perf", "v", "-o", "300", "-T", "1", "-v", "10", "-w", "helium",
        ])
        .text();
    let names = ["insert", "sequential read", "random read", "delete"];
    assert!(text.contains("THREADS"), "{text}");
    let mut lines = text.lines().skip(3);
    for name in names {
        assert!(
            lines.next().is_some_and(|line| line.starts_with(name)),
            "{text}"
        );
    }
    assert!(
        text.contains("MILLION/S") && text.contains("P99.9"),
        "{text}"
    );
    // The volume's own datastores are as before.
    assert!(!place.helium(["ls", "v"]).text().contains("helium-bench"));
}

/// Before it measures for an hour.
#[test]
fn a_picture_that_cannot_be_drawn_is_said_first() {
    let place = Place::with_volume();
    let bench = |path: &str| place.helium(["bench", "-o", "1000000000", "--plot", path]);
    bench("picture.png").fails(2, &["pictures are SVG"]);
    bench("no/such/folder.svg").fails(3, &["cannot write no/such/folder.svg"]);
    std::fs::create_dir(place.path("folder.svg")).expect("the test's own folder");
    bench("folder.svg").fails(1, &["cannot write folder.svg"]);
    place.write("picture.svg", "old");
    let ran = place.helium(["bench", "-o", "1", "--plot", "picture.svg", "no/volume"]);
    ran.fails(3, &["no/volume"]);
    let kept = std::fs::read(place.path("picture.svg")).expect("a file");
    assert_eq!(kept, b"old");
}

/// Each number of threads from one on, what was written before anew, and reads in no order.
#[test]
fn the_old_switches_do_what_they_did() {
    let place = Place::with_volume();
    place.write("config", "read_cache 1048576\nfanout 33\n");
    let run = |switches: &str| {
        let words = format!("--json --perf --nowarn -o 100 -v 10 {switches} v");
        place.helium(words.split(' '))
    };
    let done = |ran: crate::harness::Ran| -> Vec<(String, u64)> {
        let json: serde_json::Value = serde_json::from_slice(&ran.out).expect("JSON");
        let all = json.as_array().expect("a list").iter();
        let pair = |one: &serde_json::Value| {
            let work = one["work"].as_str().expect("its name").to_owned();
            (work, one["threads"].as_u64().expect("a number"))
        };
        all.map(pair).collect()
    };
    let two = |first: &str, second: &str, threads| {
        vec![(first.to_owned(), threads), (second.to_owned(), threads)]
    };
    let ran = run("--update -t 4");
    assert_eq!(ran.err, "");
    let expected = [1, 2, 3, 4].map(|threads| two("YCSB load", "update", threads));
    assert_eq!(done(ran), expected.concat());
    let ran = run("--randread -T 2 --trim");
    assert_eq!(done(ran), two("YCSB load", "random read", 2));
    let ran = run("--randread -T 1 --trace --spin --config config");
    for passed_over in ["--trace", "--spin", "fanout in config"] {
        let sentence = format!("{passed_over} means nothing any more");
        assert!(ran.err.contains(&sentence), "{}", ran.err);
    }
    assert_eq!(done(ran), two("YCSB load", "random read", 1));
    run("--config gone").fails(3, &["cannot read gone"]);
    place.helium(["--test", "--nowarn", "v"]).ok();
    assert!(!place.helium(["ls", "v"]).text().contains("helium-bench"));
}
