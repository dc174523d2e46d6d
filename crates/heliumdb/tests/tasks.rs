//! The examples are true.

#[allow(dead_code, reason = "the example's own main")]
#[path = "../examples/tasks.rs"]
mod tasks;

#[test]
fn the_commonest_tasks_do_what_their_page_says() {
    let folder = tempfile::tempdir().unwrap();
    tasks::run(&folder.path().join("shop.he")).unwrap();
}
