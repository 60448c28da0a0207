/*
 * sched/attach.h - threads of the program's that are attached to the run: what the root needs.
 */
#ifndef LEA_SCHED_ATTACH_H
#define LEA_SCHED_ATTACH_H

/* At the end of a thread that is still attached. */
void lea_attach_thread_ended(void *arg);

#endif
