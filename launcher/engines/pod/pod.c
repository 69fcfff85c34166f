/*
 * Hold an empty network namespace for the containers that join it, say when its services answer, and carry
 * connections to the one way out, where there is one.
 *
 *   pod none|relay [PORT HOST PATH]...
 *
 * Every PATH is asked for by HTTP at 127.0.0.1:PORT until it answers with a status of 2xx; then one line is
 * written to standard output, once: its place among the arguments, from 0, in decimal. With `relay`, TCP connections
 * to 127.0.0.1:3128 are carried, byte for byte, to the Unix socket RELAY, behind which the launcher decides.
 * The end of standard input means that the launcher is gone, or done: so is this program.
 *
 * Whoever shares the namespace can connect here and send anything, so every buffer and number is bounded, and
 * nothing that comes over a connection is looked at but a status line of HTTP.
 */
#include "../init/system.h"

#include <linux/in.h>
#include <linux/socket.h>
#include <linux/un.h>

enum { AF_UNIX = 1, AF_INET = 2, SOCK_STREAM = 1, SHUT_WR = 1, SO_ERROR = 4, SOL_SOCKET = 1 };
enum { NON_BLOCKING = 04000, CLOSE_ON_EXEC = 02000000 };
enum { MAX_TARGETS = 100, MAX_PAIRS = 128, BUFFER = 16384, BACKLOG = 64, RELAY_PORT = 3128, STATUS = 12 };
enum { EXIT_DONE = 0, EXIT_MISUSED = 64, EXIT_BROKEN = 70 };

static const char RELAY[] = "/.evalctl/egress";
static const u64 BETWEEN_QUESTIONS = 100000000ul; /* nanoseconds */
static const u64 LONGEST_ANSWER = 10ul * 1000000000ul;
static const u64 LONGEST_STANDSTILL = 60ul * 1000000000ul;

static long stream_socket(int family) {
    return call3(__NR_socket, family, SOCK_STREAM | NON_BLOCKING | CLOSE_ON_EXEC, 0);
}

static struct sockaddr_in loopback(u16 port) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = (u16)(port << 8 | port >> 8);
    address.sin_addr.s_addr = 0x0100007f; /* 127.0.0.1, in the order of the network */
    return address;
}

/* ---- asking the services whether they are ready ---- */

static struct target {
    const char *host, *path, *port_text;
    u64 next, deadline;
    u32 got, index;
    u16 port;
    int descriptor, asked, done;
    char status[STATUS];
} targets[MAX_TARGETS];
static u32 target_count;

static void give_up_for_now(struct target *target) {
    if (target->descriptor >= 0) call1(__NR_close, target->descriptor);
    target->descriptor = -1;
    target->asked = 0;
    target->got = 0;
    target->next = now() + BETWEEN_QUESTIONS;
}

static void begin_to_ask(struct target *target) {
    struct sockaddr_in address = loopback(target->port);
    target->descriptor = (int)stream_socket(AF_INET);
    if (target->descriptor < 0) return give_up_for_now(target);
    long answer = call3(__NR_connect, target->descriptor, &address, sizeof address);
    if (answer < 0 && answer != -EINPROGRESS) return give_up_for_now(target);
    target->deadline = now() + LONGEST_ANSWER;
}

static u64 add(char *to, u64 length, const char *text) {
    u64 size = length_of(text);
    memcpy(to + length, text, size);
    return length + size;
}

