//! What a table asks of WiredTiger's own storage: names that nobody knows are refused here too.

use crate::common::*;

const FORMATS: &str = "key_format=S,value_format=S";

on_every_kind! {
    fn names_that_nobody_knows_are_refused(arena) {
        let session = arena.session();
        for (config, code) in [
            ("block_compressor=nonsense", Code::EINVAL),
            ("block_compressor=none", Code::OK),
            ("block_compressor=\"\"", Code::OK),
            ("huffman_key=nonsense", Code::EINVAL),
            ("huffman_value=nonsense", Code::EINVAL),
            ("huffman_value=utf8/no/such/file", Code::ENOENT),
            ("huffman_key=none,huffman_value=none", Code::OK),
            ("huffman_key=english,huffman_value=english", Code::OK),
            ("encryption=(name=nonsense)", Code::EINVAL),
            ("encryption=(name=nonsense,keyid=7)", Code::EINVAL),
            ("encryption=(name=none)", Code::OK),
            ("encryption=(keyid=7)", Code::OK),
            ("ignore_in_memory_cache_size=true", Code::EINVAL),
            ("ignore_in_memory_cache_size=false", Code::OK),
        ] {
            let uri = arena.uri("t");
            let answer = session.create(&uri, &arena.formats(&format!("{FORMATS},{config}")));
            assert_eq!(answer.code(), code, "{config}");
            let there = session.cursor(&uri, "").map(drop).code();
            assert_eq!(there == Code::OK, code == Code::OK, "{config}");
            if code == Code::OK {
                session.drop(&uri, "").unwrap();
            }
        }
        // What was tried is not there any more.
        let files = std::fs::read_dir(arena.home()).unwrap();
        let mut names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        assert!(names.all(|name| !name.contains("probe")));
        assert_eq!(session.cursor("file:helium_probe.wt", "").map(drop).code(), Code::ENOENT);
    }

    /// It would be of WiredTiger's own files, and is accepted as there.
    fn how_files_are_laid_out_cached_and_logged_is_no_matter(arena) {
        let session = arena.session();
        for config in [
            "access_pattern_hint=sequential",
            "allocation_size=8KB,internal_page_max=16KB,leaf_page_max=64KB",
            "assert=(commit_timestamp=none)",
            "block_allocation=first",
            "cache_resident=true",
            "checksum=off",
            "dictionary=10",
            "format=btree",
            "internal_key_max=1KB,internal_key_truncate=false,leaf_key_max=1KB,leaf_value_max=1KB",
            "key_gap=20",
            "log=(enabled=false)",
            "memory_page_image_max=0,memory_page_max=1MB",
            "os_cache_max=1MB,os_cache_dirty_max=1MB",
            "prefix_compression=true,prefix_compression_min=8",
            "split_pct=80,split_deepen_min_child=100,split_deepen_per_child=10",
        ] {
            let uri = arena.uri("t");
            session.create(&uri, &arena.formats(&format!("{FORMATS},{config}"))).unwrap();
            let cursor = session.cursor(&uri, "").unwrap();
            cursor.put("k", "v").unwrap();
            assert_eq!(cursor.list().unwrap(), ["k=v"], "{config}");
            drop(cursor);
            session.drop(&uri, "").unwrap();
        }
    }

    /// A table that is there is not looked at again.
    fn a_create_of_what_is_there_asks_nothing(arena) {
        let session = arena.session();
        arena.create(&session, "t", FORMATS);
        let again = format!("{FORMATS},block_compressor=nonsense");
        session.create(&arena.uri("t"), &arena.formats(&again)).unwrap();
    }

    fn indices_and_column_groups_are_refused_too(arena) {
        let session = arena.session();
        let name = match arena.kind() {
            Kind::Table => "dev1/c",
            _ => "c",
        };
        let part = |config: &str, object: &str| match arena.kind() {
            Kind::Native => config.to_owned(),
            Kind::Object => format!("{config},source=\"helium:dev1/{object}\""),
            Kind::Table => format!("{config},type=helium"),
        };
        let config = "key_format=S,value_format=SS,columns=(k,a,b),colgroups=(x,y)";
        session.create(&format!("table:{name}"), config).unwrap();
        for (uri, columns) in [("colgroup", "a"), ("index", "b")] {
            let uri = format!("{uri}:{name}:x");
            for (more, code) in [(",block_compressor=nonsense", Code::EINVAL), ("", Code::OK)] {
                let config = part(&format!("columns=({columns}){more}"), &uri[..3]);
                assert_eq!(session.create(&uri, &config).code(), code, "{uri} {config}");
            }
        }
    }

    /// Schema changes do not wait for each other in a circle.
    fn creates_go_on_beside_checkpoints(arena) {
        std::thread::scope(|scope| {
            let arena = &*arena;
            let checkpoints = scope.spawn(|| {
                let session = arena.session();
                for _ in 0..30 {
                    session.checkpoint("force").unwrap();
                }
            });
            let session = arena.session();
            let mut number = 0;
            while !checkpoints.is_finished() || number < 10 {
                let config = format!("{FORMATS},huffman_value=english");
                arena.create(&session, &format!("t{number}"), &config);
                number += 1;
            }
        });
    }
}

on_helium! {
    /// Rows that are to be encrypted are not kept in the clear.
    fn encryption_is_refused_with_a_sentence(arena) {
        let session = arena.session();
        let config = arena.formats(&format!("{FORMATS},encryption=(name=nonsense)"));
        assert_eq!(session.create(&arena.uri("t"), &config).code(), Code::EINVAL);
        let said = arena.connection().errors().join("\n");
        assert!(said.contains("unknown encryptor 'nonsense'"), "{said}");
    }
}
