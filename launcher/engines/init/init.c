/*
 * Start one command as pid 1 of a sandbox, outlive it, and hand over what it left.
 *
 * The launcher speaks first, on standard input: a 68-byte header (struct orders below), then as many bytes of
 * NAME=VALUE entries, each ended by a null, as the header says; then nothing, then perhaps one byte that means
 * "stop now". The end of standard input means that the launcher is gone. The entries are the command's alone:
 * they join its environment when it is started and are wiped here, so no record of the engine ever has them.
 * Standard output carries, in this order:
 *
 *   0. P, u32 length, that many bytes: what a child of this process, gone by then, could do in this sandbox
 *      (probe.c). This process then waits for one byte: "go", and anything else means that no command is started;
 *   1. the command's own output, mixed with progress frames (progress token, u64 count of sample lines);
 *   2. the final token, only once every other process of this pid namespace has been killed and reaped;
 *   3. records, integers little-endian:
 *        S  u8 stopped, u32 wait status, u32 errno of a failed exec, u64 nanoseconds,
 *           u64 user and u64 system microseconds, u64 largest resident set in KiB
 *        D  u8 number, u64 free bytes, u64 free inodes       each folder of `scratch`, all ones: not bounded
 *        F  u16 length of path, u64 size, path, bytes        one regular file of /eval/out
 *        R  u8 reason, u16 length of path, path              one thing of /eval/out that was refused
 *        E  u32 files, u32 refusals, u64 bytes               the end; nothing follows
 *
 * Then this process waits a moment, until a byte comes or standard input ends: so long the container's control
 * groups are there to be read.
 *
 * The command runs under the same user id as this process and shares its standard output, so it can read
 * that pipe, write to it, change its flags and send any signal. Hence: this process is not dumpable (its memory,
 * its descriptors and so the final token are out of reach), handles no signal (what pid 1 does not handle, its own
 * namespace cannot deliver), and utters the final token to an audience of none.
 *
 * Called `attend`, it does none of this: it starts the command on its own standard streams, for a person,
 * outlives it, ends whatever is left, and exits with the command's code, or 128 and its signal.
 *
 * No libc: the image may have none, and a few kilobytes of system calls can be read in one sitting.
 */
#include "system.h"
#include "probe.h"

enum { MAGIC = 0x32545645 /* "EVT2" */, MAX_SECRETS = 64 << 10, TOKEN = 32, PROGRESS_TOKEN = 16, MAX_DEPTH = 6, MAX_NAME = 255 };
enum { EXIT_HANDED_OVER = 0, EXIT_MISUSED = 64, EXIT_NO_ORDERS = 65, EXIT_ABANDONED = 66, EXIT_NO_GO = 67, EXIT_BROKEN = 70 };
enum { GO = 'g' };
enum { EXEC_NOT_EXECUTABLE = 126, EXEC_NOT_FOUND = 127 };
enum reason {
    REFUSED_NAME = 1,
    REFUSED_DEPTH = 2,
    REFUSED_LINK = 3,
    REFUSED_HARD_LINK = 4,
    REFUSED_SPECIAL = 5,
    REFUSED_SETUID = 6,
    REFUSED_SIZE = 7,
    REFUSED_COUNT = 8,
    REFUSED_UNREADABLE = 9,
};

static const u64 SCAN_PER_TICK = 16u << 20;
static const char OUTPUTS[] = "/eval/out";
static const char SAMPLES[] = "samples.jsonl";
static const char *const scratch[] = {OUTPUTS, "/tmp", "/dev/shm"};

struct orders {
    u32 magic;
    u32 entries; /* most directory entries of /eval/out to look at */
    u64 bytes;   /* most bytes of /eval/out to hand over */
    u8 final_token[TOKEN];
    u8 progress_token[PROGRESS_TOKEN];
    u32 secrets; /* bytes of entries that follow, at most MAX_SECRETS */
} __attribute__((packed));

struct entry { /* struct linux_dirent64 */
    u64 inode;
    u64 offset;
    u16 length;
    u8 type;
    char name[];
};

