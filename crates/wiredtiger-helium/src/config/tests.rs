//! What configuration strings are accepted, and what the refusals say.

use super::*;
use crate::error::Code;
use heliumdb::Durability;

fn pairs(text: &str) -> Vec<(String, String, Kind)> {
    Pairs::new(text)
        .map(|pair| {
            let (key, value) = pair.expect("well-formed");
            (key.text.to_owned(), value.text.to_owned(), value.kind)
        })
        .collect()
}

fn connection(text: &str) -> Result<ConnectionOptions> {
    let pairs = Pairs::new(text).collect::<Result<Vec<_>>>()?;
    ConnectionOptions::read(pairs)
}

fn refused(text: &str) -> String {
    let error = connection(text).expect_err(text);
    assert_eq!(error.code(), Code::Invalid, "{text}");
    error.message().to_owned()
}

#[test]
fn every_kind_of_value_is_told_apart() {
    let expected = [
        ("a", "1", Kind::Number),
        ("b", "10MB", Kind::Number),
        ("c", "x, y=\\\"z", Kind::String),
        ("d", "(e=[f,{g}],h=\")\")", Kind::Struct),
        ("i", "", Kind::Bool),
        ("j", "false", Kind::Bool),
        ("k", "", Kind::Bool),
        ("l", "12x", Kind::Word),
    ];
    let found = pairs("a=1,b=10MB c=\"x, y=\\\"z\" ,, d=(e=[f,{g}],h=\")\"), i, j=false,k=,l:12x");
    let found: Vec<_> = found
        .iter()
        .map(|(k, v, kind)| (k.as_str(), v.as_str(), *kind))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn units_multiply_and_overflow_is_no_number() {
    let number = |text: &str| {
        let text = format!("n={text}");
        let pair = Pairs::new(&text).next().expect("one").expect("well-formed");
        pair.1.as_number()
    };
    assert_eq!(number("10"), Some(10));
    assert_eq!(number("10B"), Some(10));
    assert_eq!(number("3k"), Some(3 << 10));
    assert_eq!(number("3GB"), Some(3 << 30));
    assert_eq!(number("2T"), Some(2 << 40));
    assert_eq!(number("1P"), Some(1 << 50));
    assert_eq!(number("99999999P"), None);
    assert_eq!(number("1pppp"), None);
    assert_eq!(number("-1"), None);
    assert_eq!(number("99999999999999999999999"), None);
}

#[test]
fn what_is_not_closed_is_refused() {
    for text in [
        "a=(b", "a=\"b", "a=[\"b]", "a=)", "=b", "a=\"b\\", "a=\"\\\"",
    ] {
        let found: Result<Vec<_>> = Pairs::new(text).collect();
        assert!(found.is_err(), "{text}");
    }
}

#[test]
fn depth_costs_no_stack() {
    let deep = format!("a={}{}", "(".repeat(1 << 20), ")".repeat(1 << 20));
    assert_eq!(Pairs::new(&deep).count(), 1);
}

/// A comma in a path has a backslash in front, and WiredTiger has two for one.
#[test]
fn paths_have_escapes() {
    for (devices, url) in [
        (r#""he://./a\\,b""#, r"he://./a\,b"),
        (r#"["a\\,b","c\\xff"]"#, r"he://./a\,b,c\xff"),
        (r#""/a\b""#, r"he://.//a\b"),
    ] {
        let options = connection(&format!("d=[helium_devices={devices}]")).expect("well-formed");
        assert_eq!(options.volumes[0].url, url, "{devices}");
    }
}

#[test]
fn a_full_configuration_is_read() {
    let options = connection(
        "helium_verbose=2,helium_durability=buffered,\
         dev1=[helium_devices=[\"he://./a\",\"he://./b\",c],helium_o_volume_truncate=1,\
         helium_read_cache=3MB,helium_env_write_cache_size=4MB,helium_volume_limit=1GB,\
         helium_version_budget=5MB],\
         dev2=(helium_devices=\"he://.//abs/d,/abs/e\",helium_o_volume_scan,\
         helium_auto_commit_period=3,helium_scrub_rate=2MB)",
    )
    .expect("well-formed");
    assert_eq!(options.verbosity, Verbosity::Operations);
    assert_eq!(options.durability, Durability::Buffered);
    let [first, second] = &options.volumes[..] else {
        panic!("two volumes");
    };
    assert_eq!((&*first.name, &*first.url), ("dev1", "he://./a,b,c"));
    assert_eq!(
        (&*second.name, &*second.url),
        ("dev2", "he://.//abs/d,/abs/e")
    );
    assert!(first.options.truncate && first.options.exclusive);
    assert!(!second.options.truncate && second.options.exclusive);
    assert_eq!(first.options.read_cache_bytes, 3 << 20);
    assert_eq!(first.options.write_cache_bytes, 4 << 20);
    assert_eq!(first.options.limit_bytes, Some(1 << 30));
    assert_eq!(first.options.version_budget_bytes, 5 << 20);
    assert!(!first.options.scan && second.options.scan);
    assert_eq!(second.options.auto_commit_period_ms, 3000);
    assert_eq!(second.options.scrub_bytes_per_second, 2 << 20);
}

#[test]
fn both_names_of_a_cache_mean_the_same() {
    for (key, old) in [
        ("helium_read_cache", "helium_env_read_cache_size"),
        ("helium_write_cache", "helium_env_write_cache_size"),
    ] {
        let read = |key: &str| {
            let text = format!("d=[helium_devices=\"he://./a\",{key}=7MB]");
            let options = connection(&text)
                .expect("well-formed")
                .volumes
                .remove(0)
                .options;
            (options.read_cache_bytes, options.write_cache_bytes)
        };
        assert_eq!(read(key), read(old));
    }
}

#[test]
fn the_highest_commit_period_is_none() {
    for (key, text, wanted) in [
        (
            "helium_auto_commit_period",
            "18446744073709551615",
            u64::MAX,
        ),
        (
            "helium_env_auto_commit_period",
            "18446744073709551614",
            u64::MAX,
        ),
        ("helium_auto_commit_period", "1", 1000),
    ] {
        let config = format!("d=[helium_devices=\"he://./a\",{key}={text}]");
        let mut volumes = connection(&config).expect("well-formed").volumes;
        let options = volumes.remove(0).options;
        assert_eq!(options.auto_commit_period_ms, wanted, "{key}={text}");
    }
}

#[test]
fn complaints_name_the_key_and_the_volume() {
    let whole = |inner: &str| format!("dev7=[helium_devices=\"he://./a\",{inner}]");
    for inner in [
        "helium_nonsense=4",
        "helium_read_cache=many",
        "helium_o_volume_truncate=7",
        "helium_o_volume_scan=7",
        "helium_auto_commit_period=soon",
        "helium_scrub_rate=fast",
        "helium_volume_limit=-1",
    ] {
        let message = refused(&whole(inner));
        let key = inner.split('=').next().expect("a key");
        assert!(
            message.contains("dev7") && message.contains(key),
            "{message}"
        );
    }
    assert!(refused("").contains("no volume"));
    assert!(refused("helium_verbose=1").contains("no volume"));
    assert!(refused("helium_verbose=3").contains("helium_verbose"));
    assert!(refused("helium_durability=maybe").contains("helium_durability"));
    assert!(refused("helium_else=3").contains("helium_else"));
    assert!(refused("dev1=5").contains("dev1"));
    assert!(refused("dev1=[]").contains("dev1"));
    assert!(refused("dev1=[helium_devices=[]]").contains("dev1"));
    assert!(refused("dev1=[helium_devices=[\"he://./a\",\"he://host/b\"]]").contains("dev1"));
    let twice = format!("{},{}", whole("helium_read_cache=1MB"), whole(""));
    assert!(refused(&twice).contains("dev7"));
}

#[test]
fn cursors_refuse_what_they_cannot_do() {
    let code = |config: &str| CursorOptions::read(config).map_err(|error| error.code());
    let plain = CursorOptions {
        append: false,
        overwrite: true,
        fills_index: false,
        bulk: false,
    };
    assert_eq!(
        code("append=0,overwrite=true,checkpoint=,next_random=false,bulk=false"),
        Ok(plain)
    );
    assert!(code("bulk=true").expect("supported").bulk);
    assert!(code("bulk").expect("supported").bulk);
    assert!(code("append").expect("a key alone is true").append);
    assert!(code("bulk=unordered").expect("supported").fills_index);
    for config in [
        "checkpoint=x",
        "next_random=true",
        "next_random",
        "bulk=bitmap",
    ] {
        assert_eq!(code(config), Err(Code::Unsupported), "{config}");
    }
}

#[test]
fn create_options_keep_what_was_given() {
    let options = CreateOptions::read(
        "exclusive=true,key_format=r,value_format=\"SS\",columns=(k,a,b),app_metadata=\"x=(y)\"",
    )
    .expect("well-formed");
    assert!(options.exclusive && !options.truncate);
    assert_eq!(options.key_format, "r");
    assert_eq!(options.value_format, "\"SS\"".trim_matches('"'));
    assert_eq!(options.columns, "(k,a,b)");
    assert_eq!(options.app_metadata, "\"x=(y)\"");
    assert!(options.accept_formats("r", "SS"));
    assert!(!options.accept_formats("r", "S"));
    let default = CreateOptions::read("").expect("well-formed");
    assert!(default.accept_formats("S", "S"));
}
