// The floor: what watching costs when nothing is done with what is read. Once a second it reads stat and statm of each process through
// files that it keeps open; pidfds tell of their ends. It prints `ended PID`.
//
// Usage: floor PID...
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct watched { int pid, pidfd, stat, statm; };

static int open_file(int pid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

int main(int count, char **words) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int loop = epoll_create1(EPOLL_CLOEXEC), n = count - 1;
    struct watched *all = calloc(n, sizeof *all);
    for (int i = 0; i < n; i++) {
        struct watched *one = &all[i];
        one->pid = atoi(words[i + 1]);
        one->pidfd = syscall(SYS_pidfd_open, one->pid, 0);
        one->stat = open_file(one->pid, "stat");
        one->statm = open_file(one->pid, "statm");
        if (one->pidfd < 0 || one->stat < 0 || one->statm < 0) { perror(words[i + 1]); return 1; }
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = one };
        epoll_ctl(loop, EPOLL_CTL_ADD, one->pidfd, &event);
    }
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec second = { .it_interval.tv_sec = 1, .it_value.tv_sec = 1 };
    timerfd_settime(timer, 0, &second, NULL);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    epoll_ctl(loop, EPOLL_CTL_ADD, timer, &event);
    unsigned long long sum = 0;
    for (;;) {
        if (epoll_wait(loop, &event, 1, -1) < 1) {
            if (errno == EINTR) continue;
            return 1;
        }
        struct watched *one = event.data.ptr;
        if (one) {
            printf("ended %d\n", one->pid);
            epoll_ctl(loop, EPOLL_CTL_DEL, one->pidfd, NULL);
            close(one->pidfd);
            one->pidfd = -1;
            continue;
        }
        uint64_t expirations;
        if (read(timer, &expirations, sizeof expirations) < 0) return 1;
        for (int i = 0; i < n; i++) {
            char text[1024];
            if (all[i].pidfd < 0) continue;
            if (pread(all[i].stat, text, sizeof text, 0) > 0) sum += text[0];
            if (pread(all[i].statm, text, sizeof text, 0) > 0) sum += text[0];
        }
    }
}
