/*
 * switch_aarch64.S - the switch of ctx.h for AAPCS64, and where a new context begins.
 *
 * Always: a saved context's stack pointer is the lowest byte of this frame (struct lea_ctx_frame), so the CFA stays "sp + 176"
 * while sp changes stacks, and an unwinder may stop anywhere:
 *      0 x29, 8 x30, 16 x19 .. 88 x28, 96 d8 .. 152 d15, 160 fpcr
 * The way back is `ret`, which needs no landing pad at its target; `br` would.
 */
    .text

/* x0: where to save, x1: whom to resume, x2: what the resumed side gets in x0 */
    .globl  lea_ctx_switch
    .hidden lea_ctx_switch
    .type   lea_ctx_switch, %function
    .p2align 6
lea_ctx_switch:
    .cfi_startproc
    hint    #34                 /* bti c */
    stp     x29, x30, [sp, #-176]!
    .cfi_adjust_cfa_offset 176
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    mrs     x9, fpcr
    stp     x19, x20, [sp, #16]
    .cfi_rel_offset x19, 16
    .cfi_rel_offset x20, 24
    stp     x21, x22, [sp, #32]
    .cfi_rel_offset x21, 32
    .cfi_rel_offset x22, 40
    stp     x23, x24, [sp, #48]
    .cfi_rel_offset x23, 48
    .cfi_rel_offset x24, 56
    stp     x25, x26, [sp, #64]
    .cfi_rel_offset x25, 64
    .cfi_rel_offset x26, 72
    stp     x27, x28, [sp, #80]
    .cfi_rel_offset x27, 80
    .cfi_rel_offset x28, 88
    stp     d8, d9, [sp, #96]
    .cfi_rel_offset d8, 96
    .cfi_rel_offset d9, 104
    stp     d10, d11, [sp, #112]
    .cfi_rel_offset d10, 112
    .cfi_rel_offset d11, 120
    stp     d12, d13, [sp, #128]
    .cfi_rel_offset d12, 128
    .cfi_rel_offset d13, 136
    stp     d14, d15, [sp, #144]
    .cfi_rel_offset d14, 144
    .cfi_rel_offset d15, 152
    str     x9, [sp, #160]
    mov     x10, sp
    str     x10, [x0]
    ldr     x10, [x1]
    mov     sp, x10
    ldr     x10, [sp, #160]
    cmp     x9, x10             /* writing fpcr may drain the pipeline; both values are in registers anyway */
    b.ne    2f
1:  mov     x0, x2
    .globl  lea_ctx_resume
    .hidden lea_ctx_resume
lea_ctx_resume:
    ldp     d14, d15, [sp, #144]
    ldp     d12, d13, [sp, #128]
    ldp     d10, d11, [sp, #112]
    ldp     d8, d9, [sp, #96]
    ldp     x27, x28, [sp, #80]
    ldp     x25, x26, [sp, #64]
    ldp     x23, x24, [sp, #48]
    ldp     x21, x22, [sp, #32]
    ldp     x19, x20, [sp, #16]
    ldp     x29, x30, [sp], #176
    .cfi_remember_state
    .cfi_adjust_cfa_offset -176
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore x30
    .cfi_restore d8
    .cfi_restore d9
    .cfi_restore d10
    .cfi_restore d11
    .cfi_restore d12
    .cfi_restore d13
    .cfi_restore d14
    .cfi_restore d15
    ret
    .cfi_restore_state
2:  msr     fpcr, x10
    b       1b
    .cfi_endproc
    .size   lea_ctx_switch, . - lea_ctx_switch

/* A switch "returns" to the instruction after the landing pad. x19: entry, x0: its argument */
    .globl  lea_ctx_start
    .hidden lea_ctx_start
    .type   lea_ctx_start, %function
    .p2align 4
lea_ctx_start:
    .cfi_startproc
    .cfi_undefined x30          /* outermost: unwinders stop here, and know that it is the end */
    hint    #34                 /* bti c */
    blr     x19
    brk     #1
    .cfi_endproc
    .size   lea_ctx_start, . - lea_ctx_start

/* GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI (bit 0) */
    .section .note.gnu.property, "a", %note
    .p2align 3
    .long   4, 16, 5            /* name size, descriptor size, NT_GNU_PROPERTY_TYPE_0 */
    .asciz  "GNU"
    .long   0xc0000000, 4, 1, 0

    .section .note.GNU-stack, "", %progbits