static void ask(struct target *target) {
    static char request[8192];
    u64 length = add(request, 0, "GET ");
    length = add(request, length, target->path);
    length = add(request, length, " HTTP/1.1\r\nHost: ");
    length = add(request, length, target->host);
    length = add(request, length, ":");
    length = add(request, length, target->port_text);
    length = add(request, length, "\r\nUser-Agent: evalctl\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    /* A fresh connection takes so little at once; one that does not is asked again. */
    if (call3(__NR_write, target->descriptor, request, length) != (long)length) return give_up_for_now(target);
    target->asked = 1;
}

static int is_success(const char *status) {
    static const char start[] = "HTTP/1.";
    for (u32 at = 0; at < sizeof start - 1; at++)
        if (status[at] != start[at]) return 0;
    return status[8] == ' ' && status[9] == '2';
}

static void tell(u32 index) {
    char line[12];
    u64 length = 0;
    if (index >= 10) line[length++] = (char)('0' + index / 10);
    line[length++] = (char)('0' + index % 10);
    line[length++] = '\n';
    if (!write_to(1, line, length)) leave(EXIT_DONE);
}

static void listen_to(struct target *target) {
    long got = call3(__NR_read, target->descriptor, target->status + target->got, STATUS - target->got);
    if (got == -EAGAIN || got == -EINTR) return;
    if (got <= 0) return give_up_for_now(target);
    target->got += (u32)got;
    if (target->got < STATUS) return;
    if (!is_success(target->status)) return give_up_for_now(target);
    give_up_for_now(target);
    target->done = 1;
    tell(target->index);
}

static void attend_to(struct target *target, int ready) {
    if (target->done) return;
    if (target->descriptor < 0) {
        if (now() >= target->next) begin_to_ask(target);
    } else if (ready && !target->asked) {
        int error = 0;
        u32 size = sizeof error;
        call5(__NR_getsockopt, target->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) give_up_for_now(target);
        else ask(target);
    } else if (ready) {
        listen_to(target);
    } else if (now() >= target->deadline) {
        give_up_for_now(target);
    }
}

/* ---- carrying connections ---- */

struct way { /* what was read from one side and not yet written to the other */
    u32 begin, end;
    int ended, passed_on;
    u8 bytes[BUFFER];
};

static struct pair {
    int open, ends[2]; /* the client's, the launcher's */
    u64 moved;
    struct way ways[2]; /* ways[0] leads from ends[0] to ends[1] */
} pairs[MAX_PAIRS];
static u32 open_pairs;

static void drop(struct pair *pair) {
    call1(__NR_close, pair->ends[0]);
    call1(__NR_close, pair->ends[1]);
    pair->open = 0;
    open_pairs--;
}

static long reach_launcher(void) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, RELAY, sizeof RELAY);
    long descriptor = stream_socket(AF_UNIX);
    if (descriptor < 0) return descriptor;
    if (call3(__NR_connect, descriptor, &address, sizeof address) == 0) return descriptor;
    call1(__NR_close, descriptor);
    return -1;
}

static void take_in(int listener) {
    struct pair *pair = pairs;
    long client = call4(__NR_accept4, listener, 0, 0, NON_BLOCKING | CLOSE_ON_EXEC);
    if (client < 0) return;
    long launcher = reach_launcher();
    if (launcher < 0) {
        call1(__NR_close, client);
        return;
    }
    while (pair->open) pair++;
    pair->open = 1;
    pair->ends[0] = (int)client;
    pair->ends[1] = (int)launcher;
    pair->moved = now();
    for (int side = 0; side < 2; side++) {
        struct way *way = &pair->ways[side];
        way->begin = way->end = 0;
        way->ended = way->passed_on = 0;
    }
    open_pairs++;
}

/* Read what there is room for, write what there is; return 0 when the pair is broken. */
static int carry(struct pair *pair, int side) {
    struct way *way = &pair->ways[side];
    int from = pair->ends[side], to = pair->ends[1 - side];
    if (!way->ended && way->end < BUFFER) {
        long got = call3(__NR_read, from, way->bytes + way->end, BUFFER - way->end);
        if (got < 0 && got != -EAGAIN && got != -EINTR) return 0;
        if (got == 0) way->ended = 1;
        if (got > 0) way->end += (u32)got, pair->moved = now();
    }
    if (way->begin < way->end) {
        long put = call5(__NR_sendto, to, way->bytes + way->begin, way->end - way->begin, 0x4000 /* MSG_NOSIGNAL */, 0);
        if (put < 0 && put != -EAGAIN && put != -EINTR) return 0;
        if (put > 0) way->begin += (u32)put, pair->moved = now();
    }
    if (way->begin == way->end) way->begin = way->end = 0;
    if (way->ended && !way->passed_on && way->end == 0) {
        call2(__NR_shutdown, to, SHUT_WR);
        way->passed_on = 1;
    }
    return 1;
}

static void carry_both(struct pair *pair) {
    int whole = carry(pair, 0) && carry(pair, 1);
    int finished = pair->ways[0].passed_on && pair->ways[1].passed_on;
    if (!whole || finished) drop(pair);
}

