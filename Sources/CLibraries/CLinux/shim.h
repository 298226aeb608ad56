#pragma once

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

/// syscall() is variadic, which Swift cannot call; glibc has no wrapper before 2.36.
static inline int rollcall_pidfd_open(int pid) { return (int)syscall(SYS_pidfd_open, pid, 0u); }

/// syscall() is variadic; glibc has no wrapper before 2.36.
static inline int rollcall_pidfd_send_signal(int pidfd, int number) { return (int)syscall(SYS_pidfd_send_signal, pidfd, number, (void *)0, 0u); }

/// syscall() is variadic; the wrapper in glibc hides behind _GNU_SOURCE, which clashes with Swift's Glibc module.
static inline long rollcall_getrandom(void *buffer, unsigned long size) { return syscall(SYS_getrandom, buffer, size, 0u); }

/// prctl() is variadic, which Swift cannot call.
static inline int rollcall_clear_ambient_capabilities(void) { return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); }
