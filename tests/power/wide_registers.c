/* Lets User-Mode Linux run where the processor's registers have outgrown it: preloaded into linux.uml.

   Linux takes a thread's extended registers (PTRACE_SETREGSET, NT_X86_XSTATE) only whole, and on a processor with AMX
   they are 11,008 bytes. User-Mode Linux knows 2,696 of them, is told EFAULT, and gives up before the guest's first
   instruction. So the whole is read, what it knows is laid over it, and the whole is written. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

typedef long (*ptrace_call)(int, int, void *, void *);

static ptrace_call next;
static char whole[1 << 16]; /* not on the stack, which is a kernel's; it has one thread */

__attribute__((constructor)) static void find(void) { next = (ptrace_call)dlsym(RTLD_NEXT, "ptrace"); }

long ptrace(enum __ptrace_request request, ...)
{
    va_list rest;
    va_start(rest, request);
    int pid = va_arg(rest, int);
    void *what = va_arg(rest, void *);
    struct iovec *known = va_arg(rest, struct iovec *);
    va_end(rest);
    if ((int)request != PTRACE_SETREGSET || what != (void *)NT_X86_XSTATE)
        return next(request, pid, what, known);
    struct iovec all = {whole, sizeof whole}; /* errno tells nothing here: signals come in between, and change it */
    if (next(PTRACE_GETREGSET, pid, what, &all) != 0 || all.iov_len <= known->iov_len)
        return next(request, pid, what, known);
    memcpy(whole, known->iov_base, known->iov_len);
    return next(PTRACE_SETREGSET, pid, what, &all);
}