static void write_all(const void *from, u64 size) {
    if (!write_to(1, from, size)) leave(EXIT_ABANDONED);
}

/* ---- the records ---- */

static u8 record[64];
static u64 record_length;

static void put(u64 value, u64 bytes) {
    for (u64 at = 0; at < bytes; at++) record[record_length++] = (u8)(value >> (8 * at));
}

static void flush_record(void) {
    write_all(record, record_length);
    record_length = 0;
}

/* ---- handing over /eval/out; nobody else is alive, so nothing changes under our feet ---- */

static char path[4096];
static u8 block[65536];
static u64 bytes_left, bytes_given;
static u32 entries_left, files_given, refusals_given;

static void refuse(enum reason reason, u64 length) {
    put('R', 1);
    put(reason, 1);
    put(length, 2);
    flush_record();
    write_all(path, length);
    refusals_given++;
}

static int is_plain(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_';
}

static int is_name(const char *name) {
    if (!is_plain(name[0])) return 0;
    for (u64 at = 1; name[at]; at++)
        if (!is_plain(name[at]) && name[at] != '.' && name[at] != '-') return 0;
    return 1;
}

/* Append `name` to the path of its directory, odd bytes as %XX; return the new length. */
static u64 append(u64 length, const char *name) {
    static const char digits[] = "0123456789ABCDEF";
    if (length) path[length++] = '/';
    for (u64 at = 0; name[at] && at < MAX_NAME; at++) {
        if (is_plain(name[at]) || name[at] == '.' || name[at] == '-') {
            path[length++] = name[at];
        } else {
            path[length++] = '%';
            path[length++] = digits[(u8)name[at] >> 4];
            path[length++] = digits[(u8)name[at] & 15];
        }
    }
    return length;
}

static void give_file(int descriptor, u64 size, u64 length) {
    put('F', 1);
    put(length, 2);
    put(size, 8);
    flush_record();
    write_all(path, length);
    for (u64 left = size; left;) {
        u64 part = left < sizeof block ? left : sizeof block;
        if (!read_exactly(descriptor, block, part)) leave(EXIT_BROKEN);
        write_all(block, part);
        left -= part;
    }
    files_given++;
    bytes_given += size;
    bytes_left -= size;
}

static void walk(int directory, u64 length, u32 depth);

static void give_regular(int directory, const char *name, const struct stat *facts, u64 length) {
    if (facts->st_nlink != 1) return refuse(REFUSED_HARD_LINK, length);
    if (facts->st_mode & (S_ISUID | S_ISGID)) return refuse(REFUSED_SETUID, length);
    if (facts->st_size < 0 || (u64)facts->st_size > bytes_left) return refuse(REFUSED_SIZE, length);
    long descriptor = open_under(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) return refuse(REFUSED_UNREADABLE, length);
    give_file((int)descriptor, (u64)facts->st_size, length);
    call1(__NR_close, descriptor);
}

static void give_directory(int directory, const char *name, u64 length, u32 depth) {
    if (depth >= MAX_DEPTH) return refuse(REFUSED_DEPTH, length);
    long descriptor = open_under(directory, name, O_RDONLY | O_NOFOLLOW | O_DIRECTORY);
    if (descriptor < 0) return refuse(REFUSED_UNREADABLE, length);
    walk((int)descriptor, length, depth);
    call1(__NR_close, descriptor);
}

static void give(int directory, const char *name, u64 parent, u32 depth) {
    struct stat facts;
    u64 length = append(parent, name);
    if (!is_name(name)) return refuse(REFUSED_NAME, length);
    if (call4(__NR_newfstatat, directory, name, &facts, AT_SYMLINK_NOFOLLOW) < 0)
        return refuse(REFUSED_UNREADABLE, length);
    if (S_ISREG(facts.st_mode)) return give_regular(directory, name, &facts, length);
    if (S_ISDIR(facts.st_mode)) return give_directory(directory, name, length, depth + 1);
    refuse(S_ISLNK(facts.st_mode) ? REFUSED_LINK : REFUSED_SPECIAL, length);
}

