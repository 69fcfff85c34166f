/*
 * Look at the sandbox from inside, by trying: what answers, what can be written, reached and seen.
 *
 * `probe` runs in a child of the init, before the command exists, with the very rights that the command will
 * have. Its report is lines of printable ASCII:
 *
 *   answered HEX              one bit for each system call number, lowest first: it answered something other
 *                             than EPERM and ENOSYS when called with arguments that can do no harm
 *   entry NAME WORD           32-bit and x32 system calls: killed, refused or answered
 *   try WHAT ERRNO            an attempt; 0 is success
 *   see PATH COUNT            entries of a folder, or the first bytes of a file, that can be read; 0: none
 *   ids / groups / sets ...   user, group and capability sets as the kernel tells them
 *   mount ...                 mount points, without anything that names a place of the host
 *
 * Nothing is sent to anybody: to connect a datagram socket only asks the kernel for a route, and the addresses are
 * reserved for documentation, or link-local.
 */
#include "system.h"
#include "probe.h"

#include <linux/capability.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/limits.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <linux/utsname.h>

enum { CALLS = 480, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17 };
enum { AF_ALG = 38, AF_VSOCK = 40, SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_NONBLOCK = 04000 };
enum { UMOUNT_DETACH = 2, X32_BIT = 0x40000000, GETPID_32 = 20 };

/* ---- writing lines ---- */

static char *out;
static u64 written;

static void add(char byte) {
    if (written < PROBE_BYTES) out[written++] = byte;
}

static void text(const char *from) {
    for (; *from; from++) add(*from > ' ' && *from < 127 ? *from : '?');
}

static void word(const char *from) {
    add(' ');
    if (!*from) add('-');
    text(from);
}

static void number(u64 value) {
    char digits[20];
    int count = 0;
    do digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    add(' ');
    while (count) add(digits[--count]);
}

static void hexadecimal(u64 value, int digits) {
    while (digits--) add("0123456789abcdef"[value >> (4 * digits) & 15]);
}

static void attempt(const char *what, const char *on, long answer) {
    text("try");
    word(what);
    text(on);
    number(answer < 0 ? (u64)-answer : 0);
    add('\n');
}

/* ---- reading files ---- */

static char content[256 << 10];

static u64 read_file(const char *path) {
    long descriptor = open_under(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    u64 length = 0;
    if (descriptor < 0) return 0;
    while (length < sizeof content - 1) {
        long got = call3(__NR_read, descriptor, content + length, sizeof content - 1 - length);
        if (got <= 0) break;
        length += (u64)got;
    }
    call1(__NR_close, descriptor);
    content[length] = 0;
    return length;
}

static u64 entries_of(int descriptor) {
    u64 buffer[1024], count = 0;
    for (;;) {
        long got = call3(__NR_getdents64, descriptor, buffer, sizeof buffer);
        if (got <= 0) return count;
        for (long at = 0; at < got; at += *(u16 *)((u8 *)buffer + at + 16)) {
            const char *name = (const char *)buffer + at + 19;
            count += !(name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])));
        }
    }
}

