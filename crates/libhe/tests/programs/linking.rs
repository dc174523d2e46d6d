//! How programs are linked: the shared library's name, the static one, C++.

use std::{path::Path, process::Command};

use crate::build::{compiler, done, folder, library, link_shared, root};

const CXX: &str = r#"
#include <he.h>
int main() {
    int major = 0, minor = 0;
    he_stats(NULL, NULL);
#if HE_VERSION_MAJOR == 3
#ifndef HE_TRANSACTION_TAKES_FLAGS
    if (he_transaction(NULL) != NULL) return 2;
#endif
    if (he_transaction(NULL, 0) != NULL) return 3;
#endif
    return he_is_valid(NULL) + (VERSION(&major, &minor) == NULL);
}
"#;

/// The standards that every header has to be good in, to the letter.
const CXX_STANDARDS: [&str; 2] = ["-std=c++98", "-std=c++11"];
const C_STANDARDS: [&str; 3] = ["-std=c89", "-std=c99", "-std=c11"];

#[test]
fn the_shared_library_has_its_own_name_and_exports_nothing_else() {
    let text = |option: &str| {
        let output = done(Command::new("objdump").arg(option).arg(library("libhe.so")));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let soname = text("-p");
    let soname = soname.lines().find(|line| line.contains("SONAME")).unwrap();
    assert!(soname.trim_end().ends_with(" libhe.so.1"), "{soname}");
    let symbols = text("-T");
    let own = symbols.lines().filter(|line| line.contains(" .text"));
    let names: Vec<&str> = own
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert!(names.contains(&"he_open"), "{names:?}");
    let foreign: Vec<_> = names
        .iter()
        .filter(|name| !name.starts_with("he_"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn programs_link_with_the_static_library() {
    let folder = folder();
    let program = folder.path().join("static");
    let mut compiler = compiler("2.8");
    compiler
        .arg(root().join("tests/c/v2_8.c"))
        .arg(library("libhe.a"))
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program);
    done(&mut compiler);
    done(Command::new(program).arg(folder.path()));
}

#[test]
fn every_header_is_good_cxx_and_pedantic_c() {
    let folder = tempfile::tempdir().unwrap();
    for (version, call) in [
        ("2.2", "he_version(a, b)"),
        ("2.8", "he_version(a, b, NULL)"),
        ("2.12", "he_version(a, b, NULL)"),
        ("3.x", "he_version(a, b, NULL)"),
        ("3.8", "he_version(a, b, NULL)"),
    ] {
        let program = folder.path().join(version);
        for standard in CXX_STANDARDS.into_iter().filter(|_| has_cxx()) {
            let source = program.with_extension("cc");
            std::fs::write(&source, CXX).unwrap();
            let mut compiler = compiler(version);
            compiler
                .arg(format!("-DVERSION(a,b)={call}"))
                .args(["-x", "c++", standard, "-pedantic"])
                .arg(&source)
                .args(["-x", "none", "-o"])
                .arg(&program);
            link_shared(&mut compiler);
            done(&mut compiler);
            done(&mut Command::new(&program));
        }
        is_pedantic_c(version, folder.path());
    }
}

#[test]
fn the_documents_program_does_what_it_says() {
    let document = std::fs::read_to_string(root().join("../../docs/libhe.md")).unwrap();
    let (_, rest) = document.split_once("```c\n").unwrap();
    let (source, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fruit.c"), source).unwrap();
    let mut compiler = compiler("2.8");
    compiler
        .arg(folder.path().join("fruit.c"))
        .arg("-o")
        .arg(folder.path().join("fruit"));
    link_shared(&mut compiler);
    done(&mut compiler);
    let output = done(Command::new(folder.path().join("fruit")).current_dir(folder.path()));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "apple: red\n");
}

fn has_cxx() -> bool {
    let output = Command::new("c++").arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

fn is_pedantic_c(version: &str, folder: &Path) {
    let source = folder.join("pedantic.c");
    std::fs::write(&source, "#include <he.h>\n#include <he.h>\nint unused;\n").unwrap();
    for standard in C_STANDARDS {
        let mut compiler = compiler(version);
        compiler
            .args([standard, "-pedantic", "-c", "-o", "/dev/null"])
            .arg(&source);
        done(&mut compiler);
    }
}
