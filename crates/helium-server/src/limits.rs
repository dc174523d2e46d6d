//! Every limit of the server, in one place: what a client may have the server keep in memory.

use heliumdb::limits::VALUE_BYTES_MAX;

/// Longest argument: a value's.
pub const BULK_BYTES_MAX: usize = VALUE_BYTES_MAX;
/// Most arguments of a command, its name among them.
pub const ARGUMENTS_MAX: usize = 1 << 20;
/// Longest line: of an inline command, or of a number.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// All arguments of one command together; those of the commands that wait for EXEC too.
pub const REQUEST_BYTES_MAX: usize = 64 << 20;
/// The same while nobody has said who is there.
pub const UNKNOWN_BULK_BYTES_MAX: usize = 16 << 10;
/// The same.
pub const UNKNOWN_ARGUMENTS_MAX: usize = 10;
/// What one argument counts for beside its bytes.
pub const ARGUMENT_BYTES: usize = 32;
/// Longest reply to one command.
pub const REPLY_BYTES_MAX: usize = 64 << 20;
/// Replies of a client wait for it up to so many bytes, and one reply more; then no more of its commands are done.
pub const REPLIES_BYTES: usize = 1 << 20;
/// Commands of one client that are done before another client's are looked at.
pub const COMMANDS_TOGETHER: usize = 1024;
/// Memory for where scans are, of all clients.
pub const CURSOR_BYTES_MAX: usize = 16 << 20;
/// Keys that a connection may watch.
pub const WATCHED_MAX: usize = 64 << 10;
/// Longest name that a client gives itself, and of its library.
pub const CLIENT_NAME_BYTES_MAX: usize = 1024;
