//! Asks the C compiler whether the layouts agree with the header that is installed.
//!
//! Every field of every structure is compared, by its C name. Without the header,
//! or with that of another release, the test says so and passes.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::{offset_of, size_of};
use std::process::Command;

use wiredtiger_abi::v3_2 as wt;

/// Pairs of a C expression and the number that Rust has for it.
type Facts = Vec<(String, i128)>;

#[test]
fn layouts_agree_with_the_installed_header() {
    let facts = facts();
    let Some(answers) = ask_the_compiler(&facts) else {
        return;
    };
    let wrong: Vec<String> = facts
        .iter()
        .filter(|(expression, ours)| answers.get(expression) != Some(ours))
        .map(|(expression, ours)| {
            format!("{expression}: C {:?}, Rust {ours}", answers.get(expression))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        facts.len(),
        wrong.join("\n")
    );
}

/// Compiles and runs a program that prints every expression, or explains why not.
fn ask_the_compiler(facts: &Facts) -> Option<BTreeMap<String, i128>> {
    let mut program = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include <wiredtiger_ext.h>\n\
         #if WIREDTIGER_VERSION_MAJOR != 3 || WIREDTIGER_VERSION_MINOR != 2 || WIREDTIGER_VERSION_PATCH != 1\n\
         #error another release\n#endif\nint main(void) {\n",
    );
    for (expression, _) in facts {
        writeln!(
            program,
            "printf(\"%s=%lld\\n\", \"{expression}\", (long long)({expression}));"
        )
        .unwrap();
    }
    program.push_str("return 0; }\n");

    let folder = std::env::temp_dir().join(format!("wiredtiger-abi-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (source, binary) = (folder.join("layout.c"), folder.join("layout"));
    std::fs::write(&source, program).unwrap();
    let compiled = Command::new("cc")
        .arg("-o")
        .arg(&binary)
        .arg(&source)
        .output();
    let answers = match compiled {
        Err(why) => skip(&format!("no C compiler: {why}")),
        Ok(output) if !output.status.success() => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            if errors.contains("another release") || errors.contains("wiredtiger_ext.h: No such") {
                skip("the header of WiredTiger 3.2.1 is not installed (libwiredtiger-dev)")
            } else {
                panic!("the layout program does not compile:\n{errors}");
            }
        }
        Ok(_) => Some(parse(&Command::new(&binary).output().unwrap().stdout)),
    };
    std::fs::remove_dir_all(&folder).unwrap();
    answers
}

fn skip<T>(why: &str) -> Option<T> {
    eprintln!("skipped: {why}");
    None
}

fn parse(output: &[u8]) -> BTreeMap<String, i128> {
    String::from_utf8_lossy(output)
        .lines()
        .filter_map(|line| line.rsplit_once('='))
        .map(|(expression, number)| (expression.to_owned(), number.parse().unwrap()))
        .collect()
}

/// The size of a structure and the offsets of its fields; `field as c_name` where they differ.
macro_rules! layout {
    ($facts:ident, $rust:ident = $c:literal: $($field:ident $(as $name:literal)?),* $(,)?) => {
        $facts.push((concat!("sizeof(", $c, ")").to_owned(), size_of::<wt::$rust>() as i128));
        $({
            let name = [$($name,)? stringify!($field)][0];
            $facts.push((
                format!("offsetof({}, {name})", $c),
                offset_of!(wt::$rust, $field) as i128,
            ));
        })*
    };
}

/// Constants that carry the same name in both languages.
macro_rules! constants {
    ($facts:ident: $($name:ident),* $(,)?) => {
        $($facts.push((stringify!($name).to_owned(), i128::from(wt::$name)));)*
    };
}

fn facts() -> Facts {
    let mut facts = Facts::new();
    structures(&mut facts);
    methods(&mut facts);
    numbers(&mut facts);
    facts
}

fn structures(facts: &mut Facts) {
    layout!(facts, Item = "WT_ITEM": data, size, mem, memsize, flags);
    layout!(facts, Modify = "WT_MODIFY": data, offset, size);
    layout!(facts, ConfigItem = "WT_CONFIG_ITEM": str, len, val, kind as "type");
    layout!(facts, ConfigParser = "WT_CONFIG_PARSER": close, next, get);
    layout!(facts, EventHandler = "WT_EVENT_HANDLER":
        handle_error, handle_message, handle_progress, handle_close);
    layout!(facts, TxnNotify = "WT_TXN_NOTIFY": notify);
    layout!(facts, Cursor = "WT_CURSOR":
        session, uri, key_format, value_format, get_key, get_value, set_key, set_value, compare,
        equals, next, prev, reset, search, search_near, insert, modify, update, remove, reserve,
        close, reconfigure, cache, reopen, uri_hash, q, recno, raw_recno_buf, json_private,
        lang_private, key, value, saved_err, internal_uri, flags);
}

fn methods(facts: &mut Facts) {
    layout!(facts, Connection = "WT_CONNECTION":
        async_flush, async_new_op, close, debug_info, reconfigure, get_home, configure_method,
        is_new, open_session, query_timestamp, set_timestamp, rollback_to_stable, load_extension,
        add_data_source, add_collator, add_compressor, add_encryptor, add_extractor,
        set_file_system, get_extension_api);
    layout!(facts, Session = "WT_SESSION":
        connection, app_private, close, reconfigure, strerror, open_cursor, alter, create, import,
        compact, drop, join, log_flush, log_printf, rebalance, rename, reset, salvage, truncate,
        upgrade, verify, begin_transaction, commit_transaction, prepare_transaction,
        rollback_transaction, timestamp_transaction, query_timestamp, checkpoint, snapshot,
        transaction_pinned_range, transaction_sync, breakpoint);
    layout!(facts, DataSource = "WT_DATA_SOURCE":
        alter, create, compact, drop, open_cursor, rename, salvage, size, truncate,
        range_truncate, verify, checkpoint, terminate, lsm_pre_merge);
    layout!(facts, ExtensionApi = "WT_EXTENSION_API":
        conn, err_printf, msg_printf, strerror, map_windows_error, scr_alloc, scr_free,
        collator_config, collate, config_get, config_get_string, config_parser_open,
        config_parser_open_arg, metadata_insert, metadata_remove, metadata_search,
        metadata_update, struct_pack, struct_size, struct_unpack, pack_start, unpack_start,
        pack_close, pack_item, pack_int, pack_str, pack_uint, unpack_item, unpack_int,
        unpack_str, unpack_uint, transaction_id, transaction_isolation_level,
        transaction_notify, transaction_oldest, transaction_visible, version);
}

fn numbers(facts: &mut Facts) {
    constants!(facts:
        WT_ROLLBACK, WT_DUPLICATE_KEY, WT_ERROR, WT_NOTFOUND, WT_PANIC, WT_RESTART,
        WT_RUN_RECOVERY, WT_CACHE_FULL, WT_PREPARE_CONFLICT, WT_TRY_SALVAGE,
        WT_TXN_ISO_READ_COMMITTED, WT_TXN_ISO_READ_UNCOMMITTED, WT_TXN_ISO_SNAPSHOT,
        WT_CURSTD_APPEND, WT_CURSTD_BULK, WT_CURSTD_CACHEABLE, WT_CURSTD_CACHED, WT_CURSTD_DEAD,
        WT_CURSTD_DUMP_HEX, WT_CURSTD_DUMP_JSON, WT_CURSTD_DUMP_PRINT, WT_CURSTD_JOINED,
        WT_CURSTD_KEY_EXT, WT_CURSTD_KEY_INT, WT_CURSTD_META_INUSE, WT_CURSTD_OPEN,
        WT_CURSTD_OVERWRITE, WT_CURSTD_RAW, WT_CURSTD_RAW_SEARCH, WT_CURSTD_VALUE_EXT,
        WT_CURSTD_VALUE_INT, WT_CURSTD_KEY_SET, WT_CURSTD_VALUE_SET);
    for (name, kind) in [
        ("WT_CONFIG_ITEM_STRING", wt::ConfigItemType::STRING),
        ("WT_CONFIG_ITEM_BOOL", wt::ConfigItemType::BOOL),
        ("WT_CONFIG_ITEM_ID", wt::ConfigItemType::ID),
        ("WT_CONFIG_ITEM_NUM", wt::ConfigItemType::NUM),
        ("WT_CONFIG_ITEM_STRUCT", wt::ConfigItemType::STRUCT),
    ] {
        facts.push((name.to_owned(), i128::from(kind.0)));
    }
}
