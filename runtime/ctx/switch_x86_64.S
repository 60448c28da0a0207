/*
 * switch_x86_64.S - the switch of ctx.h for the System V ABI, and where a new context begins.
 *
 * Always: a saved context's stack pointer points into this frame (struct lea_ctx_frame), so the CFA stays "rsp + 56" while rsp
 * changes stacks, and an unwinder may stop anywhere:
 *      -8 mxcsr, -4 x87 control word, 0 r12, 8 r13, 16 r14, 24 r15, 32 rbx, 40 rbp, 48 return address
 * The control words lie in the red zone, which saves moving rsp around them.
 *
 * Tried, and measured on a Xeon of 2023 (switch between two coroutines, fastest of many runs; one call of lea_ctx_switch()
 * that both use, three calls deep in brackets):
 *   as it is 4.7 ns (6.0) · both control words loaded always 6.0 (7.5) · both compared, 25 instructions, 4.7 (5.6), but the
 *   exception flags make mxcsr differ between coroutines that do arithmetic and others: a wrong guess costs 10 ns
 *   · both compared as one word of 8 bytes 8.0 (11.6): the load waits for two narrower stores · mov instead of push and pop: equal
 *   · "pop rcx, jmp *rcx" instead of ret: 6.5 (42) since every later ret is guessed wrong; it wins only where the two sides call
 *   from different places and never return (5.8 against 16 ns). So: few callers, best one.
 */
    .text

/* rdi: where to save, rsi: whom to resume, rdx: what the resumed side gets in rax */
    .globl  lea_ctx_switch
    .hidden lea_ctx_switch
    .type   lea_ctx_switch, @function
    .p2align 6
lea_ctx_switch:
    .cfi_startproc
    endbr64
    stmxcsr -56(%rsp)
    fnstcw  -52(%rsp)
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    movzwl  -4(%rsp), %ecx
    movq    %rsp, (%rdi)
    movq    (%rsi), %rsp
    .globl  lea_ctx_resume
    .hidden lea_ctx_resume
lea_ctx_resume:
    ldmxcsr -8(%rsp)
    cmpw    -4(%rsp), %cx
    jne     2f                  /* it has no sticky flags, so programs that never set it never come here */
1:  .cfi_remember_state
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    movq    %rdx, %rax
    ret
    .cfi_restore_state
2:  fldcw   -4(%rsp)
    jmp     1b
    .cfi_endproc
    .size   lea_ctx_switch, . - lea_ctx_switch

/* A switch "returns" to the instruction after the endbr64, with rsp aligned to 16. rbx: entry, rax: its argument */
    .globl  lea_ctx_start
    .hidden lea_ctx_start
    .type   lea_ctx_start, @function
    .p2align 4
lea_ctx_start:
    .cfi_startproc
    .cfi_undefined rip          /* outermost: unwinders stop here, and know that it is the end */
    endbr64
    movq    %rax, %rdi
    call    *%rbx
    ud2
    .cfi_endproc
    .size   lea_ctx_start, . - lea_ctx_start

/* GNU_PROPERTY_X86_FEATURE_1_AND: indirect branches land on endbr64 (IBT, bit 0); no claim about shadow stacks (SHSTK, bit 1) */
    .section .note.gnu.property, "a", @note
    .p2align 3
    .long   4, 16, 5            /* name size, descriptor size, NT_GNU_PROPERTY_TYPE_0 */
    .asciz  "GNU"
    .long   0xc0000002, 4, 1, 0

    .section .note.GNU-stack, "", @progbits
