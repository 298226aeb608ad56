#pragma once

#include <elf.h>
#include <linux/capability.h>
#include <malloc.h>
#include <spawn.h>
#include <sys/auxv.h>
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
static inline int rollcall_prctl(int option, unsigned long first, unsigned long second) { return prctl(option, first, second, 0ul, 0ul); }

/// syscall() is variadic, and glibc has no wrapper: gives up all capabilities of this thread.
static inline int rollcall_drop_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return (int)syscall(SYS_capset, &header, none);
}

/// syscall() is variadic, and glibc has no wrapper: 1 when this thread has capabilities, 0 when it has none, -1 when the kernel does not say.
static inline int rollcall_has_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, held) != 0) return -1;
    for (int index = 0; index < _LINUX_CAPABILITY_U32S_3; index++)
        if (held[index].effective || held[index].permitted) return 1;
    return 0;
}

/// Hides behind _GNU_SOURCE; glibc has it since 2.34, so that it may be missing.
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from) __attribute__((weak));

/// -1 where glibc has no such thing: Swift cannot ask whether a weak symbol is there.
static inline int rollcall_spawn_close_from(posix_spawn_file_actions_t *actions, int from) {
    return posix_spawn_file_actions_addclosefrom_np ? posix_spawn_file_actions_addclosefrom_np(actions, from) : -1;
}
