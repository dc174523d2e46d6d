//! How long keys and values are, without reading long values.

use heliumdb::{Volume, VolumeOptions};

use crate::harness::Place;

#[test]
fn sizes_are_those_of_keys_and_values() {
    let place = Place::with_volume();
    place.helium(["create", "v", "c", "--compress"]).ok();
    place.helium(["create", "v", "u", "--unordered"]).ok();
    place.helium(["create", "v", "empty"]).ok();
    let long = vec![b'x'; 5_000_000];
    for datastore in ["d", "c", "u"] {
        place.helium(["put", "v", datastore, "", ""]).ok();
        place.helium(["put", "v", datastore, "k\u{1b}", "123"]).ok();
        place
            .helium(["put", "v", datastore, "middle", &"y".repeat(1000)])
            .ok();
        place
            .helium_with(["put", "v", datastore, "long"], &long)
            .ok();
    }
    let json = place.helium(["stat", "v", "--sizes", "--json"]).json();
    let all = json.as_array().expect("a list");
    let names: Vec<_> = all.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["c", "d", "empty", "u"]);
    for one in all.iter().filter(|one| one["name"] != "empty") {
        assert_eq!(one["items"], 4, "{one}");
        assert_eq!(one["keys"]["bytes"], 12, "{one}");
        assert_eq!(one["values"]["bytes"], 5_001_003, "{one}");
        let longest = &one["values"]["longest"];
        assert_eq!(longest[0]["key"], "long", "{one}");
        assert_eq!(longest[0]["bytes"], 5_000_000, "{one}");
        assert_eq!(longest[3]["bytes"], 0, "{one}");
        assert_eq!(one["keys"]["longest"][0]["key"], "middle", "{one}");
        let sizes = one["values"]["sizes"].as_array().expect("a list");
        let sizes: Vec<_> = sizes
            .iter()
            .map(|size| {
                (
                    size["from_bytes"].as_u64(),
                    size["to_bytes"].as_u64(),
                    size["items"].as_u64(),
                )
            })
            .collect();
        let octave = |from, to| (Some(from), Some(to), Some(1));
        assert_eq!(
            sizes,
            [
                octave(0, 0),
                octave(2, 3),
                octave(512, 1023),
                octave(1 << 22, (1 << 23) - 1)
            ]
        );
    }
    let text = place.helium(["stat", "v", "d", "--sizes"]).text();
    for part in [
        "LONGEST VALUE",
        "512 to 1,023",
        "of long",
        "k\\x1b",
        "4.77 MiB",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    place
        .helium(["stat", "v", "gone", "--sizes"])
        .fails(3, &["gone"]);
}

/// Their pieces stay where they are.
#[test]
fn no_long_value_is_read_for_its_length() {
    let place = Place::with_volume();
    let long = vec![b'x'; 2_000_000];
    for key in ["1", "2", "3", "4"] {
        place.helium_with(["put", "v", "d", key], &long).ok();
    }
    let mut options = VolumeOptions::default();
    options.read_only = true;
    let url = format!("he://.//{}", place.path("v").display());
    let volume = Volume::open(&url, &options).expect("ours");
    let datastore = volume.datastore(b"d").expect("it is there");
    let read_by = |walk: &mut dyn FnMut() -> u64| {
        let before = volume.stats().device_read_bytes;
        let bytes = walk();
        (bytes, volume.stats().device_read_bytes - before)
    };
    let lengths = || {
        datastore
            .lengths()
            .map(|found| found.expect("sound").1)
            .sum()
    };
    let (bytes, read) = read_by(&mut { lengths });
    assert_eq!(bytes, 8_000_000);
    assert!(read < 100_000, "{read} bytes were read");
    let items = || {
        datastore
            .items()
            .map(|found| found.expect("sound").1.len() as u64)
            .sum()
    };
    let (bytes, read) = read_by(&mut { items });
    assert!(
        bytes == 8_000_000 && read > 7_000_000,
        "{read} bytes were read"
    );
}