/* A side that is gone while the other does not read would keep its place for ever. */
static void drop_the_stuck(struct pair *pair) {
    int half_gone = pair->ways[0].ended || pair->ways[1].ended;
    if (half_gone && now() - pair->moved > LONGEST_STANDSTILL) drop(pair);
}

static short wanted(const struct pair *pair, int side) {
    const struct way *from_here = &pair->ways[side], *to_here = &pair->ways[1 - side];
    short events = 0;
    if (!from_here->ended && from_here->end < BUFFER) events |= POLLIN;
    if (to_here->begin < to_here->end) events |= POLLOUT;
    return events;
}

/* ---- the program ---- */

static struct pollfd watched[2 + MAX_TARGETS + 2 * MAX_PAIRS];

/* A descriptor of -1 is passed over by the kernel. */
static void watch(u32 place, int descriptor, short events) {
    watched[place].fd = events ? descriptor : -1;
    watched[place].events = events;
    watched[place].revents = 0;
}

static u32 prepare(int listener) {
    watch(0, 0, POLLIN);
    watch(1, listener, open_pairs < MAX_PAIRS ? POLLIN : 0);
    u32 count = 2;
    for (u32 at = 0; at < target_count; at++) {
        struct target *target = &targets[at];
        watch(count++, target->done ? -1 : target->descriptor, target->asked ? POLLIN : POLLOUT);
    }
    for (u32 at = 0; at < MAX_PAIRS; at++)
        for (int side = 0; side < 2; side++)
            watch(count++, pairs[at].open ? pairs[at].ends[side] : -1, pairs[at].open ? wanted(&pairs[at], side) : 0);
    return count;
}

static void turn(int listener) {
    struct timespec patience = {1, 0};
    for (u32 at = 0; at < target_count; at++)
        if (!targets[at].done) patience.tv_sec = 0, patience.tv_nsec = (long)BETWEEN_QUESTIONS / 2;
    u32 count = prepare(listener), first_pair = 2 + target_count;
    call5(__NR_ppoll, watched, count, &patience, 0, 0);
    if (watched[0].revents) {
        u8 byte;
        long got = call3(__NR_read, 0, &byte, 1);
        if (got != -EINTR && got != -EAGAIN) leave(EXIT_DONE);
    }
    for (u32 at = 0; at < target_count; at++) attend_to(&targets[at], watched[2 + at].revents != 0);
    for (u32 at = 0; at < MAX_PAIRS; at++) {
        const struct pollfd *ends = &watched[first_pair + 2 * at];
        if (pairs[at].open && (ends[0].revents || ends[1].revents)) carry_both(&pairs[at]);
        else if (pairs[at].open) drop_the_stuck(&pairs[at]);
    }
    /* Last: a new pair may take the place of one that was just looked at. */
    if (watched[1].revents && open_pairs < MAX_PAIRS) take_in(listener);
}

static int listen_for_clients(void) {
    struct sockaddr_in address = loopback(RELAY_PORT);
    long descriptor = stream_socket(AF_INET);
    if (descriptor < 0 || call3(__NR_bind, descriptor, &address, sizeof address) < 0 ||
        call2(__NR_listen, descriptor, BACKLOG) < 0)
        leave(EXIT_BROKEN);
    return (int)descriptor;
}

static u16 number(const char *text) {
    u32 value = 0;
    for (; *text >= '0' && *text <= '9' && value < 65536; text++) value = value * 10 + (u32)(*text - '0');
    if (*text || value == 0 || value > 65535) leave(EXIT_MISUSED);
    return (u16)value;
}

__attribute__((used, noreturn)) static void begin(long *stack) {
    u64 given = (u64)stack[0];
    char **arguments = (char **)(stack + 1);
    if (given < 2 || (given - 2) % 3 || (given - 2) / 3 > MAX_TARGETS) leave(EXIT_MISUSED);
    for (u64 at = 2; at < given; at += 3) {
        struct target *target = &targets[target_count];
        target->index = target_count++;
        target->descriptor = -1;
        target->port_text = arguments[at];
        target->port = number(arguments[at]);
        target->host = arguments[at + 1];
        target->path = arguments[at + 2];
        if (length_of(target->host) + length_of(target->path) > 4096) leave(EXIT_MISUSED);
    }
    int listener = arguments[1][0] == 'r' ? listen_for_clients() : -1;
    for (;;) turn(listener);
}

ENTRY_POINT;
