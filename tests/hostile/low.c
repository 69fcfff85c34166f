/* What Python cannot do: system calls through other doors, and all of them in turn. Built static by the tests. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LAST = 1023 };

static int say(const char *word) { return puts(word) < 0; }

static int answer(long got) { return say(got < 0 ? strerrorname_np((int)-got) : "done"); }

/* getpid of i386 through the old gate. */
static int int80(void) {
    long got;
    __asm__ volatile("int $0x80" : "=a"(got) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return answer((int)got);
}

static int x32(void) {
    long got = syscall(0x40000000L | SYS_getpid);
    return answer(got < 0 ? -(long)errno : got);
}

/* Code of 32 bits: mov eax, 20; int 0x80; ret far. */
static int far_jump(void) {
    static const unsigned char code[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xcb};
    unsigned char *low = mmap((void *)0x10000, 65536, PROT_READ | PROT_WRITE | PROT_EXEC,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (low == MAP_FAILED) return answer(-errno);
    memcpy(low, code, sizeof code);
    struct {
        unsigned offset;
        unsigned short segment;
    } __attribute__((packed)) *there = (void *)(low + 4096);
    there->offset = 0x10000;
    there->segment = 0x23;
    long got;
    __asm__ volatile("mov %%rsp, %%r12\n mov %1, %%rsp\n lcall *(%2)\n mov %%r12, %%rsp"
                     : "=a"(got)
                     : "r"(low + 60000), "r"(there)
                     : "memory", "r12", "cc", "rcx", "rdx", "r8", "r9", "r10", "r11");
    return answer((int)got);
}

static int is_named(long number, int count, char **named) {
    for (int at = 0; at < count; at++)
        if (atol(named[at]) == number) return 1;
    return 0;
}

/* Each call in a child of its own; say whether it answered anything but EPERM or ENOSYS, or nothing at all. */
static int try_call(long number) {
    pid_t child = fork();
    if (child == 0) {
        long got = syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
        _exit(got == -1 && (errno == EPERM || errno == ENOSYS) ? 0 : 1);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) return 1;
    return WIFEXITED(status) && WEXITSTATUS(status);
}

static int sweep(int count, char **named) {
    int found = 0;
    for (long number = 0; number <= LAST; number++)
        if (!is_named(number, count, named) && try_call(number)) found += printf("%ld ", number) > 0;
    return found ? say("") : say("EPERM or ENOSYS");
}

int main(int count, char **arguments) {
    setvbuf(stdout, 0, _IONBF, 0);
    if (count < 2 || !strcmp(arguments[1], "hello")) return 0;
    if (!strcmp(arguments[1], "wait")) return pause();
    if (!strcmp(arguments[1], "int80")) return int80();
    if (!strcmp(arguments[1], "x32")) return x32();
    if (!strcmp(arguments[1], "far")) return far_jump();
    if (!strcmp(arguments[1], "sweep")) return sweep(count - 2, arguments + 2);
    return 2;
}
