/* Try one thing that a sandboxed evaluation must not manage; say on standard error what the kernel answered.
 * Built static by the tests and mounted read-only; exit code 0 means only that the attempt was made. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, long result) {
    fprintf(stderr, "%s=%s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

static void touch_init(void) {
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
    say("ptrace", ptrace(PTRACE_ATTACH, 1, 0, 0));
    say("readv", process_vm_readv(1, &here, 1, &there, 1, 0));
    say("memory", open("/proc/1/mem", O_RDWR));
    say("descriptors", open("/proc/1/fd/0", O_RDONLY));
    say("environment", open("/proc/1/environ", O_RDONLY));
    say("pidfd_getfd", syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 0, 0));
    for (int number = 1; number < 65; number++) kill(1, number);
}

/* Every flag of the shared pipe, and its owner's signal, before dying with output unread. */
static void spoil_output(void) {
    fcntl(1, F_SETPIPE_SZ, 4096);
    fcntl(1, F_SETOWN, 1);
    fcntl(1, F_SETSIG, SIGKILL);
    say("flags", fcntl(1, F_SETFL, O_NONBLOCK | O_DIRECT | O_ASYNC | O_APPEND));
    char block[4096];
    memset(block, 'x', sizeof block);
    for (int count = 0; count < 100; count++) (void)!write(1, block, sizeof block);
}

/* Steal what pid 1 writes, say it again with lies, and leave a hand-over of one's own. */
static void forge(void) {
    static const char lie[] = "S\0\0\0\0\0F\x08\0\x02\0\0\0\0\0\0\0predictedE";
    char stolen[65536];
    int mine = open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK);
    say("reopen", mine);
    for (int count = 0; count < 25; count++) {
        ssize_t got = read(mine, stolen, sizeof stolen);
        if (got > 16) (void)!write(1, stolen, 16);
        if (got > 0) (void)!write(1, lie, sizeof lie);
        usleep(100000);
    }
}

static int spin(void *unused) {
    (void)unused;
    for (;;) (void)!write(1, "late\n", 5);
}

/* Grandchildren in sessions of their own, stopped ones, ones that ignore everything, siblings of ours. */
static void leave_descendants(void) {
    static char stacks[4][16384];
    for (int count = 0; count < 20; count++) {
        if (fork()) continue;
        setsid();
        if (fork()) _exit(0);
        for (int number = 1; number < 65; number++) signal(number, SIG_IGN);
        if (count % 2) raise(SIGSTOP);
        spin(0);
    }
    for (int count = 0; count < 4; count++)
        say("sibling", clone(spin, stacks[count] + 16000, CLONE_PARENT | SIGCHLD, 0));
    say("odd signal", clone(spin, malloc(16384) + 16000, 0, 0));
    usleep(200000);
}

static void multiply(void) {
    for (;;) fork();
}

static void reach_out(void) {
    say("raw", socket(AF_INET, SOCK_RAW, 1));
    say("packet", socket(AF_PACKET, SOCK_RAW, 0));
    say("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    say("vsock", socket(40, SOCK_STREAM, 0));
    say("stream", socket(AF_INET, SOCK_STREAM, 0));
    say("unix", socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static void widen(void) {
    say("unshare", unshare(CLONE_NEWUSER));
    say("clone", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    say("clone3", syscall(SYS_clone3, 0, 0));
    say("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0));
    say("io_uring", syscall(SYS_io_uring_setup, 1, 0));
    say("memfd", syscall(SYS_memfd_create, "x", 0));
    say("bpf", syscall(SYS_bpf, 0, 0, 0));
    say("keyctl", syscall(SYS_keyctl, 0, 0, 0));
    say("userfaultfd", syscall(SYS_userfaultfd, 0));
    say("shmget", syscall(SYS_shmget, 0, 4096, 0));
    say("mknod", mknod("/tmp/device", S_IFCHR | 0666, 0x103));
    say("setuid", syscall(SYS_setuid, 0));
    say("personality", syscall(SYS_personality, 0xffffffff));
    say("ioctl", syscall(SYS_ioctl, 1, 0x5412, "x")); /* TIOCSTI */
}

int main(int count, char **arguments) {
    const struct {
        const char *name;
        void (*attempt)(void);
    } attacks[] = {
        {"touch-init", touch_init}, {"spoil-output", spoil_output}, {"forge", forge},
        {"leave-descendants", leave_descendants}, {"multiply", multiply}, {"reach-out", reach_out},
        {"widen", widen},
    };
    for (unsigned index = 0; count == 2 && index < sizeof attacks / sizeof *attacks; index++) {
        if (strcmp(attacks[index].name, arguments[1])) continue;
        attacks[index].attempt();
        return 0;
    }
    return 2;
}
