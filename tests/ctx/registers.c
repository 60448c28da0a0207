/*
 * registers.c - a caller that fills every callee-saved register, switches away, and counts those
 * that came back changed.
 *
 * In assembly, for no compiler can be made to hold all of them.
 */
#include "registers.h"

#if defined(__x86_64__)

/* rdi: from, rsi: to, rdx: first value, rcx: the switch. rax: how many registers are wrong */
__asm__(".text\n"
        ".globl test_registers_kept\n"
        ".type test_registers_kept, @function\n"
        "test_registers_kept:\n"
        "    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "    subq $24, %rsp\n"
        "    movq %rdx, (%rsp)\n"
        "    leaq 1(%rdx), %rbx; leaq 2(%rdx), %rbp; leaq 3(%rdx), %r12\n"
        "    leaq 4(%rdx), %r13; leaq 5(%rdx), %r14; leaq 6(%rdx), %r15\n"
        "    xorl %edx, %edx\n"
        "    call *%rcx\n"
        "    movq (%rsp), %rdx\n"
        "    xorl %eax, %eax\n"
        "    .macro kept reg, n\n"
        "    leaq \\n(%rdx), %rcx; cmpq %rcx, \\reg; je 1f; incl %eax; 1:\n"
        "    .endm\n"
        "    kept %rbx, 1; kept %rbp, 2; kept %r12, 3; kept %r13, 4; kept %r14, 5; kept %r15, 6\n"
        "    addq $24, %rsp\n"
        "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
        "    ret\n"
        ".size test_registers_kept, . - test_registers_kept\n");

#elif defined(__aarch64__)

/* x0: from, x1: to, x2: first value, x3: the switch. x0: how many registers are wrong */
__asm__(".text\n"
        ".globl test_registers_kept\n"
        ".type test_registers_kept, %function\n"
        "test_registers_kept:\n"
        "    stp x29, x30, [sp, #-192]!\n"
        "    stp x19, x20, [sp, #16]; stp x21, x22, [sp, #32]; stp x23, x24, [sp, #48]; stp x25, "
        "x26, [sp, #64]\n"
        "    stp x27, x28, [sp, #80]; stp d8, d9, [sp, #96]; stp d10, d11, [sp, #112]; stp d12, "
        "d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]; str x2, [sp, #160]\n"
        "    .macro fill n\n"
        "    add x\\n, x2, #\\n\n"
        "    .endm\n"
        "    .macro fill_d n\n"
        "    add x9, x2, #\\n + 100; fmov d\\n, x9\n"
        "    .endm\n"
        "    .irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n"
        "    fill \\n\n"
        "    .endr\n"
        "    .irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "    fill_d \\n\n"
        "    .endr\n"
        "    mov x2, xzr\n"
        "    blr x3\n"
        "    ldr x2, [sp, #160]\n"
        "    mov x0, xzr\n"
        "    .irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n"
        "    add x9, x2, #\\n; cmp x9, x\\n; cinc x0, x0, ne\n"
        "    .endr\n"
        "    .irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "    add x9, x2, #\\n + 100; fmov x10, d\\n; cmp x9, x10; cinc x0, x0, ne\n"
        "    .endr\n"
        "    ldp x19, x20, [sp, #16]; ldp x21, x22, [sp, #32]; ldp x23, x24, [sp, #48]; ldp x25, "
        "x26, [sp, #64]\n"
        "    ldp x27, x28, [sp, #80]; ldp d8, d9, [sp, #96]; ldp d10, d11, [sp, #112]; ldp d12, "
        "d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]; ldp x29, x30, [sp], #192\n"
        "    ret\n"
        ".size test_registers_kept, . - test_registers_kept\n");

#endif