static void walk(int directory, u64 length, u32 depth) {
    u64 entries[1024];
    for (;;) {
        long got = call3(__NR_getdents64, directory, entries, sizeof entries);
        if (got < 0) return refuse(REFUSED_UNREADABLE, length);
        if (got == 0) return;
        for (long at = 0; at < got;) {
            struct entry *entry = (struct entry *)((u8 *)entries + at);
            const char *name = entry->name;
            at += entry->length;
            if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]))) continue;
            if (entries_left == 0) return;
            if (--entries_left == 0) return refuse(REFUSED_COUNT, length);
            give(directory, name, length, depth);
        }
    }
}

/* ---- counting sample lines while the command runs; a courtesy, so every failure is silence ---- */

static u64 lines_seen, lines_told, scanned;

static void scan(int descriptor) {
    struct stat facts;
    if (call2(__NR_fstat, descriptor, &facts) < 0 || !S_ISREG(facts.st_mode)) return;
    if ((u64)facts.st_size < scanned) scanned = lines_seen = 0;
    for (u64 left = SCAN_PER_TICK; left;) {
        long got = call4(__NR_pread64, descriptor, block, sizeof block, scanned);
        if (got <= 0) return;
        for (long at = 0; at < got; at++) lines_seen += block[at] == '\n';
        scanned += (u64)got;
        left -= (u64)got < left ? (u64)got : left;
    }
}

static void tell_progress(int outputs, const u8 *token) {
    long descriptor = open_under(outputs, SAMPLES, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) return;
    scan((int)descriptor);
    call1(__NR_close, descriptor);
    struct pollfd room = {1, POLLOUT, 0};
    struct timespec at_once = {0, 0};
    if (lines_seen == lines_told || call5(__NR_ppoll, &room, 1, &at_once, 0, 0) != 1) return;
    u8 frame[PROGRESS_TOKEN + 8];
    memcpy(frame, token, PROGRESS_TOKEN);
    memcpy(frame + PROGRESS_TOKEN, &lines_seen, 8);
    /* One write below PIPE_BUF: all or nothing, never torn by the command's own output. */
    if (call3(__NR_write, 1, frame, sizeof frame) == sizeof frame) lines_told = lines_seen;
}

/* ---- the command ---- */

static char secrets[MAX_SECRETS];
static u64 secrets_length;

/* Read the entries that the header announced: whole ones, each with a name. */
static int read_secrets(u64 length) {
    if (length > MAX_SECRETS || !read_exactly(0, secrets, length)) return 0;
    if (length && secrets[length - 1]) return 0;
    for (u64 at = 0; at < length; at += length_of(secrets + at) + 1)
        if (!secrets[at] || secrets[at] == '=') return 0;
    secrets_length = length;
    return 1;
}

static u64 count_secrets(void) {
    u64 count = 0;
    for (u64 at = 0; at < secrets_length; at++) count += !secrets[at];
    return count;
}

static u64 count_entries(char **environment) {
    u64 count = 0;
    while (environment[count]) count++;
    return count;
}

static int same_name(const char *one, const char *other) {
    for (; *one && *one != '=' && *one == *other; one++, other++) continue;
    return (!*one || *one == '=') && (!*other || *other == '=');
}

static int is_secret(const char *entry) {
    for (u64 at = 0; at < secrets_length; at += length_of(secrets + at) + 1)
        if (same_name(secrets + at, entry)) return 1;
    return 0;
}

/* Write the secrets to `merged`, then what of the environment has another name. */
static void merge(char **merged, char **environment) {
    for (u64 at = 0; at < secrets_length; at += length_of(secrets + at) + 1) *merged++ = secrets + at;
    for (; *environment; environment++)
        if (!is_secret(*environment)) *merged++ = *environment;
    *merged = 0;
}