static void see(const char *path) {
    long descriptor = open_under(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    u64 count = 0;
    if (descriptor >= 0) {
        long got = call3(__NR_read, descriptor, content, 256);
        count = got == -EISDIR ? entries_of((int)descriptor) : got > 0 ? (u64)got : 0;
        call1(__NR_close, descriptor);
    }
    text("see");
    word(path);
    number(count);
    add('\n');
}

static const char *const SEEN[] = {
    "/proc/acpi",          "/proc/asound",        "/proc/cmdline",   "/proc/config.gz",
    "/proc/diskstats",     "/proc/interrupts",    "/proc/kallsyms",  "/proc/kcore",
    "/proc/keys",          "/proc/latency_stats", "/proc/modules",   "/proc/partitions",
    "/proc/pressure",      "/proc/sched_debug",   "/proc/scsi",      "/proc/timer_list",
    "/proc/timer_stats",   "/sys/block",          "/sys/class",      "/sys/devices/virtual/dmi",
    "/sys/devices/virtual/powercap",              "/sys/firmware",   "/sys/fs/cgroup",
    "/proc/mounts",        "/proc/cpuinfo",       "/proc/meminfo",   "/proc/version",
    "/dev",                "/sys/bus",            "/proc/1/environ", "/run/docker.sock",
    "/var/run/docker.sock",
};

/* ---- what the process is ---- */

static void tell_identity(void) {
    u32 user[3] = {0}, group[3] = {0}, groups[64];
    call3(__NR_getresuid, &user[0], &user[1], &user[2]);
    call3(__NR_getresgid, &group[0], &group[1], &group[2]);
    long count = call2(__NR_getgroups, 64, groups);
    text("ids");
    for (int at = 0; at < 3; at++) number(user[at]);
    for (int at = 0; at < 3; at++) number(group[at]);
    add('\n');
    text("groups");
    for (long at = 0; at < count; at++) number(groups[at]);
    add('\n');
}

static u64 probed_set(long option, long inner) {
    u64 set = 0;
    for (u64 bit = 0; bit < 64; bit++)
        if (call5(__NR_prctl, option, inner ? inner : (long)bit, inner ? (long)bit : 0, 0, 0) == 1) set |= 1ul << bit;
    return set;
}

static void tell_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
    call2(__NR_capget, &header, data);
    u64 sets[] = {
        data[0].inheritable | (u64)data[1].inheritable << 32, data[0].permitted | (u64)data[1].permitted << 32,
        data[0].effective | (u64)data[1].effective << 32,     probed_set(PR_CAPBSET_READ, 0),
        probed_set(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET),
    };
    text("sets");
    for (int at = 0; at < 5; at++) {
        add(' ');
        hexadecimal(sets[at], 16);
    }
    add('\n');
    long privileges = call5(__NR_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    long filter = call5(__NR_prctl, PR_GET_SECCOMP, 0, 0, 0, 0);
    text("guards");
    number(privileges > 0 ? (u64)privileges : 0);
    number(filter > 0 ? (u64)filter : 0);
    add('\n');
}

static void tell_kernel(void) {
    struct new_utsname name;
    memset(&name, 0, sizeof name);
    call1(__NR_uname, &name);
    text("kernel");
    word(name.release);
    word(name.machine);
    add('\n');
    text("version");
    for (char *at = name.version; *at; at++)
        if (*at == ' ') *at = '_';
    word(name.version);
    add('\n');
    text("names");
    word(name.nodename);
    word(name.domainname);
    add('\n');
}

static void tell_bounds(void) {
    for (u64 resource = 0; resource < 16; resource++) {
        u64 limits[2] = {0, 0};
        call4(__NR_prlimit64, 0, resource, 0, limits);
        text("limit");
        number(resource);
        number(limits[0]);
        number(limits[1]);
        add('\n');
    }
    static u64 mask[1024];
    long size = call3(__NR_sched_getaffinity, 0, sizeof mask, mask);
    u64 processors = 0;
    for (long at = 0; at < size / 8; at++)
        for (u64 left = mask[at]; left; left &= left - 1) processors++;
    text("processors");
    number(processors);
    add('\n');
}

static void tell_space(const char *path) {
    u64 facts[15] = {0}; /* struct statfs: type, block size, blocks, free, available, files, files free, ... */
    long answer = call2(__NR_statfs, path, facts);
    text("space");
    word(path);
    number(answer < 0 ? 0 : facts[2] * facts[1]);
    number(answer < 0 ? 0 : facts[5]);
    number(answer < 0 ? 0 : facts[3] * facts[1]);
    number(answer < 0 ? 0 : facts[6]);
    add('\n');
}

static u64 processes(void) {
    u64 buffer[1024], count = 0;
    long descriptor = open_under(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY);
    if (descriptor < 0) return 0;
    for (long got; (got = call3(__NR_getdents64, descriptor, buffer, sizeof buffer)) > 0;)
        for (long at = 0; at < got; at += *(u16 *)((u8 *)buffer + at + 16)) {
            char first = ((const char *)buffer + at + 19)[0];
            count += first >= '1' && first <= '9';
        }
    call1(__NR_close, descriptor);
    return count;
}

/* ---- mounts: target, type, the mount's own options and the first of its file system ---- */

static char *cut(char **from, char at) {
    char *start = *from, *end = start;
    while (*end && *end != at && *end != '\n') end++;
    *from = *end ? end + 1 : end;
    *end = 0;
    return start;
}

static void tell_mount(char *line) {
    for (int skipped = 0; skipped < 4; skipped++) cut(&line, ' ');
    char *target = cut(&line, ' '), *options = cut(&line, ' ');
    while (*line && !(line[0] == '-' && line[1] == ' ')) cut(&line, ' ');
    cut(&line, ' ');
    char *type = cut(&line, ' ');
    cut(&line, ' ');
    char *first = cut(&line, ',');
    text("mount");
    word(target);
    word(type);
    word(options);
    word(first);
    add('\n');
}

static void tell_mounts(void) {
    read_file("/proc/self/mountinfo");
    for (char *line = content; *line;) tell_mount(cut(&line, '\n'));
}

/* ---- the network ---- */

static void tell_interfaces(void) {
    read_file("/proc/self/net/dev");
    text("interfaces");
    for (char *line = content; *line;) {
        char *name = cut(&line, '\n');
        while (*name == ' ') name++;
        char *end = name;
        while (*end && *end != ':' && *end != '|') end++;
        if (*end != ':') continue;
        *end = 0;
        word(name);
    }
    add('\n');
}

static u16 big_endian(u16 port) { return (u16)(port >> 8 | port << 8); }

/* A datagram socket is connected as soon as there is a route: that is what is asked. */
static void try_address(const char *name, u32 address, u16 port) {
    struct sockaddr_in to;
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = big_endian(port);
    to.sin_addr.s_addr = __builtin_bswap32(address);
    long descriptor = call3(__NR_socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), answer = descriptor;
    if (descriptor >= 0) {
        answer = call3(__NR_connect, descriptor, &to, sizeof to);
        call1(__NR_close, descriptor);
    }
    attempt("connect:", name, answer);
}

static void try_address_6(void) {
    struct sockaddr_in6 to;
    memset(&to, 0, sizeof to);
    to.sin6_family = AF_INET6;
    to.sin6_port = big_endian(443);
    u8 *bytes = (u8 *)&to.sin6_addr;
    bytes[0] = 0x20, bytes[1] = 0x01, bytes[2] = 0x0d, bytes[3] = 0xb8, bytes[15] = 1;
    long descriptor = call3(__NR_socket, AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0), answer = descriptor;
    if (descriptor >= 0) {
        answer = call3(__NR_connect, descriptor, &to, sizeof to);
        call1(__NR_close, descriptor);
    }
    attempt("connect:", "public-6", answer);
}

/* The first resolver that is not this container's own loopback, as 4 bytes; 0 where there is none. */
static u32 resolver(void) {
    read_file("/etc/resolv.conf");
    for (char *line = content; *line;) {
        char *at = cut(&line, '\n');
        static const char key[] = "nameserver ";
        u64 same = 0;
        while (same < sizeof key - 1 && at[same] == key[same]) same++;
        if (same < sizeof key - 1) continue;
        u32 address = 0, part = 0;
        for (at += same; (*at >= '0' && *at <= '9') || *at == '.'; at++) {
            if (*at == '.') address = address << 8 | part, part = 0;
            else part = part * 10 + (u32)(*at - '0');
        }
        address = address << 8 | part;
        if (address >> 24 != 127 && address) return address;
    }
    return 0;
}

static void try_socket(const char *name, int domain, int kind, int protocol) {
    long answer = call3(__NR_socket, domain, kind, protocol);
    if (answer >= 0) call1(__NR_close, answer);
    attempt("socket:", name, answer);
}

static void try_network(void) {
    tell_interfaces();
    try_address("public", 0xC0000201, 443);  /* 192.0.2.1 */
    try_address("metadata", 0xA9FEA9FE, 80); /* 169.254.169.254 */
    try_address("dns", 0xC0000235, 53);        /* 192.0.2.53 */
    u32 named = resolver();
    if (named) try_address("resolver", named, 53);
    try_address_6();
    try_socket("raw", AF_INET, SOCK_RAW, 1);
    try_socket("packet", AF_PACKET, SOCK_RAW, 0);
    try_socket("netlink", AF_NETLINK, SOCK_RAW, 0);
    try_socket("netlink-audit", AF_NETLINK, SOCK_RAW, 9);
    try_socket("vsock", AF_VSOCK, SOCK_STREAM, 0);
    try_socket("alg", AF_ALG, 5, 0);
}

/* ---- writing and executing ---- */

static void try_write(const char *folder) {
    char name[64];
    u64 length = length_of(folder);
    memcpy(name, folder, length);
    memcpy(name + length, "/.probe", 8);
    long answer = call4(__NR_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (answer >= 0) {
        call1(__NR_close, answer);
        call1(__NR_unlink, name);
    }
    attempt("write:", *folder ? folder : "/", answer);
}

static void try_open(const char *path) {
    long answer = open_under(AT_FDCWD, path, O_WRONLY | O_NONBLOCK);
    if (answer >= 0) call1(__NR_close, answer);
    attempt("write:", path, answer);
}

/* A file of one byte is no program: ENOEXEC says that it would have been executed, EACCES that nothing is. */
static void try_execute(const char *folder) {
    char name[64];
    char *none[] = {0};
    u64 length = length_of(folder);
    memcpy(name, folder, length);
    memcpy(name + length, "/.probe", 8);
    long descriptor = call4(__NR_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    long answer = descriptor;
    if (descriptor >= 0) {
        call3(__NR_write, descriptor, "x", 1);
        call1(__NR_close, descriptor);
        answer = call3(__NR_execve, name, none, none);
        call1(__NR_unlink, name);
    }
    attempt("execute:", folder, answer == -ENOEXEC ? 0 : answer);
}

static void try_files(void) {
    static const char *const folders[] = {"",           "/etc",         "/usr", "/eval",
                                          "/eval/code", "/eval/inputs", "/sys", "/eval/predictions"};
    static const char *const files[] = {"/eval/config.json", "/etc/passwd", "/proc/sys/kernel/core_pattern",
                                        "/proc/sysrq-trigger", "/proc/pressure/memory"};
    for (u64 at = 0; at < sizeof folders / sizeof *folders; at++) try_write(folders[at]);
    for (u64 at = 0; at < sizeof files / sizeof *files; at++) try_open(files[at]);
    try_execute("/tmp");
    try_execute("/eval/out");
}

/* ---- rights ---- */

static void try_rights(void) {
    attempt("mount", "", call5(__NR_mount, "none", "/tmp", "tmpfs", 0, 0));
    attempt("umount", "", call2(__NR_umount2, "/sys", UMOUNT_DETACH));
    long answer = call3(__NR_mknod, "/tmp/.probe", S_IFCHR | 0600, 0x0103);
    if (answer >= 0) call1(__NR_unlink, "/tmp/.probe");
    attempt("mknod", "", answer);
    attempt("setuid", "", call1(__NR_setuid, 0));
    attempt("setgid", "", call1(__NR_setgid, 0));
    attempt("unshare:", "user", call1(__NR_unshare, CLONE_NEWUSER));
    attempt("unshare:", "mount", call1(__NR_unshare, CLONE_NEWNS));
    attempt("unshare:", "network", call1(__NR_unshare, CLONE_NEWNET));
    attempt("chroot", "", call1(__NR_chroot, "/tmp"));
    attempt("hostname", "", call2(__NR_sethostname, "x", 1));
}

/* ---- system calls ---- */

/* With every argument -1 no call but these does more than fail, or change this process, which is about to end.
 * Left out: what ends, forks or suspends it, what flushes the host's disks, hangs up a terminal, or sets off the
 * alarm that bounds this program; and uretprobe and uprobe, which the kernel itself exempts from every filter and
 * which only answer its own trampolines. */
static int is_left_out(long call) {
    switch (call) {
    case __NR_exit:
    case __NR_exit_group:
    case __NR_rt_sigreturn:
    case __NR_fork:
    case __NR_vfork:
    case __NR_pause:
    case __NR_sync:
    case __NR_vhangup:
    case __NR_alarm:
    case __NR_munmap:
    case __NR_restart_syscall:
    case 335:
    case 336:
        return 1;
    default:
        return 0;
    }
}

static long call_with_nothing(long call) {
    if (call == __NR_modify_ldt) return call3(call, 0, 0, 0); /* an unknown function answers ENOSYS */
    if (call == __NR_msgget) return call2(call, -1, 0);       /* else it makes one */
    if (call == __NR_umask) return call1(call, 077);
    if (call == __NR_reboot) return call4(call, 0, 0, 0, 0); /* no reboot has these numbers */
    return system_call(call, -1, -1, -1, -1, -1);
}

static void sweep(void) {
    text("answered");
    add(' ');
    for (long call = 0; call < CALLS; call += 8) {
        u64 bits = 0;
        for (long at = 0; at < 8; at++) {
            if (is_left_out(call + at)) continue;
            long answer = call_with_nothing(call + at);
            if (answer != -EPERM && answer != -ENOSYS) bits |= 1ul << at;
        }
        hexadecimal(bits, 2);
    }
    add('\n');
}

static long enter_32(void) {
    long answer = GETPID_32;
    __asm__ volatile("int $0x80" : "+a"(answer)::"r8", "r9", "r10", "r11", "memory");
    return answer;
}

static void try_entry(const char *name, int is_x32) {
    int status = 0;
    long child = call0(__NR_fork);
    if (child == 0) {
        long answer = is_x32 ? call0(__NR_getpid | X32_BIT) : enter_32();
        leave(answer > 0 ? 0 : 1);
    }
    long got = child < 0 ? child : call4(__NR_wait4, child, &status, 0, 0);
    text("entry");
    word(name);
    word(got < 0 || status & 0x7f ? "killed" : status ? "refused" : "answered");
    add('\n');
}

u64 probe(char *report) {
    out = report;
    call1(__NR_alarm, PROBE_SECONDS);
    text("probe");
    number(PROBE_VERSION);
    add('\n');
    tell_identity();
    tell_capabilities();
    tell_kernel();
    tell_bounds();
    text("processes");
    number(processes());
    add('\n');
    tell_space("/tmp");
    tell_space("/eval/out");
    tell_space("/dev/shm");
    tell_mounts();
    try_network();
    for (u64 at = 0; at < sizeof SEEN / sizeof *SEEN; at++) see(SEEN[at]);
    try_files();
    try_entry("32-bit", 0);
    try_entry("x32", 1);
    try_rights();
    sweep();
    text("end");
    add('\n');
    return written;
}
