/*
 * Speak to the kernel without a C library: what each small static program of this folder's kind includes.
 *
 * Such a program defines `begin`, which is given the stack as the kernel left it (the number of arguments,
 * then the arguments, a null, the environment, a null) and never returns. See build.sh for its compiler flags.
 */
#ifndef EVALCTL_SYSTEM_H
#define EVALCTL_SYSTEM_H

#include <asm/poll.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/stat.h>
#include <linux/time.h>
#include <linux/wait.h>

#ifndef __x86_64__
#error "these programs speak x86-64 system calls only"
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

static const u64 SECOND = 1000000000;

static inline long system_call(long number, long a, long b, long c, long d, long e) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

#define call0(n) system_call(n, 0, 0, 0, 0, 0)
#define call1(n, a) system_call(n, (long)(a), 0, 0, 0, 0)
#define call2(n, a, b) system_call(n, (long)(a), (long)(b), 0, 0, 0)
#define call3(n, a, b, c) system_call(n, (long)(a), (long)(b), (long)(c), 0, 0)
#define call4(n, a, b, c, d) system_call(n, (long)(a), (long)(b), (long)(c), (long)(d), 0)
#define call5(n, a, b, c, d, e) system_call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

static inline void leave(int status) __attribute__((noreturn));
static inline void leave(int status) {
    for (;;) call1(__NR_exit_group, status);
}

/* The compiler may ask for these two whatever it is told; weak: every file that is linked has them. */
__attribute__((weak)) void *memcpy(void *to, const void *from, u64 size) {
    for (u64 at = 0; at < size; at++) ((u8 *)to)[at] = ((const u8 *)from)[at];
    return to;
}

__attribute__((weak)) void *memset(void *to, int value, u64 size) {
    for (u64 at = 0; at < size; at++) ((u8 *)to)[at] = (u8)value;
    return to;
}

static inline u64 length_of(const char *text) {
    u64 length = 0;
    while (text[length]) length++;
    return length;
}

static inline u64 now(void) {
    struct timespec time = {0, 0};
    call2(__NR_clock_gettime, CLOCK_MONOTONIC, &time);
    return (u64)time.tv_sec * SECOND + (u64)time.tv_nsec;
}

static inline long open_under(int directory, const char *name, int flags) {
    return call4(__NR_openat, directory, name, flags | O_CLOEXEC, 0);
}

static inline int read_exactly(int descriptor, void *to, u64 size) {
    for (u64 done = 0; done < size;) {
        long got = call3(__NR_read, descriptor, (u8 *)to + done, size - done);
        if (got == -EINTR) continue;
        if (got <= 0) return 0;
        done += (u64)got;
    }
    return 1;
}

/* Short writes and a non-blocking pipe are both possible; return 0 when the reader has vanished. */
static inline int write_to(int descriptor, const void *from, u64 size) {
    for (u64 done = 0; done < size;) {
        long put = call3(__NR_write, descriptor, (const u8 *)from + done, size - done);
        if (put > 0) {
            done += (u64)put;
        } else if (put == -EAGAIN) {
            struct pollfd room = {descriptor, POLLOUT, 0};
            call5(__NR_ppoll, &room, 1, 0, 0, 0);
        } else if (put != -EINTR) {
            return 0;
        }
    }
    return 1;
}

/* In exactly one file of a program: where the kernel enters it. */
#define ENTRY_POINT \
    __asm__(".globl _start\n" \
            "_start:\n" \
            "    xor %ebp, %ebp\n" \
            "    mov %rsp, %rdi\n" \
            "    and $-16, %rsp\n" \
            "    call begin\n")

#endif