static const char *search_path(char **environment) {
    for (; *environment; environment++) {
        const char *entry = *environment;
        if (entry[0] == 'P' && entry[1] == 'A' && entry[2] == 'T' && entry[3] == 'H' && entry[4] == '=')
            return entry + 5;
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

static int has_slash(const char *name) {
    for (; *name; name++)
        if (*name == '/') return 1;
    return 0;
}

/* As execvp does, without its fall-back to a shell; return the errno that says most. */
static int execute(char **arguments, char **environment) {
    if (has_slash(arguments[0])) return (int)-call3(__NR_execve, arguments[0], arguments, environment);
    int worst = ENOENT;
    u64 size = length_of(arguments[0]);
    for (const char *from = search_path(environment);; from++) {
        u64 length = 0;
        while (from[length] && from[length] != ':') length++;
        if (length + size + 2 <= sizeof path) {
            memcpy(path, from, length);
            path[length] = '/';
            memcpy(path + length + (length > 0), arguments[0], size + 1);
            int error = (int)-call3(__NR_execve, path, arguments, environment);
            if (error != ENOENT && error != ENOTDIR) {
                if (error != EACCES) return error;
                worst = EACCES;
            }
        }
        from += length;
        if (!*from) return worst;
    }
}

/* Let the kernel, short of memory, kill the evaluation before it kills this process. */
static void offer_to_the_memory_killer(void) {
    call2(__NR_prctl, PR_SET_DUMPABLE, 1); /* else /proc/self belongs to root; this process is about to exec */
    long descriptor = open_under(AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY);
    if (descriptor < 0) return;
    call3(__NR_write, descriptor, "1000", 4);
    call1(__NR_close, descriptor);
}

static void take_signals_by_default(void) {
    struct {
        void *handler;
        u64 flags, restorer, mask;
    } by_default = {0, 0, 0, 0};
    u64 no_signals = 0;
    for (int signal = 1; signal <= 64; signal++)
        call4(__NR_rt_sigaction, signal, &by_default, 0, sizeof no_signals);
    call4(__NR_rt_sigprocmask, SIG_SETMASK, &no_signals, 0, sizeof no_signals);
}

static void become(char **arguments, char **environment, int failure) __attribute__((noreturn));
static void become(char **arguments, char **environment, int failure) {
    take_signals_by_default();
    offer_to_the_memory_killer();
    call0(__NR_setsid);
    int error = 0;
    long empty = open_under(AT_FDCWD, "/dev/null", O_RDONLY);
    if (empty < 0 || call2(__NR_dup2, empty, 0) < 0) error = empty < 0 ? (int)-empty : EBADF;
    char *merged[count_entries(environment) + count_secrets() + 1];
    merge(merged, environment);
    if (!error) error = execute(arguments, merged);
    call3(__NR_write, failure, &error, sizeof error);
    leave(error == ENOENT ? EXEC_NOT_FOUND : EXEC_NOT_EXECUTABLE);
}

static struct {
    long pid;
    u32 status, exec_error;
    u64 started, ended;
    int ended_at_all;
} command;

static void start_command(char **arguments, char **environment) {
    int ends[2];
    if (call2(__NR_pipe2, ends, O_CLOEXEC) < 0) leave(EXIT_BROKEN);
    command.started = now();
    command.pid = call0(__NR_fork);
    if (command.pid == 0) become(arguments, environment, ends[1]);
    if (command.pid < 0) leave(EXIT_BROKEN);
    call1(__NR_close, ends[1]);
    if (!read_exactly(ends[0], &command.exec_error, sizeof command.exec_error)) command.exec_error = 0;
    call1(__NR_close, ends[0]);
    memset(secrets, 0, secrets_length);
}

/* Reap one process; return wait4's answer. A traced process may report a mere stop: that is not an end. */
static long reap(int options) {
    int status = 0;
    long pid = call4(__NR_wait4, -1, &status, options | __WALL, 0);
    int stopped = (status & 0xff) == 0x7f || status == 0xffff;
    if (pid == command.pid && !stopped && !command.ended_at_all) {
        command.status = (u32)status;
        command.ended = now();
        command.ended_at_all = 1;
    }
    return pid;
}

/* Return only when this process is alone. The kernel signals all at once: no fork slips through. */
static void kill_everybody(void) {
    do call2(__NR_kill, -1, SIGKILL);
    while (reap(0) != -ECHILD);
}

static struct rusage before;
static char report[PROBE_BYTES];

/* Let a child look around, alone with this process; end whatever it may have left, and hand its report over. */
static void tell_probe(void) {
    int ends[2];
    if (call2(__NR_pipe2, ends, O_CLOEXEC) < 0) leave(EXIT_BROKEN);
    long child = call0(__NR_fork);
    if (child < 0) leave(EXIT_BROKEN);
    if (child == 0) {
        take_signals_by_default();
        call2(__NR_prctl, PR_SET_DUMPABLE, 1); /* as the command will be */
        leave(!write_to(ends[1], report, probe(report)));
    }
    call1(__NR_close, ends[1]);
    u64 length = 0;
    for (long got; (got = call3(__NR_read, ends[0], report + length, PROBE_BYTES - length)) > 0;)
        length += (u64)got;
    call1(__NR_close, ends[0]);
    kill_everybody();
    call2(__NR_getrusage, RUSAGE_CHILDREN, &before);
    put('P', 1);
    put(length, 4);
    flush_record();
    write_all(report, length);
}

static void wait_for_go(void) {
    u8 byte;
    if (!read_exactly(0, &byte, 1)) leave(EXIT_ABANDONED);
    if (byte != GO) leave(EXIT_NO_GO);
}

enum ending { ENDED_ITSELF, STOPPED_BY_LAUNCHER, LAUNCHER_GONE };

static enum ending watch(int signals, int outputs, const u8 *token) {
    u64 tick = command.started + SECOND;
    for (;;) {
        u64 time = now(), pause = time < tick ? tick - time : 0;
        struct pollfd watched[2] = {{0, POLLIN, 0}, {signals, POLLIN, 0}};
        struct timespec patience = {(long)(pause / SECOND), (long)(pause % SECOND)};
        call5(__NR_ppoll, watched, 2, &patience, 0, 0);
        if (watched[1].revents) call3(__NR_read, signals, block, sizeof block);
        /* A bounded batch: a command that breeds zombies must not keep us from hearing the launcher. */
        for (int count = 0; count < 256 && reap(WNOHANG) > 0; count++) continue;
        if (command.ended_at_all) return ENDED_ITSELF;
        if (watched[0].revents) {
            u8 byte;
            long got = call3(__NR_read, 0, &byte, 1);
            if (got == 1) return STOPPED_BY_LAUNCHER;
            if (got != -EINTR && got != -EAGAIN) return LAUNCHER_GONE;
        }
        if (now() >= tick) {
            tell_progress(outputs, token);
            tick = now() + SECOND;
        }
    }
}

static u64 microseconds(struct __kernel_old_timeval after, struct __kernel_old_timeval then) {
    return (u64)(after.tv_sec - then.tv_sec) * 1000000 + (u64)after.tv_usec - (u64)then.tv_usec;
}

static void put_status(enum ending ending) {
    struct rusage usage;
    memset(&usage, 0, sizeof usage);
    call2(__NR_getrusage, RUSAGE_CHILDREN, &usage);
    put('S', 1);
    put(ending == STOPPED_BY_LAUNCHER, 1);
    put(command.status, 4);
    put(command.exec_error, 4);
    put(command.ended - command.started, 8);
    put(microseconds(usage.ru_utime, before.ru_utime), 8);
    put(microseconds(usage.ru_stime, before.ru_stime), 8);
    put((u64)usage.ru_maxrss, 8);
    flush_record();
}

/* What was full when the command ended; tmpfs says 0 of 0 where it has no bound. */
static void put_room(void) {
    for (u64 number = 0; number < sizeof scratch / sizeof *scratch; number++) {
        struct statfs room;
        memset(&room, 0, sizeof room);
        if (call2(__NR_statfs, scratch[number], &room) < 0) continue;
        put('D', 1);
        put(number, 1);
        put(room.f_blocks ? (u64)room.f_bavail * (u64)room.f_bsize : ~0ul, 8);
        put(room.f_files ? (u64)room.f_ffree : ~0ul, 8);
        flush_record();
    }
}

static void await_dismissal(void) {
    struct pollfd launcher = {0, POLLIN, 0};
    struct timespec patience = {1, 0};
    call5(__NR_ppoll, &launcher, 1, &patience, 0, 0);
}

static void hand_over(const struct orders *orders, enum ending ending, int outputs) {
    call3(__NR_fcntl, 1, F_SETFL, 0); /* undo whatever the command did to the shared flags */
    write_all(orders->final_token, TOKEN);
    put_status(ending);
    put_room();
    bytes_left = orders->bytes;
    entries_left = orders->entries + 1;
    call2(__NR_fchmod, outputs, 0700);
    walk(outputs, 0, 0);
    put('E', 1);
    put(files_given, 4);
    put(refusals_given, 4);
    put(bytes_given, 8);
    flush_record();
}

/* Whoever sits at the terminal sends the command its signals: it stays in this process's session and group. */
static void attend(char **arguments, char **environment) __attribute__((noreturn));
static void attend(char **arguments, char **environment) {
    u64 every_signal = ~0ul;
    call4(__NR_rt_sigprocmask, SIG_SETMASK, &every_signal, 0, sizeof every_signal);
    command.pid = call0(__NR_fork);
    if (command.pid < 0) leave(EXIT_BROKEN);
    if (command.pid == 0) {
        take_signals_by_default();
        offer_to_the_memory_killer();
        int error = execute(arguments, environment);
        leave(error == ENOENT ? EXEC_NOT_FOUND : EXEC_NOT_EXECUTABLE);
    }
    while (!command.ended_at_all) reap(0);
    kill_everybody();
    u32 signal = command.status & 0x7f;
    leave(signal ? 128 + (int)signal : (int)(command.status >> 8 & 0xff));
}

static int is_called(const char *path, const char *name) {
    u64 length = length_of(path), own = length_of(name);
    if (length < own) return 0;
    for (u64 at = 0; at < own; at++)
        if (path[length - own + at] != name[at]) return 0;
    return 1;
}

static int watch_children(void) {
    u64 child_died = 1ul << (SIGCHLD - 1), every_signal = ~0ul;
    /* Linux spares pid 1 what it does not handle; other kernels that play Linux may not. */
    call4(__NR_rt_sigprocmask, SIG_SETMASK, &every_signal, 0, sizeof every_signal);
    return (int)call4(__NR_signalfd4, -1, &child_died, sizeof child_died, O_CLOEXEC | O_NONBLOCK);
}

__attribute__((used, noreturn)) static void begin(long *stack) {
    char **arguments = (char **)(stack + 1);
    char **environment = arguments + stack[0] + 1;
    if (stack[0] < 2 || call0(__NR_getpid) != 1) leave(EXIT_MISUSED);
    call2(__NR_prctl, PR_SET_DUMPABLE, 0);
    if (is_called(arguments[0], "/attend")) attend(arguments + 1, environment);
    static struct orders orders;
    if (!read_exactly(0, &orders, sizeof orders) || orders.magic != MAGIC) leave(EXIT_NO_ORDERS);
    if (!read_secrets(orders.secrets)) leave(EXIT_NO_ORDERS);
    int signals = watch_children();
    if (signals < 0) leave(EXIT_BROKEN);
    tell_probe();
    wait_for_go();
    int outputs = (int)open_under(AT_FDCWD, OUTPUTS, O_RDONLY | O_NOFOLLOW | O_DIRECTORY);
    if (outputs < 0) leave(EXIT_BROKEN);
    start_command(arguments + 1, environment);
    enum ending ending = watch(signals, outputs, orders.progress_token);
    kill_everybody();
    if (ending == LAUNCHER_GONE) leave(EXIT_ABANDONED);
    hand_over(&orders, ending, outputs);
    await_dismissal();
    leave(EXIT_HANDED_OVER);
}

ENTRY_POINT;
